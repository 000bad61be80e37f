/** The generator's own scenarios of the agent channel: agents around one Filament, all on loopback. */
import { setTimeout as delay } from 'node:timers/promises';
import { AgentSession, publish, subscribe } from './agent-session.mjs';
import { countdown, inBursts, once, range } from './concurrency.mjs';
import { eventLoopDelay } from './event-loop.mjs';
import { cpuSeconds, freePort, machineCpuSeconds, memoryMb, SpeakerProcess } from './process.mjs';

const ASN = 65_000;
const SERVER_ADDRESS = '127.50.0.1';
const FIRST_LABEL = 16;
/** After everything has arrived; what comes then came twice. */
const SETTLE_MS = 300;

export const AGENT_LOADS = {
  'agents-join': {
    about: '500 agents in 10 of 100 VRFs each, 10 routes an agent and VRF, all at once',
    agents: 500,
    vrfs: 100,
    vrfsPerAgent: 10,
    routes: 10,
  },
  'agents-quick': {
    about: '100 agents in 5 of 20 VRFs each, 4 routes an agent and VRF, all at once',
    agents: 100,
    vrfs: 20,
    vrfsPerAgent: 5,
    routes: 4,
  },
};

const vrfName = (v) => `default-domain:load:vn${v}:vn${v}`;

function configuration({ port, apiPort }, { vrfs }) {
  return {
    name: 'bench',
    routerId: '10.255.50.1',
    autonomousSystem: ASN,
    bgp: { listen: [] },
    agents: { listen: [{ address: SERVER_ADDRESS, port }] },
    vrfs: range(vrfs).map((v) => ({
      name: vrfName(v),
      virtualNetwork: { name: `default-domain:load:vn${v}`, id: v + 1 },
      importTargets: [`target:${ASN}:${v + 1}`],
      exportTargets: [`target:${ASN}:${v + 1}`],
    })),
    api: { listen: [{ address: SERVER_ADDRESS, port: apiPort }] },
    log: { level: 'warn' },
  };
}

/** VRFs of agent `a`: `vrfsPerAgent` in a row, each agent's row beginning where that of the agent before ends. */
function vrfsOf(a, { vrfs, vrfsPerAgent }) {
  return range(vrfsPerAgent).map((k) => (a * vrfsPerAgent + k) % vrfs);
}

const addressOf = (a) => `127.54.${Math.floor(a / 250)}.${(a % 250) + 1}`;

/** 10.0.0.0 + n. */
const workloadAddress = (n) => `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;

/** What agent `a` says once its stream is open. */
function speech(a, name, load) {
  const { routes, vrfsPerAgent } = load;
  const parts = [];
  for (const [k, v] of vrfsOf(a, load).entries()) {
    parts.push(subscribe(name, vrfName(v), v + 1));
    for (let r = 0; r < routes; r++) {
      const number = (a * vrfsPerAgent + k) * routes + r;
      const route = { address: workloadAddress(number), nextHop: addressOf(a), label: FIRST_LABEL + number };
      parts.push(publish(name, vrfName(v), route));
    }
  }
  return parts.join('');
}

/** Items that each agent must hold: the routes of all agents of its VRFs, its own among them. */
function expectedItems(load) {
  const members = new Array(load.vrfs).fill(0);
  for (let a = 0; a < load.agents; a++) for (const v of vrfsOf(a, load)) members[v]++;
  return range(load.agents).map((a) => vrfsOf(a, load).reduce((sum, v) => sum + members[v] * load.routes, 0));
}

/**
 * Runs one load against a fresh Filament.
 *
 * @param main  path of the built command line entry
 * @param load  of the shape of those in {@link AGENT_LOADS}
 * @returns {ok, why?, figures}; not ok when an item was not pushed, or too many were
 */
export async function runAgentLoad(main, load, deadlineMs = 120_000) {
  const ports = { port: await freePort(SERVER_ADDRESS), apiPort: await freePort(SERVER_ADDRESS) };
  const server = { address: SERVER_ADDRESS, port: ports.port };
  const api = { address: SERVER_ADDRESS, port: ports.apiPort };
  const expected = expectedItems(load);
  const names = range(load.agents).map((a) => `load-${a}`);
  const speeches = names.map((name, a) => speech(a, name, load));
  const speaker = await SpeakerProcess.start(main, configuration(ports, load), server);
  const sessions = [];
  try {
    await eventLoopDelay(api);
    const complete = countdown(load.agents, 'agents', deadlineMs);
    const before = {
      cpu: cpuSeconds(speaker.pid),
      memory: memoryMb(speaker.pid),
      machine: machineCpuSeconds(),
      own: process.cpuUsage(),
    };
    const startedMs = performance.now();
    await inBursts(names, async (name, a) => {
      const arrived = once(complete.arrived);
      const session = await AgentSession.establish({ server, localAddress: addressOf(a), name }, ({ items }) => {
        if (items >= expected[a]) arrived();
      });
      sessions[a] = session;
      session.write(speeches[a]);
    });
    const completeMs = await complete.all;
    const cpu = cpuSeconds(speaker.pid) - before.cpu;
    const own = process.cpuUsage(before.own);
    const generatorCpu = (own.user + own.system) / 1e6;
    const foreignCpu = Math.max(0, machineCpuSeconds() - before.machine - cpu - generatorCpu);
    await delay(SETTLE_MS);
    const loop = await eventLoopDelay(api);
    const { peak } = memoryMb(speaker.pid);
    const items = expected.reduce((sum, count) => sum + count, 0);
    const failed = sessions.find(({ failure }) => failure !== undefined);
    const wrong = sessions.findIndex((session, a) => session.items !== expected[a] || session.retracts > 0);
    const seconds = (completeMs - startedMs) / 1000;
    return {
      ok: failed === undefined && wrong < 0,
      ...(failed && { why: failed.failure }),
      ...(wrong >= 0 && {
        why: `${names[wrong]}: ${sessions[wrong].items} items for ${expected[wrong]}, ${sessions[wrong].retracts} retracts`,
      }),
      figures: {
        completeSeconds: seconds,
        cpuSeconds: cpu,
        itemsPerSecond: items / seconds,
        residentMb: peak,
        generatorCpuSeconds: generatorCpu,
        foreignCpuSeconds: foreignCpu,
        ...loop,
      },
      routes: load.agents * load.vrfsPerAgent * load.routes,
      items,
    };
  } catch (error) {
    return { ok: false, why: `${error.message} ${speaker.log()}`.trim(), figures: {} };
  } finally {
    for (const session of sessions) session?.close();
    await speaker.stop();
  }
}
