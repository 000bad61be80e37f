/** The configuration of the controller that rehearses: small, and of the same kind as the one that it rehearses for. */
import { loadConfig } from '../config/load.js';
import type { ResolvedConfig, ResolvedSession } from '../config/resolved.js';

export const LOCAL_AS = 64512;
/** AS number of the first external neighbor; each has one of its own. */
const EXTERNAL_AS = 4_210_000_000;
/** VRFs of the stage, where there are any; number i imports and exports target:64512:<i + 1>. */
export const VRFS = 2;
/** Kinds of sessions that are rehearsed; more of them only repeat what was heard. */
const MAX_KINDS = 4;
/** Of each kind; they send the same routes with other attributes. */
const SENDERS_PER_KIND = 3;
const PEERS_PER_KIND = SENDERS_PER_KIND + 2;

/** One neighbor on the stage. */
export interface StagePeer {
  readonly address: string;
  readonly asn: number;
  readonly families: ResolvedSession['families'];
  readonly sends: boolean;
  /** Offers neither extended messages nor IPv6 next hops of IPv4 routes: what it is sent is made another way. */
  readonly isPlain: boolean;
  /** Among its kind. */
  readonly number: number;
}

export interface StageConfig {
  readonly config: ResolvedConfig;
  readonly peers: readonly StagePeer[];
  /** Names, empty without VRFs. */
  readonly vrfs: readonly string[];
  readonly withAgents: boolean;
}

/** A session as far as the way of its routes depends on it. */
interface Kind {
  readonly families: ResolvedSession['families'];
  readonly external: boolean;
  readonly client: boolean;
  readonly inVrf: boolean;
}

/** A stage for what this configuration's sessions and agents do. */
export function stageFor(config: ResolvedConfig): StageConfig {
  const { bgp, agents } = config;
  const sessions = [...bgp.neighbors, ...bgp.dynamicNeighbors.map(({ session }) => session)];
  const kinds = new Map<string, Kind>();
  for (const { families, peerAs, localAs, routeReflectorClient: client, vrf } of sessions) {
    const kind = { families, external: peerAs !== localAs, client, inVrf: vrf !== undefined };
    if (kinds.size < MAX_KINDS) kinds.set(JSON.stringify(kind), kind);
  }
  const withVrfs = config.vrfs.length > 0;
  const vrfs = withVrfs ? Array.from({ length: VRFS }, (_, i) => `rehearsal-${i}`) : [];
  const staged = [...kinds.values()].flatMap((kind, k) =>
    Array.from({ length: PEERS_PER_KIND }, (_, n) => ({
      kind,
      n,
      address: `127.77.${k}.${n + 1}`,
      asn: kind.external ? EXTERNAL_AS + k * PEERS_PER_KIND + n : LOCAL_AS,
    })),
  );
  const document = {
    name: 'rehearsal',
    routerId: '127.77.255.1',
    autonomousSystem: LOCAL_AS,
    bgp: {
      listen: [{ address: '127.0.0.1', port: 0 }],
      neighbors: staged.map(({ kind, n, address, asn }) => ({
        address,
        peerAs: asn,
        passive: true,
        families: kind.families,
        ...(kind.client && { routeReflectorClient: true }),
        ...(kind.inVrf && { vrf: vrfs[n % VRFS] }),
      })),
    },
    agents: { listen: agents.listen.length > 0 ? [{ address: '127.0.0.1', port: 0 }] : [] },
    vrfs: vrfs.map((name, index) => ({
      name,
      virtualNetwork: { name: `network-${name}`, id: index + 1 },
      routeDistinguisher: `${LOCAL_AS}:${index + 1}`,
      importTargets: [`target:${LOCAL_AS}:${index + 1}`],
      exportTargets: [`target:${LOCAL_AS}:${index + 1}`],
      alwaysImport: true,
    })),
    api: { listen: [] },
  };
  const loaded = loadConfig(JSON.stringify(document), 'rehearsal', { hostName: 'rehearsal' });
  if (loaded.kind === 'invalid') throw new Error('the stage is invalid', { cause: loaded.problems });
  return {
    config: loaded.config,
    peers: staged.map(({ kind, n, address, asn }) => ({
      address,
      asn,
      families: kind.families,
      // What a CE announces counts only where agents have made its next hop known.
      sends: n < SENDERS_PER_KIND && !kind.inVrf,
      isPlain: n % 2 === 0,
      number: n,
    })),
    vrfs,
    withAgents: agents.listen.length > 0 && withVrfs,
  };
}
