import type { Writer } from '../../wire/writer.js';

/**
 * Address families, as small dense integers (the AFI/SAFI pair, OpenConfig name and codec of each are in registry.ts).
 * The numbers are internal: never on a wire, never in text.
 */
export const FamilyId = {
  ipv4Unicast: 1,
  ipv6Unicast: 2,
  ipv4LabelledUnicast: 3,
  ipv6LabelledUnicast: 4,
  l3vpnIpv4Unicast: 5,
  l3vpnIpv6Unicast: 6,
  l2vpnEvpn: 7,
  rtc: 8,
} as const;
export type FamilyId = (typeof FamilyId)[keyof typeof FamilyId];

/** Names of contract.md §1. */
export type FamilyName =
  | 'ipv4-unicast'
  | 'ipv6-unicast'
  | 'ipv4-labelled-unicast'
  | 'ipv6-labelled-unicast'
  | 'l3vpn-ipv4-unicast'
  | 'l3vpn-ipv6-unicast'
  | 'l2vpn-evpn'
  | 'rtc';

/** A path identifier (RFC 7911 §3): four octets in front of an NLRI. */
export const PATH_IDENTIFIER_OCTETS = 4;

/** The path identifier at an offset; octets that are not there count as zeros, for the NLRI behind them is missing then, too. */
export function pathIdentifierAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** Longest key any family makes (EVPN type 2 with an IPv6 address). */
export const MAX_KEY_OCTETS = 37;
/** Longest payload any family makes (EVPN type 5: label, ESI and an IPv6 gateway; label stacks are limited to 8). */
const MAX_PAYLOAD_OCTETS = 32;

/**
 * One NLRI between wire and table, reused for every NLRI of a message so that nothing is allocated per route.
 *
 * The *key* identifies the route; the *payload* is what an announcement says about it beside the attributes:
 *
 *   family                 key                                              payload
 *   ipv4/ipv6 unicast      prefix length in bits (1), prefix octets         none
 *   labelled unicast       the same                                         3 octets per label
 *   l3vpn                  prefix bits (1), RD (8), prefix octets           3 octets per label
 *   evpn                   route type (1), key fields of RFC 7432 §7        3 octets: label 1 alone (ESI and gateway zero),
 *                                                                           else the full form drawn in evpn-payload.ts
 *   rtc                    prefix bits (1), octets                          none
 *
 * Bits beyond the prefix length are zero in a key. A label of the MPLS families is kept as 20 bits << 4 with
 * the bottom-of-stack bit on the last and no TC bits; an EVPN label keeps its 24 bits (label or VNI).
 */
export class NlriScratch {
  readonly key = new Uint8Array(MAX_KEY_OCTETS);
  /**
   * Octets of the key; 0 when this NLRI is to be skipped: its frame is sound but its type is not known or its body is not
   * possible (EVPN only), so that nothing can be announced or withdrawn by it. Negative when the route is known and what is announced of it is wrong:
   * it is treated as withdrawn, its key has that many octets (RFC 9136 §3.1).
   */
  keyLength = 0;
  readonly payload = new Uint8Array(MAX_PAYLOAD_OCTETS);
  payloadLength = 0;
}

/** One address family: everything a table, a session and an operator need to know of it. */
export interface Family {
  readonly id: FamilyId;
  readonly name: FamilyName;
  readonly afi: number;
  readonly safi: number;

  /**
   * Decodes the NLRI at `bytes[position, end)` into `out`.
   * In a withdrawal the label field is skipped whatever it holds (0x800000, 0 or a label; RFC 8277 §2.4), payload is empty.
   * A length of 0 in {@link NlriScratch.keyLength} means: skip it; a negative one, never of a withdrawal: treat it as withdrawn.
   * @returns the position behind it, or -1 when malformed (RFC 7606 §5.3: the length runs past the end or is not possible),
   *          `out` then holds nothing of use
   */
  decode(bytes: Uint8Array, position: number, end: number, withdrawn: boolean, out: NlriScratch): number;

  /** In families of typed NLRI, whether a type is known: those of others are dropped (RFC 7606 §5.4). */
  readonly knowsType?: (type: number) => boolean;

  /** Octets that {@link encode} will write. */
  encodedLength(
    keyLength: number,
    payloadLength: number,
    withdrawn: boolean,
    key: Uint8Array,
    keyStart: number,
  ): number;

  /**
   * Encodes one NLRI. A withdrawal carries label 0x800000 in the MPLS families (RFC 8277 §2.4), and zero ESI, labels
   * and gateway in EVPN. An announcement in an MPLS family must have a payload.
   */
  encode(
    w: Writer,
    key: Uint8Array,
    keyStart: number,
    keyLength: number,
    payload: Uint8Array,
    payloadStart: number,
    payloadLength: number,
    withdrawn: boolean,
  ): void;

  /** Text form of contract.md §1, e.g. `64512:100:10.0.0.0/24` or `2:64512:100:0:02:00:00:00:00:01:10.0.0.1`. */
  format(key: Uint8Array, keyStart: number, keyLength: number): string;

  /** The key of a text form; `undefined` when it is not one. */
  parse(text: string): Uint8Array | undefined;
}
