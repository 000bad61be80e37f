/**
 * A BGP session of several families that only counts: routes, messages and octets that arrive, and the longest time
 * between two KEEPALIVEs. Route-target memberships (RFC 4684) can be announced.
 */
import { LoadSession } from '../load/session.mjs';
import { message } from '../load/table.mjs';

const UPDATE = 2;
const HEADER_OCTETS = 19;
const MP_REACH = 14;
const MP_UNREACH = 15;
/** Octets of one VPN-IPv4 host route with its label, as the generator announces it. */
const VPN_NLRI_OCTETS = 16;
const MEMBERSHIP_OCTETS = 13;

export const VPNV4 = { afi: 1, safi: 128 };
export const RTC = { afi: 1, safi: 132 };

/** The routes, messages and octets that a session has received. */
class Counts {
  announced = 0;
  withdrawn = 0;
  updates = 0;
  octets = 0;
}

export class CountingSession {
  #session;
  #options;
  vpn = new Counts();

  constructor(options) {
    this.#options = { routerId: options.localAddress.replace('127.', '10.'), ...options };
  }

  /** @param options {speaker, localAddress, asn, families, holdTimeSec?} */
  static async establish(options) {
    const counting = new CountingSession(options);
    counting.#session = await LoadSession.establish(counting.#options, (...at) => counting.#update(...at));
    return counting;
  }

  get longestSilenceMs() {
    return this.#session.longestSilenceMs;
  }

  #update(bytes, start, end) {
    let at = start + 2 + bytes.readUInt16BE(start);
    const attributesEnd = at + 2 + bytes.readUInt16BE(at);
    at += 2;
    while (at < attributesEnd) {
      const extended = (bytes[at] & 0x10) !== 0;
      const type = bytes[at + 1];
      const length = extended ? bytes.readUInt16BE(at + 2) : bytes[at + 2];
      const value = at + (extended ? 4 : 3);
      at = value + length;
      if ((type !== MP_REACH && type !== MP_UNREACH) || bytes[value + 2] !== VPNV4.safi) continue;
      this.vpn.updates++;
      this.vpn.octets += end - start + HEADER_OCTETS;
      if (type === MP_UNREACH) this.vpn.withdrawn += Math.floor((length - 3) / VPN_NLRI_OCTETS);
      else this.vpn.announced += Math.floor((length - 5 - bytes[value + 3]) / VPN_NLRI_OCTETS);
    }
  }

  write(bytes) {
    this.#session.write(bytes);
  }

  /** Announces or withdraws memberships; `targets` are those of the generator's VRFs, `'default'` is every target. */
  wants(targets, isWanted = true) {
    const { asn, routerId } = this.#options;
    const nlri = Buffer.concat(targets.map((target) => membership(asn, target)));
    const value = isWanted
      ? Buffer.concat([
          Buffer.from([0, RTC.afi, RTC.safi, 4]),
          Buffer.from(routerId.split('.').map(Number)),
          Buffer.from([0]),
          nlri,
        ])
      : Buffer.concat([Buffer.from([0, RTC.afi, RTC.safi]), nlri]);
    const others = isWanted ? Buffer.from([0x40, 1, 1, 0, 0x40, 2, 0, 0x40, 5, 4, 0, 0, 0, 100]) : Buffer.alloc(0);
    const header = Buffer.from([0x90, isWanted ? MP_REACH : MP_UNREACH, value.length >> 8, value.length & 255]);
    const attributes = Buffer.concat([header, value, others]);
    const lengths = Buffer.alloc(4);
    lengths.writeUInt16BE(attributes.length, 2);
    this.write(message(UPDATE, Buffer.concat([lengths, attributes])));
  }

  endOfRib({ afi, safi }) {
    this.write(message(UPDATE, Buffer.from([0, 0, 0, 6, 0x80, MP_UNREACH, 3, afi >> 8, afi & 255, safi])));
  }

  close() {
    this.#session.close();
  }
}

/** A membership NLRI (RFC 4684 §4): 96 bits with the generator's target, or none at all. */
function membership(asn, target) {
  if (target === 'default') return Buffer.from([0]);
  const nlri = Buffer.alloc(MEMBERSHIP_OCTETS);
  nlri[0] = 96;
  nlri.writeUInt32BE(asn, 1);
  nlri.set([0, 2], 5);
  nlri.writeUInt16BE(asn, 7);
  nlri.writeUInt32BE(target, 9);
  return nlri;
}
