#!/usr/bin/env node
/**
 * A long run with random faults: agents and BGP neighbors that come, go, stall and talk nonsense, around one Filament, on
 * loopback. At each check point the faults pause, and then everything must be as the model says: every agent there, every
 * VRF with its routes, the bystanders untouched, their tables complete. At the end the memory must not have grown.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AgentSession, publish, subscribe } from './load/agent-session.mjs';
import { inBursts, range } from './load/concurrency.mjs';
import { freePort, memoryMb, SpeakerProcess } from './load/process.mjs';
import { LoadSession } from './load/session.mjs';
import { LoadTable, message } from './load/table.mjs';

const HELP = `usage: node bench/soak.mjs [options]

  --minutes N   how long (default 60)
  --agents N    agents (default 1000)
  --routes N    VPNv4 routes of four gateways together (default 160,000); each agent publishes 40 more
  --seed N      of the faults (default 1)
  --main FILE   built command line entry (default dist/cli/main.js)
`;
const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    agents: { type: 'string', default: '1000' },
    routes: { type: 'string', default: '160000' },
    seed: { type: 'string', default: '1' },
    main: {
      type: 'string',
      default: join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist', 'cli', 'main.js'),
    },
    help: { type: 'boolean', default: false },
  },
});
const [minutes, agentCount, routeCount, seed] = [options.minutes, options.agents, options.routes, options.seed].map(
  Number,
);
if (options.help || ![minutes, agentCount, routeCount, seed].every((number) => number > 0)) {
  process.stderr.write(HELP);
  process.exit(options.help ? 0 : 2);
}

const ASN = 65_000;
const SERVER = '127.50.0.1';
const VRFS = 100;
const VRFS_PER_AGENT = 2;
const ROUTES_PER_AGENT_AND_VRF = 20;
const GATEWAYS = 4;
const FAMILY = { afi: 1, safi: 128 };
/** Faults follow each other within this time, and pause for a check point this often. */
const FAULT_EVERY_MS = 1500;
const CHECK_EVERY_MS = 60_000;
const CONVERGED_WITHIN_MS = 120_000;
/** Every so many check points the faults pause for longer, everything is collected that is garbage, and memory is measured. */
const REST_EVERY = 5;
const REST_MS = 20_000;
/** A full collection of this heap takes a second; what V8 frees afterwards beside the program a few more. */
const COLLECTED_MS = 10_000;
/** Growth of memory over the second half of the run that is taken for none. */
const MEMORY_SLOPE = 0.02;

const vrfName = (v) => `default-domain:soak:vn${v}:vn${v}`;
const agentAddress = (a) => `127.54.${Math.floor(a / 250)}.${(a % 250) + 1}`;
/** 100.64.0.0 + n: apart from the addresses of the gateways' routes. */
const workload = (n) => `100.${64 + ((n >> 16) & 63)}.${(n >> 8) & 255}.${n & 255}`;

let state = seed;
/** 0..limit-1, repeatable (mulberry32). */
function random(limit) {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
}
const noise = (length) => Buffer.from(range(length).map(() => random(256)));

const port = await freePort(SERVER);
const agentPort = await freePort(SERVER);
const apiPort = await freePort(SERVER);
const bgp = { address: SERVER, port };
const speaker = await SpeakerProcess.start(
  options.main,
  {
    name: 'soak',
    routerId: '10.255.50.1',
    autonomousSystem: ASN,
    bgp: {
      listen: [bgp],
      peerGroups: [{ name: 'load', peerAs: ASN, families: ['l3vpn-ipv4-unicast'], routeReflectorClient: true }],
      dynamicNeighbors: [{ prefix: '127.48.0.0/12', peerGroup: 'load' }],
    },
    agents: { listen: [{ address: SERVER, port: agentPort }] },
    vrfs: range(VRFS).map((v) => ({
      name: vrfName(v),
      virtualNetwork: { name: `default-domain:soak:vn${v}`, id: v + 1 },
      importTargets: [`target:${ASN}:${v + 1}`],
      exportTargets: [`target:${ASN}:${v + 1}`],
      alwaysImport: true,
    })),
    api: { listen: [{ address: SERVER, port: apiPort }] },
    log: { level: 'error' },
  },
  bgp,
  [`--import=${new URL('load/collect-on-signal.mjs', import.meta.url)}`],
);

