/**
 * The routes of a load test, and their UPDATE messages, encoded before any clock starts.
 *
 * Everything about route number `i` follows from `i`, so that a receiver can tell from the octets alone which route it
 * was sent and whether label and best path are right:
 *
 *   VRF             v = i % vrfs            its RD is <asn>:<v + 1>, its route target the same numbers
 *   attribute set   a = floor(i / vrfs) % attributeSets
 *   address         10.0.0.0 + i
 *   label           16 + i % 1,000,000      (EVPN: VNI 100 + v)
 *
 * With `overlap` all senders announce the same routes, with AS paths of different length, so that for each attribute set
 * one sender is the best; else sender s announces routes s × n … s × n + n − 1.
 */
const HEADER_OCTETS = 19;
const MAXIMUM_MESSAGE_OCTETS = 4096;
const UPDATE = 2;
const ADDRESS_BASE = 0x0a00_0000;
/** Next hop of sender 0: 198.18.0.1 (RFC 2544 §C.2.2, for benchmarks). */
const NEXT_HOP_BASE = 0xc612_0001;
const FIRST_LABEL = 16;
const LABELS = 1_000_000;
const FIRST_VNI = 100;

/** Families that can be loaded: AFI, SAFI, octets of one NLRI, encoder and reader of the NLRI. */
const FAMILIES = {
  vpnv4: {
    name: 'l3vpn-ipv4-unicast',
    afi: 1,
    safi: 128,
    nlriOctets: 16,
    write(buffer, at, table, i) {
      const v = table.vrfOf(i);
      buffer[at] = 24 + 64 + 32;
      const label = (table.labelOf(i) << 4) | 1;
      buffer.writeUIntBE(label, at + 1, 3);
      writeDistinguisher(buffer, at + 4, table.asn, v);
      buffer.writeUInt32BE(ADDRESS_BASE + i, at + 12);
    },
    /** Route number at `at`, -1 when it is none of ours. */
    read(buffer, at, table) {
      if (buffer[at] !== 120) return -1;
      const i = buffer.readUInt32BE(at + 12) - ADDRESS_BASE;
      const right =
        buffer.readUIntBE(at + 1, 3) >>> 4 === table.labelOf(i) && buffer.readUInt32BE(at + 8) === table.vrfOf(i) + 1;
      return right ? i : -1;
    },
  },
  evpn: {
    name: 'l2vpn-evpn',
    afi: 25,
    safi: 70,
    nlriOctets: 39,
    // Type 2: RD (8), ESI (10), tag (4), MAC length, MAC (6), IP length, IP (4), label (3).
    write(buffer, at, table, i) {
      const v = table.vrfOf(i);
      buffer.fill(0, at, at + 39);
      buffer[at] = 2;
      buffer[at + 1] = 37;
      writeDistinguisher(buffer, at + 2, table.asn, v);
      buffer[at + 24] = 48;
      buffer.writeUInt16BE(0x0242, at + 25);
      buffer.writeUInt32BE(i, at + 27);
      buffer[at + 31] = 32;
      buffer.writeUInt32BE(ADDRESS_BASE + i, at + 32);
      buffer.writeUIntBE(FIRST_VNI + v, at + 36, 3);
    },
    read(buffer, at, table) {
      if (buffer[at] !== 2 || buffer[at + 1] !== 37) return -1;
      const i = buffer.readUInt32BE(at + 27);
      const right = buffer.readUIntBE(at + 36, 3) === FIRST_VNI + table.vrfOf(i);
      return right && buffer.readUInt32BE(at + 32) === ADDRESS_BASE + i ? i : -1;
    },
  },
};

function writeDistinguisher(buffer, at, asn, v) {
  buffer.writeUInt16BE(0, at);
  buffer.writeUInt16BE(asn, at + 2);
  buffer.writeUInt32BE(v + 1, at + 4);
}

/** A whole message of a type around a body. */
export function message(type, body = Buffer.alloc(0)) {
  const whole = Buffer.alloc(HEADER_OCTETS + body.length, 0xff);
  whole.writeUInt16BE(whole.length, 16);
  whole[18] = type;
  body.copy(whole, HEADER_OCTETS);
  return whole;
}

export class LoadTable {
  /** @param options {family: 'vpnv4'|'evpn', asn, routes (per sender), vrfs, attributeSets, senders, overlap} */
  constructor(options) {
    Object.assign(this, { overlap: false, ...options });
    this.codec = FAMILIES[this.family];
    if (!this.codec) throw new Error(`unknown family ${this.family}; there are ${Object.keys(FAMILIES).join(', ')}`);
    /** Distinct routes over all senders. */
    this.universe = this.overlap ? this.routes : this.routes * this.senders;
  }

