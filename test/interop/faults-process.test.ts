/** Section I of the fault catalogue, on the real process: its output, signals, ports and pauses. */
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../cli/command.js';
import { TestAgent } from '../support/agent.js';
import { eventually, throughout } from '../support/eventually.js';
import { Filament, type ConfigPart } from '../support/filament.js';
import { Invariants } from '../support/invariants.js';
import { freePort, Lab } from '../support/lab.js';
import { BGP_KEEPALIVE, BGP_UPDATE, bgpMessage, openMessage, RawClient } from '../support/raw-client.js';
import { attribute, updateBody } from '../support/update-messages.js';

jest.setTimeout(120_000);

const running: Process[] = [];
const labs: Lab[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.kill();
  for (const lab of labs.splice(0)) await lab.close();
});

/** A `filament run` whose output nobody reads unless the test does. */
class Process {
  readonly child: ChildProcess;
  readonly address: string;
  readonly apiPort: number;
  readonly bgpPort: number;
  readonly #directory: string;

  private constructor(address: string, [apiPort, bgpPort]: readonly [number, number], stdout: 'pipe' | number) {
    this.address = address;
    this.apiPort = apiPort;
    this.bgpPort = bgpPort;
    this.#directory = mkdtempSync(join(tmpdir(), 'filament-process-'));
    this.write(1);
    this.child = spawn(process.execPath, [`${ROOT}bin/filament.js`, 'run', '--config', this.#file], {
      stdio: ['ignore', stdout, 'pipe'],
    });
    this.child.stdout?.pause();
    running.push(this);
  }

  static async start(stdout: 'pipe' | number = 'pipe'): Promise<Process> {
    const lab = new Lab('process');
    labs.push(lab);
    const address = lab.nextAddress();
    const one = new Process(address, [await freePort(address), await freePort(address)], stdout);
    await eventually('it is ready', async () => (await fetch(`${one.api}/readyz`)).ok);
    return one;
  }

  get #file(): string {
    return join(this.#directory, 'ctl.json');
  }

