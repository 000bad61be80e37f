import type {
  AgentView,
  CheckResult,
  ControllerInfo,
  ControllerView,
  MetricsSnapshot,
  NeighborView,
  Readiness,
  ReloadOptions,
  ReloadResult,
  ResetMode,
  ResetResult,
  RoutesQuery,
  RoutesResult,
  RouteView,
  VrfView,
} from '../../src/controller/view.js';
import type { FrozenMac } from '../../src/vpn/mac-mobility.js';

const COUNTS = { open: 1, update: 20, notification: 0, keepalive: 7, routeRefresh: 1 };
const MALFORMED = {
  ignore: 3,
  'attribute-discard': 1,
  'treat-as-withdraw': 2,
  'afi-safi-disable': 0,
  'session-reset': 0,
};

export const ROUTES: readonly RouteView[] = Array.from({ length: 25 }, (_, index) => ({
  prefix: `10.0.${index}.0/24`,
  paths: [
    {
      best: true,
      ecmp: true,
      source: 'agent:compute-1',
      nextHop: '192.0.2.11',
      labels: [100 + index],
      encapsulations: ['gre', 'udp'],
      origin: 'igp',
      asPath: '',
      localPreference: 100,
      med: 200,
      extendedCommunities: ['target:64512:1'],
      flags: [],
      ageSeconds: 3,
    },
    { best: false, ecmp: false, source: 'neighbor:192.0.2.1', flags: ['as-loop'], ageSeconds: 4 },
  ],
}));

/** A controller made of constants that remembers what was asked of it. */
export class FakeView implements ControllerView {
  ready = true;
  reloadResult: ReloadResult = { applied: true, changes: ['neighbor 192.0.2.1 added'] };
  resetResult: ResetResult = 'done';
  readonly resets: (readonly [string, ResetMode, string | undefined])[] = [];
  readonly queries: RoutesQuery[] = [];
  reloads = 0;
  reloadOptions: ReloadOptions = {};
  checkResult: CheckResult = { valid: true, changes: [], restartNeeded: [], leaks: [] };
  readonly checked: (readonly [string, string])[] = [];
  onTrial = false;

  readonly cleared: (readonly [string | undefined, string | undefined])[] = [];

  duplicateMacs(): readonly FrozenMac[] {
    return [
      {
        vrf: 'default-domain:demo:blue:blue',
        ethernetTag: 0,
        mac: '02:00:00:00:00:01',
        source: 'agent:compute-1',
        nextHop: '192.0.2.11',
        moves: 5,
        frozenSeconds: 3,
        retryInSeconds: 537,
      },
    ];
  }

  clearDuplicateMacs(vrf?: string, mac?: string): number | undefined {
    if (vrf === 'missing') return undefined;
    this.cleared.push([vrf, mac]);
    return 1;
  }

  info(): ControllerInfo {
    return {
      name: 'ctl-1',
      routerId: '192.0.2.1',
      autonomousSystem: 64512,
      version: '0.1.0',
      uptimeSeconds: 9,
      ready: this.ready,
      configuration: { state: 'in-force' },
    };
  }

  readiness(): Readiness {
    return { ready: this.ready, reasons: this.ready ? [] : ['waiting for End-of-RIB'] };
  }

  neighbors(): readonly NeighborView[] {
    return [
      {
        address: '192.0.2.1',
        peerAs: 65001,
        localAs: 64512,
        state: 'established',
        uptimeSeconds: 5,
        dynamic: false,
        adminDown: false,
        families: [
          {
            family: 'l3vpn-ipv4-unicast',
            received: 10,
            accepted: 8,
            advertised: 3,
            endOfRibReceived: true,
            endOfRibSent: true,
          },
        ],
        familiesNotOffered: ['l2vpn-evpn', 'rtc'],
        capabilities: ['multiprotocol l3vpn-ipv4-unicast', 'route-refresh'],
        messages: { received: COUNTS, sent: COUNTS },
        malformedUpdates: MALFORMED,
        flaps: 2,
        lastError: 'hold timer expired',
        lastReset: { reason: 'received Cease', secondsAgo: 61 },
        output: { owedRoutes: 7, queuedOctets: 262_144, blockedSeconds: 61 },
      },
      {
        address: '2001:db8::1',
        localAs: 64512,
        state: 'active',
        uptimeSeconds: 0,
        dynamic: true,
        adminDown: false,
        families: [],
        capabilities: [],
        messages: { received: COUNTS, sent: COUNTS },
        malformedUpdates: MALFORMED,
        flaps: 0,
      },
    ];
  }

