/** Made-up routes, as the UPDATEs of a neighbor. */
import type { PathAttributes } from '../bgp/attribute/path-attributes.js';
import { finishMessage, MAX_MESSAGE_OCTETS, writeHeader } from '../bgp/message/header.js';
import { MessageType } from '../bgp/message/iana.js';
import { writeAttributes } from '../bgp/message/update-encode.js';
import { FamilyId, type Family } from '../bgp/nlri/family.js';
import { familyById } from '../bgp/nlri/registry.js';
import { rtc, RTC_DEFAULT_KEY } from '../bgp/nlri/rtc.js';
import { defined } from '../util/assert.js';
import { Writer } from '../wire/writer.js';
import { LOCAL_AS, VRFS } from './stage-config.js';

const ROUTES_PER_UPDATE = 8;
const NO_PAYLOAD = new Uint8Array(0);

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
  const { route, payload } = defined(TEMPLATES.get(familyId), family.name);
  const key = defined(family.parse(route), route);
  const updates: Uint8Array[] = [];
  for (let from = 0; from < routes; from += routesPerUpdate) {
    const attributes = attributesOf(Math.floor(from / routesPerUpdate), options);
    const update = encodeUpdate(family, attributes, (w) => {
      for (let i = from; i < from + routesPerUpdate; i++) {
        key[key.length - 2] = i >>> 8;
        key[key.length - 1] = i;
        family.encode(w, key, 0, key.length, payload, 0, payload.length, false);
      }
    });
    updates.push(update);
  }
  return updates;
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

/** @param index  of the UPDATE */
function attributesOf(index: number, { asn, number, med = 0 }: TableOptions): PathAttributes {
  const external = asn !== LOCAL_AS;
  const vrf = index % VRFS;
  const path = [external ? asn : 4_200_000_000, 4_200_000_001 + index];
  return {
    nextHop: Uint8Array.of(198, 18, 0, number + 1),
    origin: 0,
    asPath: [{ type: 2, asns: (index + number) % 3 === 0 ? path : [...path, 4_200_000_000] }],
    med,
    ...(external ? {} : { localPreference: 100 }),
    communities: Uint8Array.of(0xfd, 0xe7, index >>> 8, index),
    // target:64512:<vrf + 1>
    extendedCommunities: Uint8Array.of(0, 2, LOCAL_AS >>> 8, LOCAL_AS & 0xff, 0, 0, 0, vrf + 1),
  };
}
