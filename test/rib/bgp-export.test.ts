import { describe, test } from '@jest/globals';
import fc from 'fast-check';
import type { PathAttributes } from '../../src/bgp/attribute/path-attributes.js';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { l3vpnKey } from '../../src/bgp/nlri/l3vpn.js';
import { familyById } from '../../src/bgp/nlri/registry.js';
import { makeRtcKey } from '../../src/bgp/nlri/rtc.js';
import { ExportGroups, type Membership } from '../../src/controller/export-groups.js';
import type { BgpExportOptions } from '../../src/rib/bgp-exporter.js';
import { NO_PATH, type SourceId, type TargetListId } from '../../src/rib/handles.js';
import { UNUSABLE, PathFlag } from '../../src/rib/path-flags.js';
import type { Rib } from '../../src/rib/rib.js';
import type { RouteTable } from '../../src/rib/route-table.js';
import { SourceKind, type Source } from '../../src/rib/source.js';
import { Replicator } from '../../src/vpn/replicator.js';
import { RouteTargetMembership, type InterestListener } from '../../src/vpn/route-target-membership.js';
import { parseRouteTarget } from '../../src/wire/route-target.js';
import { bitsOf, expectedAdvertisement, type ExportPath, type ExportSource } from './export-model.js';
import { describeAttributes, FakeNeighbor } from './fake-neighbor.js';
import { AS_PATHS, HandScheduler, hex, newRib, runs, same } from './world.js';

const LOCAL_AS = 64512;
const ROUTER_ID = 0x0a0000fe;
const CLUSTER_ID = 0x0a0000fd;
const TARGETS = ['target:64512:1', 'target:64512:2', 'target:65001:1'].map((text) => parseRouteTarget(text)!);

/** An extended community that stays inside the AS (RFC 4360 §6): the state of origin validation (RFC 8097 §2). */
const NON_TRANSITIVE = Uint8Array.of(0x43, 0, 0, 0, 0, 0, 0, 1);

interface NeighborKindOf {
  readonly peerAs: number;
  readonly client: boolean;
  readonly options: Partial<BgpExportOptions> & Pick<BgpExportOptions, 'kind'>;
}

/** Neighbors of every kind; the first ones share an export group two and two. */
const NEIGHBORS: readonly NeighborKindOf[] = [
  { peerAs: LOCAL_AS, client: false, options: { kind: 'internal' } },
  { peerAs: LOCAL_AS, client: false, options: { kind: 'internal' } },
  { peerAs: LOCAL_AS, client: true, options: { kind: 'client' } },
  { peerAs: LOCAL_AS, client: true, options: { kind: 'client' } },
  { peerAs: 65001, client: false, options: { kind: 'external' } },
  { peerAs: 65002, client: false, options: { kind: 'external' } },
  {
    peerAs: 65003,
    client: false,
    options: { kind: 'external', nextHopSelf: Uint8Array.of(10, 9, 9, 9), fourOctetAs: false },
  },
  { peerAs: 65001, client: false, options: { kind: 'external', asOverride: 65001, longLivedStale: true } },
  { peerAs: 65002, client: false, options: { kind: 'external', routeServerClient: true } },
  { peerAs: 65004, client: false, options: { kind: 'external', removePrivateAs: 'remove', maxMessageLength: 260 } },
  { peerAs: 65004, client: false, options: { kind: 'external', removePrivateAs: 'remove-all' } },
  { peerAs: 65004, client: false, options: { kind: 'external', removePrivateAs: 'replace', extendedNextHop: true } },
  { peerAs: LOCAL_AS, client: false, options: { kind: 'internal', fourOctetAs: false, maxMessageLength: 300 } },
];
/** Sources that are no neighbors. */
const OTHERS = [
  { kind: 'agent', routerId: 77, address: Uint8Array.of(192, 0, 2, 77) },
  { kind: 'static', routerId: ROUTER_ID, address: Uint8Array.of(10, 0, 0, 254) },
] as const;

