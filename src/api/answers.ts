/**
 * Schemas of what the HTTP API answers: the OpenAPI document is made of them, and the types hold them to the views of the
 * controller. Answers are written as they are; nothing is validated or copied on the way out.
 */
import { z } from 'zod';
import { FAMILY_NAMES } from '../config/session-schema.js';
import { EFFECTS } from '../config/effect.js';
import type { ConfigProblem } from '../config/problem.js';
import {
  AGENT_STATES,
  CONFIGURATION_STATES,
  MEMORY_KINDS,
  BFD_DIAGNOSTICS,
  BFD_STATES,
  LIMIT_ACTIONS,
  LIMIT_STATES,
  NEIGHBOR_STATES,
  PATH_FLAGS,
} from '../controller/view.js';
import type {
  AgentView,
  ConfigurationStatus,
  BfdView,
  ControllerInfo,
  NeighborView,
  Readiness,
  RouteView,
  VrfView,
} from '../controller/view.js';

const count = z.int().min(0);
const seconds = count;
const family = z.enum(FAMILY_NAMES);

const problem: z.ZodType<ConfigProblem> = z.object({
  file: z.string(),
  line: z.int(),
  column: z.int(),
  path: z.string(),
  message: z.string(),
});
const configurationStatus: z.ZodType<ConfigurationStatus> = z.object({
  state: z.enum(CONFIGURATION_STATES).meta({
    description:
      'How the configuration in force stands to what was last asked for; `rejected` until its problems are repaired.',
  }),
  problems: z.array(problem).readonly().exactOptional().meta({ description: 'Of a rejected one, the first ones.' }),
  confirmWithinSeconds: seconds.exactOptional().meta({ description: 'Of one on trial: what is left.' }),
});

export const controllerAnswer: z.ZodType<ControllerInfo> = z.object({
  name: z.string(),
  routerId: z.string().meta({ description: 'BGP identifier, as a dotted quad.' }),
  autonomousSystem: z.int(),
  version: z.string(),
  uptimeSeconds: seconds,
  ready: z.boolean(),
  configuration: configurationStatus,
  memoryShort: z.array(z.enum(MEMORY_KINDS)).readonly().exactOptional().meta({
    description:
      'New sessions and agents are refused for want of it: `resident` is above `process.memoryLimit`, `heap` near the limit of V8. Absent while nothing is short.',
  }),
});

export const readinessAnswer: z.ZodType<Readiness> = z.object({
  ready: z.boolean(),
  reasons: z.array(z.string()).meta({ description: 'What is not ready yet; empty when ready.' }),
});

export const healthAnswer = z.object({ status: z.literal('ok') });

const messageCounts = z.object({
  open: count,
  update: count,
  notification: count,
  keepalive: count,
  routeRefresh: count,
});

const prefixLimit = z.object({
  maximum: count,
  action: z.enum(LIMIT_ACTIONS),
  state: z.enum(LIMIT_STATES).meta({
    description: 'How near the limit is; `shutdown`: it has ended the session, which stays down for now.',
  }),
  discarded: count.exactOptional().meta({ description: 'Announcements left out in this session.' }),
  restartInSeconds: z.int().exactOptional().meta({
    description: 'Until a session that was shut down begins anew; absent when an operator must reset it.',
  }),
});

const malformedUpdates = z.object({
  ignore: count.meta({ description: 'Routes of families or types that are not known or not negotiated: passed over.' }),
  'attribute-discard': count,
  'treat-as-withdraw': count,
  'afi-safi-disable': count,
  'session-reset': count,
});

const diagnostic = z.enum([...BFD_DIAGNOSTICS, 'reserved']);

const bfdAnswer: z.ZodType<BfdView> = z.object({
  state: z.enum(BFD_STATES),
  remoteState: z.enum(BFD_STATES).meta({ description: 'What the other side last said of itself.' }),
  lastDiagnostic: diagnostic.meta({ description: 'Why the session last went down.' }),
  remoteDiagnostic: diagnostic,
  multihop: z.boolean(),
  localDiscriminator: count,
  remoteDiscriminator: count.meta({ description: '0: not known.' }),
  transmitIntervalMs: z.number().meta({ description: '0: no packets are sent.' }),
  detectionTimeMs: z.number().meta({ description: 'Silence after which the session is down; 0: nothing was heard.' }),
  uptimeSeconds: seconds.meta({ description: 'Since the session came up; 0 while it is not.' }),
  flaps: count.meta({ description: 'How often the session has left `up`.' }),
  packets: z.object({ received: count, sent: count }).meta({ description: 'Control packets.' }),
  problem: z.string().exactOptional().meta({ description: 'Why the session cannot run at present.' }),
});

