/**
 * The schema of the configuration: the one source of field names, kinds of value, defaults and documentation.
 * `filament schema`, docs/configuration.md, the loader and the types all come from here.
 * A field whose behaviour does not exist is not here, and therefore an error when somebody sets it.
 */
import { z } from 'zod';
import { FABRIC_VRF_NAME } from './fabric-vrf.js';
import {
  bgpIdentifier,
  choice,
  community,
  flag,
  hostIp,
  integer,
  list,
  listenIp,
  prefix,
  routeDistinguisher,
  routeTarget,
  secret,
  text,
} from './field.js';
import { asNumber, dynamicNeighborSchema, neighborSchema, peerGroupSchema } from './session-schema.js';

/** Tunnels towards a compute node, as the agent channel spells them. */
export const ENCAPSULATIONS = ['gre', 'udp', 'vxlan'] as const;
export type Encapsulation = (typeof ENCAPSULATIONS)[number];

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Largest MPLS label (20 bits, RFC 3032 §2.1). */
const MAXIMUM_LABEL = 0xf_ffff;
/** Largest VXLAN network identifier (24 bits, RFC 7348 §5). */
const MAXIMUM_VNI = 0xff_ffff;
const MAXIMUM_U32 = 0xffff_ffff;

const listenSchema = z.strictObject({
  address: listenIp().meta({ description: 'Address to listen on.' }),
  port: integer(0, 65535).meta({ description: 'TCP port; 0 takes a free one, which the log names.' }),
});

/** Connections that a listener takes; the defaults are those of the port. */
function acceptLimits(perAddress: number, perSecond: number, total: number) {
  return z
    .strictObject({
      perAddress: integer(1, 65535).default(perAddress).meta({
        description:
          'Connections at a time from one address. Beyond 16 it has never more than are still free for others.',
      }),
      perSecond: integer(1, 65535)
        .default(perSecond)
        .meta({ description: 'New connections in a second from one address.' }),
      total: integer(1, 1_048_576).default(total).meta({
        description:
          'Connections at a time in all; never more than the open files that the process may have, less some for other uses.',
      }),
    })
    .prefault({});
}

const bindWhenAvailable = flag().default(false).meta({
  description:
    'Wait for addresses of `listen` that another process has or that no interface has yet, and try them every second, instead of failing to start.',
  effect: 'restart',
});

const bgpSchema = z.strictObject({
  listen: list(listenSchema).default([]).meta({
    description: 'Where BGP connections are accepted. Empty: only outgoing connections.',
    effect: 'restart',
  }),
  bindWhenAvailable,
  acceptLimits: acceptLimits(16, 32, 20_000).meta({
    description: 'How many connections are accepted; one too many is cut at once.',
    effect: 'none',
  }),
  clusterId: bgpIdentifier().exactOptional().meta({
    description: 'Cluster id as a route reflector (RFC 4456 §7); the router id when left out.',
    effect: 'restart',
  }),
  peerGroups: list(peerGroupSchema)
    .default([])
    .meta({ description: 'Session fields that several neighbors share.', effect: 'none' }),
  neighbors: list(neighborSchema).default([]).meta({ description: 'Remote BGP routers.', effect: 'session-reset' }),
  dynamicNeighbors: list(dynamicNeighborSchema).default([]).meta({
    description: 'Address ranges from which unconfigured neighbors may connect.',
    effect: 'session-reset',
  }),
  selectionDeferralTime: integer(0, 4095, 'seconds').default(60).meta({
    description:
      'How long after the start neighbors with `gracefulRestart.enabled: true` are at most waited for before routes are sent to them (RFC 4724 §4.1). With an agent channel neighbors wait for `agents.endOfRibDelay` as well, within this time. 0: not at all.',
    effect: 'none',
  }),
});