type TestFamily = 'l3vpn-ipv4-unicast' | 'ipv4-unicast' | 'rtc';
const FAMILY_IDS = {
  'l3vpn-ipv4-unicast': FamilyId.l3vpnIpv4Unicast,
  'ipv4-unicast': FamilyId.ipv4Unicast,
  rtc: FamilyId.rtc,
};

const UNICAST_KEYS = Array.from({ length: 6000 }, (_each, i) => Uint8Array.of(24, 10, i >>> 8, i));
const KEYS: Readonly<Record<TestFamily, readonly Uint8Array[]>> = {
  'ipv4-unicast': UNICAST_KEYS,
  rtc: Array.from({ length: 40 }, (_each, i) =>
    makeRtcKey(LOCAL_AS + (i >>> 4), Uint8Array.of(0, 2, 0xfc, 0, 0, 0, 0, i)),
  ),
  'l3vpn-ipv4-unicast': UNICAST_KEYS.map((key, i) => l3vpnKey(Uint8Array.of(0, 0, 0xfc, 0, 0, 0, 0, i & 3), key)),
};

/** Route target membership routes: all, by origin AS, by the first bits, and whole ones of two origins. */
const MEMBERSHIPS: readonly { readonly key: Uint8Array; readonly bits: string }[] = [
  { key: Uint8Array.of(0), bits: '' },
  { key: Uint8Array.of(32, 0, 0, 0xfc, 0), bits: '' },
  ...[48, 63].map((length) => {
    const key = makeRtcKey(LOCAL_AS, TARGETS[0]!);
    const short = key.slice(0, 1 + Math.ceil((32 + length) / 8));
    short[0] = 32 + length;
    if (length % 8 !== 0) short[short.length - 1]! &= 0xff << (8 - (length % 8));
    return { key: short, bits: bitsOf(TARGETS[0]!).slice(0, length) };
  }),
  ...TARGETS.flatMap((target) =>
    [LOCAL_AS, 65001].map((originAs) => ({ key: makeRtcKey(originAs, target), bits: bitsOf(target) })),
  ),
];

const octetsOf = (values: readonly number[]): Uint8Array =>
  Uint8Array.from(values.flatMap((value) => [value >>> 24, value >>> 16, value >>> 8, value]));

const attributes: fc.Arbitrary<PathAttributes> = fc
  .record({
    nextHop: fc.constantFrom(
      Uint8Array.of(10, 0, 0, 1),
      Uint8Array.of(10, 0, 0, 2),
      Uint8Array.of(10, 0, 0, 3),
      new Uint8Array(16).fill(0x20),
    ),
    origin: fc.constantFrom(0 as const, 2 as const),
    asPath: fc.constantFrom(
      ...AS_PATHS.filter((path) => path.every(({ type }) => type <= 2)),
      [{ type: 2 as const, asns: [64600, 4200000000, 65001, 100, 64601, 65003] }],
      [
        { type: 2 as const, asns: [70000, 65002] },
        { type: 1 as const, asns: [64600, 80000] },
      ],
    ),
    med: fc.constantFrom(undefined, 0, 10),
    localPreference: fc.constantFrom(undefined, undefined, 100, 200),
    originatorId: fc.constantFrom(undefined, undefined, 9),
    clusterList: fc.constantFrom(undefined, undefined, [3]),
    communities: fc.constantFrom<readonly number[]>(
      [],
      [],
      [],
      [],
      [0xffffff01],
      [0xffffff02],
      [0xffffff03],
      [0x00010001],
    ),
    targets: fc.subarray([...TARGETS, NON_TRANSITIVE]),
    aigp: fc.constantFrom(undefined, undefined, Uint8Array.of(1, 0, 11, 0, 0, 0, 0, 0, 0, 0, 5)),
    unknown: fc.constantFrom(undefined, undefined, [{ flags: 0xe0, type: 99, value: new Uint8Array(3) }]),
  })
  .map(({ communities, targets, ...rest }) => {
    const there = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)) as PathAttributes;
    return {
      ...there,
      ...(communities.length > 0 && { communities: octetsOf(communities) }),
      ...(targets.length > 0 && { extendedCommunities: Uint8Array.from(targets.flatMap((target) => [...target])) }),
    };
  });

