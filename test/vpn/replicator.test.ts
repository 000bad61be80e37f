import { describe, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeCanonical } from '../../src/bgp/attribute/canonical.js';
import type { PathAttributes } from '../../src/bgp/attribute/path-attributes.js';
import { originVnCommunity } from '../../src/bgp/attribute/virtual-network-communities.js';
import {
  makeEvpnAutoDiscoveryKey,
  makeEvpnEthernetSegmentKey,
  makeEvpnInclusiveMulticastKey,
  makeEvpnMacIpKey,
  makeEvpnPrefixKey,
} from '../../src/bgp/nlri/evpn-key.js';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { familyById } from '../../src/bgp/nlri/registry.js';
import { NO_PATH, type PathId } from '../../src/rib/handles.js';
import { PathFlag, UNUSABLE } from '../../src/rib/path-flags.js';
import type { RouteTable } from '../../src/rib/route-table.js';
import { SourceKind, type Source } from '../../src/rib/source.js';
import { Replicator } from '../../src/vpn/replicator.js';
import { Vrf, VRF_FAMILIES, type VrfFamily } from '../../src/vpn/vrf.js';
import { parseRouteTarget } from '../../src/wire/route-target.js';
import type { ModelSource } from '../rib/selection-model.js';
import { HandScheduler, hex, keyOf, newRib, pathsOf, runs, same } from '../rib/world.js';
import {
  communityTexts,
  replicate,
  type ModelFamily,
  type ModelKeys,
  type ModelPath,
  type ModelTable,
  type ModelVrf,
} from './replication-model.js';

const LOCAL_AS = 64512;
const VRFS = 4;
const TARGETS = ['target:64512:1', 'target:64512:2', 'target:64512:3', 'target:192.0.2.1:4'].map((text) =>
  parseRouteTarget(text)!,
);
const FAMILIES = { ipv4: FamilyId.ipv4Unicast, evpn: FamilyId.l2vpnEvpn } as const;

const rd = (n: number): Uint8Array => Uint8Array.of(0, 0, 0xfc, 0, 0, 0, 0, n);
const ZERO_RD = new Uint8Array(8);

interface TestSource extends ModelSource {
  readonly text: string;
}

const SOURCES: readonly TestSource[] = [
  { text: 'neighbor 1', kind: 'bgp', external: false, routerId: 1, address: Uint8Array.of(192, 0, 2, 1) },
  { text: 'neighbor 2', kind: 'bgp', external: true, routerId: 2, address: Uint8Array.of(192, 0, 2, 2) },
  { text: 'agent 3', kind: 'agent', external: false, routerId: 3, address: Uint8Array.of(192, 0, 2, 3) },
  { text: 'agent 4', kind: 'agent', external: false, routerId: 4, address: Uint8Array.of(192, 0, 2, 4) },
  { text: 'static 5', kind: 'static', external: false, routerId: 5, address: Uint8Array.of(192, 0, 2, 5) },
];
const KINDS = {
  static: SourceKind.static,
  'service-chain': SourceKind.serviceChain,
  agent: SourceKind.agent,
  bgp: SourceKind.bgp,
};

/** EVPN keys of every type, by route distinguisher. */
const evpnKeys = (distinguisher: Uint8Array): Uint8Array[] => [
  makeEvpnMacIpKey({ rd: distinguisher, ethernetTag: 0, mac: Uint8Array.of(2, 0, 0, 0, 0, 1) }),
  makeEvpnMacIpKey({
    rd: distinguisher,
    ethernetTag: 0,
    mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
    ip: Uint8Array.of(10, 0, 0, 1),
  }),
  makeEvpnInclusiveMulticastKey({ rd: distinguisher, ethernetTag: 0, originator: Uint8Array.of(192, 0, 2, 3) }),
  makeEvpnPrefixKey({ rd: distinguisher, ethernetTag: 0, address: Uint8Array.of(10, 1, 0, 0), lengthBits: 16 }),
  makeEvpnMacIpKey({ rd: distinguisher, ethernetTag: 0, mac: new Uint8Array(6).fill(255) }),
  makeEvpnAutoDiscoveryKey({ rd: distinguisher, esi: new Uint8Array(10).fill(1), ethernetTag: 0 }),
  makeEvpnEthernetSegmentKey({
    rd: distinguisher,
    esi: new Uint8Array(10).fill(1),
    originator: Uint8Array.of(192, 0, 2, 3),
  }),
];
const PREFIXES = [[0], [16, 10, 1], [16, 10, 2]].map((octets) => Uint8Array.from(octets));
const withRd = (distinguisher: Uint8Array, prefix: Uint8Array): Uint8Array =>
  Uint8Array.from([prefix[0]!, ...distinguisher, ...prefix.subarray(1)]);

