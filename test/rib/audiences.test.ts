import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { familyById } from '../../src/bgp/nlri/registry.js';
import { Audiences, MemberEligibility } from '../../src/rib/audiences.js';
import { BgpExporter } from '../../src/rib/bgp-exporter.js';
import { ExportMember } from '../../src/rib/export-member.js';
import type { Exporter, ExportReceiver } from '../../src/rib/exporter.js';
import type { SourceId } from '../../src/rib/handles.js';
import { newRib, runs, same } from './world.js';

/** A receiver that wants some kinds of content. */
class Receiver implements ExportReceiver {
  readonly sourceId: SourceId;
  readonly writable = true;
  readonly kinds = new Set<number>();

  constructor(sourceId: number) {
    this.sourceId = sourceId as SourceId;
  }

  send(): void {
    // Nothing is sent here.
  }

  synchronized(): void {
    // Nor is anything complete.
  }
}

/** Two contents are of one kind when they are equal but for the last digit; counts how often it is asked. */
class World {
  readonly receivers: Receiver[] = [];
  readonly members: (ExportMember | undefined)[] = [];
  readonly exporter: Exporter;
  readonly audiences: Audiences;
  asked = 0;
  generation = 0;

  constructor(receivers: number) {
    const exporter: Pick<Exporter, 'eligibilityKey' | 'isEligible'> = {
      // In another generation a key stands for another kind.
      eligibilityKey: (content) => 1 + ((kindOf(content) + this.generation) % 64),
      isEligible: (receiver, content) => {
        this.asked++;
        return this.receivers.some((each) => each === receiver && each.kinds.has(kindOf(content)));
      },
    };
    Object.defineProperty(exporter, 'eligibilityGeneration', { get: () => this.generation });
    this.exporter = exporter as Exporter;
    this.audiences = new Audiences(this.exporter, this.members);
    for (let n = 1; n <= receivers; n++) this.join(n);
  }

  join(sourceId: number): void {
    const receiver = new Receiver(sourceId);
    const free = this.members.indexOf(undefined);
    const index = free < 0 ? this.members.length : free;
    this.receivers[index] = receiver;
    this.members[index] = new ExportMember(receiver, index);
    this.audiences.invalidate();
  }

  toggle(index: number, kind: number): void {
    const member = this.members[index];
    if (member === undefined) return;
    const { kinds } = this.receivers[index]!;
    if (!kinds.delete(kind)) kinds.add(kind);
    this.audiences.memberChanged(member);
  }

  expected(content: number, source: number): number[] {
    return this.members.flatMap((member, index) => {
      const receiver = this.receivers[index]!;
      return member !== undefined && receiver.sourceId !== source && receiver.kinds.has(kindOf(content)) ? [index] : [];
    });
  }
}

const kindOf = (content: number): number => Math.floor(content / 10);

