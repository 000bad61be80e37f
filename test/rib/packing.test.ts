import { describe, expect, test } from '@jest/globals';
import { HEADER_OCTETS } from '../../src/bgp/message/header.js';
import { writeAttributes } from '../../src/bgp/message/update-encode.js';
import type { PathAttributes } from '../../src/bgp/attribute/path-attributes.js';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { familyById } from '../../src/bgp/nlri/registry.js';
import { ExportGroups, type Membership } from '../../src/controller/export-groups.js';
import type { BgpExportOptions } from '../../src/rib/bgp-exporter.js';
import { SourceKind, type Source } from '../../src/rib/source.js';
import { SourceSweep } from '../../src/rib/source-sweep.js';
import { UpdateReceiver } from '../../src/rib/update-receiver.js';
import { Writer } from '../../src/wire/writer.js';
import { FakeNeighbor } from './fake-neighbor.js';
import { HandScheduler, newRib } from './world.js';

/** What is done for a full table is counted here: UPDATEs and octets sent, attribute sets decoded. */

const LOCAL_AS = 64512;
const ROUTER_ID = 1;
const MAX_MESSAGE_OCTETS = 4096;
const SETS = 24;
/** More than one message of a set, and sets that lie across the ends of batches. */
const ROUTES_PER_SET = 1500;
const RECEIVERS = 3;

interface Shape {
  readonly name: string;
  readonly family: FamilyId;
  readonly nlriOctets: number;
  readonly key: (set: number, i: number) => Uint8Array;
  readonly payload: Uint8Array;
}

const SHAPES: readonly Shape[] = [
  {
    name: 'IPv4 unicast',
    family: FamilyId.ipv4Unicast,
    nlriOctets: 4,
    key: (set, i) => Uint8Array.of(24, 10 + set, i >>> 8, i),
    payload: new Uint8Array(0),
  },
  {
    name: 'VPN-IPv4',
    family: FamilyId.l3vpnIpv4Unicast,
    nlriOctets: 1 + 3 + 8 + 4,
    key: (set, i) => Uint8Array.of(32, 0, 0, 0xfc, 0, 0, 0, 0, set, 10, 0, i >>> 8, i),
    payload: Uint8Array.of(0, 1, 1),
  },
];

function attributesOf(set: number): PathAttributes {
  return {
    nextHop: Uint8Array.of(192, 0, 2, 1),
    origin: 0,
    asPath: [{ type: 2, asns: [65000 + set] }],
    localPreference: 100,
    extendedCommunities: Uint8Array.of(0, 2, 0xfc, 0, 0, 0, 0, set),
  };
}

class World {
  readonly #shape: Shape;
  readonly rib = newRib();
  readonly hand = new HandScheduler();
  readonly #family;
  readonly table;
  readonly groups = new ExportGroups(this.rib, this.hand.scheduler);
  readonly receivers: FakeNeighbor[] = [];
  readonly memberships: Membership[] = [];
  readonly sender: Source;
  readonly #receiver: UpdateReceiver;

  constructor(shape: Shape) {
    this.#shape = shape;
    this.#family = familyById(shape.family);
    const { rib, hand } = this;
    this.table = rib.createTable({ name: shape.name, family: this.#family, scheduler: hand.scheduler });
    this.sender = this.#source(1);
    this.#receiver = new UpdateReceiver({
      rib,
      source: this.sender,
      sweep: new SourceSweep(rib, this.sender, hand.scheduler),
      context: { external: false, fourOctetAs: true },
      ownAses: [LOCAL_AS],
      allowOwnAs: 0,
      routerId: ROUTER_ID,
      clusterId: ROUTER_ID,
      tableOf: (family) => (family === shape.family ? this.table : undefined),
      endOfRib: () => undefined,
    });
  }