/** Neighboring routes among {@link KEYS}, in units of the scenario. */
interface Span {
  readonly from: number;
  readonly count: number;
}

type Operation =
  | { readonly kind: 'up' | 'join' | 'refresh' | 'fill' | 'drain'; readonly neighbor: number; readonly credit: number }
  | { readonly kind: 'down'; readonly neighbor: number; readonly step: number }
  | { readonly kind: 'lose'; readonly neighbor: number }
  | {
      readonly kind: 'announce';
      readonly source: number;
      readonly span: Span;
      readonly set: number;
      readonly label: number;
      readonly flags: number;
    }
  | { readonly kind: 'withdraw'; readonly source: number; readonly span: Span }
  | { readonly kind: 'want' | 'unwant'; readonly neighbor: number; readonly membership: number }
  | { readonly kind: 'turn'; readonly looks: number }
  | { readonly kind: 'compare' };

const SETS = 10;
const neighbor = fc.nat(NEIGHBORS.length - 1);
const anySource = fc.nat(NEIGHBORS.length + OTHERS.length - 1);
const span: fc.Arbitrary<Span> = fc.oneof(
  fc.record({ from: fc.nat(4), count: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ from: fc.nat(39), count: fc.integer({ min: 1, max: 40 }) }),
);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('up' as const), neighbor, credit: fc.constant(0) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('join' as const), neighbor, credit: fc.constant(0) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('down' as const), neighbor, step: fc.integer({ min: 1, max: 50 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), neighbor }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('fill' as const, 'drain' as const), neighbor, credit: fc.nat(2) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('refresh' as const), neighbor, credit: fc.constant(0) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('announce' as const),
      source: anySource,
      span,
      set: fc.nat(SETS - 1),
      label: fc.constantFrom(16, 16, 17),
      flags: fc.constantFrom(0, 0, 0, 0, 0, PathFlag.asLoop),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('withdraw' as const), source: anySource, span }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('want' as const, 'want' as const, 'unwant' as const),
      neighbor,
      membership: fc.nat(MEMBERSHIPS.length - 1),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('turn' as const), looks: fc.constantFrom(0, 1, 1, 2, 3, 5, 1000) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('compare' as const) }) },
);

/** A session that is up. */
interface Session {
  readonly source: Source;
  readonly model: ExportSource;
  receiver?: FakeNeighbor;
  membership?: Membership;
  /** How often it had been told that it was in step when it asked for that last. */
  synchronizationsBefore: number;
}

interface Scenario {
  readonly family: TestFamily;
  /** The vpn family with route-target constraint. */
  readonly constrained: boolean;
  /** Every source has attribute sets of its own, so that nothing that changed looks as it did before. */
  readonly distinct: boolean;
  readonly sets: readonly PathAttributes[];
  /** Routes to a unit of {@link Span}: many make batches and ranges of owed routes follow each other. */
  readonly unit: number;
}

/** One controller's worth of tables, groups and route-target constraint, with neighbors that come and go. */
class World implements InterestListener {
  readonly rib: Rib = newRib();
  readonly hand = new HandScheduler();
  readonly scenario: Scenario;
  readonly table: RouteTable;
  readonly rtcTable: RouteTable;
  readonly groups: ExportGroups;
  readonly replicator: Replicator;
  readonly membership: RouteTargetMembership;
  readonly sessions = new Map<number, Session>();
  readonly sessionOfSource = new Map<SourceId, Session>();
  readonly others: readonly { readonly source: Source; readonly model: ExportSource }[];
  /** Paths by key and source; memberships by source. */
  readonly paths = new Map<string, Map<ExportSource, ExportPath>>();
  readonly wanted = new Map<ExportSource, Set<number>>();

