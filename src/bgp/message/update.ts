import { Writer } from '../../wire/writer.js';
import {
  attributeLengthAt,
  attributeOverrunFault,
  attributeValueAt,
  flagsConflict,
} from '../attribute/decode-attributes.js';
import { strongerAction, updateFault } from '../attribute/fault.js';
import type { ProtocolFault } from '../attribute/fault.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from '../attribute/iana.js';
import { isNextHopLength, isPossibleNextHop, writeNormalNextHop } from '../attribute/next-hop.js';
import { copyOctets } from '../attribute/octets.js';
import { FamilyId } from '../nlri/family.js';
import type { Family } from '../nlri/family.js';
import { familyByAfiSafi } from '../nlri/registry.js';

/**
 * The body of an UPDATE (RFC 4271 §4.3, RFC 4760 §3 and §4), found in one pass over the headers of its attributes:
 *
 *   2 octets   withdrawn routes length
 *   …          withdrawn routes (IPv4 unicast)
 *   2 octets   total path attribute length
 *   …          path attributes, among them
 *                MP_REACH_NLRI:   AFI (2), SAFI (1), next hop length (1), next hop, reserved (1), NLRI
 *                MP_UNREACH_NLRI: AFI (2), SAFI (1), withdrawn routes
 *   rest       NLRI (IPv4 unicast)
 *
 * Where each part lies is noted in an {@link UpdateScan}; nothing is copied or decoded. What the attributes say is looked
 * up by their octets ({@link writeAttributeKey}) and decoded only when it was not seen before (update-attributes.ts).
 */
export type ReachSection = 'reach' | 'ipv4';
export type NlriSection = ReachSection | 'unreach' | 'withdrawn';

const MIN_BODY_OCTETS = 4;
const MP_REACH_FIXED_OCTETS = 5;
const MP_UNREACH_FIXED_OCTETS = 3;
const IPV4_NEXT_HOP_OCTETS = 4;
/** NEXT_HOP, MP_REACH_NLRI and MP_UNREACH_NLRI, once each. */
const MAX_CUTS = 3;
const NO_BYTES = new Uint8Array(0);
/** A next hop of 32 octets and its length. */
const KEY_NEXT_HOP_OCTETS = 33;

/**
 * Where the parts of one UPDATE lie, as offsets into `bytes`; reused from message to message. Valid as long as `bytes` is.
 * A section that is not there is empty (start = end).
 */
export class UpdateScan {
  bytes: Uint8Array = NO_BYTES;
  withdrawnStart = 0;
  withdrawnEnd = 0;
  attributesStart = 0;
  attributesEnd = 0;
  nlriStart = 0;
  nlriEnd = 0;

  /** Family of MP_REACH_NLRI; `undefined` without one, or with one of a family that we do not know. */
  reachFamily: Family | undefined = undefined;
  /** There is an MP_REACH_NLRI of a family that we do not know; its routes are passed over. */
  reachUnknown = false;
  reachStart = 0;
  reachEnd = 0;
  /** Next hop field of MP_REACH_NLRI, as on the wire. */
  mpNextHopStart = 0;
  mpNextHopLength = 0;

  /** Family of MP_UNREACH_NLRI; `undefined` without one, or with one of a family that we do not know. */
  unreachFamily: Family | undefined = undefined;
  unreachUnknown = false;
  unreachStart = 0;
  unreachEnd = 0;

  /** There are attributes beside MP_REACH_NLRI and MP_UNREACH_NLRI. */
  hasAttributes = false;
  /** Offset of the first NEXT_HOP attribute's header, -1 without one. */
  nextHopAt = -1;
  /** Attributes that are not part of an attribute key, in their order: start and end of each. */
  readonly cuts = new Int32Array(2 * MAX_CUTS);
  cutCount = 0;
  /** For whoever needs the next hop alone; holds nothing from one call to the next. */
  readonly nextHopScratch = new Writer(KEY_NEXT_HOP_OCTETS);

