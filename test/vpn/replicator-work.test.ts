/** How much work the replicator does for a route that very many VRFs import: counted, not timed. */
import { describe, expect, jest, test } from '@jest/globals';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { familyById } from '../../src/bgp/nlri/registry.js';
import { NO_PATH, NO_PAYLOAD, type PathId } from '../../src/rib/handles.js';
import type { RouteTable } from '../../src/rib/route-table.js';
import { SourceKind, type Source } from '../../src/rib/source.js';
import { Replicator } from '../../src/vpn/replicator.js';
import { Vrf, VRF_FAMILIES, type VrfFamily } from '../../src/vpn/vrf.js';
import { HandScheduler, newRib } from '../rib/world.js';

const SHARED = 0xffff;
const target = (n: number): Uint8Array => Uint8Array.of(0, 2, 0xfc, 0, 0, 0, n >>> 8, n);
const key = (n: number): Uint8Array => Uint8Array.of(96, 0, 0, 0xfc, 0, 0, 0, 0, 1, 10, 0, n >>> 8, n);

/** VRFs that all import one target; each exports one of its own, or all of them that same one. */
class World {
  readonly rib = newRib();
  readonly hand = new HandScheduler();
  readonly vrfs: Vrf[] = [];
  readonly vpn: RouteTable;
  readonly replicator: Replicator;
  readonly source: Source;

  constructor(vrfs: number, exportShared = false) {
    const { rib } = this;
    const vpnTables = new Map<VrfFamily, RouteTable>([
      [FamilyId.ipv4Unicast, this.#table(FamilyId.l3vpnIpv4Unicast)],
      [FamilyId.ipv6Unicast, this.#table(FamilyId.l3vpnIpv6Unicast)],
      [FamilyId.l2vpnEvpn, this.#table(FamilyId.l2vpnEvpn)],
    ]);
    this.vpn = vpnTables.get(FamilyId.ipv4Unicast)!;
    this.replicator = new Replicator({
      rib,
      scheduler: this.hand.scheduler,
      vpnTables,
      sourceRouteDistinguisher: () => undefined,
      autonomousSystem: () => 64512,
    });
    this.source = rib.createSource({
      kind: SourceKind.bgp,
      text: 'neighbor',
      routerId: 1,
      address: Uint8Array.of(192, 0, 2, 1),
    });
    for (let i = 1; i <= vrfs; i++) {
      const tables = new Map(VRF_FAMILIES.map((family) => [family, this.#table(family)]));
      const options = {
        name: `vrf ${i}`,
        virtualNetworkName: `network ${i}`,
        virtualNetworkId: i,
        routeDistinguisher: Uint8Array.of(0, 0, 0xfc, 0, 0, 0, i >>> 8, i),
        importTargets: [],
        exportTargets: [],
      };
      const vrf = new Vrf(options, tables);
      this.vrfs.push(vrf);
      this.replicator.addVrf(vrf, [target(SHARED)], [target(exportShared ? SHARED : i)]);
    }
    this.hand.settle();
  }

  #table(family: FamilyId): RouteTable {
    return this.rib.createTable({ name: 'table', family: familyById(family), scheduler: this.hand.scheduler });
  }

  announce(n: number, med: number): PathId {
    const { rib } = this;
    const set = rib.attributes.intern({
      nextHop: Uint8Array.of(10, 0, 0, 1),
      origin: 0,
      asPath: [],
      med,
      extendedCommunities: target(SHARED),
    });
    const octets = key(n);
    const path = rib.announce(this.vpn, this.source, octets, 0, octets.length, set, NO_PAYLOAD, 0, NO_PATH);
    rib.attributes.release(set);
    return path;
  }

  /** Paths of the VRFs' IPv4 tables. */
  get imported(): number {
    return this.vrfs.reduce((sum, vrf) => sum + vrf.table(FamilyId.ipv4Unicast).pathCount, 0);
  }
}

describe('a route that very many VRFs import', () => {
  test.each([
    ['each with an export target of its own', false],
    ['all with the same export target', true],
  ])('costs each of them the same, %s', (_title, exportShared) => {
    const workOf = (vrfs: number): number[] => {
      const world = new World(vrfs, exportShared);
      const { rib, hand } = world;
      let networks = 0;
      for (const vrf of world.vrfs) {
        const { virtualNetworkId } = vrf;
        Object.defineProperty(vrf, 'virtualNetworkId', {
          get: () => {
            networks++;
            return virtualNetworkId;
          },
        });
      }
      const tables = jest.spyOn(rib, 'tableOf');
      return [5, 6, undefined].map((med) => {
        const before = tables.mock.calls.length + networks;
        if (med === undefined) rib.withdraw(world.vpn, world.source, key(1), 0, key(1).length);
        else world.announce(1, med);
        hand.settle();
        expect(world.imported).toBe(med === undefined ? 0 : vrfs);
        return (tables.mock.calls.length + networks - before) / vrfs;
      });
    };
    const [announced, changed, withdrawn] = workOf(500) as [number, number, number];
    expect(announced).toBeLessThan(10);
    expect(changed).toBeLessThan(10);
    expect(withdrawn).toBeLessThan(10);
  });

  test('counts against the slice as so many routes', () => {
    const world = new World(300);
    for (let n = 0; n < 20; n++) world.announce(n, 0);
    // The flush of the VPN table, then the replicator.
    const grown: number[] = [];
    for (let before = 0; world.hand.turn(0); before = world.imported) grown.push(world.imported - before);
    expect(world.imported).toBe(20 * 300);
    expect(Math.max(...grown)).toBe(300);

    // Removals count as well.
    for (const vrf of world.vrfs) world.replicator.setTargets(vrf, [], []);
    const shrunk: number[] = [];
    for (let before = world.imported; world.hand.turn(0); before = world.imported) {
      shrunk.push(before - world.imported);
    }
    expect(world.imported).toBe(0);
    expect(Math.max(...shrunk)).toBe(300);
  });

  test('loses its secondaries in any order without losing track of the others', () => {
    const world = new World(50);
    const { rib, replicator, vrfs, hand } = world;
    const path = world.announce(1, 0);
    hand.settle();
    const left = new Set(replicator.secondariesOf(path));
    expect(left.size).toBe(50);
    for (let i = 0; i < 50; i++) {
      const vrf = vrfs[(i * 17) % 50]!;
      replicator.removeVrf(vrf);
      hand.settle();
      for (const each of left) {
        if (!replicator.secondariesOf(path).includes(each)) left.delete(each);
        else expect(rib.originOf(each)).toBe(path);
      }
      expect(left.size).toBe(49 - i);
      expect(vrf.pathCount).toBe(0);
    }
    expect(replicator.secondariesOf(path)).toEqual([]);
  });
});