  #source(index: number): Source {
    const address = Uint8Array.of(192, 0, 2, index);
    return this.rib.createSource({
      kind: SourceKind.bgp,
      text: '',
      routerId: index,
      address,
      external: false,
      client: true,
    });
  }

  join(count: number, maxMessageLength = MAX_MESSAGE_OCTETS): void {
    const options: BgpExportOptions = {
      family: this.#family,
      kind: 'client',
      localAs: LOCAL_AS,
      routerId: ROUTER_ID,
      clusterId: ROUTER_ID,
      fourOctetAs: true,
      maxMessageLength,
      routeServerClient: false,
      asOverride: 0,
      removePrivateAs: 'none',
      withheldTypes: [],
      vrf: false,
      extendedNextHop: false,
      longLivedStale: false,
    };
    for (let i = 0; i < count; i++) {
      const receiver = new FakeNeighbor(options, this.#source(100 + i).id, LOCAL_AS, undefined);
      this.receivers.push(receiver);
      this.memberships.push(this.groups.joinBgp(this.table, options, receiver));
    }
  }

  /** The whole table, some routes to an UPDATE, taken in by reads of `updatesPerRead`. */
  announce(routesPerUpdate: number, updatesPerRead: number): void {
    let updates = 0;
    for (let set = 0; set < SETS; set++) {
      for (let from = 0; from < ROUTES_PER_SET; from += routesPerUpdate) {
        this.receive(set, from, Math.min(from + routesPerUpdate, ROUTES_PER_SET));
        if (++updates % updatesPerRead === 0) this.hand.settle();
      }
    }
    this.hand.settle();
  }

  /** An UPDATE with the routes `[from, to)` of a set, which may have other attributes than the set itself. */
  receive(set: number, from: number, to: number, attributes = attributesOf(set)): void {
    const { payload, key: keyOf } = this.#shape;
    const w = new Writer(MAX_MESSAGE_OCTETS);
    const nlri = (out: Writer): void => {
      for (let i = from; i < to; i++) {
        const key = keyOf(set, i);
        this.#family.encode(out, key, 0, key.length, payload, 0, payload.length, false);
      }
    };
    w.u16(0);
    const at = w.reserve16();
    const classic = this.#family.id === FamilyId.ipv4Unicast;
    writeAttributes(w, attributes, { fourOctetAs: true }, classic ? undefined : { family: this.#family, nlri });
    w.patch16(at, w.position - at - 2);
    if (classic) nlri(w);
    const bytes = Buffer.concat([Buffer.alloc(HEADER_OCTETS), w.copy()]);
    expect(this.#receiver.receive(bytes, HEADER_OCTETS, bytes.length)).toBeUndefined();
  }
}

describe.each(SHAPES)('a full table of $name', (shape) => {
  /** UPDATEs that hold every route when each is filled to the limit. */
  function fewest(world: World): number {
    const [update] = world.receivers[0]!.lengths;
    const perUpdate = Math.floor((MAX_MESSAGE_OCTETS - update!.length) / shape.nlriOctets) + update!.routes;
    return SETS * Math.ceil(ROUTES_PER_SET / perUpdate);
  }

  test.each([
    ['many routes to an UPDATE', 200, 1_000_000],
    ['one route to an UPDATE', 1, 1_000_000],
  ])('%s: each set is decoded once, UPDATEs are filled, and encoded once for all', (_how, routesPerUpdate, reads) => {
    const world = new World(shape);
    world.join(RECEIVERS);
    world.hand.settle();
    world.announce(routesPerUpdate, reads);
    expect(world.rib.attributes.internedTotal).toBe(SETS);
    const [group] = world.groups.groups();
    for (const receiver of world.receivers) {
      expect(receiver.held.size).toBe(SETS * ROUTES_PER_SET);
      expect(receiver.faults).toEqual([]);
      expect(receiver.messages).toBe(fewest(world));
      expect(receiver.octets).toBe(group!.encodedOctets);
    }
    // The same again changes nothing and sends nothing.
    const before = group!.encodedOctets;
    world.announce(100, 7);
    expect(group!.encodedOctets).toBe(before);
    // One more receiver costs one more encoding.
    world.join(1);
    world.hand.settle();
    expect(world.receivers.at(-1)!.held.size).toBe(SETS * ROUTES_PER_SET);
    expect(group!.encodedOctets).toBe(before + world.receivers.at(-1)!.octets);
  });

  test('routes with large attributes go in several batches, to those in step and to a late one', () => {
    const world = new World(shape);
    const [sets, communities] = [3 * 8 * 16, 0xffff >>> 3];
    world.join(1, 0xffff);
    world.hand.settle();
    for (let i = 0; i < sets; i++) {
      const octets = new Uint8Array(4 * communities);
      new DataView(octets.buffer).setUint32(0, i);
      world.receive(0, i, i + 1, { ...attributesOf(0), communities: octets });
    }
    const deliveries = (receiver: FakeNeighbor): number => {
      let count = 0;
      receiver.onSend = () => count++;
      world.hand.settle();
      expect([receiver.held.size, receiver.faults]).toEqual([sets, []]);
      return count;
    };
    expect(deliveries(world.receivers[0]!)).toBe(2);
    world.join(1, 0xffff);
    expect(deliveries(world.receivers[1]!)).toBe(2);
  });

  test.each([
    ['in one batch', Infinity, [1500]],
    ['in several where they take longer than a slice has', 0, [512, 512, 476]],
  ])('routes that have nothing in common go %s', (_how, looks, batches) => {
    const world = new World(shape);
    for (let i = 0; i < 1500; i++) {
      world.receive(0, i, i + 1, { ...attributesOf(0), communities: Uint8Array.of(0xfc, 0, i >>> 8, i) });
    }
    world.hand.settle();
    world.join(1);
    const [receiver] = world.receivers;
    const delivered: number[] = [];
    receiver!.onSend = () => delivered.push(receiver!.messages - delivered.reduce((sum, each) => sum + each, 0));
    world.hand.settle(looks);
    expect([delivered, receiver!.held.size, receiver!.faults]).toEqual([batches, 1500, []]);
  });

  test('the last receiver leaves: the group lets go in slices', () => {
    const world = new World(shape);
    world.join(1);
    world.hand.settle();
    world.announce(200, 1_000_000);
    for (const membership of world.memberships) membership.leave();
    let turns = 0;
    while (world.hand.turn(4)) turns++;
    expect(turns).toBeGreaterThan(5);
    world.rib.removePathsOf(world.sender, Infinity);
    world.hand.settle();
    expect([world.rib.attributes.size, world.rib.payloads.size, world.table.routeCount]).toEqual([0, 0, 0]);
  });

  test('a receiver leaves that has not been told of withdrawals: the routes go in slices', () => {
    const world = new World(shape);
    const { rib, hand, table } = world;
    world.join(2);
    hand.settle();
    world.announce(200, 1_000_000);
    const [stuck] = world.receivers;
    stuck!.credit = 0;
    rib.removePathsOf(world.sender, Infinity);
    hand.settle();
    expect(table.routeCount).toBe(SETS * ROUTES_PER_SET);
    world.memberships[0]!.leave();
    expect(table.routeCount).toBe(SETS * ROUTES_PER_SET);
    let turns = 0;
    while (hand.turn(4)) turns++;
    expect(turns).toBeGreaterThan(5);
    expect([table.routeCount, rib.payloads.size]).toEqual([0, 0]);
  });

  test('while these go, those that stayed are served', () => {
    const world = new World(shape);
    const { rib, hand, table } = world;
    world.join(2);
    hand.settle();
    world.announce(200, 1_000_000);
    const [stuck, other] = world.receivers;
    stuck!.credit = 0;
    rib.removePathsOf(world.sender, Infinity);
    hand.settle();
    world.memberships[0]!.leave();
    world.receive(SETS - 1, 0, 2);
    while (other!.held.size < 2) expect(hand.turn(4)).toBe(true);
    expect(table.routeCount).toBeGreaterThan((SETS * ROUTES_PER_SET) / 2);
    rib.removePathsOf(world.sender, 1);
    hand.settle();
    expect([other!.held.size, table.routeCount]).toEqual([1, 1]);
    rib.removePathsOf(world.sender, Infinity);
    hand.settle();
    expect([other!.held.size, table.routeCount, rib.payloads.size]).toEqual([0, 0, 0]);
  });

  test('the last receiver leaves: who watches the table is told when the routes are gone that only the group held', () => {
    const world = new World(shape);
    world.join(1);
    world.hand.settle();
    world.announce(200, 1_000_000);
    const left: number[] = [];
    world.table.subscribe({ routeChanged: () => undefined, flushed: () => left.push(world.table.routeCount) });
    world.rib.removePathsOf(world.sender, Infinity);
    for (const membership of world.memberships) membership.leave();
    world.hand.settle();
    expect(left).toEqual([SETS * ROUTES_PER_SET, 0]);
  });
});
