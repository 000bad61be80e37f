/** The product under test, from the outside: a child process with a configuration file, watched through its HTTP API. */
import { existsSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import type { ControllerInfo, NeighborView, PathView } from '../../src/controller/view.js';
import { DaemonProcess } from './daemon-process.js';
import { eventually } from './eventually.js';
import { freePort } from './lab.js';
import type { Lab } from './lab.js';
import { ProductApi } from './product-api.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** For {@link FilamentDescription.process}: started as users start it, which takes a second more. */
export const REHEARSED = { rehearsal: true };

/** A piece of the configuration file, in its own words. */
export type ConfigPart = Readonly<Record<string, unknown>>;

export interface FilamentDescription {
  readonly autonomousSystem: number;
  readonly routerId: string;
  readonly neighbors?: readonly ConfigPart[];
  readonly vrfs?: readonly ConfigPart[];
  /** More fields of `bgp`. */
  readonly bgp?: ConfigPart;
  /** More fields of `agents` and of `api`. */
  readonly agents?: ConfigPart;
  /** Files that the process may have open. */
  readonly openFiles?: number;
  readonly api?: ConfigPart;
  readonly process?: ConfigPart;
  /** A command that becomes the one behind it: `env LC_ALL=C`. */
  readonly through?: readonly string[];
  /** Entry of another build of the product. */
  readonly main?: string | undefined;
}

/** An answer of the API other than 2xx. */
class ApiError extends Error {
  readonly status: number;
  readonly body: unknown;

  constructor(path: string, status: number, body: unknown) {
    super(`${path}: ${status} ${JSON.stringify(body)}`);
    this.status = status;
    this.body = body;
  }
}

export class Filament extends ProductApi {
  readonly address: string;
  readonly bgpPort: number;
  readonly agentPort: number;
  readonly apiPort: number;
  readonly autonomousSystem: number;
  readonly routerId: string;
  readonly #directory: string;
  #description: FilamentDescription;
  #process: DaemonProcess | undefined;

  private constructor(
    lab: Lab,
    address: string,
    ports: readonly [number, number, number],
    description: FilamentDescription,
  ) {
    super();
    this.address = address;
    [this.bgpPort, this.agentPort, this.apiPort] = ports;
    this.autonomousSystem = description.autonomousSystem;
    this.routerId = description.routerId;
    this.#description = description;
    this.#directory = lab.subdirectory(`filament-${address}`);
    lab.track(this);
  }

  /** Chooses the place; {@link start} starts it, so that neighbors can be told the port before. */
  static async create(lab: Lab, description: FilamentDescription, address = lab.nextAddress()): Promise<Filament> {
    const ports = [await freePort(address), await freePort(address), await freePort(address)] as const;
    return new Filament(lab, address, ports, description);
  }

  /** Its configuration. */
  get file(): string {
    return `${this.#directory}/filament.json`;
  }

  #writeConfiguration(): void {
    const {
      autonomousSystem,
      routerId,
      neighbors = [],
      vrfs = [],
      bgp = {},
      agents = {},
      api = {},
      process: ofProcess,
    } = this.#description;
    const listen = (port: number): ConfigPart[] => [{ address: this.address, port }];
    const configuration = {
      name: `filament-${this.address}`,
      routerId,
      autonomousSystem,
      bgp: { listen: listen(this.bgpPort), neighbors, ...bgp },
      agents: { listen: listen(this.agentPort), ...agents },
      vrfs,
      api: { listen: listen(this.apiPort), ...api },
      // Most tests have no use for a start that takes a second; another build may not know how to leave it out.
      process: { ...(this.#description.main === undefined && { rehearsal: false }), ...ofProcess },
    };
    writeFileSync(this.file, JSON.stringify(configuration, null, 2));
  }

  /** Changes what {@link start} or {@link reload} will use. */
  describe(
    change: Partial<Pick<FilamentDescription, 'neighbors' | 'vrfs' | 'bgp' | 'agents' | 'process' | 'main'>>,
  ): void {
    this.#description = { ...this.#description, ...change };
  }

  async start(): Promise<void> {
    const { openFiles, through = [], main = MAIN } = this.#description;
    if (!existsSync(main)) throw new Error('dist/cli/main.js is not there: `npm run build` (`npm test` does it)');
    this.#writeConfiguration();
    const command = [...through, process.execPath, main, 'run', '--config', this.file];
    // Executes the command in its own place: the process id stays.
    if (openFiles !== undefined) command.unshift('prlimit', `--nofile=${openFiles}:${openFiles}`);
    const [executable = '', ...args] = command;
    const process_ = new DaemonProcess({
      name: `filament ${this.address}`,
      command: executable,
      args,
      logFile: `${this.#directory}/output.log`,
    });
    this.#process = process_;
    const outcome = await eventually(
      'filament is ready',
      async () => {
        if (!process_.running) return 'ended';
        return (await this.get<ControllerInfo>('/api/v1/controller')).ready && 'ready';
      },
      { explain: () => this.logTail() },
    );
    if (outcome === 'ended') throw new Error(`it ended with ${await process_.exited}\n${this.logTail()}`);
  }

  /** Orderly end; resolves with the exit code. */
  async stop(): Promise<unknown> {
    return this.#process?.stop();
  }

  async crash(): Promise<void> {
    await this.#process?.kill();
  }

  get process(): DaemonProcess {
    if (!this.#process) throw new Error('filament was not started');
    return this.#process;
  }

  logTail(): string {
    return this.#process?.logTail(4_000) ?? 'filament was not started';
  }

  get apiUrl(): string {
    return `http://${this.address}:${this.apiPort}`;
  }

  async #request<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.apiUrl}${path}`, {
      method,
      signal: AbortSignal.timeout(10_000),
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const answer: unknown = await response.json();
    if (!response.ok) throw new ApiError(path, response.status, answer);
    return answer as T;
  }

  get<T>(path: string): Promise<T> {
    return this.#request<T>('GET', path);
  }

  async metrics(): Promise<string> {
    return (await fetch(`${this.apiUrl}/metrics`)).text();
  }

  neighbor(address: string): Promise<NeighborView> {
    return this.get<NeighborView>(`/api/v1/neighbors/${address}`);
  }

  /** Waits until the session with a neighbor is established. */
  async established(address: string, deadlineMs?: number): Promise<NeighborView> {
    return eventually(
      `neighbor ${address} is established`,
      async () => {
        const neighbor = await this.neighbor(address);
        return neighbor.state === 'established' && neighbor;
      },
      { explain: () => this.logTail(), ...(deadlineMs === undefined ? {} : { deadlineMs }) },
    );
  }

  /** Paths of one route, in selection order; none when there is no such route. */
  async paths(family: FamilyName, prefix: string, vrf?: string): Promise<readonly PathView[]> {
    return (await this.routes(family, vrf)).find((route) => route.prefix === prefix)?.paths ?? [];
  }

  /** Waits for a path of a route that fits; without `fits` for any. */
  async path(
    family: FamilyName,
    prefix: string,
    { vrf, fits = () => true }: { readonly vrf?: string; readonly fits?: (path: PathView) => boolean } = {},
  ): Promise<PathView> {
    const where = vrf === undefined ? family : `${family} of ${vrf}`;
    return eventually(`${prefix} is in ${where}`, async () => (await this.paths(family, prefix, vrf)).find(fits), {
      deadlineMs: 20_000,
      explain: async () => `${JSON.stringify(await this.routes(family, vrf), null, 1)}\n${this.logTail()}`,
    });
  }

  /** Waits until a table has no path of a prefix that fits. */
  async pathGone(
    family: FamilyName,
    prefix: string,
    { vrf, fits = () => true }: { readonly vrf?: string; readonly fits?: (path: PathView) => boolean } = {},
  ): Promise<void> {
    await eventually(`${prefix} is gone`, async () => !(await this.paths(family, prefix, vrf)).some(fits), {
      deadlineMs: 20_000,
      explain: () => this.logTail(),
    });
  }

  reset(address: string, mode: 'hard' | 'soft-in' | 'soft-out' = 'hard'): Promise<unknown> {
    return this.#request('POST', `/api/v1/neighbors/${address}/reset`, { mode });
  }

  /** Writes the changed description and has the process read it, without waiting for what becomes of that. */
  hangUp(change: Partial<Pick<FilamentDescription, 'neighbors' | 'vrfs' | 'bgp' | 'agents'>>): void {
    this.describe(change);
    this.#writeConfiguration();
    this.process.signal('SIGHUP');
  }

  /** Writes the changed description and reloads it. */
  async reload(
    change: Partial<Pick<FilamentDescription, 'neighbors' | 'vrfs' | 'bgp' | 'agents' | 'process'>>,
  ): Promise<readonly string[]> {
    this.describe(change);
    this.#writeConfiguration();
    const result = await this.#request<{ readonly changes: readonly string[] }>('POST', '/api/v1/config/reload');
    return result.changes;
  }
}
