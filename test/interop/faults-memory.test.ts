/**
 * Row I04 on the real process: a neighbor brings routes until memory is short. It and the agent stay, those who come are refused,
 * and are let in when the operator gives more.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ControllerInfo } from '../../src/controller/view.js';
import { TestAgent } from '../support/agent.js';
import { eventually } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { RawClient } from '../support/raw-client.js';
import { RawRouter, type RouterOptions } from '../support/raw-router.js';
import { describeWithDaemons } from '../support/requirements.js';
import { goodAttributes } from '../support/fault-lab.js';

const AS = 64512;
const PEER_AS = 65001;
const MEGABYTE = 1 << 20;
/** Of 10.0.0.0/8, 700 at a time: an UPDATE takes no more than 800. */
const ROUTES_PER_UPDATE = 700;
const UPDATES_PER_ROUND = 20;

describeWithDaemons([], 'memory', () => {
  const lab = new Lab('memory');
  let filament: Filament;
  let router: RawRouter;
  let agent: TestAgent;
  /** Address of a neighbor that comes when memory is short. */
  let late: string;
  let routes = 0;

  const optionsOf = (address: string): RouterOptions => ({
    server: { address: filament.address, port: filament.bgpPort },
    address,
    autonomousSystem: PEER_AS,
    families: [[1, 1]],
  });

  function announceSome(): void {
    for (let update = 0; update < UPDATES_PER_ROUND; update++) {
      let nlri = '';
      for (let i = 0; i < ROUTES_PER_UPDATE; i++) nlri += `20${(0x0a000000 + ++routes).toString(16).padStart(8, '0')}`;
      router.update({ attributes: goodAttributes('eBGP').join(''), nlri });
    }
  }

  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`${filament.apiUrl}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  };

  const isShort = async (): Promise<boolean> =>
    (await filament.get<ControllerInfo>('/api/v1/controller')).memoryShort !== undefined;

  beforeAll(async () => {
    const known = lab.nextAddress();
    late = lab.nextAddress();
    filament = await Filament.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.0.1',
      neighbors: [known, late].map((address) => ({
        address,
        peerAs: PEER_AS,
        passive: true,
        families: ['ipv4-unicast'],
      })),
    });
    await filament.start();
    router = await RawRouter.establish(optionsOf(known));
    agent = new TestAgent(lab, filament, 'bystander');
    await agent.start();
  });
  afterAll(async () => {
    router.close();
    await lab.close();
  });

  test('I04 routes until memory is short: who is there stays, who comes is refused with 6/8 or cut, until there is more', async () => {
    const invariants = await Invariants.watch(filament);
    const before = Math.ceil((await metric('process_resident_memory_bytes')) / MEGABYTE);
    await filament.reload({ process: { memoryLimit: before + 8 } });
    await eventually(
      'memory is short',
      async () => {
        announceSome();
        return isShort();
      },
      { deadlineMs: 60_000, explain: () => filament.logTail() },
    );
    expect(filament.logTail()).toMatch(
      /"level":"error".*"memory":"resident".*"msg":"memory is short: new sessions and agents are refused"/,
    );
    expect(await metric('filament_memory_short\\{memory="resident"\\}')).toBe(1);

    const refused = await RawRouter.connect(optionsOf(late));
    await refused.until('it is refused', () => refused.closed);
    expect(refused.notification).toMatchObject({ code: 6, subcode: 8 });
    const cut = await RawClient.connect(filament.address, filament.agentPort, lab.nextAddress());
    await cut.closed;
    expect(await metric('filament_faults_total\\{fault="agent-refused-out-of-memory"\\}')).toBe(1);

    // The routes that made it short are all taken in, also those that come now.
    announceSome();
    await eventually('all routes are there', async () => {
      const { families } = await filament.neighbor(router.address);
      return families[0]?.accepted === routes;
    });
    expect(await filament.neighbor(router.address)).toMatchObject({ state: 'established', flaps: 0 });
    expect(await filament.agents()).toMatchObject([{ name: 'bystander', state: 'established', flaps: 0 }]);

    await filament.reload({ process: { memoryLimit: 4 * before + 400 } });
    await eventually('memory is enough', async () => !(await isShort()));
    expect(filament.logTail()).toContain('"msg":"memory is no longer short"');
    const welcome = await RawRouter.establish(optionsOf(late));
    await filament.established(late);
    welcome.close();
    agent.expectNoViolations();
    router.close();
    await invariants.hold({ touched: [router.address], moreMemoryOctets: 4 * before * MEGABYTE });
  });
});
