import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeCanonical } from '../../src/bgp/attribute/canonical.js';
import type { PathAttributes } from '../../src/bgp/attribute/path-attributes.js';
import { encapsulationCommunity } from '../../src/bgp/attribute/tunnel-communities.js';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { familyById } from '../../src/bgp/nlri/registry.js';
import { NO_PATH, type PathId } from '../../src/rib/handles.js';
import { PathFlag, UNUSABLE } from '../../src/rib/path-flags.js';
import type { RouteTable } from '../../src/rib/route-table.js';
import { SourceKind, type Source } from '../../src/rib/source.js';
import { NextHopResolver } from '../../src/vpn/next-hop-resolver.js';
import { Vrf, VRF_FAMILIES, type VrfFamily } from '../../src/vpn/vrf.js';
import { parseRouteTarget } from '../../src/wire/route-target.js';
import { bitsOf } from '../rib/export-model.js';
import { selectPaths, type ModelSource, type SelectablePath } from '../rib/selection-model.js';
import { HandScheduler, hex, keyOf, newRib, pathsOf, runs, same } from '../rib/world.js';
import { communityTexts } from './replication-model.js';

const SOURCES: readonly (ModelSource & { readonly raw: boolean; readonly text: string })[] = [
  { text: 'ce 1', raw: true, kind: 'bgp', external: true, routerId: 1, address: Uint8Array.of(10, 0, 0, 1) },
  { text: 'ce 2', raw: true, kind: 'bgp', external: true, routerId: 2, address: Uint8Array.of(10, 0, 0, 2) },
  { text: 'static 3', raw: true, kind: 'static', external: false, routerId: 3, address: Uint8Array.of(10, 0, 0, 3) },
  { text: 'agent 4', raw: false, kind: 'agent', external: false, routerId: 4, address: Uint8Array.of(10, 0, 0, 4) },
  { text: 'agent 5', raw: false, kind: 'agent', external: false, routerId: 5, address: Uint8Array.of(10, 0, 0, 5) },
  { text: 'copy 6', raw: false, kind: 'bgp', external: false, routerId: 6, address: Uint8Array.of(10, 0, 0, 6) },
];
const KINDS = {
  static: SourceKind.static,
  'service-chain': SourceKind.serviceChain,
  agent: SourceKind.agent,
  bgp: SourceKind.bgp,
};

type Version = 4 | 6;
const FAMILY_OF = { 4: FamilyId.ipv4Unicast, 6: FamilyId.ipv6Unicast } as const;

/** Nested prefixes; those of raw routes are among them, so that CE routes cover next hops as well. */
const KEYS: Readonly<Record<Version, readonly Uint8Array[]>> = {
  4: [
    [0],
    [8, 10],
    [16, 10, 1],
    [24, 10, 1, 1],
    [32, 10, 1, 1, 1],
    [31, 10, 1, 1, 2],
    [20, 10, 2, 0x10],
    [32, 10, 2, 0x11, 1],
  ].map((octets) => Uint8Array.from(octets)),
  6: [[0], [16, 0x20, 1], [32, 0x20, 1, 0xd, 0xb8], [128, 0x20, 1, 0xd, 0xb8, ...Array<number>(11).fill(0), 1]].map(
    (octets) => Uint8Array.from(octets),
  ),
};
const address6 = (last: number): number[] => [0x20, 1, 0xd, 0xb8, ...Array<number>(11).fill(0), last];
const NEXT_HOPS: readonly Uint8Array[] = [
  [10, 1, 1, 1],
  [10, 1, 1, 3],
  [10, 2, 0x1f, 1],
  [192, 0, 2, 1],
  address6(1),
  address6(2),
  // A link-local address beside the global one (RFC 2545 §3).
  [...address6(1), 0xfe, 0x80, ...Array<number>(13).fill(0), 1],
].map((octets) => Uint8Array.from(octets));

const GRE = encapsulationCommunity(2);
const UDP = encapsulationCommunity(13);
const ORIGIN_VN = Uint8Array.of(0x80, 0x71, 0xfc, 0, 0, 0, 0, 4);
const SECURITY_GROUP = Uint8Array.of(0x80, 0x04, 0xfc, 0, 0, 0, 0, 8);
const TARGET = parseRouteTarget('target:64512:1')!;
const SITE = Uint8Array.of(0, 3, 0xfc, 0, 0, 0, 0, 7);
/** Those that say how to get somewhere, and come with the route that resolves a next hop. */
const TUNNEL = [GRE, UDP, SECURITY_GROUP, ORIGIN_VN].map(hex);
/** Those that the VRF decides: nobody believes them of a CE neighbor (RFC 4364 §4.3.1). */
const OF_VRF = [...TUNNEL, hex(TARGET)];

