/**
 * The invariants of the fault catalogue (docs/reliability.md) for a controller in the test's own process: what is compared, and with what. When they
 * are looked at is {@link FaultLab}'s business. The router that is compared with the tables reads UPDATEs with a decoder of the tests' own.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { familyByName } from '../../src/bgp/nlri/registry.js';
import type { Controller } from '../../src/controller/controller.js';
import type { ControllerView, NeighborView, PathView, RouteView } from '../../src/controller/view.js';
import type { Clock, Timer } from '../../src/util/clock.js';
import type { Logger } from '../../src/util/logger.js';
import { parseIp } from '../../src/wire/ip.js';
import { Writer } from '../../src/wire/writer.js';
import { keysOf, type HeldAttributes, type RawRouter } from './raw-router.js';
import { attribute } from './update-messages.js';

const [ORIGIN, AS_PATH, NEXT_HOP, MULTI_EXIT_DISC, LOCAL_PREF, MP_REACH_NLRI] = [1, 2, 3, 4, 5, 14] as const;
const ORIGINS = ['igp', 'egp', 'incomplete'] as const;
/** Of routes that came without one, from another AS. */
const DEFAULT_LOCAL_PREF = 100;
const NOTHING = new Uint8Array(0);
const ROUTES_PER_PAGE = 1000;

export interface LogRecord {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export class RememberingLogger implements Logger {
  readonly warnings: LogRecord[] = [];
  readonly infos: LogRecord[] = [];

  debug(): void {}

  info(fields: LogRecord['fields'], message: string): void {
    this.infos.push({ fields, message });
  }

  warn(fields: LogRecord['fields'], message: string): void {
    this.warnings.push({ fields, message });
  }

  error(fields: LogRecord['fields'], message: string): void {
    this.warnings.push({ fields, message });
  }

  child(): Logger {
    return this;
  }
}

/** Knows how many timers wait, by their delay. */
export class CountingClock implements Clock {
  readonly #clock: Clock;
  readonly #pending = new Map<Timer, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer = this.#clock.after(delayMs, () => {
      this.#pending.delete(handle);
      callback();
    });
    const handle: Timer = {
      cancel: () => {
        this.#pending.delete(handle);
        timer.cancel();
      },
    };
    this.#pending.set(handle, delayMs);
    return handle;
  }

  /** Those that wait, by their delay. */
  get pending(): readonly number[] {
    return [...this.#pending.values()];
  }
}

/** Sockets that this process has open: the product's and the tests'. */
export function openSockets(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      return false; // that of the directory itself
    }
  }).length;
}

/** Every route of a table, over as many pages as there are. */
function routesOf(view: ControllerView, family: FamilyName, vrf?: string): readonly RouteView[] {
  const routes: RouteView[] = [];
  let cursor: string | undefined;
  do {
    const query = { family, ...(vrf === undefined ? {} : { vrf }), ...(cursor === undefined ? {} : { cursor }) };
    const page = view.routes({ ...query, limit: ROUTES_PER_PAGE });
    if (page.kind !== 'routes') throw new Error(`${family}: ${page.kind}`);
    routes.push(...page.routes);
    ({ cursor } = page);
  } while (cursor !== undefined);
  return routes;
}

/** Every path of every table with all that is shown of it but its age, one text each (invariant I6). */
export function tablesOf(view: ControllerView): readonly string[] {
  const tables: ReadonlyArray<readonly [family: FamilyName, vrf?: string]> = [
    ...view.metrics().tables.flatMap(({ scope, family }) => (scope === 'global' ? [[family] as const] : [])),
    ...[...view.vrfs()].flatMap(({ name, routes }) =>
      (Object.keys(routes) as FamilyName[]).map((each) => [each, name] as const),
    ),
  ];
  const text = (path: PathView): string =>
    JSON.stringify(path, (key, value: unknown) => (key === 'ageSeconds' ? undefined : value));
  return tables
    .flatMap(([family, vrf]) =>
      routesOf(view, family, vrf).flatMap(({ prefix, paths }) =>
        paths.map((path) => `${vrf ?? ''} ${family} ${prefix} ${text(path)}`),
      ),
    )
    .sort();
}

/** Differences of two sorted lists, for people. */
export function differences(actual: readonly string[], expected: readonly string[]): readonly string[] {
  const [have, want] = [new Set(actual), new Set(expected)];
  return [
    ...actual.filter((each) => !want.has(each)).map((each) => `+ ${each}`),
    ...expected.filter((each) => !have.has(each)).map((each) => `- ${each}`),
  ];
}

