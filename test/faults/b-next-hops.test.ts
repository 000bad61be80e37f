/** Row B15, what cannot be shown over loopback addresses: there they are next hops as others. */
import { expect, test } from '@jest/globals';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { World } from '../controller/world.js';
import { bgpMessage } from '../support/raw-client.js';
import { attribute, LOCAL_PREF, ORIGIN, updateBody } from '../support/update-messages.js';

const ADDRESS = '192.0.2.9';

test.each([
  ['another AS', 65001, '0201 0000fde9'],
  ['our AS', 64512, ''],
] as const)(
  'B15 NEXT_HOP 127.0.0.1 from %s: the good route before it is withdrawn, the session stays (RFC 4271 §6.3)',
  async (_whence, peerAs, path) => {
    const world = await World.start(
      `bgp: { neighbors: [{ address: ${ADDRESS}, peerAs: ${peerAs}, passive: true, families: [ipv4-unicast] }] }`,
    );
    const peer = world.peer(ADDRESS, [FamilyId.ipv4Unicast], peerAs);
    const announce = (nextHop: string): void => {
      const attributes = [ORIGIN, attribute(0x40, 2, path), attribute(0x40, 3, nextHop)];
      if (peerAs === 64512) attributes.push(LOCAL_PREF);
      peer.transport.receive(bgpMessage(2, updateBody({ attributes: attributes.join(''), nlri: '180a0900' })));
      world.settle();
    };
    const held = (): unknown => {
      const result = world.controller.view.routes({ family: 'ipv4-unicast' });
      return result.kind === 'routes' && result.routes.map(({ prefix }) => prefix);
    };
    announce('0a000001');
    expect(held()).toEqual(['10.9.0.0/24']);
    announce('7f000001');
    expect(held()).toEqual([]);
    expect(world.controller.view.neighbor(ADDRESS)).toMatchObject({
      state: 'established',
      flaps: 0,
      malformedUpdates: { 'treat-as-withdraw': 1 },
    });
  },
);
