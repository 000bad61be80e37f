import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CONTROL_PACKET_OCTETS, decodeControlPacket, encodeControlPacket } from '../../src/bfd/control-packet.js';
import type { ControlPacket } from '../../src/bfd/control-packet.js';
import { BFD_DIAGNOSTICS, BFD_STATES } from '../../src/bfd/iana.js';

/** Sent by BIRD 2.0.12 (interval 100 ms, idle tx interval 500 ms, multiplier 3) to a neighbor that did not answer. */
const FROM_BIRD = Buffer.from('20400318224375d3000000000007a120000186a000000000', 'hex');
const BIRD_PACKET: ControlPacket = {
  diagnostic: 'none',
  state: 'down',
  poll: false,
  final: false,
  controlPlaneIndependent: false,
  demand: false,
  detectMultiplier: 3,
  myDiscriminator: 0x224375d3,
  yourDiscriminator: 0,
  desiredMinTxUs: 500_000,
  requiredMinRxUs: 100_000,
  requiredMinEchoRxUs: 0,
};

function changed(at: number, ...octets: readonly number[]): Buffer {
  const bytes = Buffer.from(FROM_BIRD);
  bytes.set(octets, at);
  return bytes;
}

test("BIRD's packet is read and written octet by octet (RFC 5880 §4.1)", () => {
  expect(decodeControlPacket(FROM_BIRD)).toEqual(BIRD_PACKET);
  expect(encodeControlPacket(BIRD_PACKET)).toEqual(FROM_BIRD);
});

test.each([
  ['version 0', changed(0, 0x00), 'version'],
  ['version 2', changed(0, 0x40), 'version'],
  ['length 23', changed(3, 23), 'length'],
  ['a length beyond the datagram', changed(3, 25), 'length'],
  ['detect multiplier 0', changed(2, 0), 'detect-multiplier'],
  ['the multipoint bit', changed(1, 0x41), 'multipoint'],
  ['poll and final', changed(1, 0x70), 'poll-and-final'],
  ['my discriminator 0', changed(4, 0, 0, 0, 0), 'my-discriminator'],
  ['your discriminator 0 in init', changed(1, 0x80), 'your-discriminator'],
  ['your discriminator 0 in up', changed(1, 0xc0), 'your-discriminator'],
  ['the A bit in 24 octets', changed(1, 0x44), 'length'],
  ['authentication', Buffer.concat([changed(1, 0x44).fill(26, 3, 4), Buffer.from([1, 9])]), 'authentication'],
] as const)('a packet with %s is discarded (RFC 5880 §6.8.6)', (_what, bytes, fault) => {
  expect(decodeControlPacket(bytes)).toBe(fault);
});

test('octets behind the length are ignored, an unknown diagnostic is reserved', () => {
  expect(decodeControlPacket(Buffer.concat([FROM_BIRD, Buffer.from('beyond')]))).toEqual(BIRD_PACKET);
  expect(decodeControlPacket(changed(0, 0x3f))).toEqual({ ...BIRD_PACKET, diagnostic: 'reserved' });
});

test('a packet cut anywhere is truncated', () => {
  for (let length = 0; length < CONTROL_PACKET_OCTETS; length++) {
    expect(decodeControlPacket(FROM_BIRD.subarray(0, length))).toBe('truncated');
  }
});

const word = fc.integer({ min: 0, max: 0xffff_ffff });
const packets: fc.Arbitrary<ControlPacket> = fc
  .record({
    diagnostic: fc.constantFrom(...BFD_DIAGNOSTICS),
    state: fc.constantFrom(...BFD_STATES),
    bit: fc.constantFrom('poll', 'final', 'neither'),
    controlPlaneIndependent: fc.boolean(),
    demand: fc.boolean(),
    detectMultiplier: fc.integer({ min: 1, max: 255 }),
    myDiscriminator: fc.integer({ min: 1, max: 0xffff_ffff }),
    yourDiscriminator: fc.integer({ min: 1, max: 0xffff_ffff }),
    desiredMinTxUs: word,
    requiredMinRxUs: word,
    requiredMinEchoRxUs: word,
  })
  .map(({ bit, ...packet }) => ({ ...packet, poll: bit === 'poll', final: bit === 'final' }));

test('what is written is read as the same', () => {
  fc.assert(
    fc.property(packets, (packet) => {
      expect(decodeControlPacket(encodeControlPacket(packet))).toEqual(packet);
    }),
  );
});

test('any octets are a packet that can be written again, or have a reason', () => {
  const hostile = fc
    .tuple(fc.uint8Array({ minLength: 20, maxLength: 60 }), fc.boolean())
    .map(([bytes, plausible]) => (plausible ? Buffer.concat([Buffer.of(0x20, bytes[1] ?? 0, 3, 24), bytes]) : bytes));
  fc.assert(
    fc.property(hostile, (bytes) => {
      const packet = decodeControlPacket(bytes);
      if (typeof packet === 'string') return;
      // A reserved diagnostic cannot be written.
      const written = decodeControlPacket(encodeControlPacket(packet));
      expect(written).toEqual({ ...packet, diagnostic: packet.diagnostic === 'reserved' ? 'none' : packet.diagnostic });
    }),
    { numRuns: 2000 },
  );
});
