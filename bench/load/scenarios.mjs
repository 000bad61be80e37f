/** The generator's own scenarios: N senders and M receivers around one Filament, all on loopback. */
import { setTimeout as delay } from 'node:timers/promises';
import { countdown, inBursts, once, range } from './concurrency.mjs';
import { eventLoopDelay } from './event-loop.mjs';
import { cpuSeconds, freePort, machineCpuSeconds, memoryMb, SpeakerProcess } from './process.mjs';
import { Receiver } from './receiver.mjs';
import { LoadSession } from './session.mjs';
import { LoadTable } from './table.mjs';

const ASN = 65_000;
const SPEAKER_ADDRESS = '127.50.0.1';

export const SCENARIOS = {
  'vpn-1-10': {
    about: 'VPNv4, 200k routes in 1,000 VRFs, 1 sender to 10 clients',
    family: 'vpnv4',
    routes: 200_000,
    vrfs: 1000,
    attributeSets: 4,
    senders: 1,
    receivers: 10,
  },
  'vpn-best': {
    about: 'VPNv4, 4 senders of the same 100k, best path to 10 clients',
    family: 'vpnv4',
    routes: 100_000,
    vrfs: 1000,
    attributeSets: 4,
    senders: 4,
    receivers: 10,
    overlap: true,
  },
  'evpn-1-10': {
    about: 'EVPN MAC/IP, 100k routes in 1,000 VRFs, 1 sender to 10 clients',
    family: 'evpn',
    routes: 100_000,
    vrfs: 1000,
    attributeSets: 1,
    senders: 1,
    receivers: 10,
  },
  'vpn-1-1000': {
    about: 'VPNv4, 10k routes in 100 VRFs, 1 sender to 1,000 clients',
    family: 'vpnv4',
    routes: 10_000,
    vrfs: 100,
    attributeSets: 4,
    senders: 1,
    receivers: 1000,
  },
  'vpn-late': {
    about: 'VPNv4, 200k routes loaded, then 10 clients join at once',
    family: 'vpnv4',
    routes: 200_000,
    vrfs: 1000,
    attributeSets: 4,
    senders: 1,
    receivers: 1,
    late: 10,
  },
  quick: {
    about: 'VPNv4, 20k routes in 100 VRFs, 1 sender to 10 clients',
    family: 'vpnv4',
    routes: 20_000,
    vrfs: 100,
    attributeSets: 4,
    senders: 1,
    receivers: 10,
  },
};

/** VRFs that import what the load announces; there is no agent that would make the controller ask for it. */
function importingVrfs({ vrfs }) {
  return range(vrfs).map((n) => ({
    name: `v${n}`,
    virtualNetwork: { name: `network-${n}`, id: n + 1 },
    routeDistinguisher: `${ASN}:${100_001 + n}`,
    importTargets: [`target:${ASN}:${n + 1}`],
    exportTargets: [`target:${ASN}:${n + 1}`],
    alwaysImport: true,
  }));
}

function configuration({ port, apiPort }, scenario, family) {
  return {
    name: 'bench',
    routerId: '10.255.50.1',
    autonomousSystem: ASN,
    bgp: {
      listen: [{ address: SPEAKER_ADDRESS, port }],
      peerGroups: [{ name: 'load', peerAs: ASN, families: [family], holdTime: 240, routeReflectorClient: true }],
      dynamicNeighbors: [{ prefix: '127.48.0.0/12', peerGroup: 'load' }],
    },
    agents: { listen: [] },
    ...(scenario.importing && { vrfs: importingVrfs(scenario) }),
    api: { listen: [{ address: SPEAKER_ADDRESS, port: apiPort }] },
    log: { level: 'warn' },
  };
}

/** Address of the n-th session of a kind: senders in 127.51.0.0/16, receivers in 127.52/16, late ones in 127.53/16. */
function addressOf(kind, n) {
  return `127.${51 + kind}.${Math.floor(n / 250)}.${(n % 250) + 1}`;
}

/**
 * Runs one scenario against a fresh Filament.
 *
 * @param main  path of the built command line entry
 * @param scenario  of the shape of those in {@link SCENARIOS}; with `importing` Filament has the VRFs that the routes are of
 * @returns {ok, why?, figures}; not ok when something did not arrive
 */
