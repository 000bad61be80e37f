/** Prefixes as agents write them: IPv4 octets may be missing, host bits may be set, the length must be there. */
import { parseDecimal } from '../../wire/decimal.js';
import { IPV4_BITS, ipv4Bytes, parseIpv4 } from '../../wire/ipv4.js';
import { IPV6_BITS, parseIpv6 } from '../../wire/ipv6.js';
import { clearHostBits } from '../../wire/prefix.js';
import type { Prefix } from '../../wire/prefix.js';

/** Parses `a.b.c.d/len`; missing octets count as 0 (`10.1/16`), host bits are cleared. */
export function parseAgentIpv4Prefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/');
  if (slash <= 0) return undefined;
  let missing = 3;
  for (let at = 0; at < slash; at++) if (text.charCodeAt(at) === 0x2e) missing--;
  const address = text.slice(0, slash) + '.0'.repeat(Math.max(0, missing));
  return makePrefix(4, parseAddress4(address), text.slice(slash + 1), IPV4_BITS);
}

/** Parses `x:x::x/len`; host bits are cleared. */
export function parseAgentIpv6Prefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/');
  if (slash <= 0) return undefined;
  return makePrefix(6, parseIpv6(text.slice(0, slash)), text.slice(slash + 1), IPV6_BITS);
}

/** Parses a prefix of either family; IPv6 is what has a colon in it. */
export function parseAgentPrefix(text: string): Prefix | undefined {
  return text.includes(':') ? parseAgentIpv6Prefix(text) : parseAgentIpv4Prefix(text);
}

function parseAddress4(text: string): Uint8Array | undefined {
  const value = parseIpv4(text);
  return value === undefined ? undefined : ipv4Bytes(value);
}

function makePrefix(family: 4 | 6, bytes: Uint8Array | undefined, length: string, maxBits: number): Prefix | undefined {
  const lengthBits = parseDecimal(length, maxBits);
  if (bytes === undefined || lengthBits === undefined) return undefined;
  clearHostBits(bytes, 0, bytes.length, lengthBits);
  return { family, lengthBits, bytes };
}

/** Is every octet zero? */
export function isZero(octets: Uint8Array): boolean {
  for (const octet of octets) if (octet !== 0) return false;
  return true;
}