  constructor(scenario: Scenario) {
    const { rib } = this;
    const { scheduler } = this.hand;
    this.scenario = scenario;
    const make = (family: FamilyId): RouteTable =>
      rib.createTable({ name: familyById(family).name, family: familyById(family), scheduler });
    const vpnTables = new Map([
      [FamilyId.ipv4Unicast, make(FamilyId.l3vpnIpv4Unicast)],
      [FamilyId.ipv6Unicast, make(FamilyId.l3vpnIpv6Unicast)],
      [FamilyId.l2vpnEvpn, make(FamilyId.l2vpnEvpn)],
    ]);
    this.rtcTable = make(FamilyId.rtc);
    if (scenario.family === 'rtc') this.table = this.rtcTable;
    else if (scenario.family === 'ipv4-unicast') this.table = make(FamilyId.ipv4Unicast);
    else this.table = vpnTables.get(FamilyId.ipv4Unicast)!;
    this.groups = new ExportGroups(rib, scheduler);
    this.replicator = new Replicator({
      rib,
      scheduler,
      vpnTables,
      sourceRouteDistinguisher: () => undefined,
      autonomousSystem: () => LOCAL_AS,
    });
    this.membership = new RouteTargetMembership(rib, this.rtcTable, this.replicator.index, this);
    this.others = OTHERS.map((each) => ({
      source: rib.createSource({
        ...each,
        kind: each.kind === 'agent' ? SourceKind.agent : SourceKind.static,
        text: each.kind,
      }),
      model: { ...each, external: false, client: false },
    }));
  }

  // As the controller does it.
  interestChanging(source: SourceId, lists: ReadonlySet<TargetListId> | undefined): void {
    const membership = this.sessionOfSource.get(source)?.membership;
    if (membership === undefined || !this.scenario.constrained) return;
    if (lists === undefined) {
      membership.eligibilityChanging(undefined);
      return;
    }
    const slots = new Set<number>();
    for (const list of lists) {
      this.replicator.index.forEachPathOfList(list, (path) => {
        const route = this.rib.routeOf(path);
        if (this.rib.tableOf(route) === this.table) slots.add(this.rib.slotOf(route));
      });
    }
    membership.eligibilityChanging(slots);
  }

  interestChanged(source: SourceId): void {
    const membership = this.sessionOfSource.get(source)?.membership;
    if (this.scenario.constrained) membership?.eligibilityChanged();
  }

