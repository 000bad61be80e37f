import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { PathAttributes } from '../../src/bgp/attribute/path-attributes.js';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { familyById } from '../../src/bgp/nlri/registry.js';
import { makeRtcKey } from '../../src/bgp/nlri/rtc.js';
import {
  NO_PATH,
  NO_PAYLOAD,
  NO_TARGETS,
  type AttributeSetId,
  type SourceId,
  type TargetId,
  type TargetListId,
} from '../../src/rib/handles.js';
import { PathFlag } from '../../src/rib/path-flags.js';
import { SourceKind, type Source } from '../../src/rib/source.js';
import { RouteTargetIndex } from '../../src/vpn/route-target-index.js';
import { RouteTargetMembership, type InterestListener } from '../../src/vpn/route-target-membership.js';
import { parseRouteTarget } from '../../src/wire/route-target.js';
import { bitsOf } from '../rib/export-model.js';
import { HandScheduler, hex, keyOf, newRib, runs, same } from '../rib/world.js';

const TARGETS = ['target:64512:1', 'target:64512:2', 'target:64513:1', 'target:192.0.2.1:1'].map((text) =>
  parseRouteTarget(text)!,
);
const SOURCES = 3;

/** The membership route of the first `bits` bits (origin AS and target). */
function membershipKey(originAs: number, target: Uint8Array, bits: number): Uint8Array {
  const key = makeRtcKey(originAs, target).slice(0, 1 + Math.ceil(bits / 8));
  key[0] = bits;
  if (bits % 8 !== 0) key[key.length - 1]! &= 0xff << (8 - (bits % 8));
  return key;
}

/** The target bits of a membership route; '' for all targets. */
function wantedBits(key: Uint8Array): string {
  return bitsOf(key.subarray(1)).slice(32, key[0]);
}

class World implements InterestListener {
  readonly rib = newRib();
  readonly hand = new HandScheduler();
  readonly table = this.rib.createTable({
    name: 'rtc',
    family: familyById(FamilyId.rtc),
    scheduler: this.hand.scheduler,
  });
  readonly vpn = this.rib.createTable({
    name: 'vpn',
    family: familyById(FamilyId.l3vpnIpv4Unicast),
    scheduler: this.hand.scheduler,
  });
  readonly index = new RouteTargetIndex(this.rib);
  readonly membership = new RouteTargetMembership(this.rib, this.table, this.index, this);
  readonly set = this.rib.attributes.intern({ nextHop: Uint8Array.of(10, 0, 0, 1), origin: 0, asPath: [] });
  /** The lists that a source's change concerned, and that it was interested in before. */
  changing:
    | { readonly source: SourceId; readonly lists: ReadonlySet<TargetListId> | undefined; readonly before: string }
    | undefined;
  readonly lists: readonly TargetListId[];
  readonly sets: readonly AttributeSetId[];
  /** Announces the VPN routes that carry the lists. */
  readonly carrier = this.createSource(99);
  /** Changes of interest outside of the lists named before. */
  readonly faults: string[] = [];

  constructor() {
    this.vpn.observer = this.index;
    // Lists of one target, of two, of all, each carried by a VPN route.
    const contents = [...TARGETS.map((target) => [target]), [TARGETS[0]!, TARGETS[2]!], TARGETS];
    this.sets = contents.map((targets, i) => {
      const attributes: PathAttributes = {
        nextHop: Uint8Array.of(10, 0, 0, 1),
        extendedCommunities: Uint8Array.from(targets.flatMap((each) => [...each])),
      };
      const set = this.rib.attributes.intern(attributes);
      const key = Uint8Array.of(24, 0, 0, 0, 1, 0, 0, 0, 1, 10, 0, i);
      this.rib.announce(this.vpn, this.carrier, key, 0, key.length, set, NO_PAYLOAD, 0, NO_PATH);
      return set;
    });
    this.lists = this.sets.map((set) => this.rib.attributes.targetListOf(set));
    this.hand.settle();
  }

  createSource(n: number): Source {
    return this.rib.createSource({
      kind: SourceKind.bgp,
      text: `neighbor ${n}`,
      routerId: n,
      address: Uint8Array.of(192, 0, 2, n),
    });
  }

  interests(source: SourceId): string {
    const interest = this.membership.interestOf(source);
    return [...this.lists, NO_TARGETS].map((list) => (interest.isInterested(list) ? '+' : '-')).join('');
  }

  interestChanging(source: SourceId, lists: ReadonlySet<TargetListId> | undefined): void {
    this.changing = { source, lists, before: this.interests(source) };
  }

  interestChanged(source: SourceId): void {
    const { changing } = this;
    if (changing?.source !== source) this.faults.push('changed without changing');
    const after = this.interests(source);
    for (const [i, list] of this.lists.entries()) {
      if (after[i] !== changing?.before[i] && changing?.lists !== undefined && !changing.lists.has(list)) {
        this.faults.push(`list ${i} was not named`);
      }
    }
    this.changing = undefined;
  }

  announce(source: Source, key: Uint8Array, flags = 0): void {
    this.rib.announce(this.table, source, key, 0, key.length, this.set, NO_PAYLOAD, flags, NO_PATH);
  }

  own(source: Source): string[] {
    const keys: string[] = [];
    for (let slot = 0; slot < this.table.slotCount; slot++) {
      const route = this.table.routeAt(slot);
      if (route !== 0 && this.rib.findPath(route, source.id, NO_PATH) !== NO_PATH) {
        keys.push(hex(keyOf(this.rib, route)));
      }
    }
    return keys.sort();
  }
}

