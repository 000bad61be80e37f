/**
 * The invariants that hold whatever is done to the running product (docs/reliability.md), looked at from outside of it. I1, I2, I4, I6 are
 * here; what was announced meanwhile (I3) and what was told of the fault (I5) only the test knows, but that something of
 * the product's own went wrong is never the right thing to be told.
 */
import { readdirSync } from 'node:fs';
import { expect } from '@jest/globals';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import type { NeighborView } from '../../src/controller/view.js';
import { eventuallyEqual } from './eventually.js';
import type { ProductApi } from './product-api.js';

const GLOBAL: readonly FamilyName[] = [
  'ipv4-unicast',
  'ipv6-unicast',
  'ipv4-labelled-unicast',
  'ipv6-labelled-unicast',
  'l3vpn-ipv4-unicast',
  'l3vpn-ipv6-unicast',
  'l2vpn-evpn',
  'rtc',
];
const OF_VRF: readonly FamilyName[] = ['ipv4-unicast', 'ipv6-unicast', 'l2vpn-evpn'];
/** What a heap that is not collected yet may have grown by. */
const MORE_MEMORY_OCTETS = 150e6;
/** For what a fault took away to come back, and what it brought to go: restarts of daemons, a table of routes. */
const PATIENCE_MS = 60_000;

interface Observed {
  readonly pid: number;
  /** Sessions that are up, with how often each was lost. */
  readonly sessions: Readonly<Record<string, number>>;
  /** Every path of every table. */
  readonly tables: readonly string[];
  readonly files: number;
  readonly metrics: Readonly<Record<'connections' | 'queued' | 'paths' | 'bugs' | 'memory', number>>;
}

async function metricsOf(filament: ProductApi): Promise<Observed['metrics']> {
  const lines = (await filament.metrics()).split('\n');
  const sum = (name: RegExp): number =>
    lines.filter((line) => name.test(line)).reduce((total, line) => total + Number(line.split(' ').at(-1)), 0);
  return {
    connections: sum(/^filament_connections\{/),
    queued: sum(/^filament_(neighbor|agent)_queued_octets/),
    paths: sum(/^filament_(table|vrf)_paths\{/),
    bugs: sum(/^filament_faults_total\{fault="[^"]*(internal-error|unhandled-rejection)"/),
    memory: sum(/^process_resident_memory_bytes/),
  };
}

async function tablesOf(filament: ProductApi): Promise<readonly string[]> {
  const vrfs = (await filament.vrfs()).map(({ name }) => name);
  const tables: ReadonlyArray<readonly [family: FamilyName, vrf?: string]> = [
    ...GLOBAL.map((family) => [family] as const),
    ...vrfs.flatMap((vrf) => OF_VRF.map((family) => [family, vrf] as const)),
  ];
  const paths: string[] = [];
  for (const [family, vrf = ''] of tables) {
    for (const route of await filament.routes(family, vrf === '' ? undefined : vrf)) {
      for (const { source, nextHop, labels, best, flags } of route.paths) {
        paths.push(JSON.stringify([vrf, family, route.prefix, source, nextHop, labels, best, flags]));
      }
    }
  }
  return paths.sort();
}

async function sessionsOf(filament: ProductApi): Promise<Record<string, number>> {
  const { neighbors } = await filament.get<{ readonly neighbors: readonly NeighborView[] }>('/api/v1/neighbors');
  const up = [...neighbors.map((each) => ({ ...each, name: each.address })), ...(await filament.agents())];
  return Object.fromEntries(
    up.filter(({ state }) => state === 'established').map(({ name, flaps }) => [name, flaps] as const),
  );
}

export interface HoldOptions {
  /** Names of agents and addresses of neighbors whose sessions the fault itself ended. */
  readonly touched?: readonly string[];
  /** The fault was the end of the process: it is another one, with other sessions of the same neighbors and agents. */
  readonly isRestarted?: boolean;
  /** The test has put mistakes into the product, and says itself how often they must be counted. */
  readonly isMistaken?: boolean;
  /** What resident memory may have grown by: V8 gives back what a load took when it likes. */
  readonly moreMemoryOctets?: number;
}

/** The product as it is before a fault, to be compared with what it is after it. */
export class Invariants {
  readonly #filament: ProductApi;
  readonly #before: Observed;

  private constructor(filament: ProductApi, before: Observed) {
    this.#filament = filament;
    this.#before = before;
  }

  static async watch(filament: ProductApi): Promise<Invariants> {
    return new Invariants(filament, {
      pid: filament.process.pid,
      sessions: await sessionsOf(filament),
      tables: await tablesOf(filament),
      files: readdirSync(`/proc/${filament.process.pid}/fd`).length,
      metrics: await metricsOf(filament),
    });
  }

  /** Call it when the cause is gone and its connections are closed; waits until everything is as before, and fails when it never is. */
  async hold({
    touched = [],
    isRestarted = false,
    isMistaken = false,
    moreMemoryOctets = MORE_MEMORY_OCTETS,
  }: HoldOptions = {}): Promise<void> {
    const { tables, files, metrics } = this.#before;
    const filament = this.#filament;
    const { pid } = filament.process;
    // I1: it is the same process, unless that was the fault, and answers.
    expect([filament.process.running, pid === this.#before.pid]).toEqual([true, !isRestarted]);
    // I2: who was there is there, and was never lost; by another process it was not yet.
    const sessions = Object.entries(this.#before.sessions).filter(([name]) => !touched.includes(name));
    const expected = Object.fromEntries(isRestarted ? sessions.map(([name]) => [name, 0]) : sessions);
    expect(await sessionsOf(filament)).toMatchObject(expected);
    // I6: the tables are what they were; I4: and so is what it holds.
    // Their sizes first: large ones take long to be asked for.
    await eventuallyEqual(async () => (await metricsOf(filament)).paths, metrics.paths, PATIENCE_MS);
    await eventuallyEqual(() => tablesOf(filament), tables);
    // Who comes back may be the one that connects, where it was dialled before: one file either way, but one more accepted.
    const accepted = metrics.connections + (isRestarted ? Object.keys(expected).length : touched.length);
    await eventuallyEqual(async () => {
      const { connections, queued } = await metricsOf(filament);
      const open = readdirSync(`/proc/${pid}/fd`).length;
      // Connections of this test's own questions come and go.
      return [connections <= accepted, queued, open <= files + 2];
    }, [true, 0, true]);
    const after = await metricsOf(filament);
    expect(after.memory - metrics.memory).toBeLessThan(moreMemoryOctets);
    // I5: nothing of it was a mistake of the product.
    if (!isMistaken) expect(after.bugs).toBe(isRestarted ? 0 : metrics.bugs);
  }
}
