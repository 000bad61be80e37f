import type { ConfigChange } from '../config/difference.js';
import type { ResolvedVrf } from '../config/resolved.js';
import type { Steps } from '../util/steps.js';

/** Routes of one virtual network that begin to enter a VRF of another one. */
export interface NewLeak {
  /** VRF whose routes they are. */
  readonly from: string;
  /** VRF that imports them. */
  readonly to: string;
  /** The first route target that makes them. */
  readonly target: string;
}

/** The route target by which routes of one VRF enter another, and whether they belong to different virtual networks. */
function leak(from: ResolvedVrf | undefined, to: ResolvedVrf | undefined): string | undefined {
  if (from === undefined || to === undefined || from.virtualNetwork.name === to.virtualNetwork.name) return undefined;
  return from.exportTargets.find((target) => to.importTargets.includes(target));
}

/**
 * Which VRFs of different virtual networks are connected by these changes and were not before. That may be what is wanted;
 * whoever checks a configuration is to see it. Costs one pass over the VRFs, and can be interrupted.
 *
 * @param vrfs  of the configuration after the changes
 */
export function* findLeaks(changes: readonly ConfigChange[], vrfs: readonly ResolvedVrf[]): Steps<NewLeak[]> {
  /** What the VRFs concerned were before; `undefined` for new ones. */
  const before = new Map<string, ResolvedVrf | undefined>();
  const changed: ResolvedVrf[] = [];
  for (const change of changes) {
    if (change.kind === 'vrf-added') {
      before.set(change.vrf.name, undefined);
      changed.push(change.vrf);
    } else if (change.kind === 'vrf-changed') {
      before.set(change.after.name, change.before);
      changed.push(change.after);
    }
  }
  const found: NewLeak[] = [];
  if (changed.length === 0) return found;
  const targets = new Set(changed.flatMap((vrf) => [...vrf.importTargets, ...vrf.exportTargets]));
  const was = (vrf: ResolvedVrf): ResolvedVrf | undefined => (before.has(vrf.name) ? before.get(vrf.name) : vrf);
  const look = (from: ResolvedVrf, to: ResolvedVrf): void => {
    const target = leak(from, to);
    if (target !== undefined && leak(was(from), was(to)) === undefined) {
      found.push({ from: from.name, to: to.name, target });
    }
  };
  for (const other of vrfs) {
    yield;
    const concerned =
      other.importTargets.some((t) => targets.has(t)) || other.exportTargets.some((t) => targets.has(t));
    if (!concerned) continue;
    for (const vrf of changed) {
      look(vrf, other);
      // Between two that changed, each finds the way out of itself.
      if (!before.has(other.name)) look(other, vrf);
    }
  }
  return found;
}
