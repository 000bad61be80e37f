import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeCanonical } from '../../src/bgp/attribute/canonical.js';
import type { CodecContext } from '../../src/bgp/attribute/codec.js';
import type { PathAttributes } from '../../src/bgp/attribute/path-attributes.js';
import { FamilyId, type FamilyName } from '../../src/bgp/nlri/family.js';
import { familyById, familyByName } from '../../src/bgp/nlri/registry.js';
import { decodeUpdate } from '../../src/bgp/message/update-decode.js';
import { finishMpAttribute, writeAttributes, writeMpUnreachHeader } from '../../src/bgp/message/update-encode.js';
import { PathFlag } from '../../src/rib/path-flags.js';
import type { RouteTable } from '../../src/rib/route-table.js';
import { SourceKind, type Source } from '../../src/rib/source.js';
import { SourceSweep } from '../../src/rib/source-sweep.js';
import { UpdateReceiver } from '../../src/rib/update-receiver.js';
import { Writer } from '../../src/wire/writer.js';
import { ROUTES, type Route } from '../bgp/nlri/family-arbitraries.js';
import { ipv4NextHop, nextHop, pathAttributes } from '../support/attribute-arbitraries.js';
import { AS_PATH, LOCAL_PREF, NEXT_HOP, ORIGIN, attribute, updateBody } from '../support/update-messages.js';
import { HandScheduler, hex, keyOf, newRib, pathsOf, runs, same } from './world.js';

const OWN_AS = 64512;
const ROUTER_ID = 0x0a000001;
const CLUSTER_ID = 0x0a000002;

/** Sessions of every kind, all on one RIB, so that what one has learnt lies there for the others. */
const CONTEXTS: readonly CodecContext[] = [
  { fourOctetAs: true, external: false },
  { fourOctetAs: true, external: true },
  { fourOctetAs: false, external: false },
  { fourOctetAs: false, external: true },
];
const FAMILY_NAMES: readonly FamilyName[] = [
  'ipv4-unicast',
  'ipv6-unicast',
  'ipv4-labelled-unicast',
  'l3vpn-ipv4-unicast',
  'l3vpn-ipv6-unicast',
  'l2vpn-evpn',
];

class World {
  readonly rib = newRib();
  readonly hand = new HandScheduler();
  readonly tables = new Map<FamilyId, RouteTable>();
  readonly endsOfRib: FamilyId[] = [];
  readonly sources: Source[] = [];
  readonly sweeps: SourceSweep[] = [];
  readonly receivers: UpdateReceiver[] = [];

  constructor(allowOwnAs = 0) {
    for (const id of Object.values(FamilyId)) {
      this.tables.set(
        id,
        this.rib.createTable({ name: familyById(id).name, family: familyById(id), scheduler: this.hand.scheduler }),
      );
    }
    for (const context of CONTEXTS) {
      const n = this.sources.length + 1;
      const source = this.rib.createSource({
        kind: SourceKind.bgp,
        text: `neighbor ${n}`,
        routerId: n,
        address: Uint8Array.of(192, 0, 2, n),
      });
      this.sources.push(source);
      const sweep = new SourceSweep(this.rib, source, this.hand.scheduler);
      this.sweeps.push(sweep);
      this.receivers.push(
        new UpdateReceiver({
          rib: this.rib,
          source,
          sweep,
          context,
          ownAses: [OWN_AS],
          allowOwnAs,
          routerId: ROUTER_ID,
          clusterId: CLUSTER_ID,
          tableOf: (family) => this.tables.get(family),
          endOfRib: (family) => this.endsOfRib.push(family),
        }),
      );
    }
  }

  receive(session: number, body: Uint8Array): ReturnType<UpdateReceiver['receive']> {
    // Somewhere in a larger buffer, as out of a socket.
    const buffer = Uint8Array.from([9, 9, 9, ...body, 9]);
    return this.receivers[session]!.receive(buffer, 3, 3 + body.length);
  }

  beginRefresh(session: number, family: FamilyId): void {
    this.sweeps[session]!.beginRefresh(family);
  }

  endRefresh(session: number, family: FamilyId): void {
    this.sweeps[session]!.endRefresh(family, this.tables.get(family));
  }

