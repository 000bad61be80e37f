/**
 * Replication by route target as a fixed point: the secondaries of all tables follow from the original paths, found by
 * working them out again and again until nothing changes. Slow and obvious; it knows nothing of what was there before.
 */
import { routeTargetsOf } from '../../src/bgp/attribute/extended-communities.js';
import type { PathAttributes } from '../../src/bgp/attribute/path-attributes.js';
import { originVnOf, originVnCommunity } from '../../src/bgp/attribute/virtual-network-communities.js';
import { EvpnRouteType } from '../../src/bgp/nlri/iana.js';
import { selectPaths, type ModelSource, type SelectablePath } from '../rib/selection-model.js';
import { hex } from '../rib/world.js';

export type ModelFamily = 'ipv4' | 'evpn';

export interface ModelVrf {
  readonly id: string;
  imports: readonly string[];
  exports: readonly Uint8Array[];
  network: number;
  rd: Uint8Array;
  deleted: boolean;
}

/** A table: that of a VRF, or the VPN table of the family. */
export interface ModelTable {
  readonly family: ModelFamily;
  readonly vrf: ModelVrf | undefined;
}

export interface ModelPath extends SelectablePath {
  readonly table: ModelTable;
  readonly key: Uint8Array;
  readonly source: ModelSource;
  readonly payload: Uint8Array;
  readonly flags: number;
  /** Absent for an original path. */
  readonly origin?: ModelPath;
}

/** What differs between families and is told by key octets, from outside so that the model does not lean on the codec. */
export interface ModelKeys {
  withRd(family: ModelFamily, key: Uint8Array, rd: Uint8Array): Uint8Array;
  withoutRd(family: ModelFamily, key: Uint8Array): Uint8Array;
  evpnType(key: Uint8Array): number;
  isBroadcast(key: Uint8Array): boolean;
}

export interface ModelInput {
  readonly localAs: number;
  readonly vrfs: readonly ModelVrf[];
  readonly tables: readonly ModelTable[];
  readonly originals: readonly ModelPath[];
  readonly keys: ModelKeys;
  /** The route distinguisher of a path in the VPN table. */
  readonly rdOf: (path: ModelPath, vrf: ModelVrf) => Uint8Array;
  /** Flags of a copy. */
  readonly copiedFlags: (flags: number) => number;
}

export function replicate(input: ModelInput): readonly ModelPath[] {
  let secondaries: readonly ModelPath[] = [];
  for (let rounds = 0; ; rounds++) {
    const next = input.originals.flatMap((path) =>
      isEligible(path, input.originals, secondaries) ? copiesOf(path, input) : [],
    );
    if (fingerprint(next) === fingerprint(secondaries)) return next;
    if (rounds > 100) throw new Error('replication has no fixed point');
    secondaries = next;
  }
}

function fingerprint(paths: readonly ModelPath[]): string {
  return paths.map((path) => `${path.table.vrf?.id ?? ''} ${hex(path.key)} ${path.source.routerId}`).join();
}

/** One of the best of its route. */
function isEligible(path: ModelPath, originals: readonly ModelPath[], secondaries: readonly ModelPath[]): boolean {
  if (path.table.vrf?.deleted === true) return false;
  const beside = [...originals, ...secondaries].filter(
    ({ table, key }) => table === path.table && hex(key) === hex(path.key),
  );
  return selectPaths(beside).equalCost.includes(path);
}

function copiesOf(path: ModelPath, input: ModelInput): ModelPath[] {
  const { family, vrf } = path.table;
  const copy = (to: ModelVrf | undefined, key: Uint8Array, attributes: PathAttributes): ModelPath => {
    const table = input.tables.find((each) => each.family === family && each.vrf === to);
    if (table === undefined) throw new Error('no such table');
    return { ...path, table, key, attributes, flags: input.copiedFlags(path.flags), origin: path, originKey: path.key };
  };
  if (vrf === undefined) {
    const key = input.keys.withoutRd(family, path.key);
    return importers(path, path.attributes, input).map((to) => {
      const belongs = originVnOf(path.attributes) === undefined && exportsOneOf(to, path.attributes, input);
      return copy(to, key, belongs ? withNetwork(path.attributes, to, input.localAs) : path.attributes);
    });
  }
  const type = family === 'evpn' ? input.keys.evpnType(path.key) : undefined;
  if (type === EvpnRouteType.macIpAdvertisement && input.keys.isBroadcast(path.key)) return [];
  const exported = withNetwork(withCommunities(path.attributes, vrf.exports), vrf, input.localAs);
  return [
    copy(undefined, input.keys.withRd(family, path.key, input.rdOf(path, vrf)), exported),
    ...importers(path, exported, input)
      .filter((to) => to !== vrf)
      .map((to) => copy(to, path.key, exported)),
  ];
}

/** VRFs that take a path with these attributes. */
function importers({ table, key }: ModelPath, attributes: PathAttributes, input: ModelInput): ModelVrf[] {
  const targets = routeTargetsOf(attributes).map(hex);
  const taking = input.vrfs.filter(
    ({ deleted, imports }) => !deleted && imports.some((target) => targets.includes(target)),
  );
  if (table.family !== 'evpn') return taking;
  const type = input.keys.evpnType(key);
  if (type === EvpnRouteType.ipPrefix) return taking;
  if (type !== EvpnRouteType.macIpAdvertisement && type !== EvpnRouteType.inclusiveMulticast) return [];
  const network = originVnOf(attributes)?.index;
  return taking.filter((vrf) =>
    network === undefined ? exportsOneOf(vrf, attributes, input) : network === vrf.network,
  );
}

/** Whether the VRF, or another of its virtual network, exports one of the targets. */
function exportsOneOf(vrf: ModelVrf, attributes: PathAttributes, { vrfs }: ModelInput): boolean {
  const targets = routeTargetsOf(attributes).map(hex);
  return vrfs.some(
    (other) =>
      !other.deleted &&
      (other === vrf || (vrf.network !== 0 && other.network === vrf.network)) &&
      other.exports.some((target) => targets.includes(hex(target))),
  );
}

function withNetwork(attributes: PathAttributes, { network }: ModelVrf, localAs: number): PathAttributes {
  if (network === 0 || originVnOf(attributes) !== undefined) return attributes;
  return withCommunities(attributes, [originVnCommunity(localAs, network)]);
}

function withCommunities(attributes: PathAttributes, more: readonly Uint8Array[]): PathAttributes {
  const all = communityTexts(attributes.extendedCommunities);
  for (const each of more) if (!all.includes(hex(each))) all.push(hex(each));
  return all.length === 0
    ? attributes
    : { ...attributes, extendedCommunities: Uint8Array.from(Buffer.from(all.join(''), 'hex')) };
}

/** Extended communities one by one, in hex. */
export function communityTexts(communities: Uint8Array | undefined): string[] {
  return hex(communities ?? new Uint8Array(0)).match(/.{16}/g) ?? [];
}
