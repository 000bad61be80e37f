/** The room of the configuration may not import the codecs: its lists of names are held to theirs here. */
import { expect, test } from '@jest/globals';
import { formatCommunities, parseCommunity } from '../../src/bgp/attribute/communities.js';
import { FAMILIES } from '../../src/bgp/nlri/registry.js';
import { COMMUNITY_NAMES } from '../../src/config/field.js';
import { ENCAPSULATIONS } from '../../src/config/schema.js';
import { FAMILY_NAMES } from '../../src/config/session-schema.js';
import { tunnelTypesOf } from '../../src/xmpp/items/tunnel-encapsulations.js';

test('every family that a session can carry is one of the registry, and the other way round', () => {
  expect([...FAMILY_NAMES].sort()).toEqual(FAMILIES.map((family) => family.name).sort());
});

test('every community name is understood, and is what the community is called', () => {
  for (const name of COMMUNITY_NAMES) {
    const value = parseCommunity(name);
    const octets = Uint8Array.of(value! >>> 24, value! >>> 16, value! >>> 8, value!);
    expect(formatCommunities(octets)).toEqual([name]);
  }
});

test('every encapsulation of a static route is one of the agent channel', () => {
  for (const name of ENCAPSULATIONS) expect(tunnelTypesOf([name], false)).toHaveLength(1);
});
