/** Random routes of every family, in key and payload form, for property tests. */
import fc from 'fast-check';
import {
  ESI_OCTETS,
  makeEvpnAutoDiscoveryKey,
  makeEvpnEthernetSegmentKey,
  makeEvpnInclusiveMulticastKey,
  makeEvpnMacIpKey,
  makeEvpnPrefixKey,
} from '../../../src/bgp/nlri/evpn-key.js';
import { makeEvpnPayload } from '../../../src/bgp/nlri/evpn-payload.js';
import type { FamilyName } from '../../../src/bgp/nlri/family.js';
import { unicastKey } from '../../../src/bgp/nlri/ip-unicast.js';
import { l3vpnKey } from '../../../src/bgp/nlri/l3vpn.js';
import { makeLabelStackPayload } from '../../../src/bgp/nlri/mpls-label.js';
import { octetsOfBits } from '../../../src/wire/prefix.js';

export interface Route {
  readonly key: Uint8Array;
  readonly payload: Uint8Array;
}

const NO_PAYLOAD = new Uint8Array(0);

const octets = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
const u32 = fc.nat(0xffffffff);
const rd = fc.tuple(fc.constantFrom(0, 1, 2, 9), octets(6)).map(([type, rest]) => Uint8Array.from([0, type, ...rest]));
const esi = fc.oneof(fc.constant(new Uint8Array(ESI_OCTETS)), octets(ESI_OCTETS));
const address = fc.oneof(octets(4), octets(16));
const label = fc.nat(0xfffff);
const field = fc.nat(0xffffff);

const prefixKey = (version: 4 | 6): fc.Arbitrary<Uint8Array> => {
  const width = version === 4 ? 4 : 16;
  return fc
    .tuple(fc.nat(width * 8), octets(width))
    .map(([lengthBits, bytes]) => unicastKey({ family: version, lengthBits, bytes }));
};

/** Label stacks that fit the length octet beside `bits` bits. */
const stack = (bits: number): fc.Arbitrary<Uint8Array> =>
  fc.array(label, { minLength: 1, maxLength: Math.min(8, Math.floor((255 - bits) / 24)) }).map(makeLabelStackPayload);

const unicast = (version: 4 | 6): fc.Arbitrary<Route> =>
  prefixKey(version).map((key) => ({ key, payload: NO_PAYLOAD }));

const labelled = (version: 4 | 6): fc.Arbitrary<Route> =>
  prefixKey(version).chain((key) => fc.record({ key: fc.constant(key), payload: stack(key[0]!) }));

const l3vpn = (version: 4 | 6): fc.Arbitrary<Route> =>
  fc
    .tuple(rd, prefixKey(version))
    .chain(([distinguisher, prefix]) =>
      fc.record({ key: fc.constant(l3vpnKey(distinguisher, prefix)), payload: stack(prefix[0]! + 64) }),
    );

const autoDiscovery = fc
  .record({ rd, esi, ethernetTag: u32, label1: field })
  .map((f) => ({ key: makeEvpnAutoDiscoveryKey(f), payload: makeEvpnPayload({ routeType: 1, label1: f.label1 }) }));
const macIp = fc
  .record({
    rd,
    esi,
    ethernetTag: u32,
    mac: octets(6),
    ip: fc.option(address, { nil: undefined }),
    label1: field,
    label2: fc.option(field, { nil: undefined }),
  })
  .map((f) => ({ key: makeEvpnMacIpKey(f), payload: makeEvpnPayload({ routeType: 2, ...f }) }));
const inclusiveMulticast = fc
  .record({ rd, ethernetTag: u32, originator: address })
  .map((f) => ({ key: makeEvpnInclusiveMulticastKey(f), payload: NO_PAYLOAD }));
const ethernetSegment = fc
  .record({ rd, esi, originator: address })
  .map((f) => ({ key: makeEvpnEthernetSegmentKey(f), payload: NO_PAYLOAD }));
const ipPrefix = address.chain((bytes) =>
  fc
    .record({
      rd,
      esi,
      ethernetTag: u32,
      address: fc.constant(bytes),
      lengthBits: fc.nat(bytes.length * 8),
      gateway: fc.oneof(fc.constant(undefined), fc.constant(new Uint8Array(bytes.length)), octets(bytes.length)),
      label1: field,
    })
    // One of ESI and gateway at most (RFC 9136 §3.1).
    .map((f) => (f.gateway?.some((octet) => octet !== 0) === true ? { ...f, esi: new Uint8Array(10) } : f))
    .map((f) => ({ key: makeEvpnPrefixKey(f), payload: makeEvpnPayload({ routeType: 5, ...f }) })),
);
const rtc = fc.oneof(
  fc.constant({ key: Uint8Array.of(0), payload: NO_PAYLOAD }),
  fc.tuple(fc.integer({ min: 32, max: 96 }), octets(12)).map(([bits, bytes]) => {
    const key = Uint8Array.from([bits, ...bytes.subarray(0, octetsOfBits(bits))]);
    key[key.length - 1]! &= bits % 8 === 0 ? 0xff : 0xff << (8 - (bits % 8));
    return { key, payload: NO_PAYLOAD };
  }),
);

/** A random route of each family. */
export const ROUTES: Readonly<Record<FamilyName, fc.Arbitrary<Route>>> = {
  'ipv4-unicast': unicast(4),
  'ipv6-unicast': unicast(6),
  'ipv4-labelled-unicast': labelled(4),
  'ipv6-labelled-unicast': labelled(6),
  'l3vpn-ipv4-unicast': l3vpn(4),
  'l3vpn-ipv6-unicast': l3vpn(6),
  'l2vpn-evpn': fc.oneof(autoDiscovery, macIp, inclusiveMulticast, ethernetSegment, ipPrefix),
  rtc,
};
