import { Buffer } from 'node:buffer';

import { decodePrintableText } from '../../wire/printable-text.js';
import type { CapabilityCodec } from './capability.js';
import { CapabilityCode } from './iana.js';

/**
 * FQDN (draft-walton-bgp-hostname-capability §3), host and domain name for people, each a length octet and UTF-8.
 * Shown only; characters that could play tricks on a terminal are escaped.
 */
export interface FqdnCapability {
  readonly kind: 'fqdn';
  readonly hostName: string;
  readonly domainName: string;
}

/** Longest name that we announce. */
const MAX_NAME_OCTETS = 64;

export const fqdnCodec: CapabilityCodec<FqdnCapability> = {
  code: CapabilityCode.fqdn,
  kind: 'fqdn',
  onMalformed: 'opaque',
  decode(r) {
    const hostName = decodePrintableText(r.take(r.u8()));
    const domainName = decodePrintableText(r.take(r.u8()));
    return { kind: 'fqdn', hostName, domainName };
  },
  encode(w, { hostName, domainName }) {
    for (const name of [hostName, domainName]) {
      const octets = Buffer.from(name, 'utf8').subarray(0, MAX_NAME_OCTETS);
      w.u8(octets.length);
      w.raw(octets);
    }
  },
  format: ({ hostName, domainName }) => `fqdn:${domainName === '' ? hostName : `${hostName}.${domainName}`}`,
};