  apply(op: Operation): void {
    switch (op.kind) {
      case 'up':
        return this.#up(op.neighbor);
      case 'join':
        return this.#join(op.neighbor);
      case 'down':
        return this.#down(op.neighbor, op.step);
      case 'lose':
        return this.#lose(op.neighbor);
      case 'refresh': {
        const session = this.sessions.get(op.neighbor);
        if (session?.receiver === undefined) return;
        session.membership?.refresh();
        session.synchronizationsBefore = session.receiver.synchronizations;
        return;
      }
      case 'fill': {
        const receiver = this.sessions.get(op.neighbor)?.receiver;
        if (receiver !== undefined) receiver.credit = op.credit;
        return;
      }
      case 'drain':
        return this.#drain(op.neighbor);
      case 'announce':
        for (const key of this.#keysOf(op.span)) this.#announce(op.source, key, op);
        return;
      case 'withdraw':
        for (const key of this.#keysOf(op.span)) this.#withdraw(op.source, key);
        return;
      case 'want':
      case 'unwant':
        return this.#setMembership(op.neighbor, op.membership, op.kind === 'want');
      case 'turn':
        this.hand.turn(op.looks);
        return;
      case 'compare':
        return this.compare();
    }
  }

  options(index: number): BgpExportOptions {
    return {
      family: familyById(FAMILY_IDS[this.scenario.family]),
      localAs: LOCAL_AS,
      routerId: ROUTER_ID,
      clusterId: CLUSTER_ID,
      fourOctetAs: true,
      maxMessageLength: 4096,
      routeServerClient: false,
      asOverride: 0,
      removePrivateAs: 'none',
      withheldTypes: [],
      vrf: false,
      extendedNextHop: false,
      longLivedStale: false,
      ...NEIGHBORS[index]!.options,
    };
  }

  #up(index: number): void {
    if (this.sessions.has(index)) return;
    const { peerAs, client } = NEIGHBORS[index]!;
    const identity = {
      routerId: 100 + index,
      address: Uint8Array.of(192, 0, 2, index),
      external: peerAs !== LOCAL_AS,
      client,
    };
    const source = this.rib.createSource({ ...identity, kind: SourceKind.bgp, text: `neighbor ${index}` });
    const session: Session = { source, model: { ...identity, kind: 'bgp' }, synchronizationsBefore: 0 };
    this.sessions.set(index, session);
    this.sessionOfSource.set(source.id, session);
  }

  #join(index: number): void {
    this.#up(index);
    const session = this.sessions.get(index);
    if (session === undefined || session.membership !== undefined) return;
    const interest = this.scenario.constrained ? this.membership.interestOf(session.source.id) : undefined;
    const receiver = new FakeNeighbor(this.options(index), session.source.id, NEIGHBORS[index]!.peerAs, interest);
    session.receiver = receiver;
    const membership = this.groups.joinBgp(this.table, this.options(index), receiver);
    session.membership = membership;
    receiver.strict = this.scenario.distinct;
    receiver.inStep = () => membership.owed === 0;
  }

