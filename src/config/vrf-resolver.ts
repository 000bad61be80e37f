import type { Steps } from '../util/steps.js';
import type { ResolvedVrf } from './resolved.js';
import type { VrfDocument } from './schema.js';
import type { SharedVrfs } from './vrf-texts.js';

/** Route distinguishers in use, and the first automatic one, `<routerId>:<n>`, that is free. */
class DistinguisherPool {
  readonly routerId: string;
  readonly #prefix: string;
  readonly #used = new Set<string>();
  /** All automatic ones with a smaller number are in use. */
  #next = 1;

  constructor(routerId: string) {
    this.routerId = routerId;
    this.#prefix = `${routerId}:`;
  }

  /** @returns false when it is in use already */
  take(distinguisher: string): boolean {
    if (this.#used.has(distinguisher)) return false;
    this.#used.add(distinguisher);
    return true;
  }

  takeFree(): string {
    while (!this.take(`${this.#prefix}${this.#next}`)) this.#next++;
    return `${this.#prefix}${this.#next}`;
  }

  isAutomatic(distinguisher: string): boolean {
    return distinguisher.startsWith(this.#prefix);
  }

  release(distinguisher: string): void {
    this.#used.delete(distinguisher);
    if (!this.isAutomatic(distinguisher)) return;
    const number = Number(distinguisher.slice(this.#prefix.length));
    if (number >= 1) this.#next = Math.min(this.#next, number);
  }
}

/**
 * Makes the working form of VRFs, and gives each a route distinguisher: its own, the one that the VRF of this name had, or
 * the first free `<routerId>:<n>`. A VRF that comes or goes therefore changes nobody else's.
 *
 * VRFs at the beginning and end of the list that are those of the list before are the same objects again.
 */
export class VrfResolver {
  #pool: DistinguisherPool | undefined;
  #last: readonly ResolvedVrf[] = [];

  /**
   * @param running  VRFs of the configuration in force
   * @param shared   VRFs that are as they were in the list resolved before
   */
  *resolve(
    vrfs: readonly VrfDocument[],
    routerId: string,
    running: readonly ResolvedVrf[],
    { head, tail }: SharedVrfs,
  ): Steps<readonly ResolvedVrf[]> {
    const known = this.#pool;
    this.#pool = undefined;
    if (known?.routerId === routerId && running === this.#last) {
      const before = running.slice(head, running.length - tail);
      for (const { routeDistinguisher } of before) known.release(routeDistinguisher);
      const resolved = yield* resolveAll(vrfs.slice(head, vrfs.length - tail), known, before);
      if (resolved !== undefined) {
        return this.#keep(known, [...running.slice(0, head), ...resolved, ...running.slice(running.length - tail)]);
      }
    }
    const pool = new DistinguisherPool(routerId);
    return this.#keep(pool, (yield* resolveAll(vrfs, pool, running)) ?? []);
  }

  #keep(pool: DistinguisherPool, vrfs: readonly ResolvedVrf[]): readonly ResolvedVrf[] {
    this.#pool = pool;
    this.#last = vrfs;
    return vrfs;
  }
}

/** @returns `undefined` when one has a route distinguisher of its own that was given to another VRF */
function* resolveAll(
  vrfs: readonly VrfDocument[],
  pool: DistinguisherPool,
  before: readonly ResolvedVrf[],
): Steps<ResolvedVrf[] | undefined> {
  for (const { routeDistinguisher } of vrfs) {
    if (routeDistinguisher !== undefined && !pool.take(routeDistinguisher)) return undefined;
  }
  const beforeByName = new Map(before.map(({ name, routeDistinguisher }) => [name, routeDistinguisher]));
  const distinguishers = vrfs.map(({ name, routeDistinguisher }) => {
    if (routeDistinguisher !== undefined) return routeDistinguisher;
    const had = beforeByName.get(name);
    return had !== undefined && pool.isAutomatic(had) && pool.take(had) ? had : undefined;
  });
  yield;
  const resolved: ResolvedVrf[] = [];
  for (const [index, vrf] of vrfs.entries()) {
    resolved.push({
      ...vrf,
      routeDistinguisher: distinguishers[index] ?? pool.takeFree(),
      importTargets: [...new Set(vrf.importTargets)],
      exportTargets: [...new Set(vrf.exportTargets)],
    });
    yield;
  }
  return resolved;
}
