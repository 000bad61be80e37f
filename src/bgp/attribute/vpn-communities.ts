import { ROUTE_TARGET_SUBTYPE } from '../../wire/route-target.js';
import { assignedNumberCommunity } from './extended-community.js';
import type { ExtendedCommunityCodec } from './extended-community.js';

/** Extended communities of BGP/MPLS VPNs: AS- and address-specific ones (RFC 4360 §3-§5, RFC 5668, RFC 6514 §7). */

const ROUTE_ORIGIN_SUBTYPE = 0x03;
const SOURCE_AS_SUBTYPE = 0x09;
const VRF_ROUTE_IMPORT_SUBTYPE = 0x0b;

const EVERY_LAYOUT = { 0: 0x00, 1: 0x01, 2: 0x02 } as const;

/** `target:64512:100`, `origin:192.0.2.1:1`, `source-as:64512:0`, `vrf-route-import:192.0.2.1:5`. */
export const VPN_COMMUNITIES: readonly ExtendedCommunityCodec[] = [
  assignedNumberCommunity('target', ROUTE_TARGET_SUBTYPE, EVERY_LAYOUT),
  assignedNumberCommunity('origin', ROUTE_ORIGIN_SUBTYPE, EVERY_LAYOUT),
  assignedNumberCommunity('source-as', SOURCE_AS_SUBTYPE, { 0: 0x00, 2: 0x02 }),
  assignedNumberCommunity('vrf-route-import', VRF_ROUTE_IMPORT_SUBTYPE, { 1: 0x01 }),
];
