/**
 * MAC addresses that move, against the real process: hosts claim them with growing sequence numbers, a third agent and a BGP neighbor watch
 * what they are told, and other routes go on.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Announcement } from '../../src/agent/announcement.js';
import type { FrozenMac } from '../../src/vpn/mac-mobility.js';
import { TestAgent } from '../support/agent.js';
import { eventually } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Frr } from '../support/frr.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';

const AS = 65000;
const FAMILY = 'l2vpn-evpn';
const BLUE = {
  name: 'default-domain:demo:blue:blue',
  virtualNetwork: { name: 'default-domain:demo:blue', id: 1 },
  importTargets: [`target:${AS}:1`],
  exportTargets: [`target:${AS}:1`],
};

describeWithDaemons(['frr'], 'MAC addresses that move', () => {
  const lab = new Lab('mac-mobility');
  let filament: Filament;
  let gateway: Frr;
  let hosts: readonly [TestAgent, TestAgent];
  let watcher: TestAgent;
  let probes = 0;
  let invariants: Invariants;
  /** What the hosts have said, by host and address. */
  const said = new Map<string, readonly [host: TestAgent, route: Announcement]>();

  beforeAll(async () => {
    filament = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.0.1', vrfs: [BLUE] });
    const session = { autonomousSystem: AS, families: [FAMILY] as const };
    gateway = await Frr.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.0.2',
      sessions: [{ address: filament.address, port: filament.bgpPort, ...session }],
    });
    filament.describe({
      neighbors: [
        {
          address: gateway.address,
          port: gateway.port,
          localAddress: filament.address,
          peerAs: AS,
          families: [FAMILY],
        },
      ],
    });
    await Promise.all([filament.start(), gateway.start()]);
    await filament.established(gateway.address);
    const agents = ['compute-1', 'compute-2', 'watcher'].map((name) => new TestAgent(lab, filament, name));
    for (const agent of agents) {
      await agent.start();
      agent.subscribe(BLUE.name, 1);
    }
    hosts = [agents[0]!, agents[1]!];
    watcher = agents[2]!;
  });

  beforeEach(async () => {
    invariants = await Invariants.watch(filament);
  });

  afterEach(async () => {
    for (const [host, each] of said.values()) host.withdraw(BLUE.name, each);
    said.clear();
    await invariants.hold();
  });

  afterAll(() => lab.close());

  /** Daemons do not take routes to 127.0.0.0/8. */
  const nextHopOf = (host: TestAgent): string => (host === hosts[0] ? '192.0.2.1' : '192.0.2.2');
  const at = (host: TestAgent): { readonly address: string; readonly label: number } => ({
    address: nextHopOf(host),
    label: 17,
  });
  const route = (host: TestAgent, mac: string, sequence: number, sticky = false): Announcement => ({
    family: FAMILY,
    mac,
    address: '10.1.0.3/32',
    nextHop: nextHopOf(host),
    label: 17,
    mobility: { sequence, sticky },
  });
  function says(host: TestAgent, mac: string, sequence: number, sticky = false): void {
    const each = route(host, mac, sequence, sticky);
    said.set(`${host.name} ${mac}`, [host, each]);
    host.publish(BLUE.name, each);
  }
  const id = (mac: string): string => `${mac},10.1.0.3/32`;
  const duplicates = async (): Promise<readonly FrozenMac[]> =>
    (await filament.get<{ readonly macs: readonly FrozenMac[] }>('/api/v1/duplicate-macs')).macs;
  /** Where the gateway has been told that an address is. */
  const atGateway = async (mac: string): Promise<readonly string[]> =>
    (await gateway.routes(FAMILY)).filter(({ prefix }) => prefix.includes(mac)).map(({ nextHop = '' }) => nextHop);
  const nextHopsAtGateway = (mac: string, wanted: readonly TestAgent[]): Promise<unknown> =>
    eventually(
      `the gateway has ${mac} at ${wanted.map(({ name }) => name).join(', ')}`,
      async () => {
        const found = await atGateway(mac);
        return JSON.stringify([...found].sort()) === JSON.stringify(wanted.map(nextHopOf).sort());
      },
      { explain: async () => JSON.stringify(await gateway.routes(FAMILY)) + gateway.logTail() },
    );
  /**
   * Routes that an agent says after others have arrived, at the watcher and the gateway: so have those. Twice, as what is said together may leave
   * in any order, and the second leaves after all that left with the first.
   */
  async function sentinel(host: TestAgent): Promise<void> {
    for (let times = 0; times < 2; times++) {
      const mac = `02:00:00:00:ff:${(++probes).toString(16).padStart(2, '0')}`;
      says(host, mac, 0);
      await watcher.receives(BLUE.name, FAMILY, id(mac), [at(host)]);
      await nextHopsAtGateway(mac, [host]);
    }
  }
  async function moves(mac: string, to: TestAgent, sequence: number): Promise<void> {
    says(to, mac, sequence);
    await watcher.receives(BLUE.name, FAMILY, id(mac), [at(to)]);
  }

  test('B44 a sequence number that goes backward is not followed: the highest one wins (RFC 7432 §15.1)', async () => {
    const mac = '02:00:00:00:00:01';
    await moves(mac, hosts[0], 1);
    await moves(mac, hosts[1], 7);
    says(hosts[0], mac, 3);
    await sentinel(hosts[0]);
    await watcher.receives(BLUE.name, FAMILY, id(mac), [at(hosts[1])]);
    expect(await atGateway(mac)).toEqual([nextHopOf(hosts[1])]);
    expect(await duplicates()).toEqual([]);
  });

  test('B44 an address that moves five times in 180 s is frozen, shown and told no further, until an operator clears it (RFC 7432 §15.1)', async () => {
    const mac = '02:00:00:00:00:02';
    await moves(mac, hosts[0], 0);
    for (let sequence = 1; sequence <= 5; sequence++) await moves(mac, hosts[sequence % 2]!, sequence);
    expect(await duplicates()).toMatchObject([
      { vrf: BLUE.name, ethernetTag: 0, mac, source: 'agent:compute-2', nextHop: nextHopOf(hosts[1]), moves: 5 },
    ]);
    const pushes = watcher.pushed.filter((push) => push.includes(mac)).length;
    for (const [host, sequence] of [
      [hosts[0], 6],
      [hosts[0], 1000],
    ] as const) {
      says(host, mac, sequence);
      await sentinel(host);
    }
    expect(watcher.pushed.filter((push) => push.includes(mac))).toHaveLength(pushes);
    expect(await atGateway(mac)).toEqual([nextHopOf(hosts[1])]);
    expect(await filament.paths(FAMILY, `2:0:${mac}:10.1.0.3`, BLUE.name)).toMatchObject([
      { best: true, source: 'agent:compute-2', flags: [] },
      { best: false, source: 'agent:compute-1', flags: ['duplicate-mac'] },
    ]);
    expect(filament.logTail()).toContain('duplicate MAC address frozen');

    const response = await fetch(`${filament.apiUrl}/api/v1/duplicate-macs/clear`, {
      method: 'POST',
      body: JSON.stringify({ vrf: BLUE.name, mac: mac.toUpperCase() }),
      headers: { 'content-type': 'application/json' },
    });
    expect(await response.json()).toEqual({ cleared: 1 });
    await watcher.receives(BLUE.name, FAMILY, id(mac), [at(hosts[0])]);
    await nextHopsAtGateway(mac, [hosts[0]]);
    expect(await duplicates()).toEqual([]);
  });

  test('B44 a sticky address stays where it is, whatever sequence number another host claims it with (RFC 7432 §15.2)', async () => {
    const mac = '02:00:00:00:00:03';
    says(hosts[0], mac, 1, true);
    await watcher.receives(BLUE.name, FAMILY, id(mac), [at(hosts[0])]);
    for (const sequence of [2, 50]) says(hosts[1], mac, sequence);
    await sentinel(hosts[1]);
    await watcher.receives(BLUE.name, FAMILY, id(mac), [at(hosts[0])]);
    expect(await atGateway(mac)).toEqual([nextHopOf(hosts[0])]);
    expect(filament.logTail()).toContain('sticky MAC address claimed elsewhere');
    watcher.expectNoViolations();
  });
});