  /** Paths of a source: family and key → attributes, payload and flags. */
  held(session: number): Map<string, string> {
    const { rib } = this;
    const held = new Map<string, string>();
    for (const [id, table] of this.tables) {
      for (let slot = 0; slot < table.slotCount; slot++) {
        const route = table.routeAt(slot);
        if (route === 0) continue;
        for (const path of pathsOf(rib, route)) {
          if (rib.sourceIdOf(path) !== this.sources[session]!.id) continue;
          const attributes = hex(encodeCanonical(rib.attributes.attributesOf(rib.setOf(path))));
          held.set(
            `${familyById(id).name} ${hex(keyOf(rib, route))}`,
            `${attributes} ${hex(rib.payloads.bytesOf(rib.payloadOf(path)))} ${rib.flagsOf(path)}`,
          );
        }
      }
    }
    return held;
  }

  lose(session: number): void {
    while (!this.rib.removePathsOf(this.sources[session]!, 100));
  }

  end(): void {
    for (let i = 0; i < CONTEXTS.length; i++) this.lose(i);
    this.hand.settle();
    const { rib } = this;
    same(
      [rib.routeCount, rib.pathCount, rib.attributes.size, rib.payloads.size, rib.targets.size],
      [0, 0, 0, 0, 0],
      'left at the end',
    );
  }
}

/** What the decoded form of an update does to a map of routes: the model of a receiver. */
class ModelReceiver {
  readonly held = new Map<string, string>();
  readonly #refreshed = new Map<FamilyName, Set<string>>();
  readonly #context: CodecContext;
  reset = false;

  constructor(context: CodecContext) {
    this.#context = context;
  }