/** Keys in a VRF, and in the VPN table: the route distinguishers 1 and 2 are also those of the first two VRFs. */
const VRF_KEYS = { ipv4: PREFIXES, evpn: evpnKeys(ZERO_RD) };
const VPN_KEYS = {
  ipv4: [1, 2, 9].flatMap((n) => PREFIXES.map((prefix) => withRd(rd(n), prefix))),
  evpn: [1, 9].flatMap((n) => evpnKeys(rd(n))),
};

/** Octets of keys, counted by hand: the route distinguisher is behind the type. */
const MODEL_KEYS: ModelKeys = {
  withRd: (family, key, distinguisher) =>
    family === 'ipv4' ? withRd(distinguisher, key) : Uint8Array.from([key[0]!, ...distinguisher, ...key.subarray(9)]),
  withoutRd: (family, key) =>
    Uint8Array.from(family === 'ipv4' ? [key[0]!, ...key.subarray(9)] : [key[0]!, ...ZERO_RD, ...key.subarray(9)]),
  evpnType: (key) => key[0]!,
  isBroadcast: (key) => hex(key.subarray(14, 20)) === 'ffffffffffff',
};

type Operation =
  | {
      readonly kind: 'add' | 'targets';
      readonly vrf: number;
      readonly imports: readonly number[];
      readonly exports: readonly number[];
      readonly network: number;
    }
  | { readonly kind: 'remove'; readonly vrf: number }
  | { readonly kind: 'network'; readonly vrf: number; readonly network: number; readonly rd: number }
  | {
      readonly kind: 'announce';
      readonly where: number;
      readonly family: ModelFamily;
      readonly source: number;
      readonly key: number;
      readonly set: number;
      readonly label: number;
      readonly flags: number;
    }
  | {
      readonly kind: 'withdraw';
      readonly where: number;
      readonly family: ModelFamily;
      readonly source: number;
      readonly key: number;
    }
  | { readonly kind: 'lose'; readonly source: number; readonly count: number }
  | { readonly kind: 'turn'; readonly looks: number }
  | { readonly kind: 'compare' };

const SETS = 8;
const vrf = fc.nat(VRFS - 1);
const targetSet = fc.subarray([0, 1, 2, 3]);
const network = fc.constantFrom(0, 1, 2);
/** In a VRF, or in the VPN table, which is one more. */
const where = fc.nat(VRFS);
const family = fc.constantFrom<ModelFamily>('ipv4', 'evpn');
const key = fc.oneof(fc.nat(2), fc.nat(30));
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('add' as const, 'targets' as const),
      vrf,
      imports: targetSet,
      exports: targetSet,
      network,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), vrf }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('network' as const), vrf, network, rd: fc.integer({ min: 1, max: 6 }) }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('announce' as const),
      where,
      family,
      source: fc.nat(SOURCES.length - 1),
      key,
      set: fc.nat(SETS - 1),
      label: fc.constantFrom(1, 2),
      flags: fc.constantFrom(0, 0, 0, 0, PathFlag.stale, PathFlag.asLoop),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('withdraw' as const),
      where,
      family,
      source: fc.nat(SOURCES.length - 1),
      key,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('lose' as const),
      source: fc.nat(SOURCES.length - 1),
      count: fc.integer({ min: 1, max: 20 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('turn' as const), looks: fc.constantFrom(0, 0, 1, 2, 1000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('compare' as const) }) },
);