/** What a route reflector client with all of these routes' targets must have been told: the best path of each route that is not its own (I3). */
export function owedTo(view: ControllerView, { address, families }: NeighborView): readonly string[] {
  return families
    .flatMap(({ family }) =>
      routesOf(view, family).flatMap(({ prefix, paths }) => {
        const best = paths.find((path) => path.best);
        if (best === undefined || best.source === `neighbor:${address}`) return [];
        if (best.communities?.includes('no-advertise') === true) return [];
        const { origin, med = '', localPreference = DEFAULT_LOCAL_PREF, asPath = '', nextHop = '' } = best;
        return [`${keyOf(family, prefix)} ${origin} ${med} ${localPreference} [${asPath}] ${hexOfAddress(nextHop)}`];
      }),
    )
    .sort();
}

/** What a router has been told, in the words of {@link owedTo}. */
export function heldBy({ routes }: RawRouter): readonly string[] {
  const number = (held: HeldAttributes, type: number): number | '' =>
    held.has(type) ? Number.parseInt(held.get(type)!, 16) : '';
  return [...routes]
    .map(([key, held]) => {
      const origin = ORIGINS[Number(number(held, ORIGIN))];
      const [med, preference] = [number(held, MULTI_EXIT_DISC), number(held, LOCAL_PREF)];
      const nextHop = hexOfNextHop(held.get(MP_REACH_NLRI) ?? held.get(NEXT_HOP) ?? '');
      return `${key} ${origin} ${med} ${preference} [${textOfAsPath(held.get(AS_PATH) ?? '')}] ${nextHop}`;
    })
    .sort();
}

/** As {@link RawRouter.routes} names a route. */
function keyOf(family: FamilyName, prefix: string): string {
  const spoken = familyByName(family)!;
  const key = spoken.parse(prefix);
  if (key === undefined) throw new Error(`${family} ${prefix} cannot be read again`);
  const nlri = new Writer();
  spoken.encode(nlri, key, 0, key.length, NOTHING, 0, 0, true);
  return keysOf(`${spoken.afi}/${spoken.safi}`, nlri.bytes.subarray(0, nlri.position))[0]!;
}

const hexOfAddress = (address: string): string => Buffer.from(parseIp(address) ?? NOTHING).toString('hex');

/** The global address of a next hop field: VPN families have zeros in front of it (RFC 4364 §4.3.2), IPv6 a link-local one behind (RFC 2545 §3). */
function hexOfNextHop(hex: string): string {
  const octets = hex.length / 2;
  const start = octets === 12 || octets === 24 || octets === 48 ? 16 : 0;
  return hex.slice(start, octets === 32 || octets === 48 ? start + 32 : undefined);
}

/** RFC 4271 §4.3 with 4-octet numbers: AS_SEQUENCEs, and AS_SETs in braces. */
function textOfAsPath(hex: string): string {
  const path = Buffer.from(hex, 'hex');
  const segments: string[] = [];
  for (let at = 0; at < path.length; at += 2 + 4 * path[at + 1]!) {
    const ases = Array.from({ length: path[at + 1]! }, (_, i) => path.readUInt32BE(at + 2 + 4 * i));
    segments.push(path[at] === 1 ? `{${ases.join()}}` : ases.join(' '));
  }
  return segments.join(' ');
}

const VPN = '0000000000000000';
const RD = '0000fc0000000001';
const V6_NEXT_HOP = '20010db8000000000000000000000001';
/** Routes of the lab's own, one of each family: AFI and SAFI, next hop with its length, NLRI. No test announces them. */
const SENTINELS: Readonly<Partial<Record<FamilyName, readonly [code: string, nextHop: string, nlri: string]>>> = {
  'ipv4-unicast': ['0001 01', '04 c0000201', '18 c613ff'],
  'ipv6-unicast': ['0002 01', `10 ${V6_NEXT_HOP}`, '30 20010db8ffff'],
  'ipv4-labelled-unicast': ['0001 04', '04 c0000201', '30 000641 c613ff'],
  'l3vpn-ipv4-unicast': ['0001 80', `0c ${VPN} c0000201`, `70 000641 ${RD} c613ff`],
  'l3vpn-ipv6-unicast': ['0002 80', `18 ${VPN} ${V6_NEXT_HOP}`, `88 000641 ${RD} 20010db8ffff`],
  'l2vpn-evpn': ['0019 46', '04 c0000201', `02 25 ${RD} ${'00'.repeat(14)} 30 0200c613ffff 20 c613ffff 000641`],
};
const ATTRIBUTES =
  attribute(0x40, ORIGIN, '00') + attribute(0x40, AS_PATH, '') + attribute(0x40, LOCAL_PREF, '00000064');

/** Has a client announce, and later withdraw, a route of each of these families behind all that was said before. */
export class Sentinels {
  readonly #router: RawRouter;
  readonly #routes: ReadonlyArray<readonly [code: string, nextHop: string, nlri: string]>;