/** What the process says of its memory: a rest that is higher than the one before should say of what. */
async function parts() {
  const text = await (await fetch(`http://${SERVER}:${apiPort}/metrics`)).text();
  const value = (name) => Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1] ?? Number.NaN);
  const megabytes = (name) => (value(name) / 1e6).toFixed(0);
  const sets = value('filament_attribute_sets');
  return `heap ${megabytes('nodejs_heap_size_used_bytes')} MB, buffers ${megabytes('nodejs_external_memory_bytes')} MB, ${sets} attribute sets`;
}

async function api(path, method = 'GET') {
  const answer = await fetch(`http://${SERVER}:${apiPort}/api/v1/${path}`, {
    method,
    signal: AbortSignal.timeout(30_000),
  });
  return answer.json();
}

/** Routes that a neighbor has been told, by their 12 octets of RD and address. */
class Observer {
  held = new Set();

  take(bytes, start, end) {
    const attributesAt = start + 4 + bytes.readUInt16BE(start);
    for (let at = attributesAt; at < end;) {
      const long = (bytes[at] & 0x10) !== 0;
      const valueAt = at + (long ? 4 : 3);
      const next = valueAt + (long ? bytes.readUInt16BE(at + 2) : bytes[at + 2]);
      const type = bytes[at + 1];
      if (type === 14) this.#each(bytes, valueAt + 5 + bytes[valueAt + 3], next, (key) => this.held.add(key));
      if (type === 15) this.#each(bytes, valueAt + 3, next, (key) => this.held.delete(key));
      at = next;
    }
  }

  /** All routes of this run are host routes with one label: 16 octets. */
  #each(bytes, from, to, act) {
    for (let at = from; at + 16 <= to; at += 16) act(bytes.toString('latin1', at + 4, at + 16));
  }
}

const table = new LoadTable({
  family: 'vpnv4',
  asn: ASN,
  routes: Math.floor(routeCount / GATEWAYS),
  vrfs: VRFS,
  attributeSets: 4,
  senders: GATEWAYS,
});
const payloads = range(GATEWAYS).map((n) => table.encode(n));

const gatewayAddress = (n) => `127.51.0.${n + 1}`;
const gatewaySession = (n, onUpdate) =>
  LoadSession.establish({ speaker: bgp, localAddress: gatewayAddress(n), asn: ASN, families: [FAMILY] }, onUpdate);
const vrfsOf = (a) => range(VRFS_PER_AGENT).map((k) => (a * VRFS_PER_AGENT + k) % VRFS);

async function joinAgent(a) {
  const name = `agent-${a}`;
  const localAddress = agentAddress(a);
  const session = await AgentSession.establish(
    { server: { address: SERVER, port: agentPort }, localAddress, name },
    () => {},
  );
  for (const [k, v] of vrfsOf(a).entries()) {
    const parts = [subscribe(name, vrfName(v), v + 1)];
    for (let r = 0; r < ROUTES_PER_AGENT_AND_VRF; r++) {
      const n = (a * VRFS_PER_AGENT + k) * ROUTES_PER_AGENT_AND_VRF + r;
      parts.push(publish(name, vrfName(v), { address: workload(n), nextHop: localAddress, label: 16 + n }));
    }
    session.write(parts.join(''));
  }
  return session;
}

const agents = [];
const gateways = [];
const observer = new Observer();
const expectedOfVrf = range(VRFS).map(
  (v) =>
    range(agentCount).filter((a) => vrfsOf(a).includes(v)).length * ROUTES_PER_AGENT_AND_VRF +
    range(table.universe).filter((i) => i % VRFS === v).length,
);
const expectedTotal = expectedOfVrf.reduce((sum, count) => sum + count, 0);

