/** Section E of the fault catalogue: VRFs that go, come and swap what they are known by while agents are subscribed. */
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { TestAgent } from '../support/agent.js';
import { eventually } from '../support/eventually.js';
import { Filament, type ConfigPart } from '../support/filament.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';

jest.setTimeout(120_000);

const labs: Lab[] = [];
afterEach(async () => {
  for (const lab of labs.splice(0)) await lab.close();
});

/** Labels tell whose route is whose: those of red are below 1000, those of blue above. */
const RED_LABEL = 100;
const BLUE_LABEL = 1100;
/** In both VRFs. */
const SHARED_PREFIX = '10.5.0.0/24';

function vrf(name: 'red' | 'blue', routeDistinguisher: string): ConfigPart {
  const isRed = name === 'red';
  const target = `target:64512:${isRed ? 1 : 2}`;
  return {
    name,
    virtualNetwork: { name, id: isRed ? 1 : 2 },
    routeDistinguisher,
    importTargets: [target],
    exportTargets: [target],
    staticRoutes: [{ prefix: SHARED_PREFIX, nextHop: '192.0.2.20', label: isRed ? RED_LABEL : BLUE_LABEL }],
  };
}

interface Scene {
  readonly one: Filament;
  /** Follows by BGP what the first one says, with agents of its own. */
  readonly other: Filament;
  readonly agents: readonly TestAgent[];
  readonly observers: readonly TestAgent[];
}

const AGENTS = 6;
const ROUTES_PER_AGENT = 40;

async function scene(): Promise<Scene> {
  const lab = new Lab('vrfs');
  labs.push(lab);
  const one = await Filament.create(lab, {
    autonomousSystem: 64512,
    routerId: '192.0.2.1',
    vrfs: [vrf('red', '64512:1'), vrf('blue', '64512:2')],
  });
  const other = await Filament.create(lab, {
    autonomousSystem: 64512,
    routerId: '192.0.2.2',
    vrfs: [vrf('red', '64512:21'), vrf('blue', '64512:22')].map((each) => ({ ...each, staticRoutes: [] })),
  });
  const neighbor = (peer: Filament, localAddress: string): ConfigPart => ({
    address: peer.address,
    localAddress,
    port: peer.bgpPort,
    peerAs: 64512,
    families: ['l3vpn-ipv4-unicast', 'rtc'],
  });
  one.describe({ neighbors: [neighbor(other, one.address)] });
  other.describe({ neighbors: [neighbor(one, other.address)] });
  await Promise.all([one.start(), other.start()]);
  await one.established(other.address);
  const agents: TestAgent[] = [];
  for (let n = 0; n < AGENTS; n++) {
    const agent = new TestAgent(lab, one, `compute-${n}`);
    await agent.start();
    const name = n % 2 === 0 ? 'red' : 'blue';
    agent.subscribe(name, 1);
    for (let i = 0; i < ROUTES_PER_AGENT; i++) {
      const prefix = `10.${n}.${i}.1/32`;
      const label = (name === 'red' ? RED_LABEL : BLUE_LABEL) + 1 + i;
      agent.publish(name, { family: 'ipv4-unicast', prefix, nextHop: agent.address, label });
    }
    agents.push(agent);
  }
  const observers: TestAgent[] = [];
  for (const name of ['red', 'blue']) {
    const observer = new TestAgent(lab, other, `observer-${name}`);
    await observer.start();
    observer.subscribe(name, 1);
    observers.push(observer);
  }
  await full([...agents, ...observers]);
  return { one, other, agents, observers };
}

/** Routes that everybody in a VRF holds: those of its agents and the static one. */
const ALL_ROUTES = (AGENTS / 2) * ROUTES_PER_AGENT + 1;

const vrfOf = (agent: TestAgent): 'red' | 'blue' => (agent.held('red').length > 0 ? 'red' : 'blue');

async function full(agents: readonly TestAgent[]): Promise<void> {
  for (const agent of agents) {
    await eventually(
      `${agent.name} holds everything`,
      () => agent.held('red').length + agent.held('blue').length === ALL_ROUTES,
      { deadlineMs: 60_000, explain: () => String(agent.held(vrfOf(agent)).length) },
    );
  }
}