  reset(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.withdrawnStart = this.withdrawnEnd = 0;
    this.attributesStart = this.attributesEnd = 0;
    this.nlriStart = this.nlriEnd = 0;
    this.reachFamily = undefined;
    this.reachUnknown = false;
    this.reachStart = this.reachEnd = 0;
    this.mpNextHopStart = this.mpNextHopLength = 0;
    this.unreachFamily = undefined;
    this.unreachUnknown = false;
    this.unreachStart = this.unreachEnd = 0;
    this.hasAttributes = false;
    this.nextHopAt = -1;
    this.cutCount = 0;
  }

  /** Whether the message announces anything: an IPv4 NLRI field, or an MP_REACH_NLRI, of whatever family (RFC 7606 §5.2). */
  get hasReachable(): boolean {
    return this.nlriEnd > this.nlriStart || this.reachFamily !== undefined || this.reachUnknown;
  }

  /** The family whose End-of-RIB this message is (RFC 4724 §2); 0 when it is none, or of a family that we do not know. */
  isEndOfRib(): FamilyId | 0 {
    if (this.hasAttributes || this.hasReachable || this.withdrawnEnd > this.withdrawnStart) return 0;
    if (this.unreachFamily) return this.unreachEnd === this.unreachStart ? this.unreachFamily.id : 0;
    return this.unreachUnknown ? 0 : FamilyId.ipv4Unicast;
  }

  /** Notes that the attribute at `start` is no part of an attribute key. */
  cut(start: number, end: number): void {
    this.cuts[2 * this.cutCount] = start;
    this.cuts[2 * this.cutCount + 1] = end;
    this.cutCount++;
  }
}

/**
 * Finds the parts of the UPDATE body `bytes[start, end)` (without the message header).
 *
 * @param scan  filled as far as the body makes sense, also when there is a fault: with `treat-as-withdraw` all sections are there
 * @returns what is wrong with the structure (RFC 7606 §3 a, c, g, §4, §5.2, §7.11, §7.12), the most severe fault, of action `ignore`
 *   for a family that is not known; attribute values and NLRI are not looked at
 */
export function scanUpdate(bytes: Uint8Array, start: number, end: number, scan: UpdateScan): ProtocolFault | undefined {
  scan.reset(bytes);
  if (end - start < MIN_BODY_OCTETS) return lengthsFault(`${end - start} octets`);
  scan.withdrawnStart = start + 2;
  const withdrawnEnd = scan.withdrawnStart + u16(bytes, start);
  if (withdrawnEnd + 2 > end) return lengthsFault(`withdrawn routes length ${u16(bytes, start)}`);
  const attributesEnd = withdrawnEnd + 2 + u16(bytes, withdrawnEnd);
  if (attributesEnd > end) return lengthsFault(`total path attribute length ${u16(bytes, withdrawnEnd)}`);
  scan.withdrawnEnd = withdrawnEnd;
  scan.attributesStart = withdrawnEnd + 2;
  scan.attributesEnd = attributesEnd;
  scan.nlriStart = attributesEnd;
  scan.nlriEnd = end;

  let fault: ProtocolFault | undefined;
  for (let at = scan.attributesStart; at < attributesEnd;) {
    const valueAt = attributeValueAt(bytes, at);
    const valueEnd = valueAt <= attributesEnd ? valueAt + attributeLengthAt(bytes, at) : attributesEnd + 1;
    if (valueEnd > attributesEnd) return worse(fault, overrunFault(scan, at));
    const type = bytes[at + 1]!;
    if (type === AttributeType.mpReachNlri) {
      fault = worse(fault, scanMpReach(scan, at, valueAt, valueEnd));
    } else if (type === AttributeType.mpUnreachNlri) {
      fault = worse(fault, scanMpUnreach(scan, at, valueAt, valueEnd));
    } else {
      scan.hasAttributes = true;
      // A second NEXT_HOP stays in the key: it makes a key that nobody else has, and its decoding drops it.
      if (type === AttributeType.nextHop && scan.nextHopAt < 0) {
        scan.nextHopAt = at;
        scan.cut(at, valueEnd);
      }
    }
    if (fault?.action === 'session-reset') return fault;
    at = valueEnd;
  }
  return fault;
}

