/** Moves of MAC addresses inside a VRF, with a RIB and a clock turned by hand. */
import { describe, expect, jest, test } from '@jest/globals';
import { macMobilityCommunity } from '../../src/bgp/attribute/evpn-communities.js';
import { makeEvpnMacIpKey } from '../../src/bgp/nlri/evpn-key.js';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { familyById } from '../../src/bgp/nlri/registry.js';
import { NO_PATH, NO_PAYLOAD, NO_ROUTE } from '../../src/rib/handles.js';
import { formatPathFlags } from '../../src/rib/path-flags.js';
import type { RouteTable } from '../../src/rib/route-table.js';
import { SourceKind, type Source } from '../../src/rib/source.js';
import { ManualClock } from '../../src/util/clock.js';
import type { Logger } from '../../src/util/logger.js';
import { silentLogger } from '../../src/util/logger.js';
import { MacMobility, type DuplicateMacLimits } from '../../src/vpn/mac-mobility.js';
import { Vrf, VRF_FAMILIES } from '../../src/vpn/vrf.js';
import { ZERO_ROUTE_DISTINGUISHER } from '../../src/wire/route-distinguisher.js';
import { HandScheduler, newRib, pathsOf } from '../rib/world.js';

const LIMITS: DuplicateMacLimits = { moves: 5, window: 180, retryTime: 540 };
const IP = Uint8Array.of(10, 0, 0, 1);

class World {
  readonly rib = newRib();
  readonly hand = new HandScheduler();
  readonly clock = new ManualClock();
  readonly said: string[] = [];
  readonly vrf: Vrf;
  readonly table: RouteTable;
  readonly mobility: MacMobility;
  readonly hosts: readonly Source[];

  constructor(limits = LIMITS) {
    const { rib, said } = this;
    const { scheduler } = this.hand;
    const table = (family: FamilyId): RouteTable =>
      rib.createTable({ name: 'blue', family: familyById(family), scheduler });
    this.vrf = new Vrf(
      {
        name: 'blue',
        virtualNetworkName: 'blue',
        virtualNetworkId: 1,
        routeDistinguisher: ZERO_ROUTE_DISTINGUISHER,
        importTargets: [],
        exportTargets: [],
      },
      new Map(VRF_FAMILIES.map((family) => [family, table(family)])),
    );
    this.table = this.vrf.table(FamilyId.l2vpnEvpn);
    const note = (_fields: object, message: string): void => {
      said.push(message);
    };
    const logger: Logger = { ...silentLogger, info: note, warn: note };
    this.mobility = new MacMobility({ rib, clock: this.clock, logger }, limits);
    this.mobility.watch(this.vrf);
    this.hosts = [1, 2, 3].map((n) =>
      rib.createSource({
        kind: SourceKind.agent,
        text: `agent:${n}`,
        routerId: n,
        address: Uint8Array.of(10, 9, 0, n),
      }),
    );
  }

  #key(mac: number, ip?: Uint8Array): Uint8Array {
    return makeEvpnMacIpKey({
      rd: ZERO_ROUTE_DISTINGUISHER,
      ethernetTag: 0,
      mac: Uint8Array.of(2, 0, 0, 0, 0, mac),
      ip,
    });
  }

  say(
    host: number,
    sequence: number,
    { mac = 1, ip, sticky = false }: { mac?: number; ip?: Uint8Array; sticky?: boolean } = {},
  ): void {
    const { rib } = this;
    const set = rib.attributes.intern({
      nextHop: Uint8Array.of(10, 9, 0, host),
      origin: 0,
      asPath: [],
      ...((sequence > 0 || sticky) && { extendedCommunities: macMobilityCommunity(sequence, sticky) }),
    });
    const key = this.#key(mac, ip);
    rib.announce(this.table, this.hosts[host - 1]!, key, 0, key.length, set, NO_PAYLOAD, 0, NO_PATH);
    rib.attributes.release(set);
  }

  unsay(host: number, mac = 1, ip?: Uint8Array): void {
    const key = this.#key(mac, ip);
    this.rib.withdraw(this.table, this.hosts[host - 1]!, key, 0, key.length);
  }

  /** The paths of an address, best first: `agent:1`, those that may not be used with their flags. */
  paths(mac = 1, ip?: Uint8Array): string[] {
    this.hand.settle();
    const key = this.#key(mac, ip);
    const route = this.rib.findRoute(this.table, key, 0, key.length);
    if (route === NO_ROUTE) return [];
    this.rib.bestPathOf(route);
    return pathsOf(this.rib, route).map((path) =>
      [this.rib.sourceOf(path).text, ...formatPathFlags(this.rib.flagsOf(path))].join(' '),
    );
  }

  /** It goes to and fro between hosts 1 and 2 until its sequence number is `last`. */
  bounce(last: number, everyMs = 1000): void {
    for (let sequence = 1; sequence <= last; sequence++) {
      this.say(1 + (sequence % 2), sequence);
      this.hand.settle();
      this.clock.advance(everyMs);
    }
  }
}