type Operation =
  | {
      readonly kind: 'announce';
      readonly source: number;
      readonly version: Version;
      readonly key: number;
      readonly nextHop: number;
      readonly label: number;
      readonly communities: readonly Uint8Array[];
      readonly preference: number;
      readonly flags: number;
    }
  | { readonly kind: 'withdraw'; readonly source: number; readonly version: Version; readonly key: number }
  | { readonly kind: 'lose'; readonly source: number }
  | { readonly kind: 'turn'; readonly looks: number }
  | { readonly kind: 'compare' };

const source = fc.nat(SOURCES.length - 1);
const version = fc.constantFrom<Version>(4, 4, 6);
const key = fc.nat(7);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('announce' as const),
      source,
      version,
      key,
      nextHop: fc.nat(NEXT_HOPS.length - 1),
      label: fc.constantFrom(0, 1, 2),
      communities: fc.subarray([GRE, UDP, ORIGIN_VN, SECURITY_GROUP, TARGET, SITE]),
      preference: fc.constantFrom(100, 200),
      flags: fc.constantFrom(0, 0, 0, PathFlag.asLoop),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('withdraw' as const), source, version, key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), source }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('turn' as const), looks: fc.constantFrom(0, 0, 1, 1000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('compare' as const) }) },
);

interface ModelPath extends SelectablePath {
  readonly source: (typeof SOURCES)[number];
  readonly version: Version;
  readonly key: Uint8Array;
  readonly payload: Uint8Array;
  readonly flags: number;
}

class World {
  readonly rib = newRib();
  readonly hand = new HandScheduler();
  readonly vrf: Vrf;
  readonly resolver: NextHopResolver;
  readonly sources: readonly Source[];
  /** What was announced, raw and labelled. */
  readonly announced = new Map<string, ModelPath>();

  constructor() {
    const { scheduler } = this.hand;
    const make = (family: VrfFamily, hidden: boolean): RouteTable =>
      this.rib.createTable({ name: `table ${family}`, family: familyById(family), vrf: 'blue', hidden, scheduler });
    const options = {
      name: 'blue',
      virtualNetworkName: 'blue',
      virtualNetworkId: 1,
      routeDistinguisher: new Uint8Array(8),
      importTargets: [],
      exportTargets: [],
    };
    this.vrf = new Vrf(options, new Map(VRF_FAMILIES.map((family) => [family, make(family, false)])));
    const raw = new Map<VrfFamily, RouteTable>([
      [FamilyId.ipv4Unicast, make(FamilyId.ipv4Unicast, true)],
      [FamilyId.ipv6Unicast, make(FamilyId.ipv6Unicast, true)],
    ]);
    this.resolver = new NextHopResolver(this.rib, scheduler, this.vrf, raw);
    this.sources = SOURCES.map((each) => this.rib.createSource({ ...each, kind: KINDS[each.kind] }));
  }