  get api(): string {
    return `http://${this.address}:${this.apiPort}`;
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Writes a configuration with so many VRFs, whose names make its log records long. */
  write(vrfs: number): void {
    const listen = (port: number): object[] => [{ address: this.address, port }];
    const name = (n: number): string => `${'long-name-'.repeat(24)}${n}`;
    const configuration = {
      name: 'process',
      routerId: '192.0.2.1',
      autonomousSystem: 64512,
      bgp: { listen: listen(this.bgpPort), neighbors: [] },
      api: { listen: listen(this.apiPort), token: 'a-secret-token' },
      vrfs: Array.from({ length: vrfs }, (_, n) => ({ name: name(n), virtualNetwork: { name: name(n), id: n + 1 } })),
    };
    writeFileSync(this.#file, JSON.stringify(configuration), { mode: 0o600 });
  }

  async reload(vrfs: number): Promise<number> {
    this.write(vrfs);
    this.child.kill('SIGHUP');
    await eventually('the reload is done', async () => (await this.vrfs()) === vrfs);
    return vrfs;
  }

  async vrfs(): Promise<number> {
    const { vrfs } = (await (await fetch(`${this.api}/api/v1/vrfs`)).json()) as { vrfs: unknown[] };
    return vrfs.length;
  }

  /** A fault of the metrics. */
  async faults(name: string): Promise<number> {
    const text = await (await fetch(`${this.api}/metrics`)).text();
    const line = new RegExp(`^filament_faults_total\\{fault="${name}"\\} (\\d+)$`, 'm').exec(text);
    return Number(line?.[1] ?? 0);
  }

  /** Local addresses and ports that the process listens on. */
  listening(): readonly string[] {
    const sockets = new Set(
      readdirSync(`/proc/${this.pid}/fd`).map((fd) => {
        try {
          return readlinkSync(`/proc/${this.pid}/fd/${fd}`);
        } catch {
          return '';
        }
      }),
    );
    const rows = ['tcp', 'tcp6'].flatMap((file) =>
      readFileSync(`/proc/${this.pid}/net/${file}`, 'utf8').split('\n').slice(1),
    );
    return rows
      .map((row) => row.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => state === '0A' && sockets.has(`socket:[${inode ?? ''}]`))
      .map(([, local]) => String(Number.parseInt(local!.split(':')[1]!, 16)))
      .sort();
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    const ended = once(this.child, 'exit') as Promise<[number | null]>;
    this.child.kill(signal);
    const [code] = await ended;
    return code;
  }

  async kill(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.end('SIGKILL');
    rmSync(this.#directory, { recursive: true });
  }
}

describe('I07 the log has no reader', () => {
  test('I07 a full pipe holds up nothing; records are dropped, counted, and that is said when the reader reads again', async () => {
    const one = await Process.start();
    // Each of these reloads is a record of 600 kB; the pipe takes 64 kB, the process keeps 1 MiB.
    for (const vrfs of [2500, 1, 2500, 1, 2500]) await one.reload(vrfs);
    expect(await one.faults('log-record-dropped')).toBeGreaterThan(0);
    const startedMs = performance.now();
    expect((await fetch(`${one.api}/healthz`)).ok).toBe(true);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    let out = '';
    one.child.stdout!.setEncoding('utf8').on('data', (text: string) => (out += text));
    one.child.stdout!.resume();
    await eventually('the reader is told', async () => {
      await one.reload(1);
      await one.reload(2);
      return out.includes('"msg":"log records dropped"');
    });
    for (const line of out.split('\n').slice(0, -1)) JSON.parse(line);
    expect(out).not.toContain('a-secret-token');
  });

  test('I07 a closed pipe holds up nothing, and the end is in order', async () => {
    const one = await Process.start();
    one.child.stdout!.destroy();
    one.child.stderr!.destroy();
    await one.reload(3);
    await one.reload(1);
    expect(await one.faults('log-record-dropped')).toBeGreaterThan(0);
    expect(await one.end('SIGTERM')).toBe(0);
  });

  test('I07 a full disk holds up nothing', async () => {
    const full = openSync('/dev/full', 'w');
    const one = await Process.start(full);
    closeSync(full);
    await one.reload(3);
    expect(await one.faults('log-record-dropped')).toBeGreaterThan(0);
    expect(await one.end('SIGTERM')).toBe(0);
  });

  test('I07 a pipe that nobody reads does not keep the process at its end', async () => {
    const one = await Process.start();
    for (const vrfs of [2500, 1]) await one.reload(vrfs);
    expect(await one.end('SIGTERM')).toBe(0);
  });
});

/** At SIGUSR2 the heap fills up. */
const FILLER = `if (require('node:worker_threads').isMainThread) process.on('SIGUSR2', () => {
  for (const all = []; ; ) all.push(new Array(1000).fill(all.length));
});`;

describe('I14 nothing looks into the process', () => {
  test('I14 it listens where the configuration says and nowhere else, also after SIGUSR1, which opens the debugger of Node', async () => {
    const one = await Process.start();
    const ports = [String(one.bgpPort), String(one.apiPort)].sort();
    expect(one.listening()).toEqual(ports);
    one.child.kill('SIGUSR1');
    // Signals are handled in order: the effect of the second one shows that the first was taken.
    await one.reload(4);
    expect(one.listening()).toEqual(ports);
    expect((await fetch(`${one.api}/healthz`)).ok).toBe(true);
  });

  const TOKEN = 'hush-hush-a-secret-token';

  /** In a directory of its own, with core dumps as large as the system allows; `options` are those of Node. */
  async function inDirectory(options = ''): Promise<{ one: Filament; files: () => readonly string[] }> {
    const lab = new Lab('dump');
    labs.push(lab);
    const directory = lab.subdirectory('working-directory');
    const dumps = 'ulimit -S -c "$(ulimit -H -c)"; exec "$@"';
    const one = await Filament.create(lab, {
      autonomousSystem: 64512,
      routerId: '192.0.2.1',
      api: { token: TOKEN },
      through: ['env', '-C', directory, `NODE_OPTIONS=${options}`, 'sh', '-c', dumps, 'sh'],
    });
    await one.start();
    return { one, files: () => readdirSync(directory).map((name) => join(directory, name)) };
  }

  test('I14 a signal by which others take a heap snapshot or a report writes none', async () => {
    const { one, files } = await inDirectory();
    one.process.signal('SIGUSR2');
    expect(await one.process.exited).toBe('SIGUSR2');
    expect(files()).toEqual([]);
  });

  test('I14 at the end of its memory it writes no heap snapshot and no report, and what the system dumps has nothing of the memory', async () => {
    const lab = new Lab('filler');
    labs.push(lab);
    const filler = `${lab.directory}/filler.cjs`;
    writeFileSync(filler, FILLER);
    const { one, files } = await inDirectory(`--max-old-space-size=200 --require=${filler}`);
    expect(readFileSync(`/proc/${one.process.pid}/coredump_filter`, 'utf8').trim()).toBe('00000000');
    one.process.signal('SIGUSR2');
    expect(await one.process.exited).toBe('SIGABRT');
    expect(one.logTail()).toContain('heap out of memory');
    // A core file is here where the system writes such files at all, and into the working directory.
    expect(files().filter((file) => !/\/core(\.\d+)?$/.test(file))).toEqual([]);
    for (const file of files()) expect(readFileSync(file).includes(TOKEN)).toBe(false);
  });
});

const HOLD_TIME = 9;

/** At SIGUSR2 the main thread does nothing else for two seconds. */
const BLOCKER = `if (require('node:worker_threads').isMainThread) process.on('SIGUSR2', () => {
  for (const untilMs = performance.now() + 2000; performance.now() < untilMs; );
});`;

/** Two controllers with a session between them, and an agent of the first one. */
interface PairOptions {
  /** More neighbors of the first one. */
  readonly more?: readonly ConfigPart[];
  /** More fields of the session. */
  readonly session?: ConfigPart;
  /** A command that becomes the one behind it. */
  readonly through?: readonly string[];
}

async function pair({ more = [], session = {}, through: command = [] }: PairOptions = {}): Promise<{
  lab: Lab;
  one: Filament;
  other: Filament;
  agent: TestAgent;
}> {
  const lab = new Lab('pause');
  labs.push(lab);
  const vrfs = [
    {
      name: 'blue',
      virtualNetwork: { name: 'blue', id: 1 },
      importTargets: ['target:64512:1'],
      exportTargets: ['target:64512:1'],
    },
  ];
  const blocker = `${lab.directory}/blocker.cjs`;
  writeFileSync(blocker, BLOCKER);
  const through = ['env', `NODE_OPTIONS=--require=${blocker}`, ...command];
  const one = await Filament.create(lab, { autonomousSystem: 64512, routerId: '192.0.2.1', vrfs, through });
  const other = await Filament.create(lab, { autonomousSystem: 64512, routerId: '192.0.2.2', vrfs });
  const neighbor = ({ address, bgpPort }: Filament, localAddress: string): ConfigPart => ({
    address,
    localAddress,
    port: bgpPort,
    peerAs: 64512,
    holdTime: HOLD_TIME,
    families: ['l3vpn-ipv4-unicast'],
    ...session,
  });
  one.describe({ neighbors: [neighbor(other, one.address), ...more] });
  other.describe({ neighbors: [neighbor(one, other.address)] });
  await one.start();
  await other.start();
  await one.established(other.address);
  await other.established(one.address);
  const agent = new TestAgent(lab, one, 'compute-1');
  await agent.start();
  agent.subscribe('blue', 1);
  agent.publish('blue', { family: 'ipv4-unicast', prefix: '10.1.1.1/32', nextHop: agent.address, label: 20 });
  await other.path('l3vpn-ipv4-unicast', `${agent.address}:1:10.1.1.1/32`);
  return { lab, one, other, agent };
}

test('I07, I14: with its log on a full disk, and asked for a debugger, neighbor and agent notice nothing, and all is as before', async () => {
  const { one, other, agent } = await pair({ through: ['sh', '-c', 'exec "$@" > /dev/full', 'sh'] });
  const invariants = await Invariants.watch(one);
  for (let times = 0; times < 5; times++) {
    one.process.signal('SIGUSR1');
    expect(await one.reload({})).toEqual([]);
  }
  expect(await (await fetch(`${one.apiUrl}/metrics`)).text()).toMatch(
    /^filament_faults_total\{fault="log-record-dropped"\} [1-9]/m,
  );
  const sentinel = { family: 'ipv4-unicast', prefix: '10.1.1.2/32', nextHop: agent.address, label: 21 } as const;
  agent.publish('blue', sentinel);
  await other.path('l3vpn-ipv4-unicast', `${agent.address}:1:${sentinel.prefix}`);
  agent.withdraw('blue', sentinel);
  await other.pathGone('l3vpn-ipv4-unicast', `${agent.address}:1:${sentinel.prefix}`);
  await invariants.hold();
});

/** Ends the threads beside the main one when its file is there. */
const KILLER = `const { isMainThread } = require('node:worker_threads');
const { existsSync, unlinkSync } = require('node:fs');
if (!isMainThread) setInterval(() => {
  if (!existsSync(process.env.KILLER)) return;
  unlinkSync(process.env.KILLER);
  process.exit(1);
}, 20).unref();`;

test('I06 the thread of BFD dies, twice: another one goes on with its sessions, neighbor and agent notice nothing, and all is as before', async () => {
  const scratch = new Lab('killer');
  labs.push(scratch);
  const [killer, signal] = [`${scratch.directory}/killer.cjs`, `${scratch.directory}/die`];
  writeFileSync(killer, KILLER);
  const { one, other } = await pair({
    session: { bfd: { minimumInterval: 300, multiplier: 10, multihop: true } },
    through: ['env', `KILLER=${signal}`, `NODE_OPTIONS=--require=${killer}`],
  });
  const isUp = async (): Promise<boolean> => (await one.neighbor(other.address)).bfd?.state === 'up';
  await eventually('BFD is up', isUp);
  const invariants = await Invariants.watch(one);
  const deaths = (): number => one.process.logTail(1_000_000).split('"thread":"bfd"').length - 1;
  for (let times = 1; times <= 2; times++) {
    writeFileSync(signal, '');
    await eventually('it has died', () => deaths() === times, { explain: () => one.logTail() });
    const before = (await one.neighbor(other.address)).bfd?.packets.received ?? 0;
    await eventually('another one hears the neighbor', async () => {
      const { bfd } = await one.neighbor(other.address);
      return bfd?.state === 'up' && bfd.packets.received > before;
    });
  }
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    expect(await from.neighbor(to.address)).toMatchObject({ flaps: 0, bfd: { state: 'up', flaps: 0 } });
  }
  await invariants.hold();
});

const isLong = process.env['FILAMENT_LONG_TESTS'] === '1';

describe('I02 the whole process stands still for a while', () => {
  async function pause(one: Filament, ms: number): Promise<void> {
    one.process.signal('SIGSTOP');
    await throughout('it stands still', ms, () => one.process.running);
    one.process.signal('SIGCONT');
  }

  test('I02 5 s, below the hold time: no session notices', async () => {
    const { one, other, agent } = await pair();
    const invariants = await Invariants.watch(one);
    await pause(one, 5_000);
    const calm = async (): Promise<boolean> => {
      const [here, there] = [await one.neighbor(other.address), await other.neighbor(one.address)];
      return here.flaps + there.flaps === 0 && agent.established;
    };
    await throughout('the sessions stay', HOLD_TIME * 1000, calm);
    expect((await one.agents()).map(({ flaps }) => flaps)).toEqual([0]);
    expect((await other.paths('l3vpn-ipv4-unicast', `${agent.address}:1:10.1.1.1/32`)).length).toBe(1);
    await invariants.hold();
  });

  (isLong ? test : test.skip)(
    'I02 60 s, above it: the neighbor has left, comes back once, and nothing storms',
    async () => {
      const { one, other, agent } = await pair();
      await pause(one, 60_000);
      await one.established(other.address, 90_000);
      await other.established(one.address, 90_000);
      await other.path('l3vpn-ipv4-unicast', `${agent.address}:1:10.1.1.1/32`);
      const flaps = async (): Promise<readonly number[]> => [
        (await one.neighbor(other.address)).flaps,
        (await other.neighbor(one.address)).flaps,
      ];
      expect(await flaps()).toEqual([1, 1]);
      await throughout('it stays', 2 * HOLD_TIME * 1000, async () => (await flaps()).every((count) => count === 1));
      expect((await one.agents()).map(({ state, flaps: lost }) => ({ state, lost }))).toEqual([
        { state: 'established', lost: 0 },
      ]);
    },
    300_000,
  );
});

describe('I03 the controller has much to do', () => {
  const ROUTES = 500_000;
  const PER_MESSAGE = 800;

  /** Distinct /32 prefixes from 11.0.0.0 on, as whole UPDATEs. */
  function* updates(): Generator<Buffer> {
    const attributes = [
      attribute(0x40, 1, '00'),
      attribute(0x40, 2, '02010000fde9'),
      attribute(0x40, 3, '0a090001'),
    ].join('');
    for (let n = 0; n < ROUTES; n += PER_MESSAGE) {
      const nlri = Buffer.alloc(5 * PER_MESSAGE);
      for (let i = 0; i < PER_MESSAGE; i++) {
        nlri.writeUInt8(32, 5 * i);
        nlri.writeUInt32BE(0x0b00_0000 + n + i, 5 * i + 1);
      }
      yield bgpMessage(BGP_UPDATE, updateBody({ attributes, nlri: nlri.toString('hex') }));
    }
  }

  test('I03 500,000 routes come in at once: keepalives leave in time, and how late the loop was is shown', async () => {
    const flooder = '127.200.1.1';
    const { one, other, agent } = await pair({
      more: [{ address: flooder, peerAs: 65001, passive: true, families: ['ipv4-unicast'] }],
    });
    const client = await RawClient.connect(one.address, one.bgpPort, flooder);
    client.send(openMessage(65001, [10, 9, 0, 1], [[1, 1]]));
    await eventually('the OPEN is answered', () => client.receivedTypes.includes(BGP_KEEPALIVE));
    client.send(bgpMessage(BGP_KEEPALIVE));
    for (const update of updates()) client.send(update);
    await eventually(
      'all routes are there',
      async () => {
        client.send(bgpMessage(BGP_KEEPALIVE));
        return (await one.neighbor(flooder)).families[0]?.received === ROUTES;
      },
      { deadlineMs: 90_000, explain: () => one.logTail() },
    );
    await throughout('the other session stays', HOLD_TIME * 1000, async () => {
      client.send(bgpMessage(BGP_KEEPALIVE));
      return (await other.neighbor(one.address)).flaps + (await one.neighbor(other.address)).flaps === 0;
    });
    expect(agent.established).toBe(true);
    expect(await worstLagSec(one)).toBeGreaterThan(0);
    client.close();
  });

  test('I03 the main thread stands still for 2 s, again and again: no session is lost, and it is shown', async () => {
    const { one, other, agent } = await pair();
    for (let times = 0; times < 3; times++) {
      one.process.signal('SIGUSR2');
      await eventually('the delay is shown', async () => (await worstLagSec(one)) > 1.5);
    }
    await throughout('the sessions stay', HOLD_TIME * 1000, async () => {
      const [here, there] = [await one.neighbor(other.address), await other.neighbor(one.address)];
      return here.flaps + there.flaps === 0 && agent.established;
    });
  });

  /** How late the event loop was at most since this was last asked. */
  async function worstLagSec({ apiUrl }: Filament): Promise<number> {
    const metrics = await (await fetch(`${apiUrl}/metrics`)).text();
    return Number(/^nodejs_eventloop_lag_seconds\{quantile="1"\} (\S+)/m.exec(metrics)?.[1]);
  }
});

describe('the end', () => {
  test('an orderly end says so to neighbors, also with a route table and agents, and is over in time', async () => {
    const { one, other } = await pair();
    expect(await one.stop()).toBe(0);
    const { lastReset } = await eventually('the neighbor has noticed', async () => {
      const neighbor = await other.neighbor(one.address);
      return neighbor.state !== 'established' && neighbor;
    });
    expect(lastReset?.reason).toMatch(/administrative shutdown/i);
  });
});
