/** The metrics of BGP neighbors. */
import { ERROR_ACTIONS, MESSAGE_TYPES } from '../controller/view.js';
import type { NeighborView } from '../controller/view.js';
import type { Steps } from '../util/steps.js';
import { escaped, metricText, type SubjectMetric } from './metric-text.js';

const METRICS: readonly SubjectMetric<NeighborView>[] = [
  {
    name: 'filament_neighbor_up',
    type: 'gauge',
    help: '1 while the session is established.',
    collect: ({ peerAs, state }, add) => add(`,peer_as="${peerAs ?? ''}"`, state === 'established' ? 1 : 0),
  },
  {
    name: 'filament_neighbor_state',
    type: 'gauge',
    help: '1 for the state that the session is in.',
    collect: ({ state }, add) => add(`,state="${state}"`, 1),
  },
  {
    name: 'filament_neighbor_uptime_seconds',
    type: 'gauge',
    help: 'Seconds since the session was established.',
    collect: ({ uptimeSeconds }, add) => add('', uptimeSeconds),
  },
  {
    name: 'filament_neighbor_flaps_total',
    type: 'counter',
    help: 'How often the session has left established.',
    collect: ({ flaps }, add) => add('', flaps),
  },
  {
    name: 'filament_neighbor_messages_total',
    type: 'counter',
    help: 'BGP messages.',
    collect({ messages }, add) {
      for (const type of MESSAGE_TYPES) {
        add(`,direction="received",type="${type}"`, messages.received[type]);
        add(`,direction="sent",type="${type}"`, messages.sent[type]);
      }
    },
  },
  {
    name: 'filament_neighbor_routes',
    type: 'gauge',
    help: 'Routes received, of these accepted, and routes advertised.',
    collect({ families }, add) {
      for (const { family, received, accepted, advertised } of families) {
        add(`,family="${family}",kind="received"`, received);
        add(`,family="${family}",kind="accepted"`, accepted);
        add(`,family="${family}",kind="advertised"`, advertised);
      }
    },
  },
  {
    name: 'filament_neighbor_malformed_updates_total',
    type: 'counter',
    help: 'Malformed UPDATEs by what followed.',
    collect({ malformedUpdates }, add) {
      for (const action of ERROR_ACTIONS) add(`,action="${action}"`, malformedUpdates[action]);
    },
  },
  {
    name: 'filament_neighbor_owed_routes',
    type: 'gauge',
    help: 'Routes that the neighbor has not been sent yet.',
    collect: ({ output }, add) => add('', output?.owedRoutes ?? 0),
  },
  {
    name: 'filament_neighbor_queued_octets',
    type: 'gauge',
    help: 'Octets that the system has not taken yet.',
    collect: ({ output }, add) => add('', output?.queuedOctets ?? 0),
  },
  {
    name: 'filament_neighbor_blocked_seconds',
    type: 'gauge',
    help: 'Since the neighbor last took enough for more to be sent; 0 while it does.',
    collect: ({ output }, add) => add('', output?.blockedSeconds ?? 0),
  },
  {
    name: 'filament_bfd_up',
    type: 'gauge',
    help: '1 while the BFD session is up.',
    collect({ bfd }, add) {
      if (bfd) add('', bfd.state === 'up' ? 1 : 0);
    },
  },
  {
    name: 'filament_bfd_flaps_total',
    type: 'counter',
    help: 'How often the BFD session has left up.',
    collect({ bfd }, add) {
      if (bfd) add('', bfd.flaps);
    },
  },
  {
    name: 'filament_bfd_packets_total',
    type: 'counter',
    help: 'BFD control packets.',
    collect({ bfd }, add) {
      if (!bfd) return;
      add(',direction="received"', bfd.packets.received);
      add(',direction="sent"', bfd.packets.sent);
    },
  },
];

/** See {@link metricText}. An address may have a zone, which is the host's to name. */
export const neighborMetrics = (neighbors: Iterable<NeighborView>): Steps<Buffer> =>
  metricText(METRICS, neighbors, ({ address }) => `neighbor="${escaped(address)}"`);
