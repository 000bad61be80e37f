/**
 * A table of UPDATEs and what must come of them (RFC 7606 §2), run over sockets from an eBGP, an iBGP and a client neighbor,
 * with a sentinel route behind each and bystanders that must not notice.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { BGP_UPDATE, bgpMessage } from './raw-client.js';
import { FaultLab, goodAttributes, KINDS, type Kind } from './fault-lab.js';
import type { HeldAttributes, RawRouter } from './raw-router.js';
import { attribute, octets, updateBody } from './update-messages.js';

/** What the observer is sent, in hex by type; `undefined` where it must not be sent that. */
export type SeenAttributes = Readonly<Record<number, string | undefined>>;

/**
 *   withdrawn   the route is gone, also the good one that was there before; the session stays
 *   discarded   the route has been replaced by one without the attribute; `reaches: false`: the UPDATE has no routes, nothing has
 *   kept        the route has been replaced
 *   flagged     the route is shown with a reason, and not used
 *   reset       NOTIFICATION, and the session ends
 */
export type Outcome =
  | { readonly kind: 'withdrawn' }
  | {
      readonly kind: 'discarded';
      readonly type: number;
      readonly reaches?: false;
      readonly attributes?: SeenAttributes;
    }
  | { readonly kind: 'kept'; readonly attributes: SeenAttributes }
  | { readonly kind: 'flagged'; readonly flag: string }
  | { readonly kind: 'reset'; readonly subcode: number };

export interface UpdateCase {
  /** Begins with the row of the catalogue. */
  readonly title: string;
  /** All attributes in hex; `nlri` is the route that the case is about. */
  readonly attributes?: (kind: Kind, nlri: string) => string;
  /** The whole body of the UPDATE in hex, instead. */
  readonly body?: (kind: Kind, nlri: string) => string;
  /** Where the route travels; in the IPv4 NLRI field when left out. */
  readonly outcome: Outcome | ((kind: Kind) => Outcome);
  readonly kinds?: readonly Kind[];
}

export const WITHDRAWN: Outcome = { kind: 'withdrawn' };
export const kept = (attributes: SeenAttributes): Outcome => ({ kind: 'kept', attributes });
export const discarded = (type: number, attributes: SeenAttributes = {}): Outcome => ({
  kind: 'discarded',
  type,
  attributes,
});
export const reset = (subcode: number): Outcome => ({ kind: 'reset', subcode });
export const flagged = (flag: string): Outcome => ({ kind: 'flagged', flag });

/** The good attributes with some more, or with others in place of those of the same type. */
export function withAttributes(kind: Kind, ...more: readonly string[]): string {
  const types = new Set(more.map(typeOf));
  return [...goodAttributes(kind).filter((each) => !types.has(typeOf(each))), ...more].join('');
}

/** The good attributes but one. */
export function withoutAttribute(kind: Kind, type: number): string {
  return goodAttributes(kind)
    .filter((each) => typeOf(each) !== type)
    .join('');
}

function typeOf(hex: string): number {
  return octets(hex)[1]!;
}

export { attribute };

const MED = 4;
/** Of the good route that is there before: it is seen no more once the UPDATE in question has replaced that. */
const FORMER_MED = '00c0ffee';

export function describeUpdates(title: string, cases: readonly UpdateCase[], bgp = ''): void {
  describe(title, () => {
    let lab: FaultLab;
    const routers = new Map<Kind, RawRouter>();
    let serial = 0;

    beforeAll(async () => {
      lab = await FaultLab.start({ bgp });
      for (const kind of KINDS) routers.set(kind, await lab.router(kind));
    });

    afterAll(() => lab.close());

    afterEach(() => {
      expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
      for (const router of routers.values()) {
        expect(router.notification).toBeUndefined();
        expect(router.closed).toBe(false);
      }
    });

    const all = cases.flatMap((each) => (each.kinds ?? KINDS).map((kind) => ({ ...each, kind })));
    test.each(all)('$title, from $kind', async ({ kind, attributes, body, outcome: expected }) => {
      const outcome = typeof expected === 'function' ? expected(kind) : expected;
      const nlri = `20 0a${KINDS.indexOf(kind)}9${(0x1000 + ++serial).toString(16)}`;
      const route = `1/1 ${nlri.replace(' ', '')}`;
      const router = outcome.kind === 'reset' ? await lab.router(kind) : routers.get(kind)!;
      const message = body
        ? octets(body(kind, nlri))
        : updateBody({ attributes: attributes?.(kind, nlri) ?? '', nlri });
      router.update({ attributes: withAttributes(kind, attribute(0x80, MED, FORMER_MED)), nlri });
      expect((await lab.observer.has(route)).get(MED)).toBe(FORMER_MED);
      const before = { ...lab.neighbor(router).malformedUpdates };
      router.send(bgpMessage(BGP_UPDATE, message));
      if (outcome.kind === 'reset') {
        expect(await router.end()).toMatchObject({ code: 3, subcode: outcome.subcode });
        await lab.observer.lacks(route);
        expect(lab.neighbor(router).malformedUpdates['session-reset']).toBe(1);
        return;
      }
      await lab.sentinel(router, kind);
      const counted = lab.neighbor(router).malformedUpdates;
      const seen = lab.observer.routes.get(route);
      switch (outcome.kind) {
        case 'withdrawn':
          expect(seen).toBeUndefined();
          expect(counted).toEqual({ ...before, 'treat-as-withdraw': before['treat-as-withdraw'] + 1 });
          break;
        case 'discarded':
          expect(seen?.has(outcome.type) ?? 'no route').toBe(false);
          expect(seen?.get(MED) === FORMER_MED).toBe(outcome.reaches === false);
          expectAttributes(seen, outcome.attributes);
          expect(counted).toEqual({ ...before, 'attribute-discard': before['attribute-discard'] + 1 });
          break;
        case 'kept':
          expect(seen).toBeDefined();
          expect(seen?.get(MED)).not.toBe(FORMER_MED);
          expectAttributes(seen, outcome.attributes);
          expect(counted).toEqual(before);
          break;
        case 'flagged': {
          expect(seen).toBeUndefined();
          const prefix = [...octets(nlri).subarray(1)].join('.');
          const result = lab.controller.view.routes({ family: 'ipv4-unicast', prefix: `${prefix}/32`, match: 'exact' });
          if (result.kind !== 'routes') throw new Error(result.kind);
          expect(result.routes[0]?.paths[0]?.flags).toContain(outcome.flag);
          expect(counted).toEqual(before);
        }
      }
    });
  });
}

function expectAttributes(seen: HeldAttributes | undefined, expected: SeenAttributes = {}): void {
  for (const [type, value] of Object.entries(expected)) {
    expect({ type, value: seen?.get(Number(type)) }).toEqual({ type, value: value?.replaceAll(' ', '') });
  }
}