const attributes: fc.Arbitrary<PathAttributes> = fc
  .record({
    nextHop: fc.constantFrom(Uint8Array.of(192, 0, 2, 3), Uint8Array.of(192, 0, 2, 4)),
    localPreference: fc.constantFrom(100, 100, 100, 200),
    asPath: fc.constantFrom([], [{ type: 2 as const, asns: [65001] }]),
    med: fc.constantFrom(undefined, undefined, 10),
    targets: fc.subarray([...TARGETS]),
    network: fc.constantFrom(undefined, undefined, 1, 2),
  })
  .map(({ nextHop, localPreference, asPath, med, targets, network: index }) => {
    const communities = [...targets, ...(index === undefined ? [] : [originVnCommunity(LOCAL_AS, index)])];
    return {
      nextHop,
      origin: 0 as const,
      asPath,
      localPreference,
      ...(med !== undefined && { med }),
      ...(communities.length > 0 && { extendedCommunities: Uint8Array.from(communities.flatMap((each) => [...each])) }),
    };
  });

/** A VRF, and the model of it. */
interface Pair {
  readonly vrf: Vrf;
  readonly model: ModelVrf;
}

class World {
  readonly rib = newRib();
  readonly hand = new HandScheduler();
  readonly vpn = new Map<VrfFamily, RouteTable>();
  readonly replicator: Replicator;
  readonly sources: readonly Source[];
  readonly sets: readonly PathAttributes[];
  /** By position; gone ones stay in {@link all} until they are empty. */
  readonly vrfs = new Map<number, Pair>();
  readonly all = new Set<Pair>();
  readonly tables = new Map<RouteTable, ModelTable>();
  readonly originals = new Map<string, ModelPath>();
  #created = 0;

  constructor(sets: readonly PathAttributes[]) {
    this.sets = sets;
    for (const [each, vpnFamily] of [
      [FamilyId.ipv4Unicast, FamilyId.l3vpnIpv4Unicast],
      [FamilyId.ipv6Unicast, FamilyId.l3vpnIpv6Unicast],
      [FamilyId.l2vpnEvpn, FamilyId.l2vpnEvpn],
    ] as const) {
      this.vpn.set(
        each,
        this.rib.createTable({ name: `vpn ${each}`, family: familyById(vpnFamily), scheduler: this.hand.scheduler }),
      );
    }
    for (const each of ['ipv4', 'evpn'] as const) {
      this.tables.set(this.vpn.get(FAMILIES[each])!, { family: each, vrf: undefined });
    }
    this.sources = SOURCES.map(({ kind, ...rest }) => this.rib.createSource({ ...rest, kind: KINDS[kind] }));
    this.replicator = new Replicator({
      rib: this.rib,
      scheduler: this.hand.scheduler,
      vpnTables: this.vpn,
      sourceRouteDistinguisher: (source, { name }, nextHop) =>
        source.kind === SourceKind.agent ? agentRd(nextHop, name) : undefined,
      autonomousSystem: () => LOCAL_AS,
    });
  }

  apply(op: Operation): void {
    switch (op.kind) {
      case 'add':
        return this.#add(op.vrf, op.imports, op.exports, op.network);
      case 'targets': {
        const pair = this.vrfs.get(op.vrf);
        if (pair === undefined) return;
        this.replicator.setTargets(pair.vrf, octetsOf(op.imports), octetsOf(op.exports));
        pair.model.imports = octetsOf(op.imports).map(hex);
        pair.model.exports = octetsOf(op.exports);
        return;
      }
      case 'network': {
        const pair = this.vrfs.get(op.vrf);
        if (pair === undefined) return;
        pair.model.network = op.network;
        pair.model.rd = rd(op.rd);
        pair.vrf.virtualNetworkId = op.network;
        pair.vrf.routeDistinguisher = rd(op.rd);
        this.replicator.exportChanged(pair.vrf);
        return;
      }
      case 'remove': {
        const pair = this.vrfs.get(op.vrf);
        if (pair === undefined) return;
        this.vrfs.delete(op.vrf);
        pair.model.deleted = true;
        this.replicator.removeVrf(pair.vrf);
        return;
      }
      case 'announce':
        return this.#announce(op);
      case 'withdraw':
        return this.#withdraw(op);
      case 'lose': {
        const source = this.sources[op.source]!;
        while (!this.rib.removePathsOf(source, op.count));
        for (const [id, path] of this.originals) if (path.source === SOURCES[op.source]) this.originals.delete(id);
        return;
      }
      case 'turn':
        this.hand.turn(op.looks);
        return;
      case 'compare':
        this.compare();
    }
  }

