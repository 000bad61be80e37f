/**
 * The exact difference between the configuration in force and a new one, as the list of what to do. What is not in the
 * list did not change and must not be touched. Order within a kind is that of the new configuration; things are removed
 * before others are added, VRFs are added before the neighbors that refer to them and removed after those.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Steps } from '../util/steps.js';
import { documentEffects, statedEffect, strongerEffect, type Effect, type FieldEffect } from './effect.js';
import type { FieldPath } from './problem.js';
import type {
  ResolvedAgents,
  ResolvedConfig,
  ResolvedDynamicRange,
  ResolvedNeighbor,
  ResolvedSession,
  ResolvedStaticRoute,
  ResolvedVrf,
} from './resolved.js';
import { configSchema, type LogLevel } from './schema.js';
import { neighborSchema } from './session-schema.js';

/** What a changed session field can do to an established session (effect.ts). */
export type SessionEffect = Extract<Effect, 'none' | 'soft' | 'session-reset'>;

const NEIGHBOR_FIELDS: Readonly<Record<string, unknown>> = neighborSchema.shape;

type SessionField = keyof ResolvedNeighbor;

/** What going from one configuration of a session to another does to it: the strongest effect of a field that differs. */
export function sessionChangeEffect(before: ResolvedSession, after: ResolvedSession): SessionEffect {
  return strongestEffect(before, after, changedFields<ResolvedSession>(before, after));
}

/** What a change of one field of a session does to it. */
function sessionEffectOf(field: SessionField): SessionEffect {
  const effect = statedEffect(NEIGHBOR_FIELDS[field]);
  if (effect === 'none' || effect === 'soft' || effect === 'session-reset') return effect;
  throw new Error(`the schema states no effect of ${field} on a session`);
}

export type ConfigChange =
  | { readonly kind: 'neighbor-removed'; readonly neighbor: ResolvedNeighbor }
  | { readonly kind: 'dynamic-range-removed'; readonly range: ResolvedDynamicRange }
  | { readonly kind: 'vrf-removed'; readonly vrf: ResolvedVrf }
  | { readonly kind: 'vrf-added'; readonly vrf: ResolvedVrf }
  | VrfChanged
  | { readonly kind: 'dynamic-range-added'; readonly range: ResolvedDynamicRange }
  | {
      readonly kind: 'dynamic-range-changed';
      readonly before: ResolvedDynamicRange;
      readonly after: ResolvedDynamicRange;
      readonly fields: readonly SessionField[];
      readonly effect: SessionEffect;
    }
  | { readonly kind: 'neighbor-added'; readonly neighbor: ResolvedNeighbor }
  | {
      readonly kind: 'neighbor-changed';
      readonly before: ResolvedNeighbor;
      readonly after: ResolvedNeighbor;
      readonly fields: readonly SessionField[];
      /** The strongest of its fields. */
      readonly effect: SessionEffect;
    }
  /** New agent connections follow the new values. */
  | { readonly kind: 'agents-changed'; readonly after: ResolvedAgents; readonly fields: readonly string[] }
  | { readonly kind: 'api-token-changed'; readonly token?: string }
  | { readonly kind: 'log-level-changed'; readonly before: LogLevel; readonly after: LogLevel }
  /** A field of its own that the kinds above do not tell of. */
  | { readonly kind: 'setting-changed'; readonly path: string; readonly effect: Effect };

/** A VRF of the same name with other content; lists hold only what came and went. */
export interface VrfChanged {
  readonly kind: 'vrf-changed';
  readonly before: ResolvedVrf;
  readonly after: ResolvedVrf;
  readonly fields: readonly (keyof ResolvedVrf)[];
  readonly importAdded: readonly string[];
  readonly importRemoved: readonly string[];
  readonly exportAdded: readonly string[];
  readonly exportRemoved: readonly string[];
  /** A static route that changed is removed and added. */
  readonly staticRoutesAdded: readonly ResolvedStaticRoute[];
  readonly staticRoutesRemoved: readonly ResolvedStaticRoute[];
}

/** A difference that a running controller cannot follow. */
interface RestartNeeded {
  readonly path: FieldPath;
  readonly message: string;
}

