/** BGP communities (RFC 1997) as the `community-tag` elements of the agent channel spell them. */
import {
  COMMUNITY_OCTETS,
  formatCommunity,
  parseCommunity,
  WellKnownCommunity,
} from '../../bgp/attribute/communities.js';

/** Those that agents know a name for; any other is pushed as two numbers. */
const NAMED: ReadonlySet<number> = new Set([
  WellKnownCommunity.acceptOwn,
  WellKnownCommunity.acceptOwnNextHop,
  WellKnownCommunity.llgrStale,
  WellKnownCommunity.noLlgr,
  WellKnownCommunity.noReoriginate,
  WellKnownCommunity.noExport,
  WellKnownCommunity.noAdvertise,
  WellKnownCommunity.noExportSubconfed,
]);

/** What agents call the communities of RFC 9494; the server calls them otherwise, and understands both. */
const AGENT_SPELLINGS: ReadonlyMap<string, number> = new Map([
  ['LlgrStale', WellKnownCommunity.llgrStale],
  ['NoLlgr', WellKnownCommunity.noLlgr],
]);

/** @returns the community as 32 bits; `undefined` when the text is not one (such an entry is skipped alone) */
export function parseCommunityTag(text: string): number | undefined {
  return AGENT_SPELLINGS.get(text) ?? parseCommunity(text);
}

/** The pushed spelling of one community. */
export function formatCommunityTag(community: number): string {
  if (NAMED.has(community)) return formatCommunity(community);
  return `${String(community >>> 16)}:${String(community & 0xffff)}`;
}

/** Packs communities as the attribute holds them: ascending, each once, 4 octets. */
export function packCommunities(communities: readonly number[]): Uint8Array {
  const sorted = [...new Set(communities)].sort((a, b) => a - b);
  const octets = new Uint8Array(sorted.length * COMMUNITY_OCTETS);
  const view = new DataView(octets.buffer);
  sorted.forEach((community, index) => {
    view.setUint32(index * COMMUNITY_OCTETS, community);
  });
  return octets;
}
