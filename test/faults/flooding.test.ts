/** Attribute sets that a neighbor makes up to fill, or to slow, the stores they are interned in. */
import { describe, expect, test } from '@jest/globals';
import { familyById } from '../../src/bgp/nlri/registry.js';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { HashIndex } from '../../src/rib/hash-index.js';
import { SourceKind } from '../../src/rib/source.js';
import { SourceSweep } from '../../src/rib/source-sweep.js';
import { UpdateReceiver } from '../../src/rib/update-receiver.js';
import { hashBytes } from '../../src/wire/hash.js';
import { HandScheduler, newRib } from '../rib/world.js';
import { attribute, AS_PATH, LOCAL_PREF, NEXT_HOP, octets, ORIGIN, updateBody } from '../support/update-messages.js';

/** A million in the long run (`npm run faults`). */
const VARIANTS = process.env['FILAMENT_LONG_TESTS'] === '1' ? 1_000_000 : 60_000;
/** Quadratic behaviour would take hours. */
const LIMIT_MS = 300_000;
const COMMUNITIES = 10;
const COMMUNITY_OCTETS = 4;
const GOOD = ORIGIN + AS_PATH + NEXT_HOP + LOCAL_PREF;

/** The `n`th order of the same ten communities (10! = 3,628,800 there are), at `at` of the body. */
function permute(body: Buffer, at: number, n: number): void {
  const left = Array.from({ length: COMMUNITIES }, (_, i) => i + 1);
  for (let i = 0, rest = n; i < COMMUNITIES; i++) {
    const [chosen] = left.splice(rest % left.length, 1);
    rest = Math.floor(rest / (left.length + 1));
    body.writeUInt32BE(0xfc00_0000 + (chosen ?? 0), at + COMMUNITY_OCTETS * i);
  }
}

/** An UPDATE whose communities and, when told so, prefix change with `n`. */
class Variants {
  readonly body: Buffer;
  readonly #communitiesAt: number;

  constructor(reversed: boolean) {
    const communities = attribute(0xc0, 8, '00'.repeat(COMMUNITIES * COMMUNITY_OCTETS));
    // Out of their order, the attributes are a spelling of the canonical set that has to be remembered beside it.
    const attributes = reversed ? communities + GOOD : GOOD + communities;
    this.body = updateBody({ attributes, nlri: '200a000000' });
    this.#communitiesAt = reversed ? 4 + 3 : 4 + octets(GOOD).length + 3;
  }

  write(n: number, ownPrefix: boolean): Buffer {
    permute(this.body, this.#communitiesAt, n);
    if (ownPrefix) this.body.writeUInt32BE(0x0a00_0000 + n, this.body.length - 4);
    return this.body;
  }
}

class World {
  readonly rib = newRib();
  readonly hand = new HandScheduler();
  readonly source = this.rib.createSource({
    kind: SourceKind.bgp,
    text: 'neighbor 192.0.2.1',
    routerId: 1,
    address: Uint8Array.of(192, 0, 2, 1),
  });
  readonly receiver: UpdateReceiver;

  constructor() {
    const family = familyById(FamilyId.ipv4Unicast);
    const table = this.rib.createTable({ name: family.name, family, scheduler: this.hand.scheduler });
    this.receiver = new UpdateReceiver({
      rib: this.rib,
      source: this.source,
      sweep: new SourceSweep(this.rib, this.source, this.hand.scheduler),
      context: { fourOctetAs: true, external: false },
      ownAses: [64512],
      allowOwnAs: 1,
      routerId: 1,
      clusterId: 1,
      tableOf: () => table,
      endOfRib: () => undefined,
    });
  }

  flood(variants: Variants, ownPrefix: boolean): void {
    for (let n = 0; n < VARIANTS; n++) {
      const body = variants.write(n, ownPrefix);
      expectNone(this.receiver.receive(body, 0, body.length));
      if (n % 1024 === 0) this.hand.settle();
    }
    this.hand.settle();
  }
}

function expectNone(fault: unknown): void {
  if (fault !== undefined) throw new Error(JSON.stringify(fault));
}

describe(`${VARIANTS} orders of the same communities`, () => {
  test.each([
    ['in the order of the types', false],
    ['in another order, so that each spelling is remembered beside its set', true],
  ])(
    'B50 for one route, %s: one set is there at any time, and its memory is used again',
    (_which, reversed) => {
      const world = new World();
      world.flood(new Variants(reversed), false);
      const { rib } = world;
      expect([rib.routeCount, rib.attributes.size]).toEqual([1, 1]);
      expect(rib.attributes.internedTotal).toBe(VARIANTS);
      expect(rib.attributes.octets).toBeLessThan(1 << 20);
    },
    LIMIT_MS,
  );

  test(
    'B50 for a route each: every set is found again when it is repeated, and all of them go with the neighbor',
    () => {
      const world = new World();
      const { rib, source } = world;
      const variants = new Variants(false);
      for (let round = 0; round < 2; round++) {
        world.flood(variants, true);
        expect([rib.routeCount, rib.attributes.size]).toEqual([VARIANTS, VARIANTS]);
        expect(rib.attributes.internedTotal).toBe(VARIANTS);
      }
      while (!rib.removePathsOf(source, 1000));
      world.hand.settle();
      expect([rib.routeCount, rib.attributes.size, rib.attributes.totalReferences()]).toEqual([0, 0, 0]);
    },
    LIMIT_MS,
  );

  test('B50 the index of the sets stays flat: who looks one up passes few others', () => {
    const variants = new Variants(false);
    const index = new HashIndex();
    const hashes = new Uint32Array(VARIANTS);
    for (let n = 0; n < VARIANTS; n++) {
      const body = variants.write(n, false);
      hashes[n] = hashBytes(body, 4, body.length - 5);
      index.add(hashes[n]!, n + 1);
    }
    let passed = 0;
    let worst = 0;
    for (let n = 0; n < VARIANTS; n++) {
      let steps = 0;
      for (let at = index.start(hashes[n]!); index.ids[at] !== n + 1; at = index.next(at)) steps++;
      passed += steps;
      worst = Math.max(worst, steps);
    }
    // Linear probing at a load of three quarters: 1.5 on the average (D. E. Knuth, vol. 3, 6.4), and a tail that grows with log n.
    expect(passed / VARIANTS).toBeLessThan(3);
    expect(worst).toBeLessThan(1000);
  });
});
