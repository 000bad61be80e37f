/**
 * A BGP session of several families that only counts: routes, messages and octets that arrive, and the longest time
 * between two KEEPALIVEs. Route-target memberships (RFC 4684) can be announced.
 */
import { connect } from 'node:net';
import { message } from '../load/table.mjs';

const OPEN = 1;
const UPDATE = 2;
const NOTIFICATION = 3;
const KEEPALIVE = 4;
const HEADER_OCTETS = 19;
const MP_REACH = 14;
const MP_UNREACH = 15;
/** Octets of one VPN-IPv4 host route with its label, as the generator announces it. */
const VPN_NLRI_OCTETS = 16;
const MEMBERSHIP_OCTETS = 13;

export const VPNV4 = { afi: 1, safi: 128 };
export const RTC = { afi: 1, safi: 132 };

function open({ asn, routerId, families, holdTimeSec }) {
  const capabilities = families.map(({ afi, safi }) => Buffer.from([1, 4, afi >> 8, afi & 255, 0, safi]));
  const fourOctetAs = Buffer.from([65, 4, 0, 0, 0, 0]);
  fourOctetAs.writeUInt32BE(asn, 2);
  const parameters = Buffer.concat([...capabilities, fourOctetAs]);
  const body = Buffer.alloc(12);
  body[0] = 4;
  body.writeUInt16BE(asn, 1);
  body.writeUInt16BE(holdTimeSec, 3);
  routerId.split('.').forEach((octet, n) => (body[5 + n] = Number(octet)));
  body.set([parameters.length + 2, 2, parameters.length], 9);
  return message(OPEN, Buffer.concat([body, parameters]));
}

/** The routes, messages and octets that a session has received. */
class Counts {
  announced = 0;
  withdrawn = 0;
  updates = 0;
  octets = 0;
}

export class CountingSession {
  #tail = Buffer.alloc(0);
  #socket;
  #options;
  #timer;
  #lastKeepaliveMs = 0;
  longestSilenceMs = 0;
  vpn = new Counts();
  failure = undefined;

  constructor(socket, options) {
    this.#socket = socket;
    this.#options = options;
  }

  /** @param options {speaker, localAddress, asn, families, holdTimeSec} */
  static establish(options) {
    const { speaker, localAddress } = options;
    const whole = { holdTimeSec: 240, routerId: localAddress.replace('127.', '10.'), ...options };
    return new Promise((resolve, reject) => {
      const socket = connect({ host: speaker.address, port: speaker.port, localAddress, noDelay: true });
      const session = new CountingSession(socket, whole);
      socket.on('connect', () => socket.write(open(whole)));
      socket.on('error', reject);
      socket.on('close', () => {
        clearInterval(session.#timer);
        session.failure ??= 'closed by Filament';
        reject(new Error(`session of ${localAddress}: ${session.failure}`));
      });
      socket.on('data', (chunk) => session.#receive(chunk, () => resolve(session)));
    });
  }

  #receive(chunk, established) {
    const bytes = this.#tail.length === 0 ? chunk : Buffer.concat([this.#tail, chunk]);
    let at = 0;
    while (bytes.length - at >= HEADER_OCTETS) {
      const end = at + bytes.readUInt16BE(at + 16);
      if (end > bytes.length) break;
      const type = bytes[at + 18];
      if (type === OPEN) this.#socket.write(message(KEEPALIVE));
      else if (type === KEEPALIVE) this.#keepalive(established);
      else if (type === UPDATE) this.#update(bytes, at + HEADER_OCTETS, end);
      else if (type === NOTIFICATION) this.failure = `NOTIFICATION ${bytes[at + 19]}/${bytes[at + 20]}`;
      at = end;
    }
    this.#tail = at === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at));
  }

  #keepalive(established) {
    const now = performance.now();
    if (this.#timer === undefined) {
      const everyMs = (this.#options.holdTimeSec / 3) * 1000;
      this.#timer = setInterval(() => this.#socket.write(message(KEEPALIVE)), everyMs);
      established();
    } else this.longestSilenceMs = Math.max(this.longestSilenceMs, now - this.#lastKeepaliveMs);
    this.#lastKeepaliveMs = now;
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
    this.#socket.write(bytes);
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
    clearInterval(this.#timer);
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
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