  #tableOf(from: number, version: Version): RouteTable {
    return SOURCES[from]!.raw ? this.resolver.rawTable(FAMILY_OF[version])! : this.vrf.table(FAMILY_OF[version]);
  }

  apply(op: Operation): void {
    const { rib } = this;
    if (op.kind === 'turn') this.hand.turn(op.looks);
    else if (op.kind === 'compare') this.compare();
    else if (op.kind === 'lose') {
      while (!rib.removePathsOf(this.sources[op.source]!, 2));
      for (const [id, path] of this.announced) if (path.source === SOURCES[op.source]) this.announced.delete(id);
    } else {
      const octets = KEYS[op.version][op.key % KEYS[op.version].length]!;
      const table = this.#tableOf(op.source, op.version);
      const from = this.sources[op.source]!;
      const id = `${op.source} ${op.version} ${hex(octets)}`;
      if (op.kind === 'withdraw') {
        rib.withdraw(table, from, octets, 0, octets.length);
        this.announced.delete(id);
        return;
      }
      const { raw } = SOURCES[op.source]!;
      const payload = raw || op.label === 0 ? new Uint8Array(0) : Uint8Array.of(0, op.label, 1);
      const communities = op.communities.flatMap((each) => [...each]);
      const attributes: PathAttributes = {
        nextHop: raw ? NEXT_HOPS[op.nextHop]! : Uint8Array.of(192, 0, 2, op.source),
        origin: 0,
        asPath: [],
        localPreference: op.preference,
        ...(communities.length > 0 && { extendedCommunities: Uint8Array.from(communities) }),
      };
      const set = rib.attributes.intern(attributes);
      const handle = rib.payloads.intern(payload, payload.length);
      rib.announce(table, from, octets, 0, octets.length, set, handle, op.flags, NO_PATH);
      rib.payloads.release(handle);
      rib.attributes.release(set);
      this.announced.set(id, {
        source: SOURCES[op.source]!,
        version: op.version,
        key: octets,
        attributes,
        payload,
        flags: op.flags,
        usable: (op.flags & UNUSABLE) === 0,
      });
    }
  }

  compare(): void {
    this.hand.settle(1);
    const expected = [...this.announced.values()]
      .map((path) => describe_(path.source.raw ? this.#resolved(path) : path))
      .sort();
    const actual: string[] = [];
    for (const version of [4, 6] as const) {
      const table = this.vrf.table(FAMILY_OF[version]);
      for (let slot = 0; slot < table.slotCount; slot++) {
        const route = table.routeAt(slot);
        if (route !== 0) for (const path of pathsOf(this.rib, route)) actual.push(this.#describe(version, path));
      }
    }
    same(actual.sort(), expected);
    same(this.resolver.rawPathCount, [...this.announced.values()].filter((path) => path.source.raw).length);
  }

  /** A raw route with the label and tunnel of the most specific labelled route to its next hop. */
  #resolved(path: ModelPath): ModelPath {
    const nextHop = path.attributes.nextHop!.subarray(0, 16);
    const family = nextHop.length === 4 ? 4 : 6;
    const covering = [...this.announced.values()]
      .filter(
        (each) =>
          !each.source.raw &&
          each.usable &&
          each.payload.length > 0 &&
          each.version === family &&
          covers(each.key, nextHop),
      )
      .sort((a, b) => b.key[0]! - a.key[0]!);
    const longest = covering.filter((each) => each.key[0] === covering[0]!.key[0]);
    const [via] = selectPaths(longest).order;
    if (via === undefined) return { ...path, flags: path.flags | PathFlag.unresolvedNextHop };
    const own = communityTexts(path.attributes.extendedCommunities).filter(
      // Where a route belongs is the VRF's to say, not a customer's.
      (each) => !OF_VRF.includes(each) && each !== hex(TARGET),
    );
    const tunnel = communityTexts(via.attributes.extendedCommunities).filter((each) => TUNNEL.includes(each));
    const { extendedCommunities: _, ...rest } = path.attributes;
    const communities = Uint8Array.from(Buffer.from([...own, ...tunnel].join(''), 'hex'));
    return {
      ...path,
      payload: via.payload,
      attributes: {
        ...rest,
        nextHop: via.attributes.nextHop!,
        ...(communities.length > 0 && { extendedCommunities: communities }),
      },
    };
  }

  #describe(version: Version, path: PathId): string {
    const { rib } = this;
    const attributes = rib.attributes.attributesOf(rib.setOf(path));
    const octets = keyOf(rib, rib.routeOf(path));
    return describeParts(
      version,
      octets,
      rib.sourceOf(path).text,
      attributes,
      rib.payloads.bytesOf(rib.payloadOf(path)),
      rib.flagsOf(path),
    );
  }

  end(): void {
    for (let i = 0; i < SOURCES.length; i++) this.apply({ kind: 'lose', source: i });
    this.compare();
    this.resolver.close();
    const { rib } = this;
    const consumers = [...this.vrf.tables.values()].map(({ consumerCount }) => consumerCount);
    same(
      [rib.routeCount, rib.pathCount, rib.attributes.size, rib.targets.size, this.hand.scheduler.pending, ...consumers],
      [0, 0, 0, 0, 0, 0, 0, 0],
      'left at the end',
    );
  }
}

function covers(prefix: Uint8Array, address: Uint8Array): boolean {
  return bitsOf(address).startsWith(bitsOf(prefix.subarray(1)).slice(0, prefix[0]));
}

function describe_({ version, key: octets, source: { text }, attributes, payload, flags }: ModelPath): string {
  return describeParts(version, octets, text, attributes, payload, flags);
}

function describeParts(
  version: Version,
  octets: Uint8Array,
  text: string,
  attributes: PathAttributes,
  payload: Uint8Array,
  flags: number,
): string {
  const { extendedCommunities, ...rest } = attributes;
  return `${version} ${hex(octets)} ${text} ${hex(encodeCanonical(rest))} [${communityTexts(extendedCommunities).sort().join()}] ${hex(payload)} ${flags}`;
}

describe('NextHopResolver', () => {
  test('routes of CE neighbors and static routes follow the most specific labelled route to their next hop', () => {
    fc.assert(
      fc.property(fc.array(operation, { minLength: 5, maxLength: 80, size: 'max' }), (operations) => {
        const world = new World();
        for (const each of operations) world.apply(each);
        world.compare();
        world.end();
      }),
      runs(250),
    );
  });

  test('a CE route that covers its own next hop does not resolve itself, nor does another CE route', () => {
    const world = new World();
    const raw = { kind: 'announce', version: 4, key: 2, label: 0, communities: [], preference: 100, flags: 0 } as const;
    world.apply({ ...raw, source: 0, nextHop: 0 });
    world.apply({ ...raw, source: 1, key: 3, nextHop: 0 });
    world.compare();
    const { rib } = world;
    const table = world.vrf.table(FamilyId.ipv4Unicast);
    for (const slot of [0, 1]) expect(rib.bestPathOf(table.routeAt(slot))).toBe(NO_PATH);
    world.apply({ ...raw, source: 3, key: 1, nextHop: 0, label: 1 });
    world.compare();
    for (const slot of [0, 1]) expect(rib.bestPathOf(table.routeAt(slot))).not.toBe(NO_PATH);
    world.end();
  });
});