  #down(index: number, step: number): void {
    const session = this.sessions.get(index);
    if (session === undefined) return;
    this.#checkFaults(index, session);
    this.sessions.delete(index);
    session.membership?.leave();
    delete session.membership;
    const { rib } = this;
    const { source, model } = session;
    for (const paths of this.paths.values()) paths.delete(model);
    this.wanted.delete(model);
    this.hand.scheduler.schedule({
      run: (slice) => {
        while (!rib.removePathsOf(source, step)) if (slice.expired) return false;
        rib.deleteSource(source);
        this.sessionOfSource.delete(source.id);
        this.membership.forget(source.id);
        return true;
      },
    });
  }

  /** Graceful restart: its source stays with its paths, and what it joins with again is a receiver of that source. */
  #lose(index: number): void {
    const session = this.sessions.get(index);
    if (session?.receiver === undefined) return;
    this.#checkFaults(index, session);
    session.membership?.leave();
    delete session.membership;
    delete session.receiver;
    session.synchronizationsBefore = 0;
  }

  #drain(index: number): void {
    const session = this.sessions.get(index);
    // One whose socket was never full has nothing to say about it.
    if (session?.receiver === undefined || session.receiver.credit === Infinity) return;
    session.receiver.credit = Infinity;
    session.membership?.writable();
  }

  #sourceAt(index: number): { readonly source: Source; readonly model: ExportSource } | undefined {
    return index < NEIGHBORS.length ? this.sessions.get(index) : this.others[index - NEIGHBORS.length];
  }

  #keysOf({ from, count }: Span): readonly Uint8Array[] {
    const { family, unit } = this.scenario;
    return KEYS[family].slice(from * unit, (from + count) * unit);
  }

  #announce(index: number, key: Uint8Array, op: Operation & { kind: 'announce' }): void {
    const from = this.#sourceAt(index);
    if (from === undefined) return;
    const base = this.scenario.sets[op.set]!;
    const mark = Uint8Array.of(0, 0, 0xfc, 0, 0, 0, 0, index, 0, 0, 0, op.set);
    const wanted: PathAttributes = this.scenario.distinct ? { ...base, largeCommunities: mark } : base;
    const payload = this.scenario.family === 'l3vpn-ipv4-unicast' ? Uint8Array.of(0, op.label, 1) : new Uint8Array(0);
    const { rib } = this;
    const set = rib.attributes.intern(wanted);
    const handle = rib.payloads.intern(payload, payload.length);
    rib.announce(this.table, from.source, key, 0, key.length, set, handle, op.flags, NO_PATH);
    rib.payloads.release(handle);
    rib.attributes.release(set);
    let paths = this.paths.get(hex(key));
    if (paths === undefined) this.paths.set(hex(key), (paths = new Map<ExportSource, ExportPath>()));
    paths.set(from.model, { attributes: wanted, payload, usable: (op.flags & UNUSABLE) === 0, source: from.model });
  }

  #withdraw(index: number, key: Uint8Array): void {
    const from = this.#sourceAt(index);
    if (from === undefined) return;
    this.rib.withdraw(this.table, from.source, key, 0, key.length);
    this.paths.get(hex(key))?.delete(from.model);
  }

  #setMembership(index: number, which: number, want: boolean): void {
    const session = this.sessions.get(index);
    if (session === undefined || this.scenario.family === 'rtc') return;
    const { rib } = this;
    const { key } = MEMBERSHIPS[which]!;
    const wanted = this.wanted.get(session.model) ?? new Set<number>();
    this.wanted.set(session.model, wanted);
    if (want) {
      const set = rib.attributes.intern({ nextHop: session.model.address, origin: 0, asPath: [] });
      rib.announce(this.rtcTable, session.source, key, 0, key.length, set, rib.payloads.intern(key, 0), 0, NO_PATH);
      rib.attributes.release(set);
      wanted.add(which);
    } else {
      rib.withdraw(this.rtcTable, session.source, key, 0, key.length);
      wanted.delete(which);
    }
  }

  #checkFaults(index: number, { receiver }: Session): void {
    same(receiver?.faults ?? [], [], `neighbor ${index}`);
  }

  /** Lets everything settle; then every neighbor must hold exactly what it should. */
  compare(): void {
    for (const index of this.sessions.keys()) this.#drain(index);
    this.hand.settle(3);
    for (const [index, session] of this.sessions) {
      const { receiver, membership, model } = session;
      if (receiver === undefined) continue;
      this.#checkFaults(index, session);
      same(
        receiver.synchronizations > session.synchronizationsBefore,
        true,
        `neighbor ${index} is told that it is in step`,
      );
      const expected = new Map<string, string>();
      const memberships = [...(this.wanted.get(model) ?? [])].map((which) => MEMBERSHIPS[which]!.bits);
      for (const [key, paths] of this.paths) {
        const advertised = expectedAdvertisement([...paths.values()], {
          options: this.options(index),
          peerAs: NEIGHBORS[index]!.peerAs,
          source: model,
          memberships: this.scenario.constrained ? memberships : undefined,
        });
        if (advertised !== undefined) {
          expected.set(key, `${describeAttributes(advertised.attributes)} ${hex(advertised.payload)}`);
        }
      }
      same(sorted(receiver.held), sorted(expected), `neighbor ${index} holds`);
      same(membership?.countAdvertised(), expected.size, `routes advertised to neighbor ${index}`);
      same(membership?.owed, 0);
    }
  }

  /** Everybody leaves, every path goes: nothing may be left. */
  end(): void {
    for (const index of [...this.sessions.keys()]) this.#down(index, 7);
    for (const { source } of this.others) while (!this.rib.removePathsOf(source, 10));
    this.hand.settle(1);
    const { rib, groups } = this;
    same(
      {
        groups: groups.size,
        consumers: this.table.consumerCount,
        routes: rib.routeCount,
        paths: rib.pathCount,
        sets: rib.attributes.size,
        references: rib.attributes.totalReferences(),
        payloads: rib.payloads.size,
        lists: rib.targets.size,
        indexed: this.replicator.index.size,
        targets: TARGETS.filter((target) => rib.targets.findTarget(target) !== undefined).length,
      },
      {
        groups: 0,
        // The replicator follows the VPN tables, route-target constraint that of memberships.
        consumers: this.scenario.family === 'ipv4-unicast' ? 0 : 1,
        routes: 0,
        paths: 0,
        sets: 0,
        references: 0,
        payloads: 0,
        lists: 0,
        indexed: 0,
        targets: 0,
      },
      'left at the end',
    );
  }
}

