/**
 * The measurements of the performance issue: scenarios of the two harnesses, what counts in each, and what Filament has to
 * reach. The harnesses in ../shared/bench know how a scenario is made; `run --help` there lists them.
 *
 * A target is {measure, ratio?, limit?}: `ratio` to the best other speaker of the same run, `limit` in the measure's unit; at
 * most, or at least where more is better. Without either the measure is only shown.
 */
const complete = (ratio) => ({ measure: 'completeSeconds', ratio });
const cpu = (ratio) => ({ measure: 'cpuSeconds', ratio });
const peak = (limit) => ({ measure: 'peakAboveIdleMb', ratio: 1, limit });
const shown = (measure) => ({ measure });
const FLAP_LATENCY = [
  { measure: 'announceP50Ms', ratio: 0.75 },
  { measure: 'announceP99Ms', ratio: 1 },
  { measure: 'withdrawP50Ms', ratio: 0.75 },
  { measure: 'withdrawP99Ms', ratio: 1 },
];
/** Memory stays bounded under churn: shown beside the rate, because a speaker that queues is fast until it is not. */
const CHURN = [{ measure: 'changesPerSecond', ratio: 2 }, shown('peakAboveIdleMb')];

export const PEER_SCENARIOS = {
  S1a: [complete(0.5)],
  S1b: [complete(0.33), cpu(0.33), peak(60)],
  S1c: [complete(0.5)],
  S1o: [complete(0.25)],
  S1l: [complete(0.5)],
  S1w: [complete(0.5)],
  S2: [complete(0.4), cpu(0.33)],
  S2o: [complete(0.4)],
  S3a: [complete(0.5)],
  S3b: [complete(0.5), cpu(0.33), peak(128)],
  S3d: [complete(0.5)],
  S4: [complete(0.5)],
  S5: FLAP_LATENCY,
  S5v: FLAP_LATENCY,
  S5c: CHURN,
  S5w: CHURN,
  S6a: [{ measure: 'lateSeconds', ratio: 0.4 }],
  S6b: [{ measure: 'lateSeconds', ratio: 0.4 }],
  S6c: [{ measure: 'lateSeconds', ratio: 0.4 }],
  S7: [shown('completeSeconds'), { measure: 'cpuSeconds', limit: 0.4 }, { measure: 'octetsPerPath', limit: 150 }],
  S8: [complete(0.7), peak(115)],
};

const items = { measure: 'itemsPerSecond', ratio: 0.8 };
const FLAP_TO_THE_LAST = ['appearP99Ms', 'moveP99Ms', 'goneP99Ms'].map((measure) => ({ measure, ratio: 1.3 }));
const PROBES = [
  shown('probeQuietP99Ms'),
  { measure: 'probeDeathP99Ms', limit: 60 },
  { measure: 'probeReturnP99Ms', limit: 60 },
];
const DEATHS = [...PROBES, { measure: 'retractSeconds', ratio: 1.5 }, shown('returnSeconds')];

export const AGENT_SCENARIOS = {
  A1: [items, cpu(1.3), { measure: 'residentMb', limit: 500 }],
  A1p: [items],
  A1e: [items],
  A2: [items, ...FLAP_TO_THE_LAST],
  A2m: FLAP_TO_THE_LAST,
  A3: DEATHS,
  A3v: DEATHS,
  // With graceful restart nobody may notice.
  A3g: [...PROBES, { measure: 'retracts', limit: 0 }, shown('returnSeconds')],
  A4: [
    { measure: 'idleCpuPercent', limit: 3 },
    { measure: 'idleMb', limit: 250 },
  ],
  A6: [{ measure: 'lateMs', ratio: 1.5 }],
  A6m: [{ measure: 'lateMs', ratio: 1.5 }],
  // "As fast as without them": a tenth is left for the spread of the runs.
  A7: [{ measure: 'othersSlowdown', limit: 1.1 }, shown('slowGrowthMb'), shown('slowMb')],
};

/** The blind relay collects changes for 10 ms, or flushes at each turn of the event loop: which one the target is taken from. */
export const COLLECTING_RELAY = 'relay, 10 ms';
export const TURN_RELAY = 'relay, each turn';
const RELAYS = {
  A1p: [COLLECTING_RELAY, TURN_RELAY],
  A2: [COLLECTING_RELAY, TURN_RELAY],
  A2m: [TURN_RELAY],
  A4: [TURN_RELAY],
  A6: [TURN_RELAY],
  A6m: [TURN_RELAY],
};

