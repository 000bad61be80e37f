/**
 * The controller is killed and started again under as many agents as a fabric has (FILAMENT_LONG_TESTS=1; a few otherwise): all of
 * them connect at once, repeat what they want and have, and are told everything; gateways bring their tables at the same time.
 */
import { afterEach, expect, jest, test } from '@jest/globals';
import { AgentSwarm, swarmAddresses, total, type SwarmAgent, type SwarmStatus } from '../support/agent-swarm.js';
import { eventually } from '../support/eventually.js';
import { type ConfigPart, Filament, REHEARSED } from '../support/filament.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { memoryMb, type MemoryMb } from '../support/process-memory.js';
import { BGP_UPDATE, bgpMessage } from '../support/raw-client.js';
import { RawRouter } from '../support/raw-router.js';
import { attribute, updateBody } from '../support/update-messages.js';

const LONG = process.env['FILAMENT_LONG_TESTS'] === '1';
const AGENTS = LONG ? 1000 : 60;
/** So many of them keep what they are told and look at every octet of it; the others count. */
const WATCHERS = 20;
const VRFS = LONG ? 100 : 20;
const VRFS_PER_AGENT = 10;
const GATEWAY_ROUTES = LONG ? 1_000_000 : 20_000;
const GATEWAYS = 2;
/** Of two gateways together; of so many route targets as that makes only the first ones are imported by a VRF. */
const ROUTES_PER_TARGET = 100;
/** After the start that counts. All agents are back before this is over, on a busy machine too: they dial again after 1, 2, 4, 8 s. */
const END_OF_RIB_DELAY_SEC = LONG ? 60 : 25;
const HOLD_TIME_SEC = 30;
/** Of agents, as it is when nothing is configured. */
const AGENT_HOLD_TIME_SEC = 90;
const LIMIT_MS = LONG ? 300_000 : 120_000;
const AS = 64512;
const VPN_IPV4 = [[1, 128]] as const;

jest.setTimeout(4 * LIMIT_MS);

let lab: Lab;
afterEach(() => lab.close());

const vrfName = (vrf: number): string => `default-domain:storm:net-${vrf}:net-${vrf}`;
const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

const agentsPart = (endOfRibDelay: number): ConfigPart => ({
  endOfRibDelay,
  gracefulRestart: { enabled: true, restartTime: 120, longLivedTime: 0 },
});

/** UPDATEs of a gateway: its share of the routes of each target, `(20.0 + target).gateway.n/32`. */
function tableOf(gateway: number, routes: number): Buffer[] {
  const share = ROUTES_PER_TARGET / GATEWAYS;
  const start = attribute(0x40, 1, '00') + attribute(0x40, 2, '') + attribute(0x40, 5, '00000064');
  return Array.from({ length: routes / ROUTES_PER_TARGET }, (_, target) => {
    const nlri = Array.from({ length: share }, (_, n) => {
      const label = hex(((1000 + n) << 4) | 1, 6);
      return `78 ${label} 0000 ${hex(AS, 4)} ${hex(100_000 + target, 8)} ${hex(0x1400 + target, 4)} ${hex(gateway, 2)} ${hex(n, 2)}`;
    }).join('');
    const nextHop = `0c 0000000000000000 c61200${hex(gateway + 1, 2)}`;
    const reach = attribute(0x90, 14, `0001 80 ${nextHop} 00 ${nlri}`);
    const attributes = `${reach}${start}${attribute(0xc0, 16, `0002 ${hex(AS, 4)} ${hex(target + 1, 8)}`)}`;
    return bgpMessage(BGP_UPDATE, updateBody({ attributes }));
  });
}

/** The agents; each is in ten VRFs, and has a route in each of them. */
function agentsOf(gatewayRoutes: number): SwarmAgent[] {
  const address = swarmAddresses();
  const expected = (AGENTS * VRFS_PER_AGENT) / VRFS + (gatewayRoutes > 0 ? ROUTES_PER_TARGET : 0);
  return Array.from({ length: AGENTS }, (_, n) => ({
    name: `compute-${n}`,
    address: address(n),
    subscriptions: Array.from({ length: VRFS_PER_AGENT }, (_, i) => {
      const vrf = (n + i) % VRFS;
      const prefix = `10.${vrf}.${n >> 8}.${n & 255}/32`;
      return {
        vrf: vrfName(vrf),
        instanceId: vrf + 1,
        routes: [{ family: 'ipv4-unicast', prefix, nextHop: address(n), label: 100 + i, localPreference: 200 }],
        expected,
        prefixes: [`10.${vrf}.`, `20.${vrf}.`],
      };
    }),
  }));
}