function scanMpReach(scan: UpdateScan, at: number, valueAt: number, end: number): ProtocolFault | undefined {
  const { bytes } = scan;
  if (scan.reachFamily !== undefined || scan.reachUnknown) return duplicateFault('mp-reach-nlri');
  const nextHopLength = end - valueAt < MP_REACH_FIXED_OCTETS ? 0 : bytes[valueAt + 3]!;
  const nlriAt = valueAt + MP_REACH_FIXED_OCTETS + nextHopLength;
  if (nlriAt > end) {
    return mpFault(
      scan,
      at,
      end,
      UpdateErrorSubcode.malformedAttributeList,
      'mp-reach-nlri: next hop runs past the end',
      '§7.11',
    );
  }
  scan.cut(at, end);
  scan.reachFamily = familyByAfiSafi(u16(bytes, valueAt), bytes[valueAt + 2]!);
  if (!scan.reachFamily) {
    scan.reachUnknown = true;
    return mpFlagsFault(scan, at, end, 'mp-reach-nlri') ?? unknownFamilyFault(scan, valueAt, 'mp-reach-nlri');
  }
  scan.mpNextHopStart = valueAt + 4;
  scan.mpNextHopLength = nextHopLength;
  scan.reachStart = nlriAt;
  scan.reachEnd = end;
  if (!isNextHopLength(scan.reachFamily, nextHopLength)) {
    const what = `mp-reach-nlri: next hop of ${nextHopLength} octets for ${scan.reachFamily.name}`;
    return mpFault(scan, at, end, UpdateErrorSubcode.optionalAttributeError, what, '§7.11');
  }
  return mpFlagsFault(scan, at, end, 'mp-reach-nlri');
}

function scanMpUnreach(scan: UpdateScan, at: number, valueAt: number, end: number): ProtocolFault | undefined {
  const { bytes } = scan;
  if (scan.unreachFamily !== undefined || scan.unreachUnknown) return duplicateFault('mp-unreach-nlri');
  if (end - valueAt < MP_UNREACH_FIXED_OCTETS) {
    const what = `mp-unreach-nlri: ${end - valueAt} octets`;
    return mpFault(scan, at, end, UpdateErrorSubcode.optionalAttributeError, what, '§7.12');
  }
  scan.cut(at, end);
  scan.unreachFamily = familyByAfiSafi(u16(bytes, valueAt), bytes[valueAt + 2]!);
  if (!scan.unreachFamily) {
    scan.unreachUnknown = true;
    return mpFlagsFault(scan, at, end, 'mp-unreach-nlri') ?? unknownFamilyFault(scan, valueAt, 'mp-unreach-nlri');
  }
  scan.unreachStart = valueAt + MP_UNREACH_FIXED_OCTETS;
  scan.unreachEnd = end;
  return mpFlagsFault(scan, at, end, 'mp-unreach-nlri');
}

/**
 * Appends the *attribute key* of what a section announces to `out`: length of the next hop (1 octet), next hop without RD, then all other
 * attributes as received. Two keys of the same octets, in sessions of the same kind, mean the same attributes; a sender that
 * orders and flags as we do makes keys that are the canonical octets themselves (attribute/canonical.ts).
 *
 * @param section  `reach` needs `scan.reachFamily`
 * @returns a fault of the next hop, always `treat-as-withdraw` for the routes of this section (RFC 7606 §3 d, §7.3)
 */