  #add(index: number, imports: readonly number[], exports: readonly number[], networkId: number): void {
    if (this.vrfs.has(index)) return;
    const id = `vrf ${index} no ${++this.#created}`;
    const tables = new Map<VrfFamily, RouteTable>();
    for (const each of VRF_FAMILIES) {
      tables.set(
        each,
        this.rib.createTable({
          name: `${id} ${each}`,
          family: familyById(each),
          vrf: id,
          scheduler: this.hand.scheduler,
        }),
      );
    }
    const options = {
      name: id,
      virtualNetworkName: `network ${networkId}`,
      virtualNetworkId: networkId,
      routeDistinguisher: rd(index + 1),
    };
    const created = new Vrf({ ...options, importTargets: [], exportTargets: [] }, tables);
    const model: ModelVrf = {
      id,
      imports: octetsOf(imports).map(hex),
      exports: octetsOf(exports),
      network: networkId,
      rd: rd(index + 1),
      deleted: false,
    };
    const pair = { vrf: created, model };
    this.vrfs.set(index, pair);
    this.all.add(pair);
    for (const each of ['ipv4', 'evpn'] as const) {
      this.tables.set(created.table(FAMILIES[each]), { family: each, vrf: model });
    }
    this.replicator.addVrf(created, octetsOf(imports), octetsOf(exports));
  }

  #placeOf(
    at: number,
    of: ModelFamily,
    which: number,
  ): { readonly table: RouteTable; readonly key: Uint8Array } | undefined {
    const table = at === VRFS ? this.vpn.get(FAMILIES[of]) : this.vrfs.get(at)?.vrf.table(FAMILIES[of]);
    const pool = at === VRFS ? VPN_KEYS[of] : VRF_KEYS[of];
    return table && { table, key: pool[which % pool.length]! };
  }

  #announce(op: Operation & { readonly kind: 'announce' }): void {
    const place = this.#placeOf(op.where, op.family, op.key);
    // Agents and static routes are in VRFs, neighbors in the VPN table and, as CE neighbors, in VRFs.
    if (place === undefined || (op.where === VRFS && SOURCES[op.source]!.kind !== 'bgp')) return;
    const { rib } = this;
    const payload = Uint8Array.of(0, op.label, 1);
    const set = rib.attributes.intern(this.sets[op.set]!);
    const handle = rib.payloads.intern(payload, payload.length);
    rib.announce(place.table, this.sources[op.source]!, place.key, 0, place.key.length, set, handle, op.flags, NO_PATH);
    rib.payloads.release(handle);
    rib.attributes.release(set);
    const path: ModelPath = {
      table: this.tables.get(place.table)!,
      key: place.key,
      source: SOURCES[op.source]!,
      attributes: this.sets[op.set]!,
      payload,
      flags: op.flags,
      usable: (op.flags & UNUSABLE) === 0,
    };
    this.originals.set(idOf(path), path);
  }

  #withdraw(op: Operation & { readonly kind: 'withdraw' }): void {
    const place = this.#placeOf(op.where, op.family, op.key);
    if (place === undefined) return;
    this.rib.withdraw(place.table, this.sources[op.source]!, place.key, 0, place.key.length);
    this.originals.delete(idOf({ table: this.tables.get(place.table)!, key: place.key, source: SOURCES[op.source]! }));
  }

  /** Lets everything settle; then every table must hold the originals and exactly the secondaries of the model. */
  compare(): void {
    this.hand.settle(1);
    const originals = [...this.originals.values()];
    const secondaries = replicate({
      localAs: LOCAL_AS,
      vrfs: [...this.vrfs.values()].map(({ model }) => model),
      tables: [...this.tables.values()],
      originals,
      keys: MODEL_KEYS,
      rdOf: ({ source, attributes: { nextHop } }, { id, rd: own }) =>
        source.kind === 'agent' ? agentRd(Buffer.from(nextHop!).readUInt32BE(0), id) : own,
      copiedFlags: (flags) => (flags & (PathFlag.stale | PathFlag.llgrStale)) | PathFlag.secondary,
    });
    const expected = [...originals, ...secondaries].map(describeModel).sort();
    const actual: string[] = [];
    let indexed = 0;
    for (const [table, { vrf: owner }] of this.tables) {
      for (let slot = 0; slot < table.slotCount; slot++) {
        const route = table.routeAt(slot);
        if (route === 0) continue;
        for (const path of pathsOf(this.rib, route)) {
          actual.push(this.#describe(path));
          if (owner === undefined && this.rib.attributes.targetListOf(this.rib.setOf(path)) !== 0) indexed++;
        }
      }
    }
    same(actual.sort(), expected);
    same(this.replicator.index.size, indexed, 'paths in the index');
    for (const pair of this.all) if (pair.model.deleted && pair.vrf.pathCount === 0) this.#forget(pair);
  }

  #forget(pair: Pair): void {
    this.replicator.forgetTables(pair.vrf);
    for (const table of pair.vrf.tables.values()) {
      same([table.routeCount, table.consumerCount], [0, 0], `left in a table of ${pair.model.id}`);
      this.tables.delete(table);
      this.rib.deleteTable(table);
    }
    this.all.delete(pair);
  }

  #describe(path: PathId): string {
    const { rib } = this;
    const where_ = (of: PathId): string => {
      const model = this.tables.get(rib.tableOf(rib.routeOf(of)))!;
      return `${model.vrf?.id ?? 'vpn'} ${model.family} ${hex(keyOf(rib, rib.routeOf(of)))} ${rib.sourceOf(of).text}`;
    };
    const origin = rib.originOf(path);
    const content = describeContent(
      rib.attributes.attributesOf(rib.setOf(path)),
      rib.payloads.bytesOf(rib.payloadOf(path)),
      rib.flagsOf(path),
    );
    return `${where_(path)} ${content} from ${origin === NO_PATH ? 'itself' : where_(origin)}`;
  }

  end(): void {
    for (const source of this.sources) while (!this.rib.removePathsOf(source, 5));
    this.originals.clear();
    for (const index of [...this.vrfs.keys()]) this.apply({ kind: 'remove', vrf: index });
    this.compare();
    const { rib } = this;
    same(
      {
        vrfs: this.all.size,
        routes: rib.routeCount,
        paths: rib.pathCount,
        sets: rib.attributes.size,
        references: rib.attributes.totalReferences(),
        lists: rib.targets.size,
        targets: TARGETS.filter((target) => rib.targets.findTarget(target) !== undefined).length,
        indexed: this.replicator.index.size,
        jobs: this.hand.scheduler.pending,
      },
      { vrfs: 0, routes: 0, paths: 0, sets: 0, references: 0, lists: 0, targets: 0, indexed: 0, jobs: 0 },
      'left at the end',
    );
  }
}