  constructor(router: RawRouter, families: readonly FamilyName[]) {
    this.#router = router;
    this.#routes = families.flatMap((family) => (SENTINELS[family] === undefined ? [] : [SENTINELS[family]]));
  }

  /** Resolves when the observer has all of them. */
  async announce(observer: RawRouter): Promise<void> {
    for (const [code, nextHop, nlri] of this.#routes) {
      this.#router.update({ attributes: attribute(0x90, MP_REACH_NLRI, `${code} ${nextHop} 00 ${nlri}`) + ATTRIBUTES });
    }
    for (const key of this.#keys) await observer.has(key);
  }

  /** Resolves when the observer has none of them. */
  async withdraw(observer: RawRouter): Promise<void> {
    for (const [code, , nlri] of this.#routes) {
      this.#router.update({ attributes: attribute(0x90, 15, `${code} ${nlri}`) });
    }
    for (const key of this.#keys) await observer.lacks(key);
  }

  get #keys(): string[] {
    return this.#routes.flatMap(([code, , nlri]) => {
      const [afi, safi] = code.split(' ').map((hex) => Number.parseInt(hex, 16));
      return keysOf(`${afi}/${safi}`, Buffer.from(nlri.replaceAll(' ', ''), 'hex'));
    });
  }
}

/** What a neighbor did wrong, or what was done to it, as it is counted. */
function faultsOf({ malformedUpdates, flaps, messages, families }: NeighborView): number {
  const malformed = Object.values(malformedUpdates).reduce((sum, count) => sum + count, 0);
  const limits = families.filter(({ prefixLimit }) => prefixLimit !== undefined && prefixLimit.state !== 'below');
  return malformed + flaps + messages.sent.notification + limits.length;
}

/** Faults that are counted and not told, or not as they should be: by neighbor, for people (I5). */
export function untoldFaults(view: ControllerView, { warnings, infos }: RememberingLogger): readonly string[] {
  const complaints: string[] = [];
  for (const neighbor of view.neighbors()) {
    const { address, malformedUpdates, flaps, messages } = neighbor;
    const isIts = ({ fields }: LogRecord): boolean => fields['neighbor'] === address;
    const [warned, told] = [warnings.filter(isIts), infos.filter(isIts)];
    const says = (message: string): boolean =>
      warned.some(
        ({ fields, message: said }) =>
          said === message && /^[0-9a-f]+$/.test(String(fields['update'])) && 'reason' in fields,
      );
    const { ignore, ...malformed } = malformedUpdates;
    if (ignore > 0 && !says('routes ignored')) complaints.push(`${address}: ${ignore} UPDATEs ignored`);
    if (Object.values(malformed).some((count) => count > 0) && !says('malformed update')) {
      complaints.push(`${address}: ${JSON.stringify(malformed)}`);
    }
    const states = told.filter(({ message }) => message === 'session').map(({ fields }) => fields['state']);
    const ends = states.filter((state, i) => state !== 'established' && states[i - 1] === 'established').length;
    if (ends < flaps) complaints.push(`${address}: ${flaps} flaps, of which ${ends} are in the log`);
    if (messages.sent.notification > 0 && !told.some(({ fields }) => String(fields['reason']).startsWith('sent '))) {
      complaints.push(`${address}: was sent ${messages.sent.notification} NOTIFICATIONs`);
    }
  }
  return complaints;
}

/** Whether anything at all was counted as a fault, of whomever. */
export function hasCountedFaults(view: ControllerView): boolean {
  return [...view.neighbors()].some((neighbor) => faultsOf(neighbor) > 0) || countedFaults(view).length > 0;
}

/** Names of the faults in the metrics that have been counted. */
export function countedFaults(view: ControllerView): readonly string[] {
  return view.metrics().faults.flatMap(({ name, count }) => (count > 0 ? [name] : []));
}

/** What sessions cost: all that grows with what others send, and waits (I4). */
export function holdingsOf(controller: Controller): Readonly<Record<string, number>> {
  const { rib, groups, neighbors, view } = controller;
  const { attributeSets, owedRoutes, pendingJobs, agentWaitingOctets, tlsHandshakesWaiting } = view.metrics();
  return {
    routes: rib.routeCount,
    paths: rib.pathCount,
    payloads: rib.payloads.size,
    attributeSets: attributeSets.count,
    groups: groups.size,
    connections: neighbors.listener.gate?.open ?? 0,
    agents: controller.agents.gate?.open ?? 0,
    waiting: [...view.neighbors()].filter(({ output }) => output !== undefined).length,
    ...{ owedRoutes, pendingJobs, agentWaitingOctets, tlsHandshakesWaiting },
  };
}