const tlsSchema = z.strictObject({
  certificate: text(4096).meta({
    description: 'PEM file with the certificate chain of this controller; relative to the configuration file.',
  }),
  key: text(4096).meta({
    description:
      'PEM file with its private key; one that everybody on this host may read is refused (of a Kubernetes secret: `defaultMode: 0440`).',
  }),
  ca: text(4096)
    .exactOptional()
    .meta({ description: 'PEM file with the certificates that agent certificates must be signed by.' }),
  revocationList: text(4096).exactOptional().meta({
    description: 'PEM file with the certificate revocation lists of every CA in `ca`.',
  }),
  requireClientCertificate: flag().default(false).meta({
    description: 'Refuse agents without a certificate signed by `ca`.',
  }),
  handshakesPerSecond: integer(1, 100_000).default(250).meta({
    description:
      'TLS handshakes that are begun in a second, at most 64 at a time; agents beyond wait their turn. Each takes a millisecond or more of the CPU that BGP runs on, with RSA keys several.',
  }),
  verifyAgentName: flag()
    .exactOptional()
    .meta({
      description:
        'Refuse an agent whose name is not in its certificate: a DNS name, or the common name where there is none (RFC 6125), as it is written there, in the same case. ' +
        'The value of `requireClientCertificate` when left out.',
    }),
});

const allowedAgentSchema = z.strictObject({
  name: text().meta({ description: 'Name of the agent; `*` stands for any characters.' }),
  addresses: list(prefix()).exactOptional().meta({ description: 'Where it connects from; anywhere when left out.' }),
  vrfs: list(text()).exactOptional().meta({
    description: 'VRFs that it may have, `*` as in `name`; all when left out.',
  }),
});

const agentGracefulRestartSchema = z.strictObject({
  enabled: flag()
    .default(false)
    .meta({
      description:
        'Keep the routes and subscriptions of an agent that lost its connection, until it is back and has repeated them. ' +
        'Agents must be configured alike.',
    }),
  restartTime: integer(1, 4095, 'seconds').default(300).meta({
    description: 'Seconds that they are kept as they are, counted from the first loss of an agent that comes and goes.',
  }),
  longLivedTime: integer(0, 16_777_215, 'seconds').default(300).meta({
    description: 'Seconds for which routes are then still kept as a last resort (RFC 9494); 0: not at all.',
  }),
});

const agentsSchema = z.strictObject({
  listen: list(listenSchema).default([]).meta({
    description: 'Where vRouter agents connect (XMPP). Empty: no agent channel.',
    effect: 'restart',
  }),
  bindWhenAvailable,
  acceptLimits: acceptLimits(4096, 4096, 16_384).meta({
    description: 'How many connections are accepted; one too many is cut at once.',
    effect: 'none',
  }),
  holdTime: integer(3, 65535, 'seconds').default(90).meta({
    description:
      'Seconds without a sign of life after which an agent is taken for gone; a keepalive is sent every third of it.',
    effect: 'none',
  }),
  tls: tlsSchema.exactOptional().meta({
    description:
      'Encrypt the agent channel; agents without TLS are then refused. Its files are read again at each reload, for ' +
      'connections from then on; each is a regular file (or a link to one) of at most 1 MiB. Whether there is TLS cannot change without a restart.',
    effect: 'none',
  }),
  allowed: list(allowedAgentSchema)
    .exactOptional()
    .meta({
      description:
        'Agents that may connect; the first entry that fits decides. Everybody, and every VRF, when left out; nobody when ' +
        'empty. A reload disconnects the agents that may have something else now.',
      effect: 'session-reset',
    }),
  maximumRoutes: integer(1, 16_777_216, 'routes').exactOptional().meta({
    description: 'Routes that one agent may publish in one VRF; more are refused. No limit when left out.',
    effect: 'none',
  }),
  requireOwnNextHop: flag().default(false).meta({
    description: 'Refuse routes of an agent whose next hop is not the address that it connects from.',
    effect: 'none',
  }),
  gracefulRestart: agentGracefulRestartSchema
    .prefault({})
    .meta({ description: 'Agents that come back soon.', effect: 'none' }),
  endOfRibDelay: integer(0, 4095, 'seconds')
    .default(60)
    .meta({
      description:
        'Seconds after its start for which the controller tells no agent that it has sent everything (End-of-RIB): neighbors ' +
        'and other agents need that long to come back.',
      effect: 'none',
    }),
  endOfRibTimeout: integer(1, 4095, 'seconds').default(300).meta({
    description:
      'Seconds after which an agent is taken to have said everything, and is told that it has been sent everything, in any case.',
    effect: 'none',
  }),
  pendingTime: integer(1, 86_400, 'seconds')
    .default(600)
    .meta({
      description:
        'How long routes that agents publish into a VRF that is not configured (yet) are kept for it; a change is for connections ' +
        'from then on. Agents whose routes were dropped are disconnected when the VRF appears, so that they publish again.',
      effect: 'none',
    }),
  maxStanzaBytes: integer(4096, 67_108_864, 'octets').default(1_048_576).meta({
    description: 'Largest stanza accepted of an agent; a larger one closes its connection.',
    effect: 'none',
  }),
});