const output = z
  .object({
    owedRoutes: count.meta({ description: 'Routes that it has not been sent yet.' }),
    queuedOctets: count.meta({ description: 'Octets that were sent and that the operating system has not taken.' }),
    blockedSeconds: seconds.meta({ description: 'Since it last took enough for more to be sent; 0 while it does.' }),
  })
  .meta({ description: 'What waits for a receiver that is slower than what comes; absent while nothing does.' });

export const neighborAnswer: z.ZodType<NeighborView> = z.object({
  address: z.string(),
  peerAs: z
    .int()
    .exactOptional()
    .meta({ description: 'Absent for a dynamic neighbor of any AS before its first OPEN.' }),
  localAs: z.int(),
  state: z.enum(NEIGHBOR_STATES),
  uptimeSeconds: seconds.meta({ description: 'Since the session was established; 0 while it is not.' }),
  description: z.string().exactOptional(),
  peerGroup: z.string().exactOptional(),
  vrf: z.string().exactOptional().meta({ description: 'The VRF of a CE session.' }),
  dynamic: z.boolean().meta({ description: 'Accepted by a dynamic range instead of configured by address.' }),
  adminDown: z.boolean(),
  role: z.string().exactOptional().meta({ description: 'Own role towards the neighbor (RFC 9234).' }),
  blocked: z.string().exactOptional().meta({ description: 'Why no route passes although the session is up.' }),
  routerId: z.string().exactOptional().meta({ description: 'BGP identifier of the neighbor, once established.' }),
  holdTime: z.int().exactOptional().meta({ description: 'Negotiated hold time in seconds, once established.' }),
  families: z.array(
    z.object({
      family,
      received: count.meta({ description: 'Routes held from the neighbor, usable or not.' }),
      accepted: count.meta({ description: 'Those of them that may be used.' }),
      advertised: count.meta({ description: 'Routes the neighbor has been sent and not been withdrawn.' }),
      endOfRibReceived: z.boolean(),
      endOfRibSent: z.boolean(),
      prefixLimit: prefixLimit.exactOptional(),
    }),
  ),
  familiesNotOffered: z.array(family).exactOptional().meta({
    description: 'Families that are configured and that the neighbor, whose session is up, does not have.',
  }),
  capabilities: z.array(z.string()).meta({ description: 'What the neighbor announced; empty before its OPEN.' }),
  messages: z.object({ received: messageCounts, sent: messageCounts }),
  output: output.exactOptional(),
  malformedUpdates: malformedUpdates.meta({ description: 'Malformed UPDATEs by what followed (RFC 7606 §2).' }),
  flaps: count.meta({ description: 'How often the session has left `established`.' }),
  lastError: z.string().exactOptional().meta({ description: 'Why the last session or attempt failed.' }),
  lastReset: z.object({ reason: z.string(), secondsAgo: seconds }).exactOptional().meta({
    description: 'Why and when the session last left `established`; attempts to connect again do not change it.',
  }),
  bfd: bfdAnswer.exactOptional().meta({ description: 'Absent when the neighbor is configured without.' }),
});
export const neighborsAnswer = z.object({ neighbors: z.array(neighborAnswer) });

export const agentAnswer: z.ZodType<AgentView> = z.object({
  name: z.string(),
  address: z.string(),
  state: z.enum(AGENT_STATES),
  uptimeSeconds: seconds,
  subscriptions: z.array(
    z.object({
      vrf: z.string(),
      instanceId: z.int(),
      pending: z.object({ publications: count }).exactOptional().meta({
        description: 'The VRF is not configured; so many publications wait for it. Absent when it is.',
      }),
    }),
  ),
  routes: z.object({ received: count, advertised: count }),
  output: output.exactOptional(),
  keptSeconds: seconds.exactOptional().meta({
    description: 'Seconds until what is kept of an agent that is `restarting` gets less preferred, or goes.',
  }),
  dropped: z.record(z.string(), count).meta({ description: 'Published items that were not used, by reason.' }),
  ignored: z.record(z.string(), count).meta({ description: 'Stanzas without effect, by reason.' }),
  flaps: count,
  lastError: z.string().exactOptional(),
});
export const agentsAnswer = z.object({ agents: z.array(agentAnswer) });