export function writeAttributeKey(scan: UpdateScan, section: ReachSection, out: Writer): ProtocolFault | undefined {
  const fault = writeKeyNextHop(scan, section, out);
  if (fault) return fault;
  const { bytes, cuts } = scan;
  let from = scan.attributesStart;
  for (let i = 0; i < scan.cutCount; i++) {
    const cutStart = cuts[2 * i]!;
    if (cutStart > from) out.raw(bytes, from, cutStart);
    from = cuts[2 * i + 1]!;
  }
  if (scan.attributesEnd > from) out.raw(bytes, from, scan.attributesEnd);
  return undefined;
}

/** The first part of {@link writeAttributeKey}: length and octets of the next hop. */
export function writeKeyNextHop(scan: UpdateScan, section: ReachSection, out: Writer): ProtocolFault | undefined {
  const lengthAt = out.position;
  if (section === 'ipv4') {
    const fault = writeNextHopAttribute(scan, out);
    if (fault) return fault;
  } else {
    writeNormalNextHop(out, scan.reachFamily!, scan.bytes, scan.mpNextHopStart, scan.mpNextHopLength);
    // The next hop of a membership says nothing about forwarding (RFC 4684 §4): any will do.
    if (scan.reachFamily!.id === FamilyId.rtc) return undefined;
  }
  if (isPossibleNextHop(out.bytes, lengthAt + 1, out.bytes[lengthAt]!)) return undefined;
  return nextHopFault(scan, UpdateErrorSubcode.invalidNextHop, 'not the address of a host (RFC 4271 §6.3)');
}

function writeNextHopAttribute(scan: UpdateScan, out: Writer): ProtocolFault | undefined {
  const { bytes, nextHopAt } = scan;
  if (nextHopAt < 0) {
    const reason = 'next-hop: missing (RFC 7606 §3 d)';
    const data = Uint8Array.of(AttributeType.nextHop);
    return updateFault('treat-as-withdraw', UpdateErrorSubcode.missingWellKnownAttribute, reason, data);
  }
  if (flagsConflict(bytes[nextHopAt]!, AttributeKind.wellKnown)) {
    return nextHopFault(scan, UpdateErrorSubcode.attributeFlagsError, `flags ${bytes[nextHopAt]!} (RFC 7606 §3 c)`);
  }
  const length = attributeLengthAt(bytes, nextHopAt);
  if (length !== IPV4_NEXT_HOP_OCTETS) {
    return nextHopFault(scan, UpdateErrorSubcode.attributeLengthError, `${length} octets (RFC 7606 §7.3)`);
  }
  const valueAt = attributeValueAt(bytes, nextHopAt);
  out.u8(length);
  out.raw(bytes, valueAt, valueAt + length);
  return undefined;
}

/**
 * The fault of NLRI that a family's decoder refused: RFC 7606 §5.3, where the routes cannot be found, nothing milder than a
 * session reset is left (§3 j).
 *
 * @param position  where the bad NLRI starts
 */
export function malformedNlriFault(scan: UpdateScan, section: NlriSection, position: number): ProtocolFault {
  switch (section) {
    case 'reach':
    case 'unreach': {
      const [start, family] =
        section === 'reach' ? [scan.reachStart, scan.reachFamily] : [scan.unreachStart, scan.unreachFamily];
      const reason = `mp-${section}-nlri: ${family?.name ?? ''} route at offset ${position - start} malformed (RFC 7606 §5.3)`;
      return updateFault('session-reset', UpdateErrorSubcode.optionalAttributeError, reason);
    }
    case 'ipv4':
    case 'withdrawn': {
      const [start, name] = section === 'ipv4' ? [scan.nlriStart, 'nlri'] : [scan.withdrawnStart, 'withdrawn routes'];
      const reason = `${name}: prefix at offset ${position - start} malformed (RFC 7606 §5.3)`;
      return updateFault('session-reset', UpdateErrorSubcode.invalidNetworkField, reason);
    }
  }
}

/**
 * What follows from NLRI that a family's decoder passes over ({@link NlriScratch.keyLength} 0): of a type that nobody here knows
 * they are dropped (RFC 7606 §5.4); else something in them is impossible, and all that can be told is that there is no such route.
 *
 * @param position  where the NLRI starts
 */