function octetsOf(targets: readonly number[]): Uint8Array[] {
  return targets.map((index) => TARGETS[index]!);
}

/** An agent's route distinguisher: next hop and the number of the instance. */
function agentRd(nextHop: number, name: string): Uint8Array {
  return Uint8Array.of(
    0,
    1,
    nextHop >>> 24,
    nextHop >>> 16,
    nextHop >>> 8,
    nextHop,
    0,
    100 + Number(name.split(' ')[1]),
  );
}

function idOf({ table, key: octets, source }: Pick<ModelPath, 'table' | 'key' | 'source'>): string {
  return `${table.vrf?.id ?? 'vpn'} ${table.family} ${hex(octets)} ${(source as TestSource).text}`;
}

function describeModel(path: ModelPath): string {
  return `${idOf(path)} ${describeContent(path.attributes, path.payload, path.flags)} from ${path.origin === undefined ? 'itself' : idOf(path.origin)}`;
}

/** Text that is equal whatever the order of the extended communities. */
function describeContent(content: PathAttributes, payload: Uint8Array, flags: number): string {
  const { extendedCommunities, ...rest } = content;
  return `${hex(encodeCanonical(rest))} [${communityTexts(extendedCommunities).sort().join()}] ${hex(payload)} ${flags}`;
}

