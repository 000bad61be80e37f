/** What a change costs in a large Filament, and what it does to the event loop. */
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../load/process.mjs';
import { LoadTable } from '../load/table.mjs';
import { MeasuredController } from './controller.mjs';
import { CountingSession, RTC, VPNV4 } from './session.mjs';

const ASN = 65_000;
const BGP_ADDRESS = '127.60.0.1';
/** Sessions being established at a time. */
const BURST = 50;
const DEADLINE_MS = 120_000;
/** Of the session whose KEEPALIVEs are watched: one a second. */
const SHORT_HOLD_TIME_SEC = 3;

const range = (length) => Array.from({ length }, (_, n) => n);
const vrfName = (n) => `default-domain:scale:vn${n}:vn${n}`;

/** A VRF with the targets of the generator's VRF of the same number. */
function vrf(n, importTargets = [n]) {
  return {
    name: vrfName(n),
    virtualNetwork: { name: `default-domain:scale:vn${n}`, id: n },
    importTargets: importTargets.map((target) => `target:${ASN}:${target}`),
    exportTargets: [`target:${ASN}:${n}`],
  };
}

async function start(main, { vrfs = [], families = ['l3vpn-ipv4-unicast'], format }) {
  const port = await freePort(BGP_ADDRESS);
  const configuration = {
    name: 'scale',
    routerId: '10.255.60.1',
    autonomousSystem: ASN,
    bgp: {
      listen: [{ address: BGP_ADDRESS, port }],
      peerGroups: [{ name: 'load', peerAs: ASN, families, holdTime: 240, routeReflectorClient: true }],
      dynamicNeighbors: [{ prefix: '127.48.0.0/12', peerGroup: 'load' }],
    },
    agents: { listen: [] },
    log: { level: 'warn' },
    vrfs,
  };
  const apiPort = await freePort(BGP_ADDRESS);
  const controller = await MeasuredController.start(main, configuration, { format, apiPort });
  const sessions = [];
  return {
    controller,
    sessions,
    configuration,
    async session(n, options = {}) {
      const localAddress = `127.51.${Math.floor(n / 250)}.${(n % 250) + 1}`;
      const speaker = { address: BGP_ADDRESS, port };
      const session = await CountingSession.establish({
        speaker,
        localAddress,
        asn: ASN,
        families: [VPNV4],
        ...options,
      });
      sessions.push(session);
      return session;
    },
    async stop() {
      for (const session of sessions) session.close();
      await controller.stop();
    },
  };
}