export const relaysFor = (scenario) => RELAYS[scenario] ?? [COLLECTING_RELAY];

/** No turn of the event loop may be long, in any scenario. */
export const EVENT_LOOP_TARGETS = [
  { measure: 'loopP99Ms', limit: 20 },
  { measure: 'loopMaxMs', limit: 100 },
];

/** A change of one thing, at any scale, costs what its own routes cost. */
const ONE_CHANGE = [{ measure: 'changeCpuMs', limit: 20 }];

/** What counts in a scenario that has no target: smoke runs, the own generator, changes of everything. */
const OTHERWISE = [
  'completeSeconds',
  'cpuSeconds',
  'octetsPerPath',
  'lateSeconds',
  'itemsPerSecond',
  'changeCpuMs',
  'keepaliveLateMs',
].map(shown);

/** @param scenario  a name of a harness, or `<scenario>: <change>` of bench/scale */
export function targetsOf(scenario) {
  if (/^\w+: .*\bone\b/.test(scenario)) return ONE_CHANGE;
  return PEER_SCENARIOS[scenario] ?? AGENT_SCENARIOS[scenario] ?? OTHERWISE;
}

/** Daemons that a scenario is beyond, in the versions of Debian 12. */
const CANNOT = [
  { peer: 'bird', scenarios: /^S4/, why: 'BIRD 2.0.12 has no EVPN' },
  { peer: 'bird', scenarios: /^S7$/, why: 'BIRD 2.0.12 has no L3VPN instances' },
  { peer: 'openbgpd', scenarios: /^S4/, why: 'OpenBGPD 7.7 has no EVPN' },
  { peer: 'openbgpd', scenarios: /^S5[cp]?$/, why: 'OpenBGPD 7.7 does not act on VPNv4 withdrawals' },
  { peer: 'openbgpd', scenarios: /^S7$/, why: "OpenBGPD's VPN instances need OpenBSD's mpe(4)" },
  { peer: 'frr', scenarios: /^S7$/, why: "FRR's BGP VRFs need zebra and a kernel VRF device" },
  { peer: 'frr-settled', scenarios: /^S[56]/, why: 'settled FRR differs only while it loads' },
];

/** Daemons that take minutes, or do not come to an end at all. */
const SLOW = [
  { peer: 'gobgp', scenarios: /^(?!smoke$|S1b$|S5v$)/, why: 'GoBGP takes minutes' },
  { peer: 'frr', scenarios: /^S2o$/, why: 'FRR is not done after 89 s' },
  { peer: 'openbgpd', scenarios: /^S5w$/, why: 'OpenBGPD does not drain unpaced churn' },
  { peer: 'bird', scenarios: /^S6c$/, why: 'BIRD is not done after 36 s' },
];

/** The blind relay of bgpload: no BGP speaker, but what Node's sockets allow; it is shown and never the best. */
export const FLOOR = 'floor';

/** The daemon behind the name of a peer: `frr-settled` is FRR as well. */
export const daemonOf = (peer) => peer.replace(/-settled$/, '');

/**
 * @param peer  by name; one with options of its own (`bird219=bird|BIRD=…`) has another name and is always tried
 * @returns why a peer is left out of a scenario, or `undefined`
 */
export function reasonToSkip(peer, scenario, withSlow) {
  const table = withSlow ? CANNOT : [...CANNOT, ...SLOW];
  return table.find((line) => [peer, daemonOf(peer)].includes(line.peer) && line.scenarios.test(scenario))?.why;
}

/** FRR reads without bound and does not drain unpaced churn; these are the highest rates at which it was seen to. */
const FRR_CHURN_RATE = { S5c: '120000', S5w: '470000' };

/** Options of bgpload that make a comparison fair to a peer. */
export function fairOptions(peer, scenario) {
  const options = [];
  // FRR holds a new update group back for its coalesce time; settled means that the load starts after it.
  if (peer === 'frr-settled') options.push('--settle', scenario === 'S8' ? '12' : '5');
  if (peer === 'frr' && scenario in FRR_CHURN_RATE) options.push('--churn-rate', FRR_CHURN_RATE[scenario]);
  return options;
}
