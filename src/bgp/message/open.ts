import { Reader, TruncatedError } from '../../wire/reader.js';
import { Writer } from '../../wire/writer.js';
import type { ProtocolFault } from '../attribute/fault.js';
import type { Capability } from '../capability/capability.js';
import { decodeCapabilities, encodeCapability } from '../capability/registry.js';
import { finishMessage, HEADER_OCTETS, writeHeader } from './header.js';
import { ErrorCode, MessageType, OpenErrorSubcode } from './iana.js';

const BGP_VERSION = 4;

/**
 * OPEN (RFC 4271 §4.2). Behind the header:
 *
 *   1 octet    version
 *   2 octets   AS number, AS_TRANS when it needs 4 octets (RFC 6793 §4.1)
 *   2 octets   hold time in seconds
 *   4 octets   BGP identifier
 *   1 octet    length of the optional parameters
 *   then       each: 1 octet type, 1 octet length, value
 *
 * Extended form (RFC 9072 §2), told by the first parameter type being 255:
 *
 *   1 octet    255 (any value but 0 is accepted)
 *   1 octet    255
 *   2 octets   length of the optional parameters
 *   then       each: 1 octet type, 2 octets length, value
 */
export interface OpenMessage {
  /** The 2-octet field; the real number is in the four-octet-as capability, if that is there. */
  readonly asField: number;
  /** 0 or 3..65535. */
  readonly holdTimeSec: number;
  /** 1..2^32-1. */
  readonly identifier: number;
  /** In the order of the message, across all its capability parameters. */
  readonly capabilities: readonly Capability[];
}

const ParameterType = { capabilities: 2, extendedLength: 255 } as const;

/** Longest total of optional parameters in the classic form, less the parameter's own type and length. */
const MAX_CLASSIC_CAPABILITY_OCTETS = 253;

/** Unspecific error (RFC 4271 §6.2). */
const MALFORMED = 0;

/**
 * Decodes and checks the body at `bytes[start, end)`, at least 10 octets (the header check has seen to it), as far as
 * this needs no knowledge of the neighbor (RFC 4271 §6.2).
 *
 * @returns copies what it keeps
 */
export function decodeOpen(bytes: Uint8Array, start: number, end: number): OpenMessage | ProtocolFault {
  const r = new Reader(bytes, start, end);
  const version = r.u8();
  if (version !== BGP_VERSION) {
    const data = Uint8Array.of(0, BGP_VERSION);
    return openFault(OpenErrorSubcode.unsupportedVersionNumber, `version ${version}`, data);
  }
  const asField = r.u16();
  if (asField === 0) return openFault(OpenErrorSubcode.badPeerAs, 'AS 0 (RFC 7607 §2)');
  const holdTimeSec = r.u16();
  if (holdTimeSec === 1 || holdTimeSec === 2) {
    return openFault(OpenErrorSubcode.unacceptableHoldTime, `hold time ${holdTimeSec}`);
  }
  const identifier = r.u32();
  if (identifier === 0) return openFault(OpenErrorSubcode.badBgpIdentifier, 'identifier 0.0.0.0 (RFC 6286 §2.2)');
  const capabilities: Capability[] = [];
  const fault = decodeParameters(r, capabilities, start - HEADER_OCTETS);
  return fault ?? { asField, holdTimeSec, identifier, capabilities };
}

/** @param messageStart  in the bytes of the reader: places are told from there */
function decodeParameters(r: Reader, capabilities: Capability[], messageStart: number): ProtocolFault | undefined {
  try {
    let length = r.u8();
    const extended = length !== 0 && r.remaining > 0 && r.bytes[r.position] === ParameterType.extendedLength;
    if (extended) {
      r.skip(1);
      length = r.u16();
    }
    if (length !== r.remaining) {
      return openFault(MALFORMED, `optional parameters: length ${length}, ${r.remaining} octets are there`);
    }
    while (r.remaining > 0) {
      const type = r.u8();
      const value = r.sub(extended ? r.u16() : r.u8());
      if (type !== ParameterType.capabilities) {
        return openFault(OpenErrorSubcode.unsupportedOptionalParameter, `optional parameter ${type}`);
      }
      const refused = decodeCapabilities(value, capabilities);
      if (refused) return openFault(MALFORMED, `capability ${refused.malformed} is malformed`);
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof TruncatedError)) throw error;
    const { offset, wanted, available } = error;
    const where = `octet ${offset - messageStart} of the message`;
    return openFault(MALFORMED, `optional parameters: ${wanted} octets wanted at ${where}, ${available} are there`);
  }
}

/** The whole message, memory of its own; all capabilities in one parameter, in the extended form only when it must be. */
export function encodeOpen(open: OpenMessage): Uint8Array {
  const capabilities = new Writer(256);
  for (const capability of open.capabilities) encodeCapability(capabilities, capability);
  const octets = capabilities.position;

  const w = new Writer(64 + octets);
  const at = writeHeader(w, MessageType.open);
  w.u8(BGP_VERSION);
  w.u16(open.asField);
  w.u16(open.holdTimeSec);
  w.u32(open.identifier);
  if (octets === 0) {
    w.u8(0);
  } else if (octets <= MAX_CLASSIC_CAPABILITY_OCTETS) {
    w.u8(octets + 2);
    w.u8(ParameterType.capabilities);
    w.u8(octets);
  } else {
    w.u8(0xff);
    w.u8(ParameterType.extendedLength);
    w.u16(octets + 3);
    w.u8(ParameterType.capabilities);
    w.u16(octets);
  }
  w.raw(capabilities.view());
  finishMessage(w, at);
  return w.copy();
}

/** A fault of OPEN; the session goes down with it. */
export function openFault(subcode: number, what: string, data?: Uint8Array): ProtocolFault {
  return {
    action: 'session-reset',
    code: ErrorCode.openMessage,
    subcode,
    ...(data && { data }),
    reason: `OPEN: ${what} (RFC 4271 §6.2)`,
  };
}