  receive(body: Uint8Array): void {
    const update = decodeUpdate(body, 0, body.length, this.#context);
    if (update.action === 'session-reset') {
      this.reset = true;
      this.held.clear();
      return;
    }
    // What is announced is the last word on a route, however the sections stand (RFC 4271 §4.3).
    for (const { family, routes } of update.withdrawn) {
      for (const { key } of routes) this.held.delete(`${family} ${hex(key)}`);
    }
    for (const { family, routes, attributes } of update.announced) {
      for (const { key, payload } of routes) {
        const id = `${family} ${hex(key)}`;
        this.held.set(id, `${hex(encodeCanonical(attributes))} ${hex(payload)} ${flagsOf(attributes)}`);
        this.#refreshed.get(family)?.add(id);
      }
    }
  }

  begin(family: FamilyName): void {
    this.#refreshed.set(family, new Set());
  }

  end(family: FamilyName): void {
    const refreshed = this.#refreshed.get(family);
    this.#refreshed.delete(family);
    if (refreshed === undefined) return;
    for (const id of this.held.keys()) if (id.startsWith(`${family} `) && !refreshed.has(id)) this.held.delete(id);
  }
}

function flagsOf({ asPath, originatorId, clusterList }: PathAttributes): number {
  let flags = 0;
  if ((asPath ?? []).some(({ asns }) => asns.includes(OWN_AS))) flags |= PathFlag.asLoop;
  if (originatorId === ROUTER_ID) flags |= PathFlag.originatorLoop;
  if (clusterList?.includes(CLUSTER_ID) === true) flags |= PathFlag.clusterLoop;
  return flags;
}

interface Message {
  readonly session: number;
  readonly family: FamilyName;
  readonly announced: readonly number[];
  readonly withdrawn: readonly number[];
  readonly attributes: number;
  /** Other spellings of the same attributes: their order, and long length fields. */
  readonly order: number;
  readonly long: boolean;
  /** Octets to damage: position per mille of the body, and value to add. */
  readonly damage: readonly (readonly [number, number])[];
}

type Update = Message & { readonly kind: 'update' };
type Step =
  | Update
  | { readonly kind: 'begin'; readonly session: number; readonly family: FamilyName }
  | { readonly kind: 'end'; readonly session: number; readonly family: FamilyName };

const ROUTES_PER_FAMILY = 4;
const SETS = 4;

const withLoops = fc
  .tuple(pathAttributes, fc.constantFrom(undefined, undefined, 'as', 'originator', 'cluster'), fc.boolean())
  .map(([attributes, loop, wantsPreference]): PathAttributes => {
    const preferred = wantsPreference ? { localPreference: 100, ...attributes } : attributes;
    if (loop === 'as') return { ...preferred, asPath: [{ type: 1, asns: [1, OWN_AS] }, ...(attributes.asPath ?? [])] };
    if (loop === 'originator') return { ...preferred, originatorId: ROUTER_ID };
    if (loop === 'cluster') return { ...preferred, clusterList: [1, CLUSTER_ID] };
    return preferred;
  });

const session = fc.nat(CONTEXTS.length - 1);
const family = fc.constantFrom(...FAMILY_NAMES);
const numbers = fc.uniqueArray(fc.nat(ROUTES_PER_FAMILY - 1), { maxLength: 4 });
const step = (damaged: boolean): fc.Arbitrary<Step> =>
  fc.oneof(
    {
      weight: 10,
      arbitrary: fc.record({
        kind: fc.constant('update' as const),
        session,
        family,
        announced: numbers,
        withdrawn: numbers,
        attributes: fc.nat(SETS - 1),
        order: fc.constantFrom(0, 0, 1, 2),
        long: fc.constantFrom(false, false, true),
        damage: damaged
          ? fc.array(fc.tuple(fc.nat(999), fc.integer({ min: 1, max: 255 })), { maxLength: 2 })
          : fc.constant<readonly (readonly [number, number])[]>([]),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('begin' as const, 'end' as const), session, family }) },
  );

/** Body of the message; `undefined` when there is nothing to say. */
function bodyOf(
  message: Message,
  pool: ReadonlyMap<FamilyName, readonly Route[]>,
  sets: readonly PathAttributes[],
): Uint8Array {
  const { fourOctetAs } = CONTEXTS[message.session]!;
  const chosen = familyByName(message.family)!;
  const routes = pool.get(message.family)!;
  const write = (w: Writer, numbers_: readonly number[], withdrawn: boolean): void => {
    for (const n of numbers_) {
      const { key, payload } = routes[n]!;
      chosen.encode(w, key, 0, key.length, payload, 0, payload.length, withdrawn);
    }
  };
  const body = new Writer(1024);
  const withdrawn = new Writer(256);
  const nlri = new Writer(256);
  const list = new Writer(1024);
  const classic = chosen.id === FamilyId.ipv4Unicast && sets[message.attributes]!.nextHop?.length === 4;
  if (classic) write(withdrawn, message.withdrawn, true);
  else if (message.withdrawn.length > 0) {
    const at = writeMpUnreachHeader(list, chosen);
    write(list, message.withdrawn, true);
    finishMpAttribute(list, at);
  }
  if (message.announced.length > 0) {
    const mp = { family: chosen, nlri: (w: Writer) => write(w, message.announced, false) };
    writeAttributes(list, sets[message.attributes]!, { fourOctetAs }, classic ? undefined : mp);
    if (classic) write(nlri, message.announced, false);
  }
  const attributes = respelled(list.view(), message);
  body.u16(withdrawn.position);
  body.raw(withdrawn.view());
  body.u16(attributes.length);
  body.raw(attributes);
  body.raw(nlri.view());
  const octets = Uint8Array.from(body.view());
  for (const [where, by] of message.damage) octets[Math.floor((where * octets.length) / 1000)]! += by;
  return octets;
}

/** The same attributes in another order, or with long length fields: what another speaker might send. */
function respelled(octets: Uint8Array, { order, long }: Message): Uint8Array {
  const attributes: Uint8Array[] = [];
  for (let at = 0; at < octets.length;) {
    const extended = (octets[at]! & 0x10) !== 0;
    const length = extended ? (octets[at + 2]! << 8) | octets[at + 3]! : octets[at + 2]!;
    const value = at + (extended ? 4 : 3);
    const head =
      long || extended
        ? [octets[at]! | 0x10, octets[at + 1]!, length >>> 8, length & 255]
        : [octets[at]!, octets[at + 1]!, length];
    attributes.push(Uint8Array.from([...head, ...octets.subarray(value, value + length)]));
    at = value + length;
  }
  if (order === 1) attributes.reverse();
  if (order === 2) attributes.push(...attributes.splice(0, 2));
  return Buffer.concat(attributes);
}

const scenario = (damaged: boolean): fc.Arbitrary<readonly [Map<FamilyName, Route[]>, PathAttributes[], Step[]]> =>
  fc.tuple(
    fc
      .tuple(
        ...FAMILY_NAMES.map((name) =>
          fc.array(ROUTES[name], { minLength: ROUTES_PER_FAMILY, maxLength: ROUTES_PER_FAMILY }),
        ),
      )
      .map((all) => new Map(all.map((routes, i) => [FAMILY_NAMES[i]!, routes]))),
    fc.array(
      fc.tuple(withLoops, fc.oneof(ipv4NextHop, nextHop)).map(([attributes, hop]) => ({ ...attributes, nextHop: hop })),
      { minLength: SETS, maxLength: SETS },
    ),
    fc.array(step(damaged), { minLength: 1, maxLength: 40, size: 'max' }),
  );

describe('UpdateReceiver', () => {
  test.each([
    ['good', false],
    ['damaged', true],
  ])(
    'puts in the tables what the decoded %s messages say, whatever was learnt before (RFC 7606)',
    (_which, damaged) => {
      fc.assert(
        fc.property(scenario(damaged), ([pool, sets, steps]) => {
          const world = new World();
          const models = CONTEXTS.map((context) => new ModelReceiver(context));
          for (const [n, each] of steps.entries()) {
            const model = models[each.session]!;
            if (each.kind === 'begin') {
              world.beginRefresh(each.session, familyByName(each.family)!.id);
              model.begin(each.family);
            } else if (each.kind === 'end') {
              world.endRefresh(each.session, familyByName(each.family)!.id);
              model.end(each.family);
            } else {
              const body = bodyOf(each, pool, sets);
              model.receive(body);
              const fault = world.receive(each.session, body);
              same(fault?.action === 'session-reset', model.reset, fault?.reason);
              if (model.reset) {
                world.lose(each.session);
                model.reset = false;
              }
            }
            const sorted = (map: ReadonlyMap<string, string>): [string, string][] =>
              [...map].sort(([a], [b]) => (a < b ? -1 : 1));
            // What was not repeated goes some time later, while other messages come in.
            if (n % 3 < 2 && n < steps.length - 1) continue;
            world.hand.settle();
            for (const [session, { held }] of models.entries()) {
              same(sorted(world.held(session)), sorted(held), each.kind);
            }
          }
          world.end();
        }),
        runs(150),
      );
    },
  );

  const prefix = '18 0a0100';
  const good = ORIGIN + AS_PATH + NEXT_HOP + LOCAL_PREF;
  const INTERNAL = 0;
  const EXTERNAL = 1;

  test('decodes known attributes once, whoever sends them again: in this order and in another one', () => {
    const world = new World();
    const body = updateBody({
      attributes: ORIGIN + attribute(0x40, 2, '0201 0000fde9') + NEXT_HOP + LOCAL_PREF,
      nlri: prefix,
    });
    const other = updateBody({
      attributes: LOCAL_PREF + NEXT_HOP + ORIGIN + attribute(0x40, 2, '0201 0000fde9'),
      nlri: '18 0a0200',
    });
    expect(world.receive(INTERNAL, body)).toBeUndefined();
    expect(world.receive(INTERNAL, other)).toBeUndefined();
    const { rib } = world;
    expect(rib.attributes.size).toBe(1);
    const interned = rib.attributes.internedTotal;
    for (let i = 0; i < 100; i++) {
      world.receive(
        INTERNAL,
        updateBody({
          attributes: ORIGIN + attribute(0x40, 2, '0201 0000fde9') + NEXT_HOP + LOCAL_PREF,
          nlri: `18 0a03${i.toString(16).padStart(2, '0')}`,
        }),
      );
    }
    expect(rib.attributes.internedTotal).toBe(interned);
    expect(rib.attributes.size).toBe(1);
    world.end();
  });

  test.each([
    ['a malformed attribute', attribute(0x40, 1, '07') + AS_PATH + NEXT_HOP + LOCAL_PREF],
    ['a missing mandatory attribute', ORIGIN + NEXT_HOP + LOCAL_PREF],
    ['an attribute that runs past the end', `${good}4001ff00`],
  ])('%s withdraws the route that was announced before (RFC 7606 §2)', (_what, attributes) => {
    const world = new World();
    expect(world.receive(INTERNAL, updateBody({ attributes: good, nlri: prefix }))).toBeUndefined();
    expect(world.held(INTERNAL).size).toBe(1);
    expect(world.receive(INTERNAL, updateBody({ attributes, nlri: prefix }))?.action).toBe('treat-as-withdraw');
    expect(world.held(INTERNAL).size).toBe(0);
    world.end();
  });

  test.each([
    ['a next hop is missing', ORIGIN + AS_PATH + LOCAL_PREF],
    ['an attribute runs past the end', `${good}4001ff00`],
  ])(
    'a well-known attribute that nobody knows resets the session also where %s (RFC 7606 §3 h)',
    (_what, attributes) => {
      const world = new World();
      const unknown = attribute(0x40, 99, '00');
      expect(world.receive(INTERNAL, updateBody({ attributes: unknown + attributes, nlri: prefix }))?.action).toBe(
        'session-reset',
      );
    },
  );

  test('a discarded attribute is reported with every message that has it (RFC 7606 §2)', () => {
    const world = new World();
    const body = updateBody({ attributes: good, nlri: prefix });
    for (let i = 0; i < 3; i++) expect(world.receive(EXTERNAL, body)?.action).toBe('attribute-discard');
    expect(world.held(EXTERNAL).size).toBe(1);
    world.end();
  });

  test('the own AS may occur as often as allowed (RFC 4271 §9.1.2)', () => {
    const world = new World(1);
    const once = attribute(0x40, 2, '0202 0000fc00 00000001');
    const twice = attribute(0x40, 2, '0203 0000fc00 00000001 0000fc00');
    for (const [path, flags] of [
      [once, 0],
      [twice, PathFlag.asLoop],
    ] as const) {
      world.receive(EXTERNAL, updateBody({ attributes: ORIGIN + path + NEXT_HOP, nlri: prefix }));
      expect([...world.held(EXTERNAL).values()][0]!.split(' ')[2]).toBe(String(flags));
    }
    world.end();
  });

  test('an End-of-RIB is told with its family and changes nothing (RFC 4724 §2)', () => {
    const world = new World();
    world.receive(INTERNAL, updateBody({}));
    world.receive(INTERNAL, updateBody({ attributes: attribute(0x80, 15, '0001 80') }));
    expect(world.endsOfRib).toEqual([FamilyId.ipv4Unicast, FamilyId.l3vpnIpv4Unicast]);
  });

  test('what a refresh did not repeat goes in slices, and what is announced meanwhile stays (RFC 7313 §4)', () => {
    const world = new World();
    const ipv4 = FamilyId.ipv4Unicast;
    const nlri = (from: number, to: number): string =>
      Array.from({ length: to - from }, (_, n) => hex(Uint8Array.of(24, 10, (from + n) >>> 8, from + n))).join('');
    const announce = (from: number, to: number): void => {
      for (let at = from; at < to; at += 500) {
        world.receive(INTERNAL, updateBody({ attributes: good, nlri: nlri(at, Math.min(to, at + 500)) }));
      }
    };
    announce(0, 3000);
    world.hand.settle();
    world.beginRefresh(INTERNAL, ipv4);
    announce(0, 500);
    world.endRefresh(INTERNAL, ipv4);
    expect(world.rib.pathCount).toBe(3000);
    world.hand.turn(1);
    const left = world.rib.pathCount;
    expect(left).toBeGreaterThan(2000);
    expect(left).toBeLessThan(3000);
    // Repeated late; withdrawn; new; and late as well, but in a second refresh, for which only that is repeated.
    announce(500, 700);
    world.receive(INTERNAL, updateBody({ withdrawn: nlri(2300, 2700) + nlri(100, 200) }));
    announce(3000, 3100);
    world.beginRefresh(INTERNAL, ipv4);
    announce(700, 800);
    world.hand.settle();
    expect(world.rib.pathCount).toBe(400 + 200 + 100 + 100);
    world.endRefresh(INTERNAL, ipv4);
    world.hand.settle();
    expect(world.rib.pathCount).toBe(100);
    world.end();
  });

  test('routes of a family that the session has not negotiated are passed over (RFC 4760 §7)', () => {
    const world = new World();
    world.tables.delete(FamilyId.ipv4Unicast);
    expect(world.receive(INTERNAL, updateBody({ attributes: good, nlri: prefix }))?.action).toBe('ignore');
    expect(world.rib.pathCount).toBe(0);
    world.end();
  });
});