describe('Audiences', () => {
  test('are who may have the content now, and those handed out before stay what they were', () => {
    const operation = fc.record({
      kind: fc.constantFrom(
        'toggle' as const,
        'toggle' as const,
        'ask' as const,
        'ask' as const,
        'leave' as const,
        'renumber' as const,
      ),
      member: fc.nat(5),
      content: fc.integer({ min: 10, max: 59 }),
      source: fc.nat(6),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 120, size: 'max' }), (operations) => {
        const world = new World(6);
        const handedOut: { readonly audience: Iterable<number>; readonly members: readonly number[] }[] = [];
        for (const { kind, member, content, source } of operations) {
          if (kind === 'toggle') world.toggle(member, kindOf(content));
          else if (kind === 'renumber') world.generation++;
          else if (kind === 'leave') {
            world.members[member] = undefined;
            world.join(member + 1);
          } else {
            const audience = world.audiences.of(content, source as SourceId);
            const members = world.expected(content, source);
            same([...audience], members);
            handedOut.push({ audience, members });
            const alone = new MemberEligibility(world.exporter, world.receivers[member]!);
            same(alone.mayHave(content, source as SourceId), members.includes(member));
            same(alone.mayHave(content, source as SourceId), members.includes(member));
          }
        }
        for (const { audience, members } of handedOut) same([...audience], members);
        // Equal ones are the same object, so that what is sent to them can be packed together.
        const byText = new Map<string, unknown>();
        for (let content = 10; content < 60; content++) {
          const audience = world.audiences.of(content, 0 as SourceId);
          const text = [...audience].join();
          same((byText.get(text) ?? audience) === audience, true);
          byText.set(text, audience);
        }
      }),
      runs(100),
    );
  });

  test('the interest of one member that changes is a question per kind of content, not one per member', () => {
    const world = new World(100);
    for (let kind = 1; kind <= 50; kind++) {
      world.toggle(kind, kind);
      world.audiences.of(kind * 10, 0 as SourceId);
    }
    world.asked = 0;
    world.toggle(7, 20);
    for (let kind = 1; kind <= 50; kind++) {
      expect([...world.audiences.of(kind * 10, 0 as SourceId)]).toEqual(kind === 20 ? [7, 20] : [kind]);
    }
    // The first of them have missed a few more changes, which they catch up with.
    expect(world.asked).toBeLessThanOrEqual(50 + (50 * 49) / 2);
    world.asked = 0;
    world.toggle(7, 20);
    for (let kind = 1; kind <= 50; kind++) world.audiences.of(kind * 10, 0 as SourceId);
    expect(world.asked).toBe(50);
  });

  test('one member is asked for once per content, however many routes have it', () => {
    const world = new World(3);
    world.toggle(1, 4);
    const eligibility = new MemberEligibility(world.exporter, world.receivers[1]!);
    for (let route = 0; route < 100; route++) {
      expect(eligibility.mayHave(40, 1 as SourceId)).toBe(true);
      expect(eligibility.mayHave(50, 1 as SourceId)).toBe(false);
      expect(eligibility.mayHave(40, 2 as SourceId)).toBe(false);
    }
    expect(world.asked).toBe(2);
  });

  test('differences of audiences beyond those that are remembered are what they are', () => {
    const world = new World(20);
    const audiences = Array.from({ length: 200 }, (_each, n) => {
      for (const kind of world.receivers) kind.kinds.clear();
      for (let bit = 0; bit < 20; bit++) if (((n * 2654435761) >>> bit) & 1) world.toggle(bit, 1);
      return world.audiences.of(10, 0 as SourceId);
    });
    // Forty thousand pairs; asked for again the first of them are not remembered any more.
    for (let round = 0; round < 2; round++) {
      for (const a of audiences) {
        for (const b of audiences) {
          const difference = world.audiences.difference(a, b);
          same(
            [...(difference ?? [])],
            [...a].filter((index) => !b.has(index)),
          );
        }
      }
    }
  });

  test('of the sets of ASes that a neighbor has in its paths not more than so many have a number', () => {
    const rib = newRib();
    const exporter = new BgpExporter(rib, {
      family: familyById(FamilyId.ipv4Unicast),
      kind: 'external',
      localAs: 64512,
      routerId: 1,
      clusterId: 1,
      fourOctetAs: true,
      maxMessageLength: 4096,
      routeServerClient: true,
      asOverride: 0,
      removePrivateAs: 'none',
      withheldTypes: [],
      vrf: false,
      extendedNextHop: false,
      longLivedStale: false,
    });
    const ases = Array.from({ length: 16 }, (_each, i) => 65001 + i);
    for (const peerAs of ases) exporter.memberJoined(Object.assign(new Receiver(1), { peerAs, interest: undefined }));
    const sets = new Set<string>();
    for (let n = 1; n < 20_000; n++) {
      const asns = ases.filter((_each, bit) => (n & (1 << bit)) !== 0);
      const set = rib.attributes.intern({
        nextHop: Uint8Array.of(10, 0, 0, 1),
        origin: 0,
        asPath: [{ type: 2, asns }],
      });
      const key = exporter.eligibilityKey(set);
      expect(key / 2 ** 32).toBeLessThanOrEqual(1 << 14);
      expect(exporter.eligibilityKey(set)).toBe(key);
      sets.add(`${exporter.eligibilityGeneration} ${key}`);
      rib.attributes.release(set);
    }
    expect(sets.size).toBe(19_999);
    expect(exporter.eligibilityGeneration).toBe(1);
  });
});
