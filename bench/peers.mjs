/** Part `peers`: the bgpload harness, Filament beside the daemons that are installed. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fairOptions, daemonOf, FLOOR, PEER_SCENARIOS, reasonToSkip, targetsOf } from './catalogue.mjs';
import { Harness, rowOf } from './harness.mjs';
import { freePort } from './load/process.mjs';
import { repeat } from './repeat.mjs';

const CONFIGURATION = join(dirname(fileURLToPath(import.meta.url)), 'bgpload-config.mjs');

const FIELDS = {
  completeSeconds: 'conv_s',
  cpuSeconds: 'cpu_s',
  octetsPerPath: 'bytes_per_path',
  updatesPerReceiver: 'msgs_per_rx',
  announceP50Ms: 'ann_p50_ms',
  announceP99Ms: 'ann_p99_ms',
  withdrawP50Ms: 'wdr_p50_ms',
  withdrawP99Ms: 'wdr_p99_ms',
  changesPerSecond: 'churn_per_s',
  lateSeconds: 'late_full_s',
  lateCpuSeconds: 'late_cpu_s',
  generatorCpuSeconds: 'gen_cpu_s',
  foreignCpuSeconds: 'foreign_cpu_s',
};

/** Daemons by the name of their driver in the harness: their program, as the driver finds it. */
const PROGRAMS = {
  frr: process.env.BGPD ?? '/usr/lib/frr/bgpd',
  bird: process.env.BIRD ?? '/usr/sbin/bird',
  openbgpd: process.env.OPENBGPD ?? '/usr/sbin/bgpd',
  gobgp: '/usr/bin/gobgpd',
};

/** Loads next to nothing: what is resident then is the idle process. */
const IDLE = ['--routes', '1', '--vrfs', '1', '--attrs', '1', '--receivers', '1'];

function installed(peers, log) {
  return peers.filter((peer) => {
    const program = PROGRAMS[daemonOf(peer)];
    const there = program === undefined || existsSync(program);
    if (!there) log(`${peer}: left out, ${program} is not installed`);
    return there;
  });
}

/** GNU awk takes a bare `>` in the arguments of printf for a redirection; other awks do not. */
const mendDriver = (text) => text.replaceAll(' NR > 1 ?', ' (NR > 1) ?');

/** @returns (speaker, scenario, options of bgpload) → outcome of the run, or `undefined` where the harness is not there */
async function prepare(context) {
  const harness = Harness.prepare('bgpload', context);
  if (harness === undefined) return undefined;
  harness.mend('peers/ours.sh', mendDriver);
  const environment = {
    BGPLOAD: harness.program,
    SPEAKER_CONFIG: harness.script('filament-config', process.execPath, CONFIGURATION),
    PORT: String(await freePort('127.0.0.1')),
  };
  const { speaker: filament } = harness;
  const floor = `${harness.script('floor', process.execPath, harness.path('floor.mjs'))} %PORT% 65000`;
  const DRIVERS = { filament: 'filament=ours', [FLOOR]: `${FLOOR}=ours`, 'frr-settled': 'frr-settled=frr' };
  return (speaker, scenario, extra) => {
    const command = speaker === FLOOR ? floor : filament;
    const options = ['--peers', DRIVERS[speaker] ?? speaker];
    return harness.run(scenario, options, extra, { ...environment, SPEAKER_CMD: command });
  };
}

/** Resident MB of each idle speaker, for the scenarios that count memory above it. */
async function idleMemory(run, speakers, scenarios) {
  const counted = scenarios.some((name) => targetsOf(name).some(({ measure }) => measure === 'peakAboveIdleMb'));
  const idle = new Map();
  for (const speaker of counted ? speakers : []) idle.set(speaker, (await run(speaker, 'smoke', IDLE)).raw.rss0_mb);
  return idle;
}

export async function runPeers(context) {
  const { log, quick, withSlow } = context;
  const run = await prepare(context);
  if (run === undefined) return;
  const scenarios =
    context.scenarios((name) => /^(S\d|smoke)/.test(name)) ?? (quick ? ['smoke'] : Object.keys(PEER_SCENARIOS));
  const speakers = ['filament', ...installed(context.peers, log)];
  const idle = await idleMemory(run, speakers, scenarios);
  for (const scenario of scenarios) {
    const able = speakers.filter((speaker) => {
      const why = reasonToSkip(speaker, scenario, withSlow);
      if (why !== undefined) context.skipped.push({ scenario, speaker, why });
      return why === undefined;
    });
    await repeat(context, able, async (speaker) => {
      const outcome = await run(speaker, scenario, fairOptions(speaker, scenario));
      const figures = ({ hwm_mb: peak }) => (idle.has(speaker) ? { peakAboveIdleMb: peak - idle.get(speaker) } : {});
      return rowOf(outcome, { part: 'peers', scenario, speaker, fields: FIELDS, figures });
    });
  }
}
