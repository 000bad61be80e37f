/** Routes of agents at GoBGP, which cannot read the E-Tree community that each of their EVPN routes carries. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { TestAgent } from '../support/agent.js';
import { eventually, eventuallyEqual } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Gobgp } from '../support/gobgp.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';

const AS = 65000;
const FAMILIES = ['l3vpn-ipv4-unicast', 'l2vpn-evpn'] as const;
const BLUE = {
  name: 'default-domain:demo:blue:blue',
  virtualNetwork: { name: 'default-domain:demo:blue', id: 1 },
  importTargets: [`target:${AS}:1`],
  exportTargets: [`target:${AS}:1`],
};
const MAC = '02:00:00:00:00:01';

describeWithDaemons(['gobgp'], 'agents and GoBGP', () => {
  const lab = new Lab('gobgp-agents');
  let filament: Filament;
  let plain: Gobgp;
  let spared: Gobgp;

  beforeAll(async () => {
    filament = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.0.1', vrfs: [BLUE] });
    const session = { autonomousSystem: AS, families: FAMILIES, address: filament.address, port: filament.bgpPort };
    plain = await Gobgp.create(lab, { autonomousSystem: AS, routerId: '10.255.0.2', sessions: [session] });
    spared = await Gobgp.create(lab, { autonomousSystem: AS, routerId: '10.255.0.3', sessions: [session] });
    const neighborOf = ({ address, port }: Gobgp) => ({
      ...{ address, port, localAddress: filament.address, peerAs: AS },
      families: [...FAMILIES],
    });
    filament.describe({
      neighbors: [neighborOf(plain), { ...neighborOf(spared), withholdExtendedCommunities: ['0605'] }],
    });
    await Promise.all([filament.start(), plain.start(), spared.start()]);
    await Promise.all([plain, spared].map(({ address }) => filament.established(address)));
    const agent = new TestAgent(lab, filament, 'compute-1');
    await agent.start();
    agent.subscribe(BLUE.name, 1);
    const route = { nextHop: '192.0.2.1', label: 17 };
    agent.publish(BLUE.name, { ...route, family: 'l2vpn-evpn', mac: MAC, address: '10.1.0.3/32' });
    // Behind it, so that whoever has this one would have the other.
    agent.publish(BLUE.name, { ...route, family: 'ipv4-unicast', prefix: '10.1.0.3/32' });
  });

  afterAll(() => lab.close());

  const macsAt = async (daemon: Gobgp): Promise<number> =>
    (await daemon.routes('l2vpn-evpn')).filter(({ prefix }) => prefix.includes(MAC)).length;

  test('with withholdExtendedCommunities it has the EVPN route, with all other communities', async () => {
    await eventuallyEqual(() => macsAt(spared), 1);
    const text = await spared.cli('global', 'rib', '-a', 'evpn');
    expect(text).toContain(`${AS}:1`);
  });

  test('without, it treats the EVPN route as withdrawn, and has all others', async () => {
    await eventually('GoBGP has the VPN route', async () => (await plain.routes('l3vpn-ipv4-unicast')).length === 1, {
      explain: () => plain.logTail(),
    });
    await eventually(
      'GoBGP has read the EVPN route',
      () => Promise.resolve(plain.logTail().includes('unknown evpn subtype')),
      {
        explain: () => plain.logTail(),
      },
    );
    expect(await macsAt(plain)).toBe(0);
    expect(await plain.isEstablished(filament.address)).toBe(true);
  });
});