/** Again until it works: what is held off after a fault comes in a little later. */
async function persistently(act) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await act();
    } catch (error) {
      if (attempt === 100) throw error;
      await delay(300);
    }
  }
}
async function rejoinAgent(a) {
  agents[a]?.close();
  agents[a] = await persistently(() => joinAgent(a));
}
async function rejoinGateway(n) {
  gateways[n]?.close();
  gateways[n] = await persistently(() => gatewaySession(n, () => {}));
  for (const chunk of [payloads[n]].flat()) gateways[n].write(chunk);
}
/** Octets from an address of its own to a port; the answer does not matter. */
function throwAt(where, n, bytes) {
  const socket = connect({ host: SERVER, port: where, localAddress: `127.55.${random(250)}.${(n % 250) + 1}` });
  socket.on('error', () => {});
  socket.on('connect', () => socket.write(bytes));
  setTimeout(() => socket.destroy(), 3000);
}

/** What can happen; agent 0 and the observer are the bystanders. */
const FAULTS = {
  'agent lost': () => rejoinAgent(1 + random(agentCount - 1)),
  'a tenth of the agents lost': () =>
    inBursts(
      range(Math.ceil(agentCount / 10))
        .map(() => 1 + random(agentCount - 1))
        .filter((a, i, all) => all.indexOf(a) === i),
      rejoinAgent,
    ),
  'gateway lost': () => rejoinGateway(random(GATEWAYS)),
  'noise in a session': async () => {
    const session = await LoadSession.establish(
      { speaker: bgp, localAddress: `127.55.${random(250)}.${random(250) + 1}`, asn: ASN, families: [FAMILY] },
      () => {},
    ).catch(() => undefined);
    for (let n = 0; n < 20; n++) session?.write(message(2, noise(4 + random(200))));
    await delay(200);
    session?.close();
  },
  'noise on the ports': () => [port, agentPort, apiPort].forEach((where, n) => throwAt(where, n, noise(2000))),
  'connections that say nothing': () => range(100).forEach((n) => throwAt(n % 2 === 0 ? port : agentPort, n, '')),
  'stanzas that never end': () =>
    throwAt(agentPort, random(250), `<stream:stream from="x" to="y" version="1.0" ><iq>${'x'.repeat(100_000)}`),
  'the process stops for three seconds': async () => {
    process.kill(speaker.pid, 'SIGSTOP');
    await delay(3000);
    process.kill(speaker.pid, 'SIGCONT');
  },
  'reloads without a change': () =>
    Promise.all(range(10).map(() => api('config/reload', 'POST').catch(() => undefined))),
  questions: () => Promise.all(range(50).map(() => api('routes?family=l3vpn-ipv4-unicast&limit=100').catch(() => {}))),
};

/** Differences between what is and what must be; empty when all is well. */
async function differences() {
  const found = [];
  const [{ agents: seen }, { vrfs }, { neighbors }] = await Promise.all([api('agents'), api('vrfs'), api('neighbors')]);
  const up = seen.filter(({ state: each, name }) => each === 'established' && name.startsWith('agent-')).length;
  if (up !== agentCount) found.push(`${up} agents instead of ${agentCount}`);
  const wrong = vrfs.filter(({ name, routes }) => {
    const v = range(VRFS).find((each) => vrfName(each) === name);
    return v !== undefined && (routes['ipv4-unicast']?.prefixes ?? 0) !== expectedOfVrf[v];
  });
  if (wrong.length > 0) {
    found.push(`${wrong.length} VRFs with other routes, ${wrong[0].name}: ${JSON.stringify(wrong[0].routes)}`);
  }
  if (observer.held.size !== expectedTotal) {
    found.push(`the observer holds ${observer.held.size} of ${expectedTotal} routes`);
  }
  for (let n = 0; n < GATEWAYS; n++) {
    const { state: now, lastError } = neighbors.find(({ address }) => address === gatewayAddress(n)) ?? {};
    if (now !== 'established') found.push(`gateway ${n} is ${now ?? 'not known'}, ${lastError ?? 'without a reason'}`);
  }
  const bystander = neighbors.find(({ address }) => address === '127.52.0.1');
  if (bystander?.state !== 'established' || bystander.flaps > 0) found.push('the neighbor that watches has flapped');
  const quiet = seen.find(({ name }) => name === 'agent-0');
  if (quiet?.state !== 'established' || quiet.flaps > 0) found.push('the agent that watches has flapped');
  if (agents[0].failure !== undefined) found.push(`agent-0: ${agents[0].failure}`);
  return found;
}