describe('Replicator', () => {
  test('every table holds exactly what follows from the original paths and the targets, and nothing is left at the end', () => {
    fc.assert(
      fc.property(
        fc.array(attributes, { minLength: SETS, maxLength: SETS }),
        fc.array(operation, { minLength: 10, maxLength: 120, size: 'max' }),
        (sets, operations) => {
          const world = new World(sets);
          for (const each of operations) world.apply(each);
          world.compare();
          world.end();
        },
      ),
      runs(150),
    );
  });

  describe('looks again at', () => {
    const add = (at: number, imports: readonly number[], exports: readonly number[], id: number): Operation => ({
      kind: 'add',
      vrf: at,
      imports,
      exports,
      network: id,
    });
    const announce = (at: number, of: ModelFamily, from: number): Operation => ({
      kind: 'announce',
      where: at,
      family: of,
      source: from,
      key: 0,
      set: 0,
      label: 1,
      flags: 0,
    });
    const plain: PathAttributes = { nextHop: Uint8Array.of(192, 0, 2, 3), origin: 0, asPath: [] };
    const run = (set: PathAttributes, operations: readonly Operation[]): void => {
      const world = new World([set]);
      for (const each of operations) world.apply(each);
      world.end();
    };

    test('routes of a VRF that brought a target of their own, when another VRF begins or ceases to import it', () => {
      run({ ...plain, extendedCommunities: TARGETS[3]! }, [
        add(0, [], [0], 1),
        add(1, [], [], 2),
        announce(0, 'ipv4', 2),
        { kind: 'compare' },
        { kind: 'targets', vrf: 1, imports: [3], exports: [], network: 2 },
        { kind: 'compare' },
        { kind: 'targets', vrf: 1, imports: [], exports: [], network: 2 },
        { kind: 'compare' },
      ]);
    });

    test.each([
      ['ceases to import anything', { kind: 'targets', vrf: 0, imports: [], exports: [], network: 1 }],
      ['is removed', { kind: 'remove', vrf: 0 }],
    ] as const)('a route that has lost its target a moment before the only VRF that imports any %s', (_how, change) => {
      const world = new World([
        { ...plain, extendedCommunities: TARGETS[0]! },
        { ...plain, extendedCommunities: TARGETS[1]! },
      ]);
      for (const each of [add(0, [0], [], 1), announce(VRFS, 'ipv4', 0)]) world.apply(each);
      world.compare();
      world.apply({ ...announce(VRFS, 'ipv4', 0), set: 1 } as Operation);
      world.apply(change);
      world.compare();
      world.end();
    });

    test('imported MAC routes, when the virtual network of the importing VRF changes', () => {
      run({ ...plain, extendedCommunities: Uint8Array.from([...TARGETS[0]!, ...originVnCommunity(LOCAL_AS, 1)]) }, [
        add(0, [0], [], 1),
        announce(VRFS, 'evpn', 0),
        { kind: 'compare' },
        { kind: 'network', vrf: 0, network: 2, rd: 1 },
        { kind: 'compare' },
        { kind: 'network', vrf: 0, network: 1, rd: 1 },
        { kind: 'compare' },
      ]);
    });

    test('imported MAC routes, when the virtual network of a VRF that exports their target changes', () => {
      run({ ...plain, extendedCommunities: TARGETS[0]! }, [
        add(0, [0], [], 1),
        add(1, [], [0], 2),
        announce(VRFS, 'evpn', 0),
        { kind: 'compare' },
        { kind: 'network', vrf: 1, network: 1, rd: 2 },
        { kind: 'compare' },
        { kind: 'network', vrf: 1, network: 2, rd: 2 },
        { kind: 'compare' },
      ]);
    });
  });
});