const tableCounts = z.object({ prefixes: count, paths: count });

export const vrfAnswer: z.ZodType<VrfView> = z.object({
  name: z.string(),
  virtualNetwork: z.object({ name: z.string(), id: z.int(), vxlanId: z.int().exactOptional() }),
  routeDistinguisher: z.string(),
  importTargets: z.array(z.string()),
  exportTargets: z.array(z.string()),
  routes: z.partialRecord(family, tableCounts),
});
export const vrfsAnswer = z.object({ vrfs: z.array(vrfAnswer) });

const routeAnswer: z.ZodType<RouteView> = z.object({
  prefix: z
    .string()
    .meta({ description: 'The route in the text form of its family; inside a VRF without distinguisher.' }),
  paths: z
    .array(
      z.object({
        best: z.boolean(),
        ecmp: z.boolean().meta({ description: 'Member of the equal-cost set of the best path.' }),
        lostBy: z.string().exactOptional().meta({
          description:
            'The step of path selection by which the path before this one is preferred, e.g. `as-path-length`.',
        }),
        source: z.string().meta({ description: '`neighbor:<address>`, `agent:<name>`, `static`, …' }),
        pathId: count.exactOptional().meta({ description: 'Path identifier of its speaker (RFC 7911), unless 0.' }),
        replicatedFrom: z.string().exactOptional(),
        nextHop: z.string().exactOptional(),
        labels: z.array(z.int()).exactOptional(),
        vni: z.int().exactOptional(),
        encapsulations: z.array(z.string()).exactOptional(),
        origin: z.enum(['igp', 'egp', 'incomplete']).exactOptional(),
        asPath: z.string().exactOptional(),
        localPreference: count.exactOptional(),
        med: count.exactOptional(),
        communities: z.array(z.string()).exactOptional(),
        largeCommunities: z.array(z.string()).exactOptional(),
        extendedCommunities: z.array(z.string()).exactOptional(),
        clusterList: z.array(z.string()).exactOptional(),
        originatorId: z.string().exactOptional(),
        flags: z
          .array(z.enum(PATH_FLAGS))
          .meta({ description: 'Why the path is not usable, or what is special about it.' }),
        ageSeconds: seconds,
      }),
    )
    .meta({ description: 'In selection order, the best one first.' }),
});
export const routesAnswer = z.object({
  routes: z.array(routeAnswer).readonly(),
  cursor: z.string().exactOptional().meta({ description: 'For the next page; absent on the last one.' }),
});

export const resetAnswer = z.object({ address: z.string(), mode: z.string() });

export const duplicateMacsAnswer = z.object({
  macs: z
    .array(
      z.object({
        vrf: z.string(),
        ethernetTag: count,
        mac: z.string(),
        source: z.string().meta({ description: 'Where it stays.' }),
        nextHop: z.string(),
        moves: count.meta({ description: 'Seen within the window.' }),
        frozenSeconds: seconds,
        retryInSeconds: seconds.exactOptional().meta({ description: 'Absent when an operator must say so.' }),
      }),
    )
    .readonly(),
});

export const clearedAnswer = z.object({ cleared: count.meta({ description: 'Addresses that may move again.' }) });

export const reloadAnswer = z.object({
  applied: z.literal(true),
  changes: z.array(z.string()).readonly().meta({ description: 'One line per change; empty when nothing differs.' }),
  confirmWithinSeconds: seconds.exactOptional().meta({ description: 'Of a reload on trial.' }),
});

export const confirmAnswer = z.object({ confirmed: z.literal(true) });

export const checkAnswer = z.object({
  changes: z
    .array(
      z.object({
        effect: z.enum(EFFECTS).meta({ description: 'What applying it does to what runs.' }),
        text: z.string(),
      }),
    )
    .readonly()
    .meta({ description: 'Empty when nothing differs.' }),
  restartNeeded: z.array(problem).readonly().meta({
    description: 'When not empty, a reload is refused as a whole: the controller must be started again.',
  }),
  leaks: z
    .array(z.object({ from: z.string(), to: z.string(), target: z.string(), routes: count }))
    .readonly()
    .meta({
      description:
        'VRFs of different virtual networks that would be connected and are not now; `routes` of `from` now.',
    }),
});

export const problemsAnswer = z.object({ problems: z.array(problem).readonly() });

export const errorAnswer = z.object({
  error: z.object({
    code: z.string().meta({ description: 'Stable, in kebab-case.' }),
    message: z.string(),
  }),
});
