/**
 * BFD control packets (RFC 5880 §4.1).
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   |Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
 *   |                       My Discriminator                        |
 *   |                      Your Discriminator                       |
 *   |                    Desired Min TX Interval                    |
 *   |                   Required Min RX Interval                    |
 *   |                 Required Min Echo RX Interval                 |
 *
 * An authentication section may follow. There are no keys here, so a packet that has one is refused.
 */
import { Reader } from '../wire/reader.js';
import { BFD_DIAGNOSTICS, BFD_STATES } from './iana.js';
import type { BfdDiagnostic, BfdState } from './iana.js';

export const CONTROL_PACKET_OCTETS = 24;
/** With an authentication section of nothing but its type and length. */
const SHORTEST_AUTHENTICATED_OCTETS = 26;

const VERSION = 1;
const Flag = {
  poll: 0x20,
  final: 0x10,
  controlPlaneIndependent: 0x08,
  authentication: 0x04,
  demand: 0x02,
  multipoint: 0x01,
};
const STATE_SHIFT = 6;
const DIAGNOSTIC_MASK = 0x1f;

/** A control packet without authentication section; intervals are in microseconds, 0..2^32-1. */
export interface ControlPacket {
  readonly diagnostic: BfdDiagnostic;
  readonly state: BfdState;
  readonly poll: boolean;
  readonly final: boolean;
  /** The sender's BFD goes on while its control plane restarts (the C bit). */
  readonly controlPlaneIndependent: boolean;
  /** The sender wants no periodic packets. */
  readonly demand: boolean;
  /** 1..255 */
  readonly detectMultiplier: number;
  /** Not 0. */
  readonly myDiscriminator: number;
  /** 0: the sender does not know ours. */
  readonly yourDiscriminator: number;
  readonly desiredMinTxUs: number;
  /** 0: no periodic packets, please. */
  readonly requiredMinRxUs: number;
  /** 0: no echo packets. */
  readonly requiredMinEchoRxUs: number;
}

/** Why a datagram is no packet for us; names of counters. */
export type PacketFault =
  | 'truncated'
  | 'version'
  | 'length'
  | 'detect-multiplier'
  | 'multipoint'
  | 'poll-and-final'
  | 'my-discriminator'
  | 'your-discriminator'
  | 'authentication';

/**
 * Reads one datagram by the rules of RFC 5880 §6.8.6 that need no session.
 *
 * @param bytes  the whole datagram; octets behind the packet's length are ignored
 * @returns the packet, or why it must be discarded; never throws
 */
export function decodeControlPacket(bytes: Uint8Array): ControlPacket | PacketFault {
  if (bytes.length < CONTROL_PACKET_OCTETS) return 'truncated';
  const reader = new Reader(bytes);
  const versionAndDiagnostic = reader.u8();
  const stateAndFlags = reader.u8();
  const detectMultiplier = reader.u8();
  const length = reader.u8();
  if (versionAndDiagnostic >>> 5 !== VERSION) return 'version';
  const has = (flag: number): boolean => (stateAndFlags & flag) !== 0;
  const shortest = has(Flag.authentication) ? SHORTEST_AUTHENTICATED_OCTETS : CONTROL_PACKET_OCTETS;
  if (length < shortest || length > bytes.length) return 'length';
  if (detectMultiplier === 0) return 'detect-multiplier';
  if (has(Flag.multipoint)) return 'multipoint';
  // RFC 5880 §6.5 forbids both at once.
  if (has(Flag.poll) && has(Flag.final)) return 'poll-and-final';
  const myDiscriminator = reader.u32();
  if (myDiscriminator === 0) return 'my-discriminator';
  const yourDiscriminator = reader.u32();
  const state = BFD_STATES[stateAndFlags >>> STATE_SHIFT] ?? 'down';
  if (yourDiscriminator === 0 && (state === 'init' || state === 'up')) return 'your-discriminator';
  if (has(Flag.authentication)) return 'authentication';
  return {
    diagnostic: BFD_DIAGNOSTICS[versionAndDiagnostic & DIAGNOSTIC_MASK] ?? 'reserved',
    state,
    poll: has(Flag.poll),
    final: has(Flag.final),
    controlPlaneIndependent: has(Flag.controlPlaneIndependent),
    demand: has(Flag.demand),
    detectMultiplier,
    myDiscriminator,
    yourDiscriminator,
    desiredMinTxUs: reader.u32(),
    requiredMinRxUs: reader.u32(),
    requiredMinEchoRxUs: reader.u32(),
  };
}

/** @returns memory of its own, {@link CONTROL_PACKET_OCTETS} long */
export function encodeControlPacket(packet: ControlPacket): Buffer {
  const bytes = Buffer.alloc(CONTROL_PACKET_OCTETS);
  const flag = (set: boolean, bit: number): number => (set ? bit : 0);
  bytes[0] = (VERSION << 5) | (packet.diagnostic === 'reserved' ? 0 : BFD_DIAGNOSTICS.indexOf(packet.diagnostic));
  bytes[1] =
    (BFD_STATES.indexOf(packet.state) << STATE_SHIFT) |
    flag(packet.poll, Flag.poll) |
    flag(packet.final, Flag.final) |
    flag(packet.controlPlaneIndependent, Flag.controlPlaneIndependent) |
    flag(packet.demand, Flag.demand);
  bytes[2] = packet.detectMultiplier;
  bytes[3] = CONTROL_PACKET_OCTETS;
  bytes.writeUInt32BE(packet.myDiscriminator, 4);
  bytes.writeUInt32BE(packet.yourDiscriminator, 8);
  bytes.writeUInt32BE(packet.desiredMinTxUs, 12);
  bytes.writeUInt32BE(packet.requiredMinRxUs, 16);
  bytes.writeUInt32BE(packet.requiredMinEchoRxUs, 20);
  return bytes;
}
