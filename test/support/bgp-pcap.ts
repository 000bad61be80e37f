/** A capture file (libpcap format) of BGP messages in one direction of a made-up TCP connection, for tshark to read. */
const LINKTYPE_RAW = 101;
const SNAP_LENGTH = 0x40000;
const IP_HEADER_OCTETS = 20;
const TCP_HEADER_OCTETS = 20;
const BGP_PORT = 179;
const PROTOCOL_TCP = 6;
const ACK_PSH = 0x18;

/** One packet per message, on one connection, in order. */
export function bgpCapture(messages: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(SNAP_LENGTH, 16);
  header.writeUInt32LE(LINKTYPE_RAW, 20);
  const parts = [header];
  let sequence = 1;
  for (const [index, message] of messages.entries()) {
    const packet = Buffer.concat([ipHeader(message.length), tcpHeader(sequence), message]);
    const record = Buffer.alloc(16);
    record.writeUInt32LE(index, 0); // seconds
    record.writeUInt32LE(packet.length, 8);
    record.writeUInt32LE(packet.length, 12);
    parts.push(record, packet);
    sequence += message.length;
  }
  return Buffer.concat(parts);
}

function ipHeader(payloadOctets: number): Buffer {
  const header = Buffer.alloc(IP_HEADER_OCTETS);
  header[0] = 0x45;
  header.writeUInt16BE(IP_HEADER_OCTETS + TCP_HEADER_OCTETS + payloadOctets, 2);
  header[8] = 64;
  header[9] = PROTOCOL_TCP;
  header.set([127, 0, 0, 1], 12);
  header.set([127, 0, 0, 2], 16);
  return header;
}

function tcpHeader(sequence: number): Buffer {
  const header = Buffer.alloc(TCP_HEADER_OCTETS);
  header.writeUInt16BE(BGP_PORT + 40_000, 0);
  header.writeUInt16BE(BGP_PORT, 2);
  header.writeUInt32BE(sequence, 4);
  header.writeUInt32BE(1, 8);
  header[12] = (TCP_HEADER_OCTETS / 4) << 4;
  header[13] = ACK_PSH;
  header.writeUInt16BE(0xffff, 14);
  return header;
}
