/** The speaker under load as a process: started, watched through /proc, ended by its pid. */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Clock ticks per second of /proc (USER_HZ, 100 on every Linux). */
const TICKS_PER_SECOND = 100;

/** Seconds of CPU that all threads of a process have used, to the nanosecond: a short load is only a few clock ticks. */
export function cpuSeconds(pid) {
  const tasks = `/proc/${pid}/task`;
  let nanoseconds = 0;
  for (const task of readdirSync(tasks)) {
    nanoseconds += Number(readFileSync(join(tasks, task, 'schedstat'), 'utf8').split(' ', 1)[0]);
  }
  return nanoseconds / 1e9;
}

/** Resident memory now and at its peak, in MB. */
export function memoryMb(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024;
  return { resident: of('VmRSS'), peak: of('VmHWM') };
}

/** CPU seconds of everything on the machine. */
export function machineCpuSeconds() {
  const [, user, nice, system] = readFileSync('/proc/stat', 'utf8').split(/\s+/, 4).map(Number);
  return (user + nice + system) / TICKS_PER_SECOND;
}

/** A port of an address that nobody uses, below the range of the ports of outgoing connections. */
export async function freePort(address) {
  for (;;) {
    const port = randomInt(10_000, 32_768);
    const server = createServer().listen(port, address);
    try {
      await once(server, 'listening');
    } catch (error) {
      if (error.code === 'EADDRINUSE') continue;
      throw error;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}

function answers(address, port) {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    const end = (result) => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

export class SpeakerProcess {
  #child;
  #directory;
  /** When the run is broken off, nothing is left behind. */
  #discard = () => {
    this.#child.kill('SIGKILL');
    rmSync(this.#directory, { recursive: true, force: true });
  };

  constructor(child, directory) {
    this.#child = child;
    this.#directory = directory;
    process.once('exit', this.#discard);
  }

  /**
   * Starts Filament with a configuration and waits until it listens.
   * @param nodeOptions  options of Node itself, as in `--import=FILE`
   */
  static async start(main, configuration, { address, port }, nodeOptions = []) {
    const directory = mkdtempSync(join(tmpdir(), 'filament-bench-'));
    const file = join(directory, 'filament.json');
    writeFileSync(file, JSON.stringify(configuration));
    const log = openSync(join(directory, 'log'), 'w');
    const child = spawn(process.execPath, [...nodeOptions, main, 'run', '--config', file], {
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    const speaker = new SpeakerProcess(child, directory);
    for (let n = 0; n < 200; n++) {
      if (child.exitCode !== null || child.signalCode !== null) break;
      if (await answers(address, port)) return speaker;
      await delay(50);
    }
    const tail = speaker.log();
    await speaker.stop();
    throw new Error(`the speaker does not listen on ${address}:${port}: ${tail}`);
  }

  get pid() {
    return this.#child.pid;
  }

  log() {
    return readFileSync(join(this.#directory, 'log'), 'utf8').slice(-500);
  }

  async stop() {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      if ((await Promise.race([ended, delay(8000, 'late')])) === 'late') {
        this.#child.kill('SIGKILL');
        await ended;
      }
    }
    process.off('exit', this.#discard);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