const virtualNetworkSchema = z.strictObject({
  name: text().meta({ description: 'Fully qualified name, e.g. `default-domain:demo:blue`.' }),
  id: integer(1, MAXIMUM_U32).meta({
    description: 'Network id, unique per virtual network; travels in the OriginVn community.',
  }),
  vxlanId: integer(1, MAXIMUM_VNI).exactOptional().meta({ description: 'VXLAN network identifier.' }),
});

const staticRouteSchema = z.strictObject({
  prefix: prefix().meta({ description: 'Destination.' }),
  nextHop: hostIp().meta({ description: 'Next hop: the tunnel end point.' }),
  label: integer(0, MAXIMUM_LABEL).exactOptional().meta({
    description: 'MPLS label that the next hop expects.',
  }),
  encapsulations: list(choice(ENCAPSULATIONS)).exactOptional().meta({
    description: 'Tunnels that the next hop understands, best first.',
  }),
  routeDistinguisher: routeDistinguisher().exactOptional().meta({
    description: 'Route distinguisher of the VPN route; that of the VRF when left out.',
  }),
  communities: list(community()).exactOptional().meta({ description: 'Communities of the route.' }),
  localPreference: integer(0, MAXIMUM_U32)
    .exactOptional()
    .meta({ description: 'LOCAL_PREF of the route; 100 when left out.' }),
  med: integer(0, MAXIMUM_U32).exactOptional().meta({ description: 'MULTI_EXIT_DISC of the route.' }),
});

/** One VRF of the document. */
export const vrfSchema = z.strictObject({
  name: text().meta({
    description: 'Unique name, as agents subscribe to it, e.g. `default-domain:demo:blue:blue`.',
    effect: 'soft',
  }),
  virtualNetwork: virtualNetworkSchema.meta({
    description: 'The virtual network that the VRF belongs to.',
    effect: 'soft',
  }),
  routeDistinguisher: routeDistinguisher().exactOptional().meta({
    description: 'Unique; `<routerId>:<n>` with the first free number when left out, kept over a reload.',
    effect: 'soft',
  }),
  importTargets: list(routeTarget())
    .default([])
    .meta({ description: 'Routes with one of these route targets enter the VRF.', effect: 'soft' }),
  exportTargets: list(routeTarget())
    .default([])
    .meta({ description: 'Route targets that routes of the VRF carry.', effect: 'soft' }),
  allowedPrefixes: list(prefix())
    .exactOptional()
    .meta({
      description:
        'What agents may publish in the VRF: routes inside of these prefixes, and MAC addresses. Anything when left out. A reload ' +
        'disconnects the agents that were refused routes there: only in a new session do they repeat them.',
      effect: 'session-reset',
    }),
  alwaysImport: flag().default(false).meta({
    description: 'Ask BGP neighbors for routes of the import targets (RFC 4684) also while no agent is subscribed.',
    effect: 'soft',
  }),
  staticRoutes: list(staticRouteSchema)
    .default([])
    .meta({ description: 'Routes that the controller originates in this VRF.', effect: 'soft' }),
});

const guardedTargetSchema = z.strictObject({
  target: routeTarget().meta({ description: 'The route target.' }),
  vrfs: list(text()).meta({ description: 'Names of the VRFs that may import it.' }),
});

const apiSchema = z.strictObject({
  listen: list(listenSchema)
    .default([{ address: '127.0.0.1', port: 8083 }])
    .meta({ description: 'Where the HTTP API is served. Empty: not at all.', effect: 'restart' }),
  token: secret().exactOptional().meta({
    description:
      'Bearer token. Once set, every change needs it, and so does reading from another host. Must be set to listen off loopback.',
    effect: 'none',
  }),
});

const logSchema = z.strictObject({
  level: choice(LOG_LEVELS)
    .default('info')
    .meta({ description: 'The least important lines that are written.', effect: 'none' }),
});