export interface ConfigDifference {
  readonly changes: readonly ConfigChange[];
  /** When not empty, nothing of the new configuration can be applied without a restart. */
  readonly restartNeeded: readonly RestartNeeded[];
}

/** Compares two configurations; costs one pass over both, and can be interrupted between two VRFs. */
export function* compareConfigs(before: ResolvedConfig, after: ResolvedConfig): Steps<ConfigDifference> {
  const vrfs = pair(before.vrfs, after.vrfs, (vrf) => vrf.name);
  const neighbors = pair(before.bgp.neighbors, after.bgp.neighbors, (neighbor) => neighbor.address);
  const ranges = pair(before.bgp.dynamicNeighbors, after.bgp.dynamicNeighbors, (range) => range.prefix);
  const settings = changedSettings(before, after);
  const followed = settings.filter(({ effect }) => effect !== 'restart');
  yield;
  const vrfChanges: ConfigChange[] = [];
  for (const [old, vrf] of vrfs.kept) {
    vrfChanges.push(...vrfChange(old, vrf));
    yield;
  }
  const changes: ConfigChange[] = [
    ...neighbors.removed.map((neighbor) => ({ kind: 'neighbor-removed', neighbor }) as const),
    ...ranges.removed.map((range) => ({ kind: 'dynamic-range-removed', range }) as const),
    ...vrfs.added.map((vrf) => ({ kind: 'vrf-added', vrf }) as const),
    ...vrfChanges,
    ...ranges.added.map((range) => ({ kind: 'dynamic-range-added', range }) as const),
    ...ranges.kept.flatMap(([old, range]) => rangeChange(old, range)),
    ...neighbors.added.map((neighbor) => ({ kind: 'neighbor-added', neighbor }) as const),
    ...neighbors.kept.flatMap(([old, neighbor]) => neighborChange(old, neighbor)),
    ...vrfs.removed.map((vrf) => ({ kind: 'vrf-removed', vrf }) as const),
    ...agentsChange(followed, after.agents),
    ...settingChanges(followed),
  ];
  if (before.api.token !== after.api.token) {
    changes.push({ kind: 'api-token-changed', ...(after.api.token === undefined ? {} : { token: after.api.token }) });
  }
  if (before.log.level !== after.log.level) {
    changes.push({ kind: 'log-level-changed', before: before.log.level, after: after.log.level });
  }
  const restartNeeded = settings
    .filter(({ effect }) => effect === 'restart')
    .map(({ path }) => ({
      path,
      message: 'cannot change while the controller runs; allowed: the value in force, or a restart',
    }));
  return { changes, restartNeeded };
}

interface Paired<T> {
  readonly removed: readonly T[];
  readonly added: readonly T[];
  /** Those that may differ. */
  readonly kept: readonly (readonly [before: T, after: T])[];
}

