/** Made-up routes, as the UPDATEs of a neighbor. */
import type { PathAttributes } from '../bgp/attribute/path-attributes.js';
import { finishMessage, MAX_MESSAGE_OCTETS, writeHeader } from '../bgp/message/header.js';
import { MessageType } from '../bgp/message/iana.js';
import { finishMpAttribute, writeAttributes, writeMpUnreachHeader } from '../bgp/message/update-encode.js';
import { FamilyId, type Family } from '../bgp/nlri/family.js';
import { familyById } from '../bgp/nlri/registry.js';
import { rtc, RTC_DEFAULT_KEY } from '../bgp/nlri/rtc.js';
import { defined } from '../util/assert.js';
import { Writer } from '../wire/writer.js';
import { LOCAL_AS, VRFS } from './stage-config.js';

const ROUTES_PER_UPDATE = 8;
const NO_PAYLOAD = new Uint8Array(0);
const TRANSIT = Array.from({ length: 10 }, () => 4_200_000_000);

/** A route of each family that is loaded in bulk; its last two octets count. */
const TEMPLATES: ReadonlyMap<FamilyId, { readonly route: string; readonly payload: Uint8Array }> = new Map([
  [FamilyId.l3vpnIpv4Unicast, { route: '64512:1:10.0.0.0/32', payload: Uint8Array.of(0, 1, 1) }],
  [FamilyId.l2vpnEvpn, { route: '2:64512:1:0:02:00:00:00:00:01:10.0.0.0', payload: Uint8Array.of(0, 0, 100) }],
  [FamilyId.ipv4Unicast, { route: '10.0.0.0/32', payload: NO_PAYLOAD }],
]);

export function hasTable(family: FamilyId): boolean {
  return TEMPLATES.has(family);
}

export interface TableOptions {
  /** How many; their numbers are 0 and up. */
  readonly routes: number;
  readonly routesPerUpdate?: number;
  /** Of the sender. */
  readonly asn: number;
  /** Of the sender: it decides for which routes it has the best path. */
  readonly number: number;
  /** Tells one table of a sender from the next. */
  readonly med?: number;
}

/** UPDATEs that announce routes of a family (one that {@link hasTable}), another attribute set in each. */
export function updatesOf(familyId: FamilyId, options: TableOptions): Uint8Array[] {
  const { routes, routesPerUpdate = ROUTES_PER_UPDATE } = options;
  const family = familyById(familyId);
  const updates: Uint8Array[] = [];
  for (let from = 0; from < routes; from += routesPerUpdate) {
    const attributes = attributesOf(family, Math.floor(from / routesPerUpdate), options);
    const update = encodeUpdate(family, attributes, (w) => {
      for (let i = from; i < from + routesPerUpdate; i++) writeRoute(w, family, i);
    });
    updates.push(update);
  }
  return updates;
}

/** An UPDATE that withdraws one route of {@link updatesOf}. */
export function withdrawalOf(familyId: FamilyId, number: number): Uint8Array {
  const family = familyById(familyId);
  const w = new Writer(MAX_MESSAGE_OCTETS);
  const message = writeHeader(w, MessageType.update);
  const classic = family.id === FamilyId.ipv4Unicast;
  if (!classic) w.u16(0); // withdrawn routes length
  const lengthAt = w.reserve16();
  const unreach = classic ? undefined : writeMpUnreachHeader(w, family);
  writeRoute(w, family, number);
  if (unreach !== undefined) finishMpAttribute(w, unreach);
  w.patch16(lengthAt, w.position - lengthAt - 2);
  if (classic) w.u16(0); // total path attribute length
  finishMessage(w, message);
  return w.copy();
}

function writeRoute(w: Writer, family: Family, number: number): void {
  const { route, payload } = defined(TEMPLATES.get(family.id), family.name);
  const key = defined(family.parse(route), route);
  key[key.length - 2] = number >>> 8;
  key[key.length - 1] = number;
  family.encode(w, key, 0, key.length, payload, 0, payload.length, false);
}

/** The default membership: every route target is wanted (RFC 4684 §4). */
export function defaultMembership(asn: number): Uint8Array {
  const attributes: PathAttributes = {
    nextHop: Uint8Array.of(198, 18, 0, 1),
    origin: 0,
    ...(asn === LOCAL_AS ? { asPath: [], localPreference: 100 } : { asPath: [{ type: 2, asns: [asn] }] }),
  };
  return encodeUpdate(rtc, attributes, (w) => {
    rtc.encode(w, RTC_DEFAULT_KEY, 0, RTC_DEFAULT_KEY.length, NO_PAYLOAD, 0, 0, false);
  });
}

function encodeUpdate(family: Family, attributes: PathAttributes, nlri: (w: Writer) => void): Uint8Array {
  const w = new Writer(MAX_MESSAGE_OCTETS);
  const at = writeHeader(w, MessageType.update);
  w.u16(0); // withdrawn routes length
  const lengthAt = w.reserve16();
  const classic = family.id === FamilyId.ipv4Unicast;
  writeAttributes(w, attributes, { fourOctetAs: true }, classic ? undefined : { family, nlri });
  w.patch16(lengthAt, w.position - lengthAt - 2);
  if (classic) nlri(w);
  finishMessage(w, at);
  return w.copy();
}

/** Not all sets have the same attributes: V8 learns more than one shape of them. @param index  of the UPDATE */
function attributesOf(family: Family, index: number, { asn, number, med = 0 }: TableOptions): PathAttributes {
  const external = asn !== LOCAL_AS;
  const vrf = index % VRFS;
  const path = [external ? asn : 4_200_000_000, 4_200_000_001 + index];
  // Short sets and such as take more than a small block of memory.
  const asns = (index + number) % 3 === 0 ? path : [...path, ...TRANSIT];
  return {
    nextHop: Uint8Array.of(198, 18, 0, number + 1),
    origin: 0,
    asPath: [{ type: 2, asns }],
    ...(index % 4 !== 0 && { med }),
    ...(!external && { localPreference: 100 }),
    ...(index % 4 !== 1 && { communities: Uint8Array.of(0xfd, 0xe7, index >>> 8, index) }),
    // target:64512:<vrf + 1>
    ...(family.id !== FamilyId.ipv4Unicast && {
      extendedCommunities: Uint8Array.of(0, 2, LOCAL_AS >>> 8, LOCAL_AS & 0xff, 0, 0, 0, vrf + 1),
    }),
  };
}
