/** Filament under measurement, as an operator has it: a file, its API, and what the system says about the process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';

const API_ADDRESS = '127.60.0.1';
const START_DEADLINE_MS = 60_000;
/** Time in which a change must have come to its end before its cost is read. */
const SETTLE_MS = 500;

export class MeasuredController {
  #child;
  #directory;
  #format;
  #api;

  constructor(child, directory, format, api) {
    this.#child = child;
    this.#directory = directory;
    this.#format = format;
    this.#api = api;
  }

  /**
   * Starts Filament and waits until it is ready.
   *
   * @param main  the built command line entry
   * @param configuration  without `api`, which is added
   * @param format  'json' or 'yaml': how the file is written
   */
  static async start(main, configuration, { format = 'json', apiPort }) {
    const directory = mkdtempSync(join(tmpdir(), 'filament-scale-'));
    const log = openSync(join(directory, 'log'), 'w');
    const api = `http://${API_ADDRESS}:${apiPort}`;
    const controller = new MeasuredController(undefined, directory, format, api);
    controller.write(configuration);
    const startedMs = performance.now();
    controller.#child = spawn(process.execPath, [main, 'run', '--config', controller.#file], {
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    while (performance.now() - startedMs < START_DEADLINE_MS && controller.#child.exitCode === null) {
      if (await controller.#isReady()) return controller;
      await delay(50);
    }
    const tail = controller.log();
    await controller.stop();
    throw new Error(`Filament did not start: ${tail}`);
  }

  get #file() {
    return join(this.#directory, `filament.${this.#format}`);
  }

  async #isReady() {
    return fetch(`${this.#api}/readyz`).then(
      (answer) => answer.ok,
      () => false,
    );
  }

  /** Replaces the configuration file; nothing is told. */
  write(configuration) {
    const whole = {
      ...configuration,
      api: { listen: [{ address: API_ADDRESS, port: Number(new URL(this.#api).port) }] },
    };
    writeFileSync(this.#file, this.#format === 'yaml' ? stringify(whole) : JSON.stringify(whole, undefined, 2));
  }

  log() {
    return readFileSync(join(this.#directory, 'log'), 'utf8').slice(-500);
  }

  async get(path) {
    const answer = await fetch(`${this.#api}${path}`);
    if (!answer.ok) throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`);
    return path === '/metrics' ? answer.text() : answer.json();
  }

  /** Has the file read again, through the API. @returns the lines that say what changed */
  async reload() {
    const answer = await fetch(`${this.#api}/api/v1/config/reload`, { method: 'POST' });
    const body = await answer.json();
    if (!answer.ok) throw new Error(`reload refused: ${JSON.stringify(body).slice(0, 300)}`);
    return body.changes;
  }

  hangUp() {
    this.#child.kill('SIGHUP');
  }

  /** CPU of all threads in milliseconds, as the scheduler of the kernel counts it (nanoseconds, not ticks). */
  cpuMs() {
    const tasks = `/proc/${this.#child.pid}/task`;
    let nanoseconds = 0;
    for (const task of readdirSync(tasks)) {
      nanoseconds += Number(readFileSync(join(tasks, task, 'schedstat'), 'utf8').split(' ')[0]);
    }
    return nanoseconds / 1e6;
  }

  /** Delay of the event loop in milliseconds since this was asked for last. */
  async eventLoop() {
    const text = await this.get('/metrics');
    const of = (quantile) =>
      Number(new RegExp(`^nodejs_eventloop_lag_seconds\\{quantile="${quantile}"\\} (\\S+)`, 'm').exec(text)?.[1]) *
      1000;
    return { p50Ms: of('0.5'), p99Ms: of('0.99'), maxMs: of('1') };
  }

  /**
   * What a change costs: CPU until everything has come to rest, less that of resting as long, and the delay of the event
   * loop meanwhile.
   */
  async measure(change) {
    const idleFrom = this.cpuMs();
    await delay(SETTLE_MS);
    const idleMs = this.cpuMs() - idleFrom;
    await this.eventLoop();
    await delay(SETTLE_MS / 2);
    const from = this.cpuMs();
    const startedMs = performance.now();
    await change();
    const answeredMs = performance.now() - startedMs;
    await delay(SETTLE_MS);
    const cpuMs = this.cpuMs() - from - (idleMs * (answeredMs + SETTLE_MS)) / SETTLE_MS;
    const { p99Ms, maxMs } = await this.eventLoop();
    return { cpuMs, answeredMs, loopP99Ms: p99Ms, loopMaxMs: maxMs };
  }

  async stop() {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      if ((await Promise.race([ended, delay(12_000, 'late')])) === 'late') {
        this.#child.kill('SIGKILL');
        await ended;
      }
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
