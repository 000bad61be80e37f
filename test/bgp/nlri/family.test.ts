import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { NlriScratch } from '../../../src/bgp/nlri/family.js';
import { FAMILIES, familyByAfiSafi, familyById, familyByName } from '../../../src/bgp/nlri/registry.js';
import { formatHex } from '../../../src/wire/hex.js';
import { ROUTES } from './family-arbitraries.js';
import { decodeNlri, encodeNlri, octets } from './nlri-codec.js';

interface CapturedNlri {
  readonly family: string;
  readonly withdrawn: boolean;
  readonly by: string;
  readonly octets: string;
  readonly text: string;
  readonly payload: string;
}
const { nlri: captured } = JSON.parse(
  readFileSync(new URL('../../../fixtures/nlri/captured.json', import.meta.url), 'utf8'),
) as { readonly nlri: readonly CapturedNlri[] };

describe.each(FAMILIES.map((family) => [family.name, family] as const))('NLRI of %s', (name, family) => {
  const routes = ROUTES[name];

  test('an announcement survives encoding and decoding', () => {
    fc.assert(
      fc.property(routes, ({ key, payload }) => {
        const encoded = encodeNlri(family, key, payload);
        expect(decodeNlri(family, encoded)).toMatchObject({
          next: encoded.length,
          key: formatHex(key),
          payload: formatHex(payload),
        });
      }),
      { numRuns: 500 },
    );
  });

  test('a withdrawal keeps the key and drops the payload', () => {
    fc.assert(
      fc.property(routes, ({ key, payload }) => {
        const encoded = encodeNlri(family, key, payload, true);
        const decoded = decodeNlri(family, encoded, true);
        expect(decoded).toMatchObject({ next: encoded.length, key: formatHex(key), payload: '' });
        expect(encodeNlri(family, key, new Uint8Array(0), true)).toEqual(encoded);
      }),
    );
  });

  test('an announcement taken for a withdrawal has the same key (a peer may withdraw with its label)', () => {
    const isStack = (payload: Uint8Array): boolean => family.name !== 'l2vpn-evpn' && payload.length > 3;
    fc.assert(
      fc.property(
        routes.filter(({ payload }) => !isStack(payload)),
        ({ key, payload }) => {
          const encoded = encodeNlri(family, key, payload);
          expect(decodeNlri(family, encoded, true)).toMatchObject({ next: encoded.length, key: formatHex(key) });
        },
      ),
    );
  });

  test('several in a row are taken one by one, also from the middle of an array', () => {
    fc.assert(
      fc.property(fc.array(routes, { minLength: 1, maxLength: 5 }), (all) => {
        const field = Buffer.concat(all.map(({ key, payload }) => encodeNlri(family, key, payload)));
        const bytes = Buffer.concat([Buffer.of(0xff, 0xff), field, Buffer.of(0xff)]);
        const out = new NlriScratch();
        let position = 2;
        for (const { key } of all) {
          position = family.decode(bytes, position, bytes.length - 1, false, out);
          expect(formatHex(out.key, 0, out.keyLength)).toBe(formatHex(key));
        }
        expect(position).toBe(bytes.length - 1);
      }),
    );
  });

  test('truncated at any octet it is malformed (RFC 7606 §5.3)', () => {
    fc.assert(
      fc.property(routes, fc.boolean(), ({ key, payload }, withdrawn) => {
        const encoded = encodeNlri(family, key, payload, withdrawn);
        const out = new NlriScratch();
        for (let end = 0; end < encoded.length; end++) {
          // The rest of the octets is there, but not ours.
          expect(family.decode(encoded, 0, end, withdrawn, out)).toBe(-1);
        }
      }),
    );
  });

  test('text and key go both ways', () => {
    fc.assert(
      fc.property(routes, ({ key }) => {
        const text = family.format(key, 0, key.length);
        expect(family.parse(text)).toEqual(key);
        expect(family.format(Uint8Array.from([0xee, ...key, 0xee]), 1, key.length)).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  test('text that is damaged is refused or is another key, and never throws', () => {
    fc.assert(
      fc.property(routes, fc.nat(), fc.string({ maxLength: 2 }), ({ key }, at, inserted) => {
        const text = family.format(key, 0, key.length);
        const cut = at % (text.length + 1);
        const damaged = text.slice(0, cut) + inserted + text.slice(cut + 1);
        const parsed = family.parse(damaged);
        if (parsed !== undefined) {
          expect(family.parse(family.format(parsed, 0, parsed.length))).toEqual(parsed);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('whatever the octets, decoding ends inside them, and what was understood survives encoding', () => {
    const mutated = fc
      .tuple(routes, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
      .map(([{ key, payload }, edits]) => {
        const bytes = encodeNlri(family, key, payload);
        for (const [at, value] of edits) bytes[at % bytes.length] = value;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 80 })), fc.boolean(), (bytes, withdrawn) => {
        const out = new NlriScratch();
        const next = family.decode(bytes, 0, bytes.length, withdrawn, out);
        if (next < 0) return;
        expect(next).toBeGreaterThan(0);
        expect(next).toBeLessThanOrEqual(bytes.length);
        if (out.keyLength <= 0) return;
        const key = out.key.slice(0, out.keyLength);
        const payload = out.payload.slice(0, out.payloadLength);
        expect(family.parse(family.format(key, 0, key.length))).toEqual(key);
        expect(decodeNlri(family, encodeNlri(family, key, payload, withdrawn), withdrawn)).toMatchObject({
          key: formatHex(key),
          payload: formatHex(payload),
        });
      }),
      { numRuns: 2000, seed: 7606 },
    );
  });

  const own = captured.filter((one) => one.family === name);
  test.each(own)('$octets of $by (withdrawn: $withdrawn) is $text', (nlri) => {
    const bytes = octets(nlri.octets);
    const decoded = decodeNlri(family, bytes, nlri.withdrawn);
    expect(decoded).toMatchObject({ next: bytes.length, text: nlri.text, payload: nlri.payload });
    const key = octets(decoded!.key);
    expect(family.parse(nlri.text)).toEqual(key);
    const encoded = encodeNlri(family, key, octets(nlri.payload), nlri.withdrawn);
    if (!nlri.withdrawn) {
      expect(withoutTrafficClass(name, formatHex(encoded))).toBe(withoutTrafficClass(name, nlri.octets));
    }
  });
});

/** FRR sends labels with traffic class bits; ours are zero, so the third octet of a label may differ in them. */
function withoutTrafficClass(family: string, hex: string): string {
  if (!family.startsWith('l3vpn')) return hex;
  const bytes = octets(hex);
  bytes[3]! &= 0xf1;
  return formatHex(bytes);
}

describe('the registry', () => {
  test('finds every family by id, name and AFI/SAFI, and nothing else', () => {
    for (const family of FAMILIES) {
      expect(familyById(family.id)).toBe(family);
      expect(familyByName(family.name)).toBe(family);
      expect(familyByAfiSafi(family.afi, family.safi)).toBe(family);
    }
    expect(new Set(FAMILIES.map(({ id }) => id)).size).toBe(FAMILIES.length);
    expect(familyByName('ipv4-flowspec')).toBeUndefined();
    expect(familyByName('constructor')).toBeUndefined();
    expect(familyByAfiSafi(1, 2)).toBeUndefined();
    expect(familyByAfiSafi(2, 132)).toBeUndefined();
    expect(familyByAfiSafi(16384, 71)).toBeUndefined();
  });

  test.each([
    ['ipv4-unicast', 1, 1],
    ['ipv6-unicast', 2, 1],
    ['ipv4-labelled-unicast', 1, 4],
    ['ipv6-labelled-unicast', 2, 4],
    ['l3vpn-ipv4-unicast', 1, 128],
    ['l3vpn-ipv6-unicast', 2, 128],
    ['l2vpn-evpn', 25, 70],
    ['rtc', 1, 132],
  ])('%s is AFI %i, SAFI %i (IANA)', (name, afi, safi) => {
    expect(familyByAfiSafi(afi, safi)?.name).toBe(name);
  });
});