/** No push of one VRF ever had a label of the other. */
function expectNoLeak(agents: readonly TestAgent[]): void {
  for (const agent of agents) {
    const wrong = agent.pushed.filter((text) => {
      const [name, , labels] = text.split(' ') as [string, string, string];
      return labels.split(',').some((label) => Number(label) >= 1000 !== (name === 'blue'));
    });
    expect({ agent: agent.name, wrong }).toEqual({ agent: agent.name, wrong: [] });
    agent.expectNoViolations();
  }
}

describe('E14 the route distinguishers of two VRFs are swapped', () => {
  test('E14 no route of red is in blue at any moment, here or at a neighbor, and no session notices', async () => {
    const { one, other, agents, observers } = await scene();
    const invariants = await Invariants.watch(one);
    const staticRoute = (distinguisher: string, label: number): Promise<unknown> =>
      other.path('l3vpn-ipv4-unicast', `${distinguisher}:${SHARED_PREFIX}`, {
        fits: ({ labels }) => labels?.[0] === label,
      });
    await staticRoute('64512:1', RED_LABEL);
    await staticRoute('64512:2', BLUE_LABEL);
    const changes = await one.reload({ vrfs: [vrf('red', '64512:2'), vrf('blue', '64512:1')] });
    expect(changes).toEqual(['VRF red changed: routeDistinguisher', 'VRF blue changed: routeDistinguisher']);
    await staticRoute('64512:2', RED_LABEL);
    await staticRoute('64512:1', BLUE_LABEL);
    await full([...agents, ...observers]);
    expectNoLeak([...agents, ...observers]);
    await one.reload({ vrfs: [vrf('red', '64512:1'), vrf('blue', '64512:2')] });
    await invariants.hold();
  });
});

describe('E12 a VRF goes while agents are subscribed, and comes again with another route distinguisher', () => {
  test('E12 every route is withdrawn once, subscriptions wait, nothing of the old one is in the new one', async () => {
    const { one, other, agents, observers } = await scene();
    const invariants = await Invariants.watch(one);
    const red = agents.filter((agent) => vrfOf(agent) === 'red');
    const bystanders = agents.filter((agent) => vrfOf(agent) === 'blue');
    for (const agent of [...agents, ...observers]) agent.lost.length = 0;
    await one.reload({ vrfs: [vrf('blue', '64512:2')] });
    // At once, while the first one is still draining.
    await one.reload({ vrfs: [vrf('blue', '64512:2'), { ...vrf('red', '64512:77'), staticRoutes: [] }] });
    await other.pathGone('l3vpn-ipv4-unicast', `64512:1:${SHARED_PREFIX}`);
    for (const agent of [...red, observers[0]!]) {
      await eventually(`${agent.name} has lost the static route`, () => agent.lost.includes(`red ${SHARED_PREFIX}`));
    }
    expect((await one.agents()).map(({ subscriptions }) => subscriptions.length)).toEqual(agents.map(() => 1));
    // The agents publish again what they have: the new VRF has it, under its own distinguisher where it is the VRF's.
    await one.reload({ vrfs: [vrf('blue', '64512:2'), vrf('red', '64512:77')] });
    const added = red.map((agent, n) => {
      const route = {
        family: 'ipv4-unicast',
        prefix: `10.99.0.${n}/32`,
        nextHop: agent.address,
        label: 500 + n,
      } as const;
      agent.publish('red', route);
      return [agent, route] as const;
    });
    for (const agent of [...red, observers[0]!]) {
      for (const n of red.keys()) {
        await eventually(`${agent.name} holds what was published into the new one`, () =>
          agent.held('red').some((id) => id.includes(`10.99.0.${n}/32`)),
        );
      }
    }
    // All that there was is there again, and what was lost on the way was lost once.
    for (const agent of [...red, observers[0]!]) {
      await eventually(
        `${agent.name} holds everything again`,
        () => agent.held('red').length === ALL_ROUTES + red.length,
        { explain: () => `${agent.held('red').length}\n${one.logTail()}` },
      );
      expect(agent.lost).toEqual([...new Set(agent.lost)]);
    }
    await other.path('l3vpn-ipv4-unicast', `64512:77:${SHARED_PREFIX}`);
    expect(await other.paths('l3vpn-ipv4-unicast', `64512:1:${SHARED_PREFIX}`)).toEqual([]);
    expectNoLeak([...agents, ...observers]);
    for (const agent of [...bystanders, observers[1]!]) expect(agent.lost).toEqual([]);
    for (const [agent, route] of added) agent.withdraw('red', route);
    await one.reload({ vrfs: [vrf('red', '64512:1'), vrf('blue', '64512:2')] });
    await invariants.hold();
  });
});
