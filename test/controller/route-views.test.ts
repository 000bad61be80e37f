/** Pages of routes, as the controller cuts them. */
import { expect, test } from '@jest/globals';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { World } from './world.js';

const GATEWAY = '192.0.2.30';
const ROUTES = 100;
/** Octets of communities of each route, as hexadecimal text. */
const COMMUNITIES = '0003fc0000000001'.repeat(480);

test('a page of routes with large attributes ends early; all pages together have every route once', async () => {
  const families = "families: ['l3vpn-ipv4-unicast', 'rtc']";
  const world = await World.start(`bgp: { neighbors: [{ address: '${GATEWAY}', peerAs: 64512, ${families} }] }`);
  const gateway = world.peer(GATEWAY, [FamilyId.l3vpnIpv4Unicast, FamilyId.rtc]);
  for (let n = 1; n <= ROUTES; n++) gateway.announceVpn(`10.0.0.${n}`, 1, COMMUNITIES);
  const sizes: number[] = [];
  const prefixes = new Set<string>();
  let cursor: string | undefined;
  do {
    const query = { family: 'l3vpn-ipv4-unicast', limit: ROUTES, ...(cursor !== undefined && { cursor }) } as const;
    const page = world.controller.view.routes(query);
    if (page.kind !== 'routes') throw new Error(page.kind);
    for (const { prefix } of page.routes) prefixes.add(prefix);
    sizes.push(page.routes.length);
    expect(page.attributeOctets).toBeGreaterThan(page.routes.length * (COMMUNITIES.length / 2));
    ({ cursor } = page);
  } while (cursor !== undefined);
  expect(sizes).toHaveLength(2);
  expect(sizes.reduce((sum, size) => sum + size)).toBe(ROUTES);
  expect(prefixes.size).toBe(ROUTES);
});

test.each(['', '0x10', '1e1', '-0', '+1', '01', '1.0', ' 1', '99999999999999999999'])(
  'a cursor that no answer has had is refused: %j',
  async (cursor) => {
    const world = await World.start('');
    expect(world.controller.view.routes({ family: 'ipv4-unicast', cursor })).toEqual({ kind: 'invalid-cursor' });
  },
);
