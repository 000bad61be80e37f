/** The address families that Filament speaks, by each of their names. */
import { evpn } from './evpn.js';
import type { Family, FamilyId } from './family.js';
import { ipv4Unicast, ipv6Unicast } from './ip-unicast.js';
import { l3vpnIpv4Unicast, l3vpnIpv6Unicast } from './l3vpn.js';
import { ipv4LabelledUnicast, ipv6LabelledUnicast } from './labelled-unicast.js';
import { rtc } from './rtc.js';

/** All families, in the order of their ids. */
export const FAMILIES: readonly Family[] = [
  ipv4Unicast,
  ipv6Unicast,
  ipv4LabelledUnicast,
  ipv6LabelledUnicast,
  l3vpnIpv4Unicast,
  l3vpnIpv6Unicast,
  evpn,
  rtc,
];

const BY_ID: readonly (Family | undefined)[] = FAMILIES.reduce<(Family | undefined)[]>((byId, family) => {
  byId[family.id] = family;
  return byId;
}, []);
const BY_NAME: ReadonlyMap<string, Family> = new Map(FAMILIES.map((family) => [family.name, family]));
const BY_AFI_SAFI: ReadonlyMap<number, Family> = new Map(
  FAMILIES.map((family) => [(family.afi << 8) | family.safi, family]),
);

export function familyById(id: FamilyId): Family {
  return BY_ID[id]!;
}

/** The family of a name of contract.md §1; `undefined` when it is none, or one that is not spoken. */
export function familyByName(name: string): Family | undefined {
  return BY_NAME.get(name);
}

/** The family of an AFI/SAFI pair as on the wire; `undefined` when it is not spoken. */
export function familyByAfiSafi(afi: number, safi: number): Family | undefined {
  return BY_AFI_SAFI.get((afi << 8) | safi);
}
