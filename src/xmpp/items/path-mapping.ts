/**
 * From the fields of a published entry to path attributes.
 *
 *   local-preference   LOCAL_PREF; absent when 0
 *   med                MED; when 0 derived from the local preference, so that an active and a standby announcement stay
 *                      in order where LOCAL_PREF does not travel: 100 and 200 swap, any other L gives 2^32 - 1 - L
 *   communities        COMMUNITIES, ascending
 *   everything else    extended communities, ascending as 64-bit values, each once
 *
 * ORIGIN is incomplete and AS_PATH empty: the channel says nothing about either, neighbours see agent routes of other
 * controllers of this kind with `?`, and a gateway that mixes controllers must not prefer one by ORIGIN alone.
 */
import { Origin } from '../../bgp/attribute/path-attributes.js';
import type { PathAttributes } from '../../bgp/attribute/path-attributes.js';
import { macMobilityCommunity } from '../../bgp/attribute/evpn-communities.js';
import { sortUniqueExtendedCommunities } from '../../bgp/attribute/extended-communities.js';
import { encapsulationCommunity } from '../../bgp/attribute/tunnel-communities.js';
import {
  loadBalanceCommunity,
  localSequenceCommunity,
  securityGroupCommunities,
  tagCommunities,
} from '../../bgp/attribute/virtual-network-communities.js';
import { packCommunities } from './community-tags.js';
import type { EntryFields, NextHopFields } from './entry.js';
import { isDefaultLoadBalance } from './load-balance.js';

/** Local preference of a standby and of an active announcement. */
const STANDBY = 100;
const ACTIVE = 200;

/** The MED attribute; `undefined` for none. */
function medOf(localPreference: number, med: number): number | undefined {
  if (med !== 0) return med;
  if (localPreference === 0) return undefined;
  if (localPreference === STANDBY) return ACTIVE;
  if (localPreference === ACTIVE) return STANDBY;
  return 0xffffffff - localPreference;
}

/** The extended communities that unicast and EVPN entries have in common. */
export function commonExtendedCommunities(
  entry: EntryFields,
  nextHop: NextHopFields,
  tunnelTypes: readonly number[],
  serverAs: number,
): Uint8Array[] {
  const members: Uint8Array[] = [];
  for (const type of tunnelTypes) members.push(encapsulationCommunity(type));
  entry.securityGroups.forEach((group, index) => {
    members.push(securityGroupCommunities(serverAs, group, index));
  });
  nextHop.tags.forEach((tag, index) => {
    members.push(tagCommunities(serverAs, tag, index));
  });
  // The attribute of `mobility` wins over the older element, which knows no sticky bit.
  if (entry.mobilitySequence !== 0) members.push(macMobilityCommunity(entry.mobilitySequence, entry.mobilitySticky));
  else if (entry.sequenceNumber !== 0) members.push(macMobilityCommunity(entry.sequenceNumber, false));
  if (nextHop.localSequence !== 0) members.push(localSequenceCommunity(nextHop.localSequence));
  if (!isDefaultLoadBalance(entry.loadBalance)) {
    members.push(loadBalanceCommunity(entry.loadBalance));
  }
  return members;
}

/** Joins the parts to the attributes of the path; absent and empty values are left out. */
export function pathAttributesOf(
  entry: EntryFields,
  nextHop: Uint8Array,
  extendedCommunities: readonly Uint8Array[],
): PathAttributes {
  const med = medOf(entry.localPreference, entry.med);
  return {
    nextHop,
    origin: Origin.incomplete,
    asPath: [],
    ...(med !== undefined && { med }),
    ...(entry.localPreference !== 0 && { localPreference: entry.localPreference }),
    ...(entry.communities.length > 0 && { communities: packCommunities(entry.communities) }),
    ...(extendedCommunities.length > 0 && {
      extendedCommunities: sortUniqueExtendedCommunities(Buffer.concat(extendedCommunities)),
    }),
  };
}