describe('route-target membership of neighbors (RFC 4684 §4)', () => {
  const key = fc.oneof(
    fc.constant(Uint8Array.of(0)),
    fc
      .record({
        originAs: fc.constantFrom(64512, 65001),
        target: fc.constantFrom(...TARGETS),
        bits: fc.oneof(fc.constant(96), fc.integer({ min: 32, max: 96 })),
      })
      .map(({ originAs, target, bits }) => membershipKey(originAs, target, bits)),
  );
  const operation = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('announce' as const),
        source: fc.nat(SOURCES - 1),
        key,
        flags: fc.constantFrom(0, 0, 0, PathFlag.asLoop),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('withdraw' as const),
        source: fc.nat(SOURCES - 1),
        key,
        flags: fc.constant(0),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('flush' as const), source: fc.constant(0), key, flags: fc.constant(0) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('forget' as const),
        source: fc.nat(SOURCES - 1),
        key,
        flags: fc.constant(0),
      }),
    },
  );

  test('the interest is what the usable routes of a neighbor say: default, whole and partial targets; every change names the lists it concerns', () => {
    fc.assert(
      fc.property(fc.array(operation, { minLength: 1, maxLength: 60, size: 'max' }), (operations) => {
        const world = new World();
        const { rib, membership } = world;
        const sources = Array.from({ length: SOURCES }, (_each, i) => world.createSource(i));
        const wanted = sources.map(() => new Map<string, string>());
        const check = (): void => {
          world.hand.settle();
          same(world.faults, []);
          for (const [i, source] of sources.entries()) {
            const prefixes = [...wanted[i]!.values()];
            const expected = [...world.lists, NO_TARGETS].map((list) => {
              const targets = rib.targets.targetsOf(list).map((id: TargetId) => bitsOf(rib.targets.targetBytes(id)));
              const matches = targets.some((target) => prefixes.some((prefix) => target.startsWith(prefix)));
              return matches || prefixes.includes('') ? '+' : '-';
            });
            same(world.interests(source.id), expected.join(''));
          }
        };
        for (const op of operations) {
          const source = sources[op.source]!;
          if (op.kind === 'announce') {
            world.announce(source, op.key, op.flags);
            if (op.flags === 0) wanted[op.source]!.set(hex(op.key), wantedBits(op.key));
            else wanted[op.source]!.delete(hex(op.key));
          } else if (op.kind === 'withdraw') {
            rib.withdraw(world.table, source, op.key, 0, op.key.length);
            wanted[op.source]!.delete(hex(op.key));
          } else if (op.kind === 'flush') check();
          else {
            // The session ends: its paths go, then it is forgotten, with or without a flush in between.
            while (!rib.removePathsOf(source, 1));
            if (op.key.length % 2 === 0) world.hand.settle();
            membership.forget(source.id);
            wanted[op.source]!.clear();
          }
        }
        check();
        for (const source of sources) {
          while (!rib.removePathsOf(source, 100));
          membership.forget(source.id);
        }
        while (!rib.removePathsOf(world.carrier, 100));
        world.hand.settle();
        for (const set of world.sets) rib.attributes.release(set);
        same(
          TARGETS.filter((target) => rib.targets.findTarget(target) !== undefined),
          [],
          'targets left at the end',
        );
      }),
      runs(200),
    );
  });
});

describe('own route-target membership (RFC 4684 §3)', () => {
  test('a target is announced while at least one user wants it, and let go with the last one', () => {
    const world = new World();
    const { rib, membership } = world;
    const source = world.createSource(50);
    membership.setOrigin(source, 64512, world.set);
    const target = parseRouteTarget('target:64512:77')!;
    const id = rib.targets.internTarget(target);
    membership.want(id);
    membership.want(id);
    rib.targets.releaseTarget(id);
    expect(world.own(source)).toEqual([hex(makeRtcKey(64512, target))]);
    membership.unwant(id);
    expect(world.own(source)).toEqual([hex(makeRtcKey(64512, target))]);
    membership.unwant(id);
    expect(world.own(source)).toEqual([]);
    expect(rib.targets.findTarget(target)).toBeUndefined();
  });

  test('another origin announces the same anew, and takes back what the old one said', () => {
    const world = new World();
    const { rib, membership } = world;
    const first = world.createSource(50);
    const second = world.createSource(51);
    const target = rib.targets.internTarget(TARGETS[1]!);
    membership.want(target);
    membership.wantEverything(true);
    expect(world.table.pathCount).toBe(0);
    membership.setOrigin(first, 64512, world.set);
    expect(world.own(first)).toEqual(['00', hex(makeRtcKey(64512, TARGETS[1]!))].sort());
    membership.setOrigin(second, 65000, world.set);
    expect(world.own(first)).toEqual([]);
    expect(world.own(second)).toEqual(['00', hex(makeRtcKey(65000, TARGETS[1]!))].sort());
    membership.wantEverything(false);
    membership.unwant(target);
    expect(world.own(second)).toEqual([]);
  });

  test('own routes are no interest of a neighbor', () => {
    const world = new World();
    const source = world.createSource(50);
    world.membership.setOrigin(source, 64512, world.set);
    world.membership.wantEverything(true);
    world.hand.settle();
    expect(world.interests(source.id)).not.toContain('+');
  });
});
