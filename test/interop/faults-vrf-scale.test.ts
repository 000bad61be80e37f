/**
 * E12 with as many agents and routes as the row names (FILAMENT_LONG_TESTS=1; a few otherwise): most agents only count what they are
 * told, two of them and a router keep it, route by route.
 */
import { afterEach, expect, jest, test } from '@jest/globals';
import { TestAgent } from '../support/agent.js';
import { AgentSwarm, swarmAddresses, total } from '../support/agent-swarm.js';
import { eventually } from '../support/eventually.js';
import { Filament, type ConfigPart } from '../support/filament.js';
import { Lab } from '../support/lab.js';
import { memoryMb } from '../support/process-memory.js';
import { RawRouter } from '../support/raw-router.js';

const LONG = process.env['FILAMENT_LONG_TESTS'] === '1';
const AGENTS = LONG ? 1000 : 60;
const ROUTES_PER_AGENT = LONG ? 99 : 4;
const STATIC_ROUTES = LONG ? 1000 : 60;
const ROUTES = AGENTS * ROUTES_PER_AGENT + STATIC_ROUTES;
const WATCHERS = 2;
/** The long form tells 1,000 agents 100,000 routes each, twice. */
const LIMIT_MS = LONG ? 1_800_000 : 60_000;
const AS = 64512;
const OLD_RD = { text: `${AS}:1`, octets: '0000fc0000000001' };
const NEW_RD = { text: `${AS}:77`, octets: '0000fc000000004d' };
const RED_LABEL = 100;
const BLUE_LABEL = 1100;

jest.setTimeout(4 * LIMIT_MS);

const lab = new Lab('vrf-scale');
afterEach(() => lab.close());

const blue: ConfigPart = {
  name: 'blue',
  virtualNetwork: { name: 'blue', id: 2 },
  routeDistinguisher: `${AS}:2`,
  importTargets: [`target:${AS}:2`],
  exportTargets: [`target:${AS}:2`],
  staticRoutes: [{ prefix: '10.0.0.0/32', nextHop: '192.0.2.20', label: BLUE_LABEL }],
};

function red(routeDistinguisher: string): ConfigPart {
  return {
    name: 'red',
    virtualNetwork: { name: 'red', id: 1 },
    routeDistinguisher,
    importTargets: [`target:${AS}:1`],
    exportTargets: [`target:${AS}:1`],
    staticRoutes: Array.from({ length: STATIC_ROUTES }, (_, n) => ({
      prefix: `11.0.${n >> 8}.${n & 255}/32`,
      nextHop: '192.0.2.20',
      label: RED_LABEL,
    })),
  };
}

/** Key of the router's for a route of a VRF that has a distinguisher of its own. */
const isOf = (key: string, distinguisher: string): boolean => key.slice('1/128 78'.length).startsWith(distinguisher);

function expectOnce(lost: readonly string[], count: number): void {
  expect(lost).toHaveLength(count);
  expect(new Set(lost).size).toBe(count);
}