  neighbor(address: string): NeighborView | undefined {
    return this.neighbors().find((neighbor) => neighbor.address === address);
  }

  resetNeighbor(address: string, mode: ResetMode, communication?: string): ResetResult {
    if (!this.neighbor(address)) return 'unknown-neighbor';
    this.resets.push([address, mode, communication]);
    return this.resetResult;
  }

  agents(): readonly AgentView[] {
    return [
      {
        name: 'compute-1',
        address: '192.0.2.11',
        state: 'established',
        uptimeSeconds: 4,
        subscriptions: [{ vrf: 'default-domain:demo:blue:blue', instanceId: 3 }],
        routes: { received: 2, advertised: 5 },
        dropped: { 'bad-prefix': 1 },
        ignored: {},
        flaps: 0,
      },
    ];
  }

  agent(name: string): AgentView | undefined {
    return this.agents().find((agent) => agent.name === name);
  }

  vrfs(): readonly VrfView[] {
    return [
      {
        name: 'default-domain:demo:blue:blue',
        virtualNetwork: { name: 'default-domain:demo:blue', id: 4, vxlanId: 1004 },
        routeDistinguisher: '192.0.2.1:1',
        importTargets: ['target:64512:100'],
        exportTargets: ['target:64512:100'],
        routes: { 'ipv4-unicast': { prefixes: 25, paths: 50 }, 'l2vpn-evpn': { prefixes: 0, paths: 0 } },
      },
    ];
  }

  vrf(name: string): VrfView | undefined {
    return this.vrfs().find((vrf) => vrf.name === name);
  }

  /** Routes of one answer at most, as a view has it that must not work for long. */
  mostRoutesAtOnce = Infinity;
  /** Octets of the attributes of each route. */
  attributeOctetsOfRoute = 100;

  routes(query: RoutesQuery): RoutesResult {
    this.queries.push(query);
    if (query.vrf !== undefined && !this.vrf(query.vrf)) return { kind: 'unknown-vrf' };
    if (query.vrf !== undefined && query.family.startsWith('l3vpn')) {
      return { kind: 'no-such-table', reason: `a VRF has no ${query.family} table` };
    }
    if (query.prefix !== undefined && !query.prefix.includes('.')) {
      return { kind: 'invalid-prefix', reason: 'not a prefix' };
    }
    const start = query.cursor === undefined ? 0 : Number(query.cursor);
    if (!Number.isInteger(start)) return { kind: 'invalid-cursor' };
    const matching = query.prefix === undefined ? ROUTES : ROUTES.filter((route) => route.prefix === query.prefix);
    const end = start + Math.min(query.limit ?? matching.length, this.mostRoutesAtOnce);
    const routes = matching.slice(start, end);
    return {
      kind: 'routes',
      routes,
      attributeOctets: routes.length * this.attributeOctetsOfRoute,
      ...(end < matching.length ? { cursor: String(end) } : {}),
    };
  }

  reload(options: ReloadOptions = {}): Promise<ReloadResult> {
    this.reloads++;
    this.reloadOptions = options;
    return Promise.resolve(this.reloadResult);
  }

  checkConfig(text: string, file: string): Promise<CheckResult> {
    this.checked.push([text, file]);
    return Promise.resolve(this.checkResult);
  }

  confirmConfig(): boolean {
    return this.onTrial;
  }

  metrics(): MetricsSnapshot {
    return {
      tables: [
        { scope: 'global', family: 'l3vpn-ipv4-unicast', prefixes: 10, paths: 12 },
        { scope: 'vrf', family: 'ipv4-unicast', prefixes: 25, paths: 50 },
      ],
      vrfs: 1,
      attributeSets: { count: 6, octets: 300 },
      exportGroups: 2,
      owedRoutes: 1,
      bfdThreadRestarts: 0,
      agentWaitingOctets: 0,
      tlsHandshakesWaiting: 0,
      pendingJobs: 0,
      listeners: [{ port: 'bgp', connections: 3, paused: false, waiting: 1 }],
      kernelRefusals: [{ reason: 'md5-wrong', count: 5 }],
      faults: [{ name: 'treat-as-withdraw', count: 4 }],
    };
  }
}