const duplicateMacSchema = z.strictObject({
  moves: integer(0, 1000, 'moves').default(5).meta({
    description: 'So many moves within `window` make a MAC address of a VRF a duplicate. 0: moves are not counted.',
    effect: 'none',
  }),
  window: integer(1, 86_400, 'seconds').default(180).meta({ description: 'Seconds.', effect: 'none' }),
  retryTime: integer(0, 86_400, 'seconds')
    .default(540)
    .meta({
      description:
        'Seconds after which a duplicate may move again. 0: not before `POST /api/v1/duplicate-macs/clear`. A change is for ' +
        'addresses found from then on.',
      effect: 'none',
    }),
});

const evpnSchema = z.strictObject({
  duplicateMac: duplicateMacSchema.prefault({}).meta({
    description:
      'Duplicate MAC addresses (RFC 7432 §15.1): one that moves too often stays where it is, and what others announce of it is not used.',
  }),
});

const reloadSchema = z.strictObject({
  watch: flag().default(false).meta({
    description:
      'Also reload by itself when the file has changed and then stood still for a second. Replace the file by rename: a half-written one may be valid. Not for reloads on trial.',
    effect: 'none',
  }),
});

const processSchema = z.strictObject({
  user: text(32).exactOptional().meta({
    description:
      'The user that a controller started by root becomes as soon as it listens. It must be able to read the program, and this file and those it names, or reloads are refused. Left out, it stays who it is.',
    effect: 'restart',
  }),
  group: text(32).exactOptional().meta({
    description:
      'The group that it then has, beside those that the user is a member of; the one named like the user when left out.',
    effect: 'restart',
  }),
  memoryLimit: integer(64, 1_048_576, 'megabytes').exactOptional().meta({
    description:
      'Resident memory beyond which new sessions and agents are refused, and none are begun, until it is below 90 % of that: those that are there go on. In a container about 90 % of what it may have. A quarter of it, 256 at most, is what publications that wait for VRFs may take. No limit when left out; 80 % of what V8 allows for JavaScript objects (`NODE_OPTIONS=--max-old-space-size`) is one in any case.',
    effect: 'none',
  }),
  rehearsal: flag().default(true).meta({
    description:
      'At the start, before anything is listened on, play a table of routes over loopback, so that the first real one is taken in at full speed. It costs one to three seconds of CPU time: where a start must be quick, or the CPU time is limited, do without. Counts at the next start.',
    effect: 'none',
  }),
});

/** The whole document. */
export const configSchema = z.strictObject({
  name: text()
    .exactOptional()
    .meta({ description: 'Name of this controller; the host name when left out.', effect: 'restart' }),
  routerId: bgpIdentifier().meta({ description: 'BGP identifier.', effect: 'restart' }),
  autonomousSystem: asNumber().meta({ description: 'Own AS number.', effect: 'restart' }),
  bgp: bgpSchema.prefault({}).meta({ description: 'BGP neighbors.' }),
  agents: agentsSchema.prefault({}).meta({ description: 'The agent channel.' }),
  evpn: evpnSchema.prefault({}).meta({ description: 'Ethernet VPNs.' }),
  vrfs: list(vrfSchema)
    .default([])
    .meta({
      description:
        `Virtual routing and forwarding tables. The fabric VRF \`${FABRIC_VRF_NAME}\` shows agents the global routes: ` +
        'it takes no targets, no static routes and no neighbors.',
      effect: 'soft',
    }),
  guardedTargets: list(guardedTargetSchema).default([]).meta({
    description:
      'Route targets that only the VRFs named may import: a configuration in which another VRF does is refused as a whole.',
    effect: 'none',
  }),
  api: apiSchema.prefault({}).meta({ description: 'The HTTP API.' }),
  reload: reloadSchema.prefault({}).meta({ description: 'When the file is read again.' }),
  log: logSchema.prefault({}).meta({ description: 'The log.' }),
  process: processSchema.prefault({}).meta({ description: 'What the process is and may have.' }),
});

/** A document that fits the schema, defaults filled in, peer groups not merged yet. */
export type ConfigDocument = z.output<typeof configSchema>;
export type NeighborDocument = z.output<typeof neighborSchema>;
export type PeerGroupDocument = z.output<typeof peerGroupSchema>;
export type VrfDocument = z.output<typeof vrfSchema>;

/** JSON Schema (draft 2020-12) of the document as it is written. */
export function configJsonSchema(): Record<string, unknown> {
  return { title: 'Filament configuration', ...z.toJSONSchema(configSchema, { io: 'input' }) };
}