async function until(what, condition) {
  const endMs = performance.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not within ${DEADLINE_MS / 1000} s: ${what}`);
    await delay(100);
  }
}

async function load(filament, table) {
  const sender = await filament.session(0);
  sender.write(table.encode(0));
  await until('all routes loaded', async () => {
    const { neighbors } = await filament.controller.get('/api/v1/neighbors');
    const received = neighbors.flatMap(({ families }) => families).reduce((sum, family) => sum + family.received, 0);
    return received >= table.routes;
  });
  return sender;
}

function expectCount(what, found, expected) {
  if (found !== expected) throw new Error(`${what}: ${found} instead of ${expected}`);
}

/** The configuration of one VRF of very many changes. */
async function vrfs({ main, quick, format, repetitions }) {
  const count = quick ? 1000 : 10_000;
  const perVrf = 20;
  const list = range(count).map((n) => vrf(n + 1));
  const filament = await start(main, { vrfs: list, format });
  const { controller, configuration } = filament;
  const rows = [];
  const routesIn = async (n) =>
    (await controller.get(`/api/v1/vrfs/${encodeURIComponent(vrfName(n))}`)).routes['ipv4-unicast'].prefixes;
  const measure = async (change, routes, changed, check) => {
    controller.write({ ...configuration, vrfs: changed });
    rows.push({ change: `${format}: ${change}`, routes, ...(await controller.measure(() => controller.reload())) });
    await check();
  };
  try {
    await load(
      filament,
      new LoadTable({ family: 'vpnv4', asn: ASN, routes: count * perVrf, vrfs: count, attributeSets: 1, senders: 1 }),
    );
    await until('all routes imported', async () => (await routesIn(count)) === perVrf);
    await delay(1000);
    for (let n = 1; n <= repetitions; n++) {
      const middle = Math.floor(count / 2) + n;
      const other = list.map((one, at) => (at === middle ? vrf(middle + 1, [middle + 1, n]) : one));
      await measure('one more import target', perVrf, other, async () => {
        expectCount('routes of the VRF', await routesIn(middle + 1), 2 * perVrf);
      });
      await measure('one import target less', perVrf, list, async () => {
        expectCount('routes of the VRF', await routesIn(middle + 1), perVrf);
      });
      const added = [...list, vrf(count + 1, [n])];
      await measure('one VRF added', perVrf, added, async () => {
        expectCount('routes of the new VRF', await routesIn(count + 1), perVrf);
      });
      await measure('one VRF removed', perVrf, list, async () => undefined);
      await measure('nothing', 0, list, async () => undefined);
    }
    // Every VRF is another one: what can be done is to leave the event loop alone meanwhile.
    await measure(
      'every import list',
      2 * count * perVrf,
      list.map((_, at) => vrf(at + 1, [at + 1, ((at + 1) % count) + 1])),
      async () => until('all lists changed', async () => (await routesIn(count)) === 2 * perVrf),
    );
    return rows;
  } finally {
    await filament.stop();
  }
}

/** One of very many neighbors asks for one more target. */
async function rtc({ main, quick, repetitions }) {
  const neighbors = quick ? 50 : 500;
  const targets = quick ? 1000 : 10_000;
  const routes = targets * 20;
  const filament = await start(main, { families: ['l3vpn-ipv4-unicast', 'rtc'] });
  const { controller } = filament;
  const rows = [];
  try {
    const table = new LoadTable({ family: 'vpnv4', asn: ASN, routes, vrfs: targets, attributeSets: 1, senders: 1 });
    await load(filament, table);
    const clients = [];
    for (let at = 0; at < neighbors; at += BURST) {
      clients.push(
        ...(await Promise.all(range(BURST).map((n) => filament.session(1 + at + n, { families: [VPNV4, RTC] })))),
      );
    }
    clients.forEach((client, n) => {
      client.wants(range(20).map((k) => n * 20 + k + 1));
      client.endOfRib(RTC);
    });
    await until('interest served', () => clients.every(({ vpn }) => vpn.announced >= 400));
    await delay(2000);
    const sent = () => clients.map(({ vpn }) => ({ ...vpn }));
    const measure = async (change, expected, action) => {
      const before = sent();
      const figures = await controller.measure(action);
      await until(
        change,
        () =>
          clients[0].vpn.announced + clients[0].vpn.withdrawn - before[0].announced - before[0].withdrawn >= expected,
      );
      const after = sent();
      const moved = (n) => after[n].announced + after[n].withdrawn - before[n].announced - before[n].withdrawn;
      expectCount(
        `${change}: routes to others`,
        range(neighbors)
          .slice(1)
          .reduce((sum, n) => sum + moved(n), 0),
        0,
      );
      const [was, is] = [before[0], after[0]];
      rows.push({
        change,
        routes: moved(0),
        updates: is.updates - was.updates,
        octets: is.octets - was.octets,
        ...figures,
      });
    };
    for (let n = 1; n <= repetitions; n++) {
      const target = Math.floor(targets / 2) + n;
      await measure('one more target', 20, async () => clients[0].wants([target]));
      await measure('one target less', 0, async () => clients[0].wants([target], false));
    }
    await measure('every target (default membership)', routes - 400, async () => {
      clients[0].wants(['default']);
      await until('all sent', () => clients[0].vpn.announced >= routes);
    });
    await measure('default membership withdrawn', 0, async () => {
      clients[0].wants(['default'], false);
      await delay(1000);
    });
    // What each neighbor holds has to be worked out again after a change.
    await measure('GET neighbors, after a change', 20, async () => {
      clients[0].wants([targets]);
      await delay(100);
      await controller.get('/api/v1/neighbors');
    });
    return rows;
  } finally {
    await filament.stop();
  }
}

/** A million routes come and go; KEEPALIVEs must leave all the while. */
async function loop({ main, quick }) {
  const routes = quick ? 100_000 : 1_000_000;
  const filament = await start(main, {});
  const { controller } = filament;
  const rows = [];
  try {
    const watched = await filament.session(1, { holdTimeSec: SHORT_HOLD_TIME_SEC });
    const receivers = [watched, ...(await Promise.all(range(3).map((n) => filament.session(2 + n))))];
    const sender = await filament.session(0);
    const payload = new LoadTable({
      family: 'vpnv4',
      asn: ASN,
      routes,
      vrfs: 1000,
      attributeSets: 4,
      senders: 1,
    }).encode(0);
    const measure = async (change, action) => {
      watched.longestSilenceMs = 0;
      const figures = await controller.measure(action);
      rows.push({ change, routes, ...figures, keepaliveLateMs: Math.max(0, watched.longestSilenceMs - 1000) });
    };
    await measure('loaded', async () => {
      sender.write(payload);
      await until('all routes everywhere', () => receivers.every(({ vpn }) => vpn.announced >= routes));
    });
    await measure('10 join', async () => {
      const late = await Promise.all(range(10).map((n) => filament.session(20 + n)));
      await until('all have everything', () => late.every(({ vpn }) => vpn.announced >= routes));
      for (const session of late) session.close();
    });
    await measure('API: longer matches', () =>
      controller.get('/api/v1/routes?family=l3vpn-ipv4-unicast&prefix=65000:999&match=longer&limit=10000'),
    );
    await measure('API: neighbors', () => controller.get('/api/v1/neighbors'));
    await measure('announced again', async () => {
      sender.write(payload);
      await delay(3000);
    });
    await measure('session lost', async () => {
      sender.close();
      await until('all withdrawn', () => receivers.every(({ vpn }) => vpn.withdrawn >= routes));
    });
    return rows;
  } finally {
    await filament.stop();
  }
}

export const SCENARIOS = {
  vrfs: async (options) => [
    ...(await vrfs({ ...options, format: 'json' })),
    ...(await vrfs({ ...options, format: 'yaml' })),
  ],
  rtc,
  loop,
};
