/**
 * Histories of a small network and what must be true of it whenever it is quiet: the reference that
 * `test/interop/histories.test.ts` compares the real one with. It knows VRFs, route targets and who said what; no protocol.
 */
import fc from 'fast-check';

export const CONTROLLERS = 3;
export const HOSTS = 5;
export const GATEWAYS = 2;
export const VRFS = ['blue', 'red', 'green'] as const;
/** Routes that one host or gateway may announce in one VRF. */
const ROUTES = 3;
const LABELS = 50;

/** One thing that happens. What makes no sense at its time (a withdrawal of nothing) does nothing. */
export type Step =
  | { readonly kind: 'subscribe' | 'unsubscribe'; readonly host: number; readonly vrf: number }
  | {
      readonly kind: 'publish';
      readonly host: number;
      readonly vrf: number;
      readonly n: number;
      readonly label: number;
    }
  | { readonly kind: 'withdraw'; readonly host: number; readonly vrf: number; readonly n: number }
  | { readonly kind: 'cut'; readonly host: number; readonly channel: number }
  | {
      readonly kind: 'announce';
      readonly gateway: number;
      readonly vrf: number;
      readonly n: number;
      readonly label: number;
    }
  | { readonly kind: 'retire'; readonly gateway: number; readonly vrf: number; readonly n: number }
  /** kill -9 of the daemon: its sessions are lost without a word; it is back, with its routes, before the network is quiet. */
  | { readonly kind: 'lose'; readonly gateway: number }
  /** The gateway ends its session with one controller, and begins it anew. */
  | { readonly kind: 'clear'; readonly gateway: number; readonly controller: number }
  /** VRF `vrf` begins or ceases to import the target of VRF `from`. */
  | { readonly kind: 'import'; readonly vrf: number; readonly from: number }
  /** kill -9; it is back before the network is quiet. */
  | { readonly kind: 'crash'; readonly controller: number }
  /** The session of two controllers is reset, or shut down until the network is to be quiet. */
  | { readonly kind: 'reset' | 'isolate'; readonly controller: number; readonly other: number }
  /** Everything that is down comes back, and all tables are compared. */
  | { readonly kind: 'quiet' };

const below = (count: number): fc.Arbitrary<number> => fc.nat(count - 1);
const host = below(HOSTS);
const vrf = below(VRFS.length);
const n = below(ROUTES);
const label = below(LABELS).map((value) => 100 + value);
const gateway = below(GATEWAYS);
const controller = below(CONTROLLERS);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('subscribe' as const), host, vrf }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unsubscribe' as const), host, vrf }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('publish' as const), host, vrf, n, label }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('withdraw' as const), host, vrf, n }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const), host, channel: below(2) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('announce' as const), gateway, vrf, n, label }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('retire' as const), gateway, vrf, n }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), gateway }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const), gateway, controller }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('import' as const), vrf, from: vrf }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const), controller }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('reset' as const, 'isolate' as const),
      controller,
      other: controller,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('quiet' as const) }) },
);

/** A history; it ends quietly whatever its last step is. */
export const history: fc.Arbitrary<Step[]> = fc.array(step, { minLength: 15, maxLength: 40, size: 'max' });

/** A route as everybody who may have it shows it. */
export interface ModelRoute {
  readonly prefix: string;
  /** Host or gateway that announces it. */
  readonly by: { readonly kind: 'host' | 'gateway'; readonly number: number };
  readonly vrf: number;
  readonly label: number;
}

/** The state of the network, if it were one place. */
export class HistoryModel {
  readonly #subscriptions = Array.from({ length: HOSTS }, () => new Set<number>());
  readonly #routes = new Map<string, ModelRoute>();
  /** Of each VRF: the VRFs whose targets it imports. */
  readonly #imports = VRFS.map((_, index) => new Set([index]));

  isSubscribed(hostNumber: number, vrfNumber: number): boolean {
    return this.#subscriptions[hostNumber]?.has(vrfNumber) === true;
  }

  /** VRFs whose targets a VRF imports, in order. */
  importsOf(vrfNumber: number): readonly number[] {
    return [...(this.#imports[vrfNumber] ?? [])].sort();
  }

  has(by: ModelRoute['by'], vrfNumber: number, number: number): boolean {
    return this.#routes.has(prefixOf(by, vrfNumber, number));
  }

  subscribe(hostNumber: number, vrfNumber: number): void {
    this.#subscriptions[hostNumber]?.add(vrfNumber);
  }

  /** A host that leaves a VRF takes its routes along. */
  unsubscribe(hostNumber: number, vrfNumber: number): void {
    this.#subscriptions[hostNumber]?.delete(vrfNumber);
    for (const [prefix, { by, vrf: of }] of this.#routes) {
      if (by.kind === 'host' && by.number === hostNumber && of === vrfNumber) this.#routes.delete(prefix);
    }
  }

  announce(by: ModelRoute['by'], vrfNumber: number, number: number, labelValue: number): void {
    const prefix = prefixOf(by, vrfNumber, number);
    this.#routes.set(prefix, { prefix, by, vrf: vrfNumber, label: labelValue });
  }

  withdraw(by: ModelRoute['by'], vrfNumber: number, number: number): void {
    this.#routes.delete(prefixOf(by, vrfNumber, number));
  }

  /** @returns false when that would be the VRF's own target, which stays */
  toggleImport(vrfNumber: number, from: number): boolean {
    const imports = this.#imports[vrfNumber];
    if (vrfNumber === from || imports === undefined) return false;
    if (!imports.delete(from)) imports.add(from);
    return true;
  }

  /** What every agent in a VRF holds. */
  routesIn(vrfNumber: number): readonly ModelRoute[] {
    const imports = this.#imports[vrfNumber];
    return this.#all().filter((route) => imports?.has(route.vrf));
  }

  /** What a gateway has received: everything but its own. */
  routesAt(gatewayNumber: number): readonly ModelRoute[] {
    return this.#all().filter(({ by }) => by.kind === 'host' || by.number !== gatewayNumber);
  }

  #all(): ModelRoute[] {
    return [...this.#routes.values()].sort((a, b) => (a.prefix < b.prefix ? -1 : 1));
  }
}

/** Each host and gateway has prefixes of its own in each VRF: who announces what is never in doubt. */
export function prefixOf({ kind, number }: ModelRoute['by'], vrfNumber: number, index: number): string {
  return `${kind === 'host' ? 10 : 172}.${vrfNumber + 16}.${number}.${index}/32`;
}