/** A controller with its agents, gateways that have tables, and a router that is told everything. */
class World {
  readonly filament: Filament;
  readonly watchers: AgentSwarm<'reference'>;
  readonly others: AgentSwarm<'counting'>;
  readonly #addresses: readonly string[];
  readonly #tables: readonly Buffer[][];
  readonly #total: number;
  routers: readonly RawRouter[] = [];

  private constructor(
    filament: Filament,
    [watchers, others]: readonly [AgentSwarm<'reference'>, AgentSwarm<'counting'>],
    addresses: readonly string[],
    gatewayRoutes: number,
  ) {
    this.filament = filament;
    this.watchers = watchers;
    this.others = others;
    this.#addresses = addresses;
    // The last one is the router that says nothing.
    this.#tables = addresses.map((_, n) => (n < GATEWAYS ? tableOf(n, gatewayRoutes) : []));
    this.#total = AGENTS * VRFS_PER_AGENT + gatewayRoutes;
  }

  static async start(gatewayRoutes: number): Promise<World> {
    const group = { name: 'clients', peerAs: AS, families: ['l3vpn-ipv4-unicast'], routeReflectorClient: true };
    const filament = await Filament.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.3.1',
      process: REHEARSED,
      bgp: {
        peerGroups: [{ ...group, holdTime: HOLD_TIME_SEC }],
        dynamicNeighbors: [{ prefix: lab.prefix, peerGroup: 'clients' }],
      },
      agents: agentsPart(0),
      vrfs: Array.from({ length: VRFS }, (_, vrf) => ({
        name: vrfName(vrf),
        virtualNetwork: { name: `default-domain:storm:net-${vrf}`, id: vrf + 1 },
        importTargets: [`target:${AS}:${vrf + 1}`],
        exportTargets: [`target:${AS}:${vrf + 1}`],
      })),
    });
    await filament.start();
    const addresses = Array.from({ length: GATEWAYS + 1 }, () => lab.nextAddress());
    const agents = agentsOf(gatewayRoutes);
    const swarms = await Promise.all([
      AgentSwarm.start(lab, 'reference', filament, agents.slice(0, WATCHERS)),
      AgentSwarm.start(lab, 'counting', filament, agents.slice(WATCHERS)),
    ]);
    const world = new World(filament, swarms, addresses, gatewayRoutes);
    await world.connectRouters();
    return world;
  }

  /** All routers connect again, and the gateways announce what they have. */
  async connectRouters(): Promise<void> {
    const server = { address: this.filament.address, port: this.filament.bgpPort };
    const options = { server, autonomousSystem: AS, families: VPN_IPV4, holdTimeSec: HOLD_TIME_SEC };
    this.routers = await Promise.all(
      this.#addresses.map((address, n) => {
        const own = { ...options, address, ...(n < GATEWAYS && { takesUpdate: () => {} }) };
        return eventually(`${address} has a session`, () => RawRouter.establish(own));
      }),
    );
    await Promise.all(
      this.routers.map(async (router, n) => {
        for (const message of this.#tables[n] ?? []) await router.sendAll(message);
      }),
    );
  }

  async status(): Promise<readonly SwarmStatus[]> {
    return [...(await this.watchers.status()), ...(await this.others.status())];
  }

  async agents(what: string, field: (status: SwarmStatus) => number): Promise<void> {
    await eventually(`all agents ${what}`, async () => total(await this.status(), field) === AGENTS, this.#patience());
  }

  /** Everybody has been told everything. */
  async converged(): Promise<void> {
    await this.agents('have been pushed everything', ({ pushed }) => pushed);
    const observer = this.routers.at(-1)!;
    await eventually('the observer has everything', () => observer.routes.size === this.#total, this.#patience());
  }

  #patience(): { deadlineMs: number; intervalMs: number; explain: () => Promise<string> } {
    const explain = async (): Promise<string> => {
      const held = this.routers.map(({ routes, closed }) => `${routes.size}${closed ? ' closed' : ''}`);
      return `${JSON.stringify(await this.status())}\nrouters: ${held.join(', ')}\n${this.filament.logTail()}`;
    };
    return { deadlineMs: LIMIT_MS, intervalMs: 250, explain };
  }

  get memory(): MemoryMb {
    return memoryMb(this.filament.process.pid);
  }

  close(): void {
    for (const router of this.routers) router.close();
  }
}

