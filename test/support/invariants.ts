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
import type { Filament } from './filament.js';

const GLOBAL: readonly FamilyName[] = ['ipv4-unicast', 'l3vpn-ipv4-unicast', 'l3vpn-ipv6-unicast', 'l2vpn-evpn', 'rtc'];
const OF_VRF: readonly FamilyName[] = ['ipv4-unicast', 'ipv6-unicast', 'l2vpn-evpn'];
/** What a heap that is not collected yet may have grown by. */
const MORE_MEMORY_OCTETS = 150e6;

interface Observed {
  readonly pid: number;
  /** Sessions that are up, with how often each was lost. */
  readonly sessions: Readonly<Record<string, number>>;
  /** Every path of every table. */
  readonly tables: readonly string[];
  readonly files: number;
  readonly metrics: Readonly<Record<'connections' | 'queued' | 'bugs' | 'memory', number>>;
}

async function metricsOf(filament: Filament): Promise<Observed['metrics']> {
  const lines = (await (await fetch(`${filament.apiUrl}/metrics`)).text()).split('\n');
  const sum = (name: RegExp): number =>
    lines.filter((line) => name.test(line)).reduce((total, line) => total + Number(line.split(' ').at(-1)), 0);
  return {
    connections: sum(/^filament_connections\{/),
    queued: sum(/^filament_(neighbor|agent)_queued_octets/),
    bugs: sum(/^filament_faults_total\{fault="[^"]*(internal-error|unhandled-rejection)"/),
    memory: sum(/^process_resident_memory_bytes/),
  };
}

async function tablesOf(filament: Filament): Promise<readonly string[]> {
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

async function sessionsOf(filament: Filament): Promise<Record<string, number>> {
  const { neighbors } = await filament.get<{ readonly neighbors: readonly NeighborView[] }>('/api/v1/neighbors');
  const up = [...neighbors.map((each) => ({ ...each, name: each.address })), ...(await filament.agents())];
  return Object.fromEntries(
    up.filter(({ state }) => state === 'established').map(({ name, flaps }) => [name, flaps] as const),
  );
}

/** The product as it is before a fault, to be compared with what it is after it. */
export class Invariants {
  readonly #filament: Filament;
  readonly #before: Observed;

  private constructor(filament: Filament, before: Observed) {
    this.#filament = filament;
    this.#before = before;
  }

  static async watch(filament: Filament): Promise<Invariants> {
    return new Invariants(filament, {
      pid: filament.process.pid,
      sessions: await sessionsOf(filament),
      tables: await tablesOf(filament),
      files: readdirSync(`/proc/${filament.process.pid}/fd`).length,
      metrics: await metricsOf(filament),
    });
  }

  /** Call it when the cause is gone and its connections are closed; waits until everything is as before, and fails when it never is. */
  async hold(): Promise<void> {
    const { pid, sessions, tables, files, metrics } = this.#before;
    const filament = this.#filament;
    // I1: it is the same process, and answers.
    expect([filament.process.running, filament.process.pid]).toEqual([true, pid]);
    // I2: who was there is there, and was never lost.
    expect(await sessionsOf(filament)).toMatchObject(sessions);
    // I6: the tables are what they were; I4: and so is what it holds.
    await eventuallyEqual(() => tablesOf(filament), tables);
    await eventuallyEqual(async () => {
      const { connections, queued } = await metricsOf(filament);
      const open = readdirSync(`/proc/${pid}/fd`).length;
      // Connections of this test's own questions come and go.
      return [connections <= metrics.connections, queued, open <= files + 2];
    }, [true, 0, true]);
    const after = await metricsOf(filament);
    expect(after.memory - metrics.memory).toBeLessThan(MORE_MEMORY_OCTETS);
    // I5: nothing of it was a mistake of the product.
    expect(after.bugs).toBe(metrics.bugs);
  }
}