export function skippedNlriFault(scan: UpdateScan, family: Family, position: number): ProtocolFault {
  const type = scan.bytes[position]!;
  const what = `${family.name} route of type ${type} at offset ${position - scan.attributesStart} of the attributes`;
  if (family.knowsType?.(type) === false) return ignoredFault(`${what}: type not known (RFC 7606 §5.4)`);
  const reason = `${what}: impossible length or field (RFC 7606 §5.4)`;
  return updateFault('treat-as-withdraw', UpdateErrorSubcode.optionalAttributeError, reason);
}

/** Routes of a family that the session has not negotiated are passed over (RFC 4760 §7). */
export function notNegotiatedFault(family: Family): ProtocolFault {
  return ignoredFault(`routes of ${family.name}, which was not negotiated (RFC 4760 §7)`);
}

/** The same of a family that is not known at all. */
function unknownFamilyFault(scan: UpdateScan, valueAt: number, name: string): ProtocolFault {
  const afi = u16(scan.bytes, valueAt);
  return ignoredFault(`${name}: AFI ${afi}, SAFI ${scan.bytes[valueAt + 2]!} is not known (RFC 4760 §7)`);
}

function ignoredFault(reason: string): ProtocolFault {
  return updateFault('ignore', UpdateErrorSubcode.optionalAttributeError, reason);
}

/** An attribute past the end: a withdrawal as long as it is sure which routes are meant (RFC 7606 §4 and §5.2). */
function overrunFault(scan: UpdateScan, at: number): ProtocolFault {
  const fault = attributeOverrunFault(at - scan.attributesStart);
  const type = at + 1 < scan.attributesEnd ? scan.bytes[at + 1] : undefined;
  const hidesRoutes = type === AttributeType.mpReachNlri || type === AttributeType.mpUnreachNlri;
  return hidesRoutes || !scan.hasReachable ? { ...fault, action: 'session-reset' } : fault;
}

function mpFlagsFault(scan: UpdateScan, at: number, end: number, name: string): ProtocolFault | undefined {
  const flags = scan.bytes[at]!;
  if (!flagsConflict(flags, AttributeKind.optionalNonTransitive)) return undefined;
  const data = copyOctets(scan.bytes, at, end);
  const reason = `${name}: flags ${flags} (RFC 7606 §3 c)`;
  return updateFault('treat-as-withdraw', UpdateErrorSubcode.attributeFlagsError, reason, data);
}

function mpFault(
  scan: UpdateScan,
  at: number,
  end: number,
  subcode: number,
  what: string,
  section: string,
): ProtocolFault {
  return updateFault('session-reset', subcode, `${what} (RFC 7606 ${section})`, copyOctets(scan.bytes, at, end));
}

function duplicateFault(name: string): ProtocolFault {
  const reason = `${name}: appears twice (RFC 7606 §3 g)`;
  return updateFault('session-reset', UpdateErrorSubcode.malformedAttributeList, reason);
}

function lengthsFault(what: string): ProtocolFault {
  const reason = `update: ${what}, which the message cannot hold (RFC 4271 §6.3)`;
  return updateFault('session-reset', UpdateErrorSubcode.malformedAttributeList, reason);
}

function nextHopFault(scan: UpdateScan, subcode: number, what: string): ProtocolFault {
  const at = scan.nextHopAt;
  const data =
    at < 0
      ? undefined
      : copyOctets(scan.bytes, at, attributeValueAt(scan.bytes, at) + attributeLengthAt(scan.bytes, at));
  return updateFault('treat-as-withdraw', subcode, `next-hop: ${what}`, data);
}

function worse(a: ProtocolFault | undefined, b: ProtocolFault | undefined): ProtocolFault | undefined {
  if (!a || !b) return a ?? b;
  return strongerAction(a.action, b.action) === a.action ? a : b;
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
