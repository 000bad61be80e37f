/**
 * Prefixes that no other AS has a reason to announce in a unicast table (RFC 7454 §6.1.2, RFC 6890): they stand for this host,
 * this link or a group. Private and documentation addresses are none: clouds are made of them.
 */
export interface MartianOptions {
  /** 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3; ::, ::1, ::ffff:0:0/96, fe80::/10, ff00::/8. */
  readonly refuseMartians: boolean;
  readonly refuseDefaultRoute: boolean;
  /** Addresses of this controller, 4 or 16 octets each. */
  readonly ownAddresses: readonly Uint8Array[];
}

const IPV4_BITS = 32;
const IPV6_BITS = 128;

export class MartianRules {
  readonly #options: MartianOptions;

  constructor(options: MartianOptions) {
    this.#options = options;
  }

  /** @param key  of a route of a unicast family: prefix length in bits, and octets (nlri/family.ts) */
  refusesIpv4(key: Uint8Array): boolean {
    const bits = key[0]!;
    if (bits === 0) return this.#options.refuseDefaultRoute;
    if (!this.#options.refuseMartians) return false;
    const first = key[1]!;
    if (first >= 224) return bits >= 3;
    if (first === 0 || first === 127) return bits >= 8;
    if (first === 169 && key[2] === 254) return bits >= 16;
    return bits === IPV4_BITS && this.#isOwn(key, 4);
  }

  /** As {@link refusesIpv4}. */
  refusesIpv6(key: Uint8Array): boolean {
    const bits = key[0]!;
    if (bits === 0) return this.#options.refuseDefaultRoute;
    if (!this.#options.refuseMartians) return false;
    const first = key[1]!;
    if (first === 0xff) return bits >= 8;
    if (first === 0xfe) return bits >= 10 && (key[2]! & 0xc0) === 0x80;
    if (first === 0 && bits >= 96) return isMappedOrUnassigned(key, bits);
    return bits === IPV6_BITS && this.#isOwn(key, 16);
  }

  #isOwn(key: Uint8Array, octets: number): boolean {
    return this.#options.ownAddresses.some(
      (own) => own.length === octets && own.every((octet, i) => octet === key[i + 1]),
    );
  }
}

/** ::ffff:0:0/96 and longer, `::` and `::1`. */
function isMappedOrUnassigned(key: Uint8Array, bits: number): boolean {
  for (let i = 1; i <= 10; i++) if (key[i] !== 0) return false;
  if (key[11] === 0xff && key[12] === 0xff) return true;
  if (bits < IPV6_BITS) return false;
  for (let i = 11; i <= 15; i++) if (key[i] !== 0) return false;
  return key[16]! <= 1;
}