export async function runScenario(main, scenario, deadlineMs = 120_000) {
  const table = new LoadTable({ ...scenario, asn: ASN });
  const payloads = range(scenario.senders).map((n) => table.encode(n));
  const ports = { port: await freePort(SPEAKER_ADDRESS), apiPort: await freePort(SPEAKER_ADDRESS) };
  const api = { address: SPEAKER_ADDRESS, port: ports.apiPort };
  const { port } = ports;
  const speaker = await SpeakerProcess.start(main, configuration(ports, scenario, table.codec.name), {
    address: SPEAKER_ADDRESS,
    port,
  });
  const sessions = [];
  const establish = async (kind, n, onUpdate) => {
    const localAddress = addressOf(kind, n);
    const { afi, safi } = table.codec;
    const options = { speaker: { address: SPEAKER_ADDRESS, port }, localAddress, asn: ASN, families: [{ afi, safi }] };
    const session = await LoadSession.establish(options, onUpdate);
    sessions.push(session);
    return session;
  };
  try {
    const complete = countdown(scenario.receivers, 'receivers', deadlineMs);
    const receivers = range(scenario.receivers).map(() => new Receiver(table, once(complete.arrived)));
    await inBursts(receivers, (receiver, n) => establish(1, n, (...at) => receiver.update(...at)));
    const senders = await inBursts(range(scenario.senders), (n) => establish(0, n, () => {}));
    // Each reading starts the next one's interval; the first is slow, because that code has not been compiled yet.
    await eventLoopDelay(api);
    await delay(500);
    await eventLoopDelay(api);

    const before = {
      cpu: cpuSeconds(speaker.pid),
      memory: memoryMb(speaker.pid),
      machine: machineCpuSeconds(),
      own: process.cpuUsage(),
    };
    const startedMs = performance.now();
    senders.forEach((sender, n) => sender.write(payloads[n]));
    const completeMs = await complete.all;
    const cpu = cpuSeconds(speaker.pid) - before.cpu;
    const own = process.cpuUsage(before.own);
    const generatorCpu = (own.user + own.system) / 1e6;
    const foreignCpu = Math.max(0, machineCpuSeconds() - before.machine - cpu - generatorCpu);

    const late = scenario.late ? await joinLate(scenario.late, table, establish, speaker.pid, deadlineMs) : {};
    await delay(300);
    const loop = await eventLoopDelay(api);
    const memory = memoryMb(speaker.pid);
    const failed = sessions.find(({ failure }) => failure !== undefined);
    const wrong = receivers.reduce((sum, receiver) => sum + receiver.wrong, 0);
    return {
      ok: failed === undefined && wrong === 0,
      ...(failed && { why: failed.failure }),
      ...(wrong > 0 && { why: `${wrong} wrong NLRI` }),
      figures: {
        completeSeconds: (completeMs - startedMs) / 1000,
        cpuSeconds: cpu,
        octetsPerPath: ((memory.peak - before.memory.resident) * 2 ** 20) / (table.routes * scenario.senders),
        updatesPerReceiver: receivers[0].updates,
        generatorCpuSeconds: generatorCpu,
        foreignCpuSeconds: foreignCpu,
        ...late,
        ...loop,
      },
    };
  } catch (error) {
    return { ok: false, why: `${error.message} ${speaker.log()}`.trim(), figures: {} };
  } finally {
    for (const session of sessions) session.close();
    await speaker.stop();
  }
}

async function joinLate(count, table, establish, pid, deadlineMs) {
  const complete = countdown(count, 'late receivers', deadlineMs);
  const before = cpuSeconds(pid);
  const startedMs = performance.now();
  await Promise.all(
    range(count).map((n) => {
      const receiver = new Receiver(table, once(complete.arrived));
      return establish(2, n, (...at) => receiver.update(...at));
    }),
  );
  const completeMs = await complete.all;
  return { lateSeconds: (completeMs - startedMs) / 1000, lateCpuSeconds: cpuSeconds(pid) - before };
}
