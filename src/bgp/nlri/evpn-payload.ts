/**
 * Payloads of EVPN routes: what an announcement says beside its key and its attributes.
 *
 *   types 3, 4             none
 *   type 1                 3: label
 *   types 2, 5, short      3: label 1                                  the ESI is zero, and there is no label 2 (2),
 *                                                                      or the gateway is zero (5)
 *   type 2, full           3: label 1   10: ESI   0, 3: label 2        label 2 as it is there or not
 *   type 5, full           3: label     10: ESI   0, 4, 16: gateway    left out when it is zero
 *
 * Each content has exactly one payload, so that equal payloads mean equal announcements.
 * Labels are the 24 bits of the field: a VNI (RFC 8365 §5.1.3), or an MPLS label in the upper 20 (RFC 7432 §7).
 */
import { assert } from '../../util/assert.js';
import { ESI_OCTETS } from './evpn-key.js';
import { EvpnRouteType } from './iana.js';
import { encodeLabelField, LABEL_OCTETS, labelFieldAt } from './mpls-label.js';

/** Offset of the ESI in the full form. */
export const FULL_ESI_OFFSET = LABEL_OCTETS;
/** Offset of label 2 (type 2) or gateway (type 5) in the full form; its length when there is neither. */
export const FULL_TAIL_OFFSET = LABEL_OCTETS + ESI_OCTETS;

/** The content of a payload. */
export interface EvpnPayload {
  /** 24 bits. */
  readonly label1: number;
  /** 24 bits; type 2 with an IP address only. */
  readonly label2?: number;
  /** Ten octets, not all zero; types 2 and 5. */
  readonly esi?: Uint8Array;
  /** 4 or 16 octets, not all zero; type 5. */
  readonly gateway?: Uint8Array;
}

/** Whether the octets `[start, end)` are all zero. */
export function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== 0) return false;
  return true;
}

/** Whether announcements of this type carry a label. */
function evpnRouteTypeHasLabel(routeType: number): boolean {
  return (
    routeType === EvpnRouteType.macIpAdvertisement ||
    routeType === EvpnRouteType.ipPrefix ||
    routeType === EvpnRouteType.ethernetAutoDiscovery
  );
}

/**
 * The content of a payload; arrays in it alias `payload`.
 *
 * @param payload    the whole of it; empty is read as label 0
 */
export function evpnPayload(payload: Uint8Array, routeType: number): EvpnPayload {
  const label1 = payload.length >= LABEL_OCTETS ? labelFieldAt(payload, 0) : 0;
  if (payload.length <= LABEL_OCTETS) return { label1 };
  const esi = isZero(payload, FULL_ESI_OFFSET, FULL_TAIL_OFFSET)
    ? undefined
    : payload.subarray(FULL_ESI_OFFSET, FULL_TAIL_OFFSET);
  const content = esi === undefined ? { label1 } : { label1, esi };
  if (payload.length === FULL_TAIL_OFFSET) return content;
  return routeType === EvpnRouteType.macIpAdvertisement
    ? { ...content, label2: labelFieldAt(payload, FULL_TAIL_OFFSET) }
    : { ...content, gateway: payload.subarray(FULL_TAIL_OFFSET) };
}

/** What {@link makeEvpnPayload} takes; arrays of zeros mean absent. */
export interface EvpnPayloadFields {
  readonly routeType: number;
  readonly label1?: number | undefined;
  readonly label2?: number | undefined;
  readonly esi?: Uint8Array | undefined;
  readonly gateway?: Uint8Array | undefined;
}

/** The payload of a content, memory of its own. What a type does not carry is not looked at. */
export function makeEvpnPayload(fields: EvpnPayloadFields): Uint8Array {
  const { routeType, label1 = 0 } = fields;
  if (!evpnRouteTypeHasLabel(routeType)) return new Uint8Array(0);
  const hasSegment = routeType !== EvpnRouteType.ethernetAutoDiscovery;
  const esi = hasSegment ? fields.esi : undefined;
  const label2 = routeType === EvpnRouteType.macIpAdvertisement ? fields.label2 : undefined;
  const gateway = routeType === EvpnRouteType.ipPrefix ? fields.gateway : undefined;
  assert(esi === undefined || esi.length === ESI_OCTETS, 'an Ethernet segment identifier has 10 octets');
  assert(gateway === undefined || gateway.length === 4 || gateway.length === 16, 'a gateway has 4 or 16 octets');

  const hasEsi = esi !== undefined && !isZero(esi, 0, esi.length);
  const hasGateway = gateway !== undefined && !isZero(gateway, 0, gateway.length);
  const tailOctets = hasGateway ? gateway.length : label2 === undefined ? 0 : LABEL_OCTETS;
  const payload = new Uint8Array(hasEsi || tailOctets > 0 ? FULL_TAIL_OFFSET + tailOctets : LABEL_OCTETS);
  encodeLabelField(payload, 0, label1);
  if (hasEsi) payload.set(esi, FULL_ESI_OFFSET);
  if (label2 !== undefined) encodeLabelField(payload, FULL_TAIL_OFFSET, label2);
  else if (hasGateway) payload.set(gateway, FULL_TAIL_OFFSET);
  return payload;
}
