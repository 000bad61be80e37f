/**
 * Row I08 on the real process: mistakes are put into its code where sessions, requests and reloads work outside of the confined handlers: when a
 * connection is made or taken, behind promises, in the HTTP server. Each ends what it belongs to; the process and its other sessions go on.
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { ControllerInfo } from '../../src/controller/view.js';
import { ROOT } from '../cli/command.js';
import { TestAgent } from '../support/agent.js';
import { eventually } from '../support/eventually.js';
import { Filament, type ConfigPart } from '../support/filament.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { RawClient } from '../support/raw-client.js';
import { RawRouter } from '../support/raw-router.js';

const AS = 64512;
const FAMILY = 'ipv4-unicast';
const BLUE = {
  name: 'blue',
  virtualNetwork: { name: 'blue', id: 1 },
  importTargets: [`target:${AS}:1`],
  exportTargets: [`target:${AS}:1`],
};
/** 10.1.N.0/24 with what an internal neighbor must say. */
const ATTRIBUTES = '40010100 400200 4003040a090001 40050400000064';

jest.setTimeout(120_000);

/** Who is met by a mistake. */
interface Victims {
  /** Its session is to begin anew after a change of its configuration. */
  readonly changed: string;
  /** It is taken out of the configuration. */
  readonly removed: string;
  readonly dialled: string;
  readonly accepted: string;
}