describe('moves of a MAC address (RFC 7432 §15)', () => {
  test('the higher sequence number wins, whichever comes last (RFC 7432 §15.1)', () => {
    const world = new World();
    world.say(1, 4);
    world.say(2, 7);
    expect(world.paths()).toEqual(['agent:2', 'agent:1']);
    world.say(1, 6);
    world.say(3, 1);
    expect(world.paths()).toEqual(['agent:2', 'agent:1', 'agent:3']);
    expect(world.mobility.frozen()).toEqual([]);
  });

  test('the fifth move in 180 s freezes it where it is; what others say of it is kept and not used (RFC 7432 §15.1)', () => {
    const world = new World();
    world.say(1, 0);
    world.bounce(4);
    expect(world.mobility.frozen()).toEqual([]);
    world.say(2, 5);
    expect(world.paths()).toEqual(['agent:2', 'agent:1 duplicate-mac']);
    world.say(1, 6);
    world.say(3, 100);
    expect(world.paths()).toEqual(['agent:2', 'agent:3 duplicate-mac', 'agent:1 duplicate-mac']);
    world.clock.advance(10_000);
    expect(world.mobility.frozen()).toEqual([
      {
        vrf: 'blue',
        ethernetTag: 0,
        mac: '02:00:00:00:00:01',
        source: 'agent:2',
        nextHop: '10.9.0.2',
        moves: 5,
        frozenSeconds: 10,
        retryInSeconds: 530,
      },
    ]);
    expect(world.said).toEqual(['duplicate MAC address frozen']);
    expect(world.mobility.counts).toEqual({ duplicate: 1, sticky: 0 });
    // Where it is frozen it may still change.
    world.say(2, 9);
    expect(world.paths()[0]).toBe('agent:2');
  });

  test('moves that are further apart are none too many', () => {
    const world = new World();
    world.say(1, 0);
    world.bounce(12, 50_000);
    expect(world.mobility.frozen()).toEqual([]);
    expect(world.paths()[0]).toBe('agent:1');
  });

  test('the same host may count up as it likes, and a lower number is no move', () => {
    const world = new World();
    world.say(2, 1);
    for (let sequence = 1; sequence < 20; sequence++) {
      world.say(1, 2 * sequence);
      world.say(2, 1);
      world.hand.settle();
    }
    expect(world.mobility.frozen()).toEqual([]);
  });

  test('a move counts once however many routes the address has, and all of them are frozen', () => {
    const world = new World();
    for (const ip of [undefined, IP]) world.say(1, 0, { ...(ip && { ip }) });
    for (let sequence = 1; sequence <= 5; sequence++) {
      for (const ip of [undefined, IP]) {
        world.say(1 + (sequence % 2), sequence, { ...(ip && { ip }) });
        world.hand.settle();
      }
      expect(world.mobility.frozen()).toHaveLength(sequence < 5 ? 0 : 1);
    }
    expect(world.paths()).toEqual(['agent:2', 'agent:1 duplicate-mac']);
    expect(world.paths(1, IP)).toEqual(['agent:2', 'agent:1 duplicate-mac']);
    // A new route of the address from elsewhere, too, although it says nothing of mobility.
    const other = Uint8Array.of(10, 0, 0, 2);
    world.say(3, 0, { ip: other });
    expect(world.paths(1, other)).toEqual(['agent:3 duplicate-mac']);
  });

  test('after its time it may move again', () => {
    const world = new World();
    world.say(1, 0);
    world.bounce(5);
    world.say(1, 6);
    expect(world.paths()[0]).toBe('agent:2');
    world.clock.advance(540_000);
    expect(world.paths()).toEqual(['agent:1', 'agent:2']);
    expect(world.mobility.frozen()).toEqual([]);
    expect(world.clock.pending).toBe(0);
  });

  test.each([
    ['all', undefined, undefined, 1],
    ['of the VRF', 'blue', undefined, 1],
    ['it alone', 'blue', '02:00:00:00:00:01', 1],
    ['another one', 'blue', '02:00:00:00:00:02', 0],
    ['another VRF', 'red', undefined, 0],
  ])('an operator lets it move: %s', (_what, vrf, mac, cleared) => {
    const world = new World({ ...LIMITS, retryTime: 0 });
    world.say(1, 0);
    world.bounce(5);
    world.say(1, 6);
    world.clock.advance(1e9);
    expect(world.paths()[0]).toBe('agent:2');
    expect(world.mobility.frozen()[0]).not.toHaveProperty('retryInSeconds');
    expect(world.mobility.clear(vrf, mac)).toBe(cleared);
    expect(world.paths()[0]).toBe(cleared === 1 ? 'agent:1' : 'agent:2');
  });

  test('withdrawn where it is frozen, it is where it is still announced', () => {
    const world = new World();
    world.say(1, 0);
    world.bounce(5);
    expect(world.paths()).toEqual(['agent:2', 'agent:1 duplicate-mac']);
    world.unsay(2);
    expect(world.paths()).toEqual(['agent:1']);
    expect(world.mobility.frozen()).toEqual([]);
    expect(world.clock.pending).toBe(0);
    // The next move is one too many again, and not said again so soon.
    world.say(2, 6);
    expect(world.paths()).toEqual(['agent:2', 'agent:1 duplicate-mac']);
    expect(world.said.filter((message) => message === 'duplicate MAC address frozen')).toHaveLength(1);
  });

  test('hosts that withdraw before the other announces are found, too', () => {
    const world = new World();
    for (let sequence = 1; sequence <= 6; sequence++) {
      world.say(1 + (sequence % 2), sequence);
      world.hand.settle();
      if (sequence < 6) world.unsay(1 + (sequence % 2));
      world.hand.settle();
    }
    expect(world.mobility.frozen()).toMatchObject([{ source: 'agent:1', moves: 5 }]);
  });

  test('a sticky address stays where it is, and the claim of another host is counted and said once (RFC 7432 §15.2)', () => {
    const world = new World();
    world.say(1, 0, { sticky: true });
    for (let sequence = 1; sequence < 20; sequence++) {
      world.say(2, sequence);
      expect(world.paths()).toEqual(['agent:1', 'agent:2']);
    }
    expect(world.mobility.frozen()).toEqual([]);
    expect(world.mobility.counts.sticky).toBeGreaterThan(0);
    expect(world.said).toEqual(['sticky MAC address claimed elsewhere']);
  });

  test('a VRF that goes takes the state with it, and nothing is held back any more', () => {
    const world = new World();
    world.say(1, 0);
    world.bounce(5);
    world.mobility.forget(world.vrf);
    expect(world.paths()).toEqual(['agent:2', 'agent:1']);
    expect(world.clock.pending).toBe(0);
    expect(world.table.consumerCount).toBe(0);
    expect(world.mobility.frozen()).toEqual([]);
  });

  test('switched off nobody follows the tables; on again it begins anew', () => {
    const world = new World({ ...LIMITS, moves: 0 });
    expect(world.table.consumerCount).toBe(0);
    world.say(1, 0);
    world.bounce(10);
    expect(world.paths()).toEqual(['agent:1', 'agent:2']);
    world.mobility.limits = { ...LIMITS, moves: 2 };
    for (const sequence of [11, 12, 13]) {
      world.say(1 + (sequence % 2), sequence);
      world.hand.settle();
    }
    expect(world.mobility.frozen()).toHaveLength(1);
    world.mobility.limits = { ...LIMITS, moves: 0 };
    expect(world.mobility.frozen()).toEqual([]);
    expect(world.paths()).toEqual(['agent:2', 'agent:1']);
    expect(world.clock.pending).toBe(0);
  });

  test.each([
    ['frozen', 5],
    ['one that has moved', 1],
  ])('a thousand routes of an address, %s, cost a few looks each, and no look at all the others', (_state, moves) => {
    const world = new World();
    const ROUTES = 1000;
    const ips = Array.from({ length: ROUTES }, (_each, i) => Uint8Array.of(10, 1, i >>> 8, i));
    for (const ip of ips) world.say(1, 1, { ip });
    world.hand.settle();
    for (let sequence = 2; sequence < 2 + moves; sequence++) {
      world.say(1 + (sequence % 2 === 0 ? 1 : 0), sequence, { ip: ips.at(-1)! });
      world.hand.settle();
    }
    expect(world.mobility.frozen()).toHaveLength(moves === 5 ? 1 : 0);
    const looks = jest.spyOn(world.rib, 'sourceOf');
    // Host 3 is elsewhere and has not followed.
    for (const ip of ips.slice(0, -1)) world.say(3, 1, { ip });
    world.hand.settle();
    expect(looks.mock.calls.length).toBeLessThan(100 * ROUTES);
    looks.mockRestore();
    expect(world.paths(1, ips.at(-1))[0]).toBe('agent:2');
  });

  test('a frozen address is let go when the last of its routes goes from where it is, and not with the first', () => {
    const world = new World();
    const other = Uint8Array.of(10, 0, 0, 2);
    world.say(1, 1);
    world.say(2, 1, { ip: other });
    world.bounce(7);
    const { source } = world.mobility.frozen()[0]!;
    const [here, there] = source === 'agent:1' ? [1, 2] : [2, 1];
    world.say(here, 9, { ip: other });
    world.say(there, 99, { ip: other });
    expect(world.paths(1, other)).toEqual([`agent:${here}`, `agent:${there} duplicate-mac`]);
    world.unsay(here);
    world.hand.settle();
    expect(world.mobility.frozen()).toHaveLength(1);
    expect(world.paths()).toEqual([`agent:${there} duplicate-mac`]);
    // What takes the place of a route in the table is not taken for it.
    world.unsay(here, 1, other);
    world.unsay(there, 1, other);
    world.say(3, 1, { mac: 9, ip: other });
    world.hand.settle();
    expect(world.paths(9, other)).toEqual(['agent:3']);
    expect(world.said).toContain('duplicate MAC address may move again');
  });
});