/** How often each route was withdrawn in a history. */
function withdrawals(history: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const entry of history) {
    if (!entry.startsWith('-')) continue;
    const key = entry.slice(1);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

test('E12 with all agents in the VRF: it goes and comes again at once, and goes for good; every route is withdrawn once', async () => {
  const filament = await Filament.create(lab, {
    autonomousSystem: AS,
    routerId: '10.255.3.1',
    bgp: {
      peerGroups: [{ name: 'clients', peerAs: AS, families: ['l3vpn-ipv4-unicast'], routeReflectorClient: true }],
      dynamicNeighbors: [{ prefix: lab.prefix, peerGroup: 'clients' }],
    },
    vrfs: [red(OLD_RD.text), blue],
  });
  await filament.start();
  const router = await RawRouter.establish({
    server: { address: filament.address, port: filament.bgpPort },
    address: lab.nextAddress(),
    autonomousSystem: AS,
    families: [[1, 128]],
  });
  const watchers = Array.from({ length: WATCHERS }, (_, n) => new TestAgent(lab, filament, `watcher-${n}`));
  const bystander = new TestAgent(lab, filament, 'bystander');
  for (const agent of watchers) agent.subscribe('red', 1);
  bystander.subscribe('blue', 2);
  await Promise.all([...watchers, bystander].map((agent) => agent.start()));

  const startedMs = performance.now();
  const tell = (what: string): void => {
    if (!LONG) return;
    const { resident, peak } = memoryMb(filament.process.pid);
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    process.stderr.write(`E12: ${what} after ${seconds} s, resident ${resident} MB (peak ${peak})\n`);
  };
  const address = swarmAddresses();
  const swarm = await AgentSwarm.start(
    lab,
    'counting',
    filament,
    Array.from({ length: AGENTS }, (_, n) => ({
      name: `compute-${n}`,
      address: address(n),
      subscriptions: [
        {
          vrf: 'red',
          instanceId: 1,
          routes: Array.from({ length: ROUTES_PER_AGENT }, (_each, i) => {
            const prefix = `10.${n >> 8}.${n & 255}.${i + 1}/32`;
            return { family: 'ipv4-unicast', prefix, nextHop: address(n), label: RED_LABEL + i } as const;
          }),
          expected: ROUTES,
          prefixes: ['10.', '11.'],
        },
      ],
    })),
  );

  /**
   * Until what is to be told is told, to everybody, and nothing more comes.
   *
   * @param atAgents  routes of red that the watchers must hold then
   * @param atRouter  those that the router must have of it
   */
  async function settled(what: string, atAgents: number, atRouter: number): Promise<void> {
    let octets = -1;
    const holds = (): boolean =>
      watchers.every((agent) => agent.held('red').length === atAgents) && router.routes.size === atRouter + 1;
    await eventually(
      what,
      async () => {
        const before = octets;
        octets = total(await swarm.status(), (status) => status.octets);
        if (octets !== before || !holds()) return false;
        return (await filament.agents()).every(({ output }) => output === undefined);
      },
      {
        deadlineMs: LIMIT_MS,
        intervalMs: 1000,
        explain: async () => {
          const held = watchers.map((agent) => agent.held('red').length);
          const views = (await filament.agents()).filter(({ output }) => output).length;
          return `${held.join(', ')} of ${atAgents} at the watchers, ${router.routes.size} at the router, ${views} are owed some, ${JSON.stringify(await swarm.status())}`;
        },
      },
    );
    tell(what);
  }

  /** At the agents that only count. */
  async function expectRetracts(count: number): Promise<void> {
    for (const { fewestRetracts, mostRetracts, flaps } of await swarm.status()) {
      expect({ fewestRetracts, mostRetracts, flaps }).toEqual({ fewestRetracts: count, mostRetracts: count, flaps: 0 });
    }
  }

  await settled('everybody has everything', ROUTES, ROUTES);
  for (const { fewestItems, mostRetracts } of await swarm.status()) {
    expect(fewestItems).toBeGreaterThanOrEqual(ROUTES);
    expect(mostRetracts).toBe(0);
  }
  const withOldRd = [...router.routes.keys()].filter((key) => isOf(key, OLD_RD.octets));
  expect(withOldRd).toHaveLength(STATIC_ROUTES);

  // It goes, and comes again at once, while the first one is still draining.
  router.history.length = 0;
  await filament.reload({ vrfs: [blue] });
  await filament.reload({ vrfs: [blue, red(NEW_RD.text)] });
  tell('both reloads');
  await eventually(
    'the router has the routes of the new one',
    () => [...router.routes.keys()].filter((key) => isOf(key, NEW_RD.octets)).length === STATIC_ROUTES,
    { deadlineMs: LIMIT_MS, intervalMs: 1000 },
  );
  await settled('everybody has everything again', ROUTES, ROUTES);
  const gone = withdrawals(router.history);
  expect([...new Set(gone.values())]).toEqual([1]);
  expect(withOldRd.every((key) => gone.get(key) === 1 && !router.routes.has(key))).toBe(true);
  // Nothing of the old one was announced again.
  expect(router.history.filter((entry) => entry.startsWith('+') && isOf(entry.slice(1), OLD_RD.octets))).toEqual([]);
  // Agents are told first what is not there any more: all of the old one.
  for (const { lost } of watchers) expectOnce(lost, ROUTES);
  await expectRetracts(ROUTES);

  // It goes for good: nobody outside has a route of it. Agents are expected to leave it too; until then they have what they said themselves.
  router.history.length = 0;
  for (const agent of watchers) agent.lost.length = 0;
  await swarm.countAnew();
  await filament.reload({ vrfs: [blue] });
  await settled('everything is gone', ROUTES - STATIC_ROUTES, 0);
  const goneForGood = withdrawals(router.history);
  expect(goneForGood.size).toBe(ROUTES);
  expect([...new Set(goneForGood.values())]).toEqual([1]);
  for (const { lost } of watchers) expectOnce(lost, STATIC_ROUTES);
  await expectRetracts(STATIC_ROUTES);

  // Who comes now waits for it, with what it publishes.
  const late = new TestAgent(lab, filament, 'late');
  late.subscribe('red', 1);
  late.publish('red', { family: 'ipv4-unicast', prefix: '10.99.0.1/32', nextHop: late.address, label: RED_LABEL });
  await late.start();
  const views = await eventually('it waits', async () => {
    const all = await filament.agents();
    return (
      all.some(({ name, subscriptions }) => name === late.name && subscriptions[0]?.pending?.publications === 1) && all
    );
  });
  expect(views.filter(({ subscriptions }) => subscriptions.length === 1)).toHaveLength(AGENTS + WATCHERS + 2);
  expect(late.held('red')).toEqual([]);

  expect(views.filter(({ state, flaps }) => state === 'established' && flaps === 0)).toHaveLength(
    AGENTS + WATCHERS + 2,
  );
  expect(bystander.lost).toEqual([]);
  expect(bystander.held('blue')).toEqual(['ipv4-unicast 10.0.0.0/32']);
  expect(bystander.pushed).toEqual([`blue 10.0.0.0/32 ${BLUE_LABEL}`]);
  const wrong = watchers.flatMap(({ pushed }) => pushed.filter((text) => Number(text.split(' ')[2]) >= BLUE_LABEL));
  expect(wrong).toEqual([]);
  for (const agent of [...watchers, bystander]) agent.expectNoViolations();
  expect(router.closed).toBe(false);
  router.close();
});