/** Loaded into the process before its own code. */
const mistakes = ({ changed, removed, dialled, accepted }: Victims): string => `
const load = (name) => import(${JSON.stringify(`file://${ROOT}dist/`)} + name + '.js');
const mistake = (what) => new TypeError('a mistake of ours: ' + what);
function instead(prototype, method, before) {
  const own = prototype[method];
  prototype[method] = function (...args) {
    before.apply(this, args);
    return own.apply(this, args);
  };
}
const { BgpNeighbor } = await load('controller/bgp-neighbor');
let starts = 0;
instead(BgpNeighbor.prototype, 'start', function () {
  if (this.address === '${changed}' && ++starts === 2) throw mistake('start');
});
const { Neighbor } = await load('bgp/session/neighbor');
const { stop } = Neighbor.prototype;
Neighbor.prototype.stop = function (reason) {
  const stopped = stop.call(this, reason);
  return this.config.address === '${removed}' ? stopped.then(() => Promise.reject(mistake('stop'))) : stopped;
};
const { TcpTransport } = await load('net/tcp-transport');
let taken = 0;
instead(TcpTransport.prototype, 'attach', function () {
  if (this.remoteAddress === '${dialled}') throw mistake('attach to ours');
  if (this.remoteAddress === '${accepted}' && ++taken === 1) throw mistake('attach to theirs');
});
const { RequestTurns } = await load('api/request-turns');
instead(RequestTurns.prototype, 'add', ({ url }) => {
  if (url.endsWith('?added')) throw mistake('added');
});
const { ControllerViews } = await load('controller/controller-views');
instead(ControllerViews.prototype, 'confirmConfig', () => {
  void Promise.reject(mistake('nobody listens'));
});
const { Vrfs } = await load('controller/vrfs');
instead(Vrfs.prototype, 'add', ({ name }) => {
  if (name === 'mistake') throw mistake('add');
});
`;

describe('I08 a mistake of ours outside of the handlers', () => {
  const lab = new Lab('mistakes');
  const [changed, removed, dialled, accepted] = [
    lab.nextAddress(),
    lab.nextAddress(),
    lab.nextAddress(),
    lab.nextAddress(),
  ];
  const bystanderAddress = lab.nextAddress();
  let filament: Filament;
  let bystander: RawRouter;
  let agent: TestAgent;
  let neighbors: readonly ConfigPart[];
  let routes = 0;
  let invariants: Invariants;

  const passive = (address: string): ConfigPart => ({ address, peerAs: AS, passive: true, families: [FAMILY] });
  const server = (): { address: string; port: number } => ({ address: filament.address, port: filament.bgpPort });

  beforeAll(async () => {
    const file = `${lab.directory}/mistakes.mjs`;
    writeFileSync(file, mistakes({ changed, removed, dialled, accepted }));
    filament = await Filament.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.7.1',
      vrfs: [BLUE],
      through: ['env', `NODE_OPTIONS=--import=${file}`],
    });
    neighbors = [bystanderAddress, changed, removed, accepted].map(passive);
    filament.describe({ neighbors });
    await filament.start();
    bystander = await RawRouter.establish({ server: server(), address: bystanderAddress, autonomousSystem: AS });
    agent = new TestAgent(lab, filament, 'bystander');
    await agent.start();
    agent.subscribe(BLUE.name, 1);
  });

  afterAll(async () => {
    bystander.close();
    await lab.close();
  });

  beforeEach(async () => {
    invariants = await Invariants.watch(filament);
  });

  afterEach(() => invariants.hold({ isMistaken: true }));

  /** How often the metrics have counted a fault. */
  async function faults(name: string): Promise<number> {
    const text = await (await fetch(`${filament.apiUrl}/metrics`)).text();
    return Number(new RegExp(`^filament_faults_total\\{fault="${name}"\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  }

  const logged = (what: string): boolean => filament.process.logTail(1_000_000).includes(what);
  const traceLogged = (what: string): Promise<boolean> =>
    eventually(`the log has the trace of ${what}`, () => logged(`a mistake of ours: ${what}\\n    at `));

  /** The process is the same, and what the bystanders say now is taken in and passed on. */
  async function othersGoOn(): Promise<void> {
    const third = ++routes;
    const nlri = `18 0a01${third.toString(16).padStart(2, '0')}`;
    bystander.update({ attributes: ATTRIBUTES, nlri });
    await filament.path(FAMILY, `10.1.${third}.0/24`);
    bystander.update({ withdrawn: nlri });
    const route = { family: FAMILY, prefix: `10.2.0.${third}/32`, nextHop: agent.address, label: 77 } as const;
    agent.publish(BLUE.name, route);
    await agent.receives(BLUE.name, FAMILY, route.prefix, [{ address: agent.address, label: 77 }]);
    agent.withdraw(BLUE.name, route);
    await agent.loses(BLUE.name, FAMILY, route.prefix);
    expect(filament.process.running).toBe(true);
    expect(await filament.neighbor(bystanderAddress)).toMatchObject({ state: 'established', flaps: 0 });
    expect(await filament.agents()).toMatchObject([{ name: 'bystander', state: 'established', flaps: 0 }]);
  }

  test('I08 behind the promise that a session has ended, before it begins anew: that neighbor stays down and says why', async () => {
    const router = await RawRouter.establish({ server: server(), address: changed, autonomousSystem: AS });
    neighbors = neighbors.map((each) => (each['address'] === changed ? { ...each, holdTime: 30 } : each));
    expect(await filament.reload({ neighbors })).toHaveLength(1);
    expect(await router.end()).toMatchObject({ code: 6, subcode: 6 });
    await traceLogged('start');
    expect(await filament.neighbor(changed)).toMatchObject({ state: 'idle', lastError: 'internal error' });
    expect(await faults('bgp-internal-error')).toBe(1);
    expect(await faults('unhandled-rejection')).toBe(0);
    await othersGoOn();
    // Another change of its configuration gives it another start.
    neighbors = neighbors.map((each) => (each['address'] === changed ? passive(changed) : each));
    await filament.reload({ neighbors });
    const again = await RawRouter.establish({ server: server(), address: changed, autonomousSystem: AS });
    again.close();
  });

  test('I08 in the end of a neighbor that is taken out of the configuration: the reload is done, and a next one works', async () => {
    neighbors = neighbors.filter((each) => each['address'] !== removed);
    expect(await filament.reload({ neighbors })).toHaveLength(1);
    await traceLogged('stop');
    expect(await faults('unhandled-rejection')).toBe(0);
    await othersGoOn();
  });

  test('I08 in a connection that is taken: it is closed, and the next one of its neighbor is taken as well', async () => {
    await (
      await RawClient.connect(filament.address, filament.bgpPort, accepted)
    ).closed;
    await traceLogged('attach to theirs');
    await othersGoOn();
    const router = await RawRouter.establish({ server: server(), address: accepted, autonomousSystem: AS });
    router.close();
  });

  test('I08 in a connection that we have made: its neighbor is dialled again, and counted', async () => {
    const before = await faults('bgp-internal-error');
    const listener = createServer((socket) => socket.on('error', () => undefined).resume()).listen(0, dialled);
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    neighbors = [...neighbors, { address: dialled, port, localAddress: filament.address, peerAs: AS }];
    await filament.reload({ neighbors });
    await eventually('it is dialled again', async () => (await faults('bgp-internal-error')) > before + 1);
    await traceLogged('attach to ours');
    await othersGoOn();
    listener.close();
  });

  test('I08 in a request, thrown or behind a promise that nobody looks at: that request fails at most', async () => {
    await expect(fetch(`${filament.apiUrl}/healthz?added`)).rejects.toThrow();
    await traceLogged('added');
    const answer = await fetch(`${filament.apiUrl}/api/v1/config/confirm`, { method: 'POST' });
    expect(answer.status).toBe(409);
    await traceLogged('nobody listens');
    expect(await faults('unhandled-rejection')).toBe(1);
    await othersGoOn();
  });

  test('I08 in a reload: it is told to whoever asked, stays visible, and reloads go on', async () => {
    const wrong = { ...BLUE, name: 'mistake', virtualNetwork: { name: 'mistake', id: 2 } };
    const green = { ...BLUE, name: 'green', virtualNetwork: { name: 'green', id: 3 } };
    filament.hangUp({ vrfs: [BLUE, wrong] });
    await eventually('the reload has failed', () => logged('"msg":"reload failed"'));
    await traceLogged('add');
    expect(await faults('reload-internal-error')).toBe(1);
    const rejected = { state: 'rejected', problems: [{ message: expect.stringContaining('internal error') }] };
    expect((await filament.get<ControllerInfo>('/api/v1/controller')).configuration).toMatchObject(rejected);
    await othersGoOn();
    filament.hangUp({ vrfs: [BLUE, green] });
    await eventually('the next one is done', async () => (await filament.vrfs()).some(({ name }) => name === 'green'));
    // What was applied in part is not forgotten.
    expect((await filament.get<ControllerInfo>('/api/v1/controller')).configuration).toMatchObject(rejected);
    await expect(filament.reload({ vrfs: [BLUE, green, { ...wrong, importTargets: [] }] })).rejects.toThrow('500');
    await othersGoOn();
  });
});