  vrfOf(i) {
    return i % this.vrfs;
  }

  attributeSetOf(i) {
    return Math.floor(i / this.vrfs) % this.attributeSets;
  }

  labelOf(i) {
    return FIRST_LABEL + (i % LABELS);
  }

  /** The sender whose path must win. */
  bestSenderOf(i) {
    if (!this.overlap) return Math.floor(i / this.routes);
    return (this.senders - (this.attributeSetOf(i) % this.senders)) % this.senders;
  }

  /** Everything but MP_REACH_NLRI (RFC 4271 §5, RFC 1997, RFC 4360). */
  #attributes(sender, a, v) {
    const hash = Math.imul(a + 1, 2654435761) >>> 0;
    const pathLength = this.overlap ? 2 + ((a + sender) % this.senders) : 2 + (hash % 4);
    const asPath = Buffer.alloc(5 + 4 * pathLength);
    asPath.set([0x40, 2, 2 + 4 * pathLength, 2, pathLength]);
    for (let n = 0; n < pathLength; n++) asPath.writeUInt32BE(100_000 + ((hash >>> (n * 3)) % 60_000) + n, 5 + 4 * n);
    const rest = Buffer.alloc(7 + 7 + 11 + 11);
    rest.set([0x80, 4, 4]);
    rest.writeUInt32BE(a % 1000, 3);
    rest.set([0x40, 5, 4], 7);
    rest.writeUInt32BE(100, 10);
    rest.set([0xc0, 8, 8], 14);
    rest.writeUInt32BE(0xfde7_0000 + (sender & 0xffff), 17);
    rest.writeUInt32BE(0xfde8_0000 + (a & 0xffff), 21);
    rest.set([0xc0, 16, 8, 0, 2], 25);
    rest.writeUInt16BE(this.asn, 30);
    rest.writeUInt32BE(v + 1, 32);
    return Buffer.concat([Buffer.from([0x40, 1, 1, 0]), asPath, rest]);
  }

  /** The whole table of a sender as framed UPDATEs, packed by attribute set, closed by End-of-RIB. */
  encode(sender) {
    const base = this.overlap ? 0 : sender * this.routes;
    const bySet = new Map();
    for (let i = base; i < base + this.routes; i++) {
      const set = this.vrfOf(i) * this.attributeSets + this.attributeSetOf(i);
      const members = bySet.get(set);
      if (members) members.push(i);
      else bySet.set(set, [i]);
    }
    const messages = [];
    for (const members of bySet.values()) {
      const attributes = this.#attributes(sender, this.attributeSetOf(members[0]), this.vrfOf(members[0]));
      for (let at = 0; at < members.length;) at += this.#encodeReach(sender, attributes, members, at, messages);
    }
    const { afi, safi } = this.codec;
    messages.push(message(UPDATE, Buffer.from([0, 0, 0, 6, 0x80, 15, 3, afi >> 8, afi & 255, safi])));
    return Buffer.concat(messages);
  }

  #encodeReach(sender, attributes, members, from, messages) {
    const { afi, safi, nlriOctets, name } = this.codec;
    const nextHopOctets = name.startsWith('l3vpn') ? 12 : 4;
    const before = HEADER_OCTETS + 4 + 4 + 3 + 1 + nextHopOctets + 1;
    const room = MAXIMUM_MESSAGE_OCTETS - before - attributes.length;
    const count = Math.min(Math.floor(room / nlriOctets), members.length - from);
    const mpLength = 3 + 1 + nextHopOctets + 1 + count * nlriOctets;
    const body = Buffer.alloc(4 + 4 + mpLength + attributes.length);
    body.writeUInt16BE(4 + mpLength + attributes.length, 2);
    body.set([0x90, 14], 4);
    body.writeUInt16BE(mpLength, 6);
    body.writeUInt16BE(afi, 8);
    body[10] = safi;
    body[11] = nextHopOctets;
    body.writeUInt32BE(NEXT_HOP_BASE + sender, 12 + nextHopOctets - 4);
    let at = 12 + nextHopOctets + 1;
    for (let n = 0; n < count; n++, at += nlriOctets) this.codec.write(body, at, this, members[from + n]);
    attributes.copy(body, at);
    messages.push(message(UPDATE, body));
    return count;
  }

  /** Which sender announced with this next hop. */
  senderOfNextHop(nextHop) {
    return nextHop - NEXT_HOP_BASE;
  }
}