interface Outcome {
  readonly before: MemoryMb;
  readonly after: MemoryMb;
}

/** Kills the controller of a converged world and starts it again; checks what holds at every scale. */
async function killedUnderLoad(row: string, gatewayRoutes: number): Promise<Outcome> {
  lab = new Lab('storm');
  const world = await World.start(gatewayRoutes);
  try {
    await world.converged();
    await world.agents('know that this was everything', ({ ended }) => ended);
    const before = world.memory;
    // A million routes are too many to be asked for one by one.
    const invariants = LONG ? undefined : await Invariants.watch(world.filament);
    await world.filament.crash();
    await eventually('all agents have noticed', async () => {
      return total(await world.status(), ({ established }) => established) === 0;
    });
    world.close();

    world.filament.describe({ agents: agentsPart(END_OF_RIB_DELAY_SEC) });
    const startedMs = performance.now();
    await world.filament.start();
    const seconds = (): string => ((performance.now() - startedMs) / 1000).toFixed(1);
    const [, up] = await Promise.all([
      world.connectRouters(),
      world.agents('are connected', ({ established }) => established).then(seconds),
    ]);
    await world.converged();
    const told = seconds();
    await world.agents('know that this was everything', ({ ended }) => ended);
    const after = world.memory;

    if (LONG) {
      process.stderr.write(
        `${row}: ${AGENTS} agents in ${VRFS_PER_AGENT} VRFs each, ${gatewayRoutes} routes of gateways: all connected after ${up} s, told everything after ${told} s; ` +
          `resident ${before.resident} MB before (peak ${before.peak}), ${after.resident} MB after (peak ${after.peak})\n`,
      );
    }
    // The only session that each lost is the one that was killed; and whatever they had, they had all the time.
    const statuses = await world.status();
    expect(total(statuses, ({ flaps }) => flaps)).toBe(AGENTS);
    expect(total(statuses, ({ lost }) => lost)).toBe(0);
    const watchers = await world.watchers.status();
    expect(total(watchers, ({ complete }) => complete)).toBe(WATCHERS);
    expect(watchers.flatMap(({ wrong, violations }) => [...wrong, ...violations])).toEqual([]);
    // One is due every third of the hold time.
    for (const { longestSilenceMs } of await world.others.status()) {
      expect(longestSilenceMs).toBeLessThan((AGENT_HOLD_TIME_SEC * 1000) / 2);
    }
    const views = await world.filament.agents();
    expect(views.filter(({ state, flaps }) => state === 'established' && flaps === 0)).toHaveLength(AGENTS);
    for (const { address, closed, notification, keepalivesAtMs } of world.routers) {
      expect({ closed, notification }).toEqual({ closed: false });
      expect(await world.filament.neighbor(address)).toMatchObject({ state: 'established', flaps: 0 });
      const silences = keepalivesAtMs.slice(1).map((at, i) => at - keepalivesAtMs[i]!);
      expect(silences.length).toBeGreaterThan(0);
      expect(Math.max(...silences)).toBeLessThan(HOLD_TIME_SEC * 1000);
    }
    await invariants?.hold({ isRestarted: true });
    return { before, after };
  } finally {
    world.close();
  }
}

test('C23 all agents connect again at once: all sessions stay up, all routes are pushed, memory is bounded', async () => {
  const { before, after } = await killedUnderLoad('C23', 0);
  if (LONG) expect(after.peak).toBeLessThan(2 * before.resident);
});

test('D14 started again while agents and gateways with their tables come back: the first KEEPALIVE of every session is in time', async () => {
  await killedUnderLoad('D14', GATEWAY_ROUTES);
});