/** What ended a moment ago is let go first; what can be collected then is, twice: finalisers free what the first one found. */
async function rest() {
  await delay(REST_MS);
  for (let n = 0; n < 2; n++) {
    process.kill(speaker.pid, 'SIGUSR2');
    await delay(COLLECTED_MS / 2);
  }
}

async function converge() {
  const startedMs = performance.now();
  for (;;) {
    const found = await differences().catch((error) => [String(error)]);
    const tookMs = Math.round(performance.now() - startedMs);
    if (found.length === 0) return tookMs;
    if (tookMs > CONVERGED_WITHIN_MS) throw new Error(found.join('; '));
    await delay(250);
  }
}

const memory = [];
let checks = 0;
const happened = {};
let failure;
try {
  await LoadSession.establish({ speaker: bgp, localAddress: '127.52.0.1', asn: ASN, families: [FAMILY] }, (...update) =>
    observer.take(...update),
  );
  for (let n = 0; n < GATEWAYS; n++) await rejoinGateway(n);
  await inBursts(range(agentCount), rejoinAgent);
  process.stdout.write(
    `${agentCount} agents, ${expectedTotal} routes, seed ${seed}: there in ${await converge()} ms\n`,
  );
  const startedMs = performance.now();
  while (performance.now() - startedMs < minutes * 60_000) {
    const checkAtMs = Math.min(performance.now() + CHECK_EVERY_MS, startedMs + minutes * 60_000);
    while (performance.now() < checkAtMs) {
      const kind = Object.keys(FAULTS)[random(Object.keys(FAULTS).length)];
      happened[kind] = (happened[kind] ?? 0) + 1;
      await FAULTS[kind]();
      await delay(random(FAULT_EVERY_MS));
    }
    const tookMs = await converge();
    const isRest = ++checks % REST_EVERY === 0;
    if (isRest) await rest();
    const { resident, peak } = memoryMb(speaker.pid);
    if (isRest) memory.push(resident);
    const minute = Math.round((performance.now() - startedMs) / 60_000);
    const holds = isRest ? ` at rest: ${await parts()}` : '';
    process.stdout.write(
      `minute ${minute}: as it must be after ${tookMs} ms, ${resident.toFixed(0)} MB (peak ${peak.toFixed(0)})${holds}\n`,
    );
  }
} catch (error) {
  failure = error.message;
} finally {
  for (const session of [...agents, ...gateways]) session?.close();
  await speaker.stop();
}

/**
 * Growth per rest over the second half: the median of the slopes between all pairs (Theil–Sen), as a share of the mean over
 * that half. Not from the check points, where what was lost a second ago and is not collected yet is a tenth of everything.
 */
const later = memory.slice(Math.floor(memory.length / 2));
const mean = later.reduce((sum, each) => sum + each, 0) / later.length;
const slopes = later
  .flatMap((each, i) => later.slice(i + 1).map((other, j) => (other - each) / (j + 1)))
  .toSorted((one, other) => one - other);
const slope = slopes[slopes.length >> 1] ?? 0;
const growth = (slope * (later.length - 1)) / mean;
if (failure === undefined && later.length > 3 && growth > MEMORY_SLOPE) failure = 'memory has grown';
process.stdout.write(
  `faults: ${Object.entries(happened)
    .map(([kind, count]) => `${count} × ${kind}`)
    .join(', ')}\n`,
);
process.stdout.write(`memory at rest over the second half: ${(100 * growth).toFixed(1)} %\n`);
process.stdout.write(failure === undefined ? 'all check points held\n' : `FAILED: ${failure}\n`);
process.exit(failure === undefined ? 0 : 1);