function sorted(map: ReadonlyMap<string, string>): [string, string][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

const scenario = (family: TestFamily, constrained: boolean, unit = 1): fc.Arbitrary<Scenario> =>
  fc.record({
    family: fc.constant(family),
    constrained: fc.constant(constrained),
    unit: fc.constant(unit),
    // That somebody else wants the same comes and goes without a change of what is said.
    distinct: family === 'rtc' ? fc.constant(false) : fc.boolean(),
    sets: fc.array(attributes, { minLength: SETS, maxLength: SETS }),
  });

const operations = fc.array(operation, { minLength: 10, maxLength: 250, size: 'max' });

function run(chosen: Scenario, list: readonly Operation[]): void {
  const world = new World(chosen);
  for (const each of list) world.apply(each);
  world.compare();
  world.end();
}

describe('ExportGroup and BgpExporter', () => {
  test('every neighbor holds exactly what it should, whatever happened on the way: VPN routes with route-target constraint', () => {
    fc.assert(fc.property(scenario('l3vpn-ipv4-unicast', true), operations, run), runs(150));
  });

  test('every neighbor holds exactly what it should, whatever happened on the way: VPN routes without constraint', () => {
    fc.assert(fc.property(scenario('l3vpn-ipv4-unicast', false), operations, run), runs(100));
  });

  test('every neighbor holds exactly what it should, whatever happened on the way: IPv4 unicast in the fields of RFC 4271 §4.3', () => {
    fc.assert(fc.property(scenario('ipv4-unicast', false), operations, run), runs(100));
  });

  test('every neighbor holds exactly what it should, whatever happened on the way: route-target memberships (RFC 4684 §3.2)', () => {
    fc.assert(fc.property(scenario('rtc', false), operations, run), runs(100));
  });

  test('more routes than go into one batch, or into one range of what is owed', () => {
    const many = fc.array(
      operation.filter(({ kind }) => kind !== 'compare'),
      { minLength: 20, maxLength: 60, size: 'max' },
    );
    fc.assert(fc.property(scenario('l3vpn-ipv4-unicast', true, 75), many, run), runs(12));
  });

  test('a neighbor that asks for everything again twice at once is told when it has it, also where that is nothing (RFC 7313 §4)', () => {
    const plain: PathAttributes = { nextHop: Uint8Array.of(10, 0, 0, 1), origin: 0, asPath: [] };
    const refresh: Operation = { kind: 'refresh', neighbor: 0, credit: 0 };
    const join: Operation = { kind: 'join', neighbor: 0, credit: 0 };
    const announce: Operation = {
      kind: 'announce',
      source: NEIGHBORS.length,
      span: { from: 0, count: 1 },
      set: 0,
      label: 16,
      flags: 0,
    };
    const world = { family: 'ipv4-unicast', constrained: false, distinct: true, unit: 1, sets: [plain] } as const;
    run(world, [join, { kind: 'compare' }, refresh, refresh, { kind: 'compare' }]);
    run(world, [join, announce, { kind: 'compare' }, refresh, refresh, { kind: 'compare' }]);
  });

  test.each([
    ['a neighbor that comes back', 4, 4],
    ['another neighbor', 4, 7],
  ])('the same from %s is announced to nobody who has it', (_who, first, second) => {
    const plain: PathAttributes = { nextHop: Uint8Array.of(10, 0, 0, 1), origin: 0, asPath: [] };
    const announce = (source: number): Operation => ({
      kind: 'announce',
      source,
      span: { from: 0, count: 1 },
      set: 0,
      label: 16,
      flags: 0,
    });
    const up = (neighbor: number): Operation => ({ kind: 'join', neighbor, credit: 0 });
    const world = new World({ family: 'ipv4-unicast', constrained: false, distinct: false, unit: 1, sets: [plain] });
    for (const each of [up(0), up(8), up(first), announce(first)]) world.apply(each);
    world.compare();
    const messages = (): (number | undefined)[] => [0, 8].map((index) => world.sessions.get(index)?.receiver?.messages);
    const before = messages();
    for (const each of [{ kind: 'down', neighbor: first, step: 50 } as const, up(second), announce(second)]) {
      world.apply(each);
    }
    world.compare();
    same(messages(), before);
    world.end();
  });

  test('routes of a session that is gone and of the one that follows it share messages', () => {
    const plain: PathAttributes = { nextHop: Uint8Array.of(10, 0, 0, 1), origin: 0, asPath: [] };
    const announce = (from: number, count: number): Operation => ({
      kind: 'announce',
      source: 4,
      span: { from, count },
      set: 0,
      label: 16,
      flags: 0,
    });
    run({ family: 'ipv4-unicast', constrained: false, distinct: true, unit: 1, sets: [plain] }, [
      { kind: 'join', neighbor: 0, credit: 0 },
      { kind: 'up', neighbor: 4, credit: 0 },
      announce(0, 30),
      { kind: 'down', neighbor: 4, step: 1 },
      { kind: 'up', neighbor: 4, credit: 0 },
      announce(30, 1),
      { kind: 'turn', looks: 3 },
      { kind: 'compare' },
    ]);
  });

  describe('with route-target constraint (RFC 4684 §3)', () => {
    const withTarget = (which: number): PathAttributes => ({
      nextHop: Uint8Array.of(10, 0, 0, 1),
      origin: 0,
      asPath: [],
      extendedCommunities: TARGETS[which]!,
    });
    const constrained = { family: 'l3vpn-ipv4-unicast', constrained: true, distinct: true, unit: 1 } as const;
    const agent = NEIGHBORS.length;
    const announce = (set: number): Operation => ({
      kind: 'announce',
      source: agent,
      span: { from: 0, count: 1 },
      set,
      label: 16,
      flags: 0,
    });
    const withdraw: Operation = { kind: 'withdraw', source: agent, span: { from: 0, count: 1 } };
    const join: Operation = { kind: 'join', neighbor: 0, credit: 0 };
    const wholeMembership = (which: number): number =>
      MEMBERSHIPS.findIndex(({ bits }) => bits === bitsOf(TARGETS[which]!));

    test('a list of targets that is gone lends its place in the memory of who wants what to no other', () => {
      run({ ...constrained, sets: [withTarget(0), withTarget(1)] }, [
        join,
        { kind: 'want', neighbor: 0, membership: wholeMembership(0) },
        announce(0),
        { kind: 'compare' },
        withdraw,
        { kind: 'compare' },
        announce(1),
        { kind: 'compare' },
      ]);
    });

    test.each([
      ['gets another target', announce(1)],
      ['is withdrawn', withdraw],
    ])('a route that %s together with the end of the interest in its target is withdrawn', (_how, change) => {
      run({ ...constrained, sets: [withTarget(0), withTarget(1)] }, [
        join,
        { kind: 'want', neighbor: 0, membership: wholeMembership(0) },
        announce(0),
        { kind: 'compare' },
        change,
        { kind: 'unwant', neighbor: 0, membership: wholeMembership(0) },
        { kind: 'compare' },
      ]);
    });
  });
});