function pair<T>(before: readonly T[], after: readonly T[], keyOf: (item: T) => string): Paired<T> {
  // What is the same object at both ends has not changed (config/reader.ts): nearly all of ten thousand VRFs.
  const shared = Math.min(before.length, after.length);
  let head = 0;
  while (head < shared && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < shared - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  const old = new Map(before.slice(head, before.length - tail).map((item) => [keyOf(item), item]));
  const added: T[] = [];
  const kept: (readonly [T, T])[] = [];
  for (const item of after.slice(head, after.length - tail)) {
    const key = keyOf(item);
    const counterpart = old.get(key);
    if (counterpart === undefined) added.push(item);
    else kept.push([counterpart, item]);
    old.delete(key);
  }
  return { removed: [...old.values()], added, kept };
}

function changedFields<T extends object>(before: T, after: T): (keyof T)[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof T>;
  return [...names].filter((name) => !isDeepStrictEqual(before[name], after[name]));
}

function strongestEffect(
  before: ResolvedSession,
  after: ResolvedSession,
  fields: readonly SessionField[],
): SessionEffect {
  let strongest: SessionEffect = 'none';
  for (const field of fields) strongest = strongerEffect(strongest, effectOf(field, before, after));
  return strongest;
}

function effectOf(field: SessionField, before: ResolvedSession, after: ResolvedSession): SessionEffect {
  // A connection begins with signatures or without; the key itself can be changed while it lives.
  const isOtherKey = before.md5Password !== undefined && after.md5Password !== undefined;
  return field === 'md5Password' && isOtherKey ? 'none' : sessionEffectOf(field);
}

function neighborChange(before: ResolvedNeighbor, after: ResolvedNeighbor): ConfigChange[] {
  const fields = changedFields(before, after);
  if (fields.length === 0) return [];
  return [{ kind: 'neighbor-changed', before, after, fields, effect: strongestEffect(before, after, fields) }];
}

function rangeChange(before: ResolvedDynamicRange, after: ResolvedDynamicRange): ConfigChange[] {
  const fields: SessionField[] = changedFields<ResolvedSession>(before.session, after.session);
  if (before.peerGroup !== after.peerGroup) fields.push('peerGroup');
  if (fields.length === 0) return [];
  return [
    {
      kind: 'dynamic-range-changed',
      before,
      after,
      fields,
      effect: strongestEffect(before.session, after.session, fields),
    },
  ];
}

/** The members of `list` that `other` does not have. Members are resolved values: the same thing has the same JSON. */
function without<T>(list: readonly T[], other: readonly T[]): T[] {
  const known = new Set(other.map((item) => JSON.stringify(item)));
  return list.filter((item) => !known.has(JSON.stringify(item)));
}

function vrfChange(before: ResolvedVrf, after: ResolvedVrf): ConfigChange[] {
  // A VRF whose text has not changed is the same object (config/reader.ts): of ten thousand nearly all.
  if (before === after) return [];
  // Order carries no meaning in these lists.
  const fields = changedFields(before, after);
  const change: VrfChanged = {
    kind: 'vrf-changed',
    before,
    after,
    fields,
    importAdded: without(after.importTargets, before.importTargets),
    importRemoved: without(before.importTargets, after.importTargets),
    exportAdded: without(after.exportTargets, before.exportTargets),
    exportRemoved: without(before.exportTargets, after.exportTargets),
    staticRoutesAdded: without(after.staticRoutes, before.staticRoutes),
    staticRoutesRemoved: without(before.staticRoutes, after.staticRoutes),
  };
  const moved: Partial<Record<keyof ResolvedVrf, number>> = {
    importTargets: change.importAdded.length + change.importRemoved.length,
    exportTargets: change.exportAdded.length + change.exportRemoved.length,
    staticRoutes: change.staticRoutesAdded.length + change.staticRoutesRemoved.length,
  };
  const real = fields.filter((field) => moved[field] !== 0);
  return real.length === 0 ? [] : [{ ...change, fields: real }];
}

/** Lists of things that are compared one by one. */
const COMPARED_LISTS = new Set(['bgp.peerGroups', 'bgp.neighbors', 'bgp.dynamicNeighbors', 'vrfs']);
/** Fields that have a kind of change of their own. */
const TOLD_APART = new Set(['api.token', 'log.level']);

/** Fields outside of those lists, with what a change of them does. */
const SETTINGS = documentEffects(configSchema).filter(({ path }) => !COMPARED_LISTS.has(path.join('.')));

function changedSettings(before: ResolvedConfig, after: ResolvedConfig): FieldEffect[] {
  const changed = SETTINGS.filter(({ path }) => !isDeepStrictEqual(valueAt(before, path), valueAt(after, path)));
  if ((before.agents.tls === undefined) === (after.agents.tls === undefined)) return changed;
  // Files of TLS may change, but not whether there is TLS: agents that are connected would stay as they are.
  return changed.map((one) => (one.path.join('.') === 'agents.tls' ? { ...one, effect: 'restart' } : one));
}

function valueAt(config: ResolvedConfig, path: FieldPath): unknown {
  let value: unknown = config;
  for (const step of path) value = (value as Readonly<Record<string, unknown>> | undefined)?.[step];
  return value;
}

function agentsChange(changed: readonly FieldEffect[], after: ResolvedAgents): ConfigChange[] {
  const fields = changed.filter(({ path }) => path[0] === 'agents').map(({ path }) => path.slice(1).join('.'));
  return fields.length === 0 ? [] : [{ kind: 'agents-changed', after, fields }];
}

function settingChanges(changed: readonly FieldEffect[]): ConfigChange[] {
  return changed
    .map(({ path, effect }) => ({ kind: 'setting-changed', path: path.join('.'), effect }) as const)
    .filter(({ path }) => !path.startsWith('agents.') && !TOLD_APART.has(path));
}

/** What applying a change does to what runs. */
export function changeEffect(change: ConfigChange): Effect {
  switch (change.kind) {
    case 'neighbor-removed':
    case 'dynamic-range-removed':
      return 'session-reset';
    case 'neighbor-changed':
    case 'dynamic-range-changed':
    case 'setting-changed':
      return change.effect;
    case 'vrf-added':
    case 'vrf-removed':
      return 'soft';
    case 'vrf-changed':
      return change.fields.includes('allowedPrefixes') ? 'session-reset' : 'soft';
    case 'agents-changed':
      return change.fields.includes('allowed') ? 'session-reset' : 'none';
    case 'neighbor-added':
    case 'dynamic-range-added':
    case 'api-token-changed':
    case 'log-level-changed':
      return 'none';
  }
}

/** One line for people; never holds a secret. */
export function describeChange(change: ConfigChange): string {
  switch (change.kind) {
    case 'neighbor-added':
      return `neighbor ${change.neighbor.address} added`;
    case 'neighbor-removed':
      return `neighbor ${change.neighbor.address} removed`;
    case 'neighbor-changed':
      return `neighbor ${change.after.address} changed: ${change.fields.join(', ')}${effectWords(change.effect)}`;
    case 'dynamic-range-added':
      return `dynamic neighbors ${change.range.prefix} added`;
    case 'dynamic-range-removed':
      return `dynamic neighbors ${change.range.prefix} removed`;
    case 'dynamic-range-changed':
      return `dynamic neighbors ${change.after.prefix} changed: ${change.fields.join(', ')}${effectWords(change.effect)}`;
    case 'vrf-added':
      return `VRF ${change.vrf.name} added`;
    case 'vrf-removed':
      return `VRF ${change.vrf.name} removed`;
    case 'vrf-changed':
      return `VRF ${change.after.name} changed: ${change.fields.map((field) => vrfFieldWords(change, field)).join(', ')}`;
    case 'agents-changed':
      return `agent channel changed: ${change.fields.join(', ')}${change.fields.includes('allowed') ? '' : ' (for new connections)'}`;
    case 'api-token-changed':
      return change.token === undefined ? 'API token removed' : 'API token changed';
    case 'log-level-changed':
      return `log level changed: ${change.before} to ${change.after}`;
    case 'setting-changed':
      return `${change.path} changed`;
  }
}

function effectWords(effect: SessionEffect): string {
  switch (effect) {
    case 'none':
      return '';
    case 'soft':
      return ' (routes evaluated again)';
    case 'session-reset':
      return ' (session reset)';
  }
}

function vrfFieldWords(change: VrfChanged, field: keyof ResolvedVrf): string {
  const signed = (added: readonly string[], removed: readonly string[]): string =>
    [...added.map((item) => `+${item}`), ...removed.map((item) => `-${item}`)].join(' ');
  const prefixes = (routes: readonly ResolvedStaticRoute[]): string[] => routes.map((route) => route.prefix);
  switch (field) {
    case 'importTargets':
      return `importTargets ${signed(change.importAdded, change.importRemoved)}`;
    case 'exportTargets':
      return `exportTargets ${signed(change.exportAdded, change.exportRemoved)}`;
    case 'staticRoutes':
      return `staticRoutes ${signed(prefixes(change.staticRoutesAdded), prefixes(change.staticRoutesRemoved))}`;
    case 'name':
    case 'virtualNetwork':
    case 'routeDistinguisher':
    case 'alwaysImport':
    case 'allowedPrefixes':
      return field;
  }
}
