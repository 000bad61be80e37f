/**
 * What the schema cannot say: references, uniqueness, and fields that only make sense together.
 * Works on a document that fits the schema; every finding has the path of the field to change.
 */
import { parseIp } from '../wire/ip.js';
import type { FieldPath, FieldProblem } from './problem.js';
import { mergeSession } from './resolved.js';
import type { ListenAddress } from './resolved.js';
import type { ConfigDocument, NeighborDocument, PeerGroupDocument, VrfDocument } from './schema.js';
import { CE_FAMILIES } from './session-schema.js';
import { FABRIC_VRF_NAME } from './fabric-vrf.js';

/** Largest AS number of two octets, whose communities leave four octets for the value. */
const MAXIMUM_TWO_OCTET_AS = 0xffff;

type Report = (path: FieldPath, message: string) => void;

/** All problems of a document; empty when it can be used. */
export function checkDocument(document: ConfigDocument): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const report: Report = (path, message) => problems.push({ path, message });
  checkListeners(document, report);
  checkBgp(document, report);
  checkVrfs(document, report);
  checkTls(document, report);
  return problems;
}

/** Reports each field whose value an earlier one has already. */
class Uniqueness {
  readonly #what: string;
  readonly #first = new Map<string, string>();
  readonly #report: Report;

  constructor(what: string, report: Report) {
    this.#what = what;
    this.#report = report;
  }

  /** @param where  how to refer to this one when it is the first of two */
  add(value: string, path: FieldPath, where: string): void {
    const first = this.#first.get(value);
    if (first === undefined) this.#first.set(value, where);
    else this.#report(path, `${value} is already the ${this.#what} of ${first}; allowed: each only once`);
  }
}

/** Whether an address is only reachable from this host. */
function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

function overlap(a: ListenAddress, b: ListenAddress): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  // A socket on :: takes IPv4 connections as well.
  const covers = (one: string, other: string): boolean =>
    one === other || one === '::' || (one === '0.0.0.0' && !other.includes(':'));
  return covers(a.address, b.address) || covers(b.address, a.address);
}

function checkListeners({ bgp, agents, api }: ConfigDocument, report: Report): void {
  const seen: { readonly listen: ListenAddress; readonly name: string }[] = [];
  for (const [section, listens] of [
    ['bgp', bgp.listen],
    ['agents', agents.listen],
    ['api', api.listen],
  ] as const) {
    for (const [index, listen] of listens.entries()) {
      const clash = seen.find((other) => overlap(other.listen, listen));
      const path = [section, 'listen', index];
      if (clash) {
        report(path, `${listen.address} port ${listen.port} overlaps ${clash.name}; allowed: another port or address`);
      }
      seen.push({ listen, name: `${section}.listen[${index}]` });
      if (section === 'api' && !isLoopback(listen.address) && api.token === undefined) {
        report(
          [...path, 'address'],
          `${listen.address} can be reached from other hosts, which needs api.token; allowed without: a loopback address`,
        );
      }
    }
  }
}

/** What the session checks look up. */
interface Names {
  readonly autonomousSystem: number;
  readonly groups: ReadonlyMap<string, PeerGroupDocument>;
  readonly vrfs: ReadonlySet<string>;
}

function checkBgp({ bgp, vrfs, autonomousSystem }: ConfigDocument, report: Report): void {
  const groups = new Map(bgp.peerGroups.map((group) => [group.name, group]));
  const names: Names = { autonomousSystem, groups, vrfs: new Set(vrfs.map((vrf) => vrf.name)) };
  const groupNames = new Uniqueness('name', report);
  for (const [index, group] of bgp.peerGroups.entries()) {
    const path = ['bgp', 'peerGroups', index];
    groupNames.add(group.name, [...path, 'name'], `bgp.peerGroups[${index}]`);
    checkVrfExists(names, group.vrf, path, report);
    checkFamilies(group, undefined, path, report);
    checkSessionType(names, group, undefined, path, report);
  }
  const addresses = new Uniqueness('address', report);
  for (const [index, neighbor] of bgp.neighbors.entries()) {
    const path = ['bgp', 'neighbors', index];
    addresses.add(neighbor.address, [...path, 'address'], `bgp.neighbors[${index}]`);
    checkNeighbor(names, neighbor, path, report);
  }
  const prefixes = new Uniqueness('prefix', report);
  for (const [index, range] of bgp.dynamicNeighbors.entries()) {
    const path = ['bgp', 'dynamicNeighbors', index];
    prefixes.add(range.prefix, [...path, 'prefix'], `bgp.dynamicNeighbors[${index}]`);
    if (!groups.has(range.peerGroup)) {
      report([...path, 'peerGroup'], unknownName('peer group', range.peerGroup, groups.keys()));
    }
  }
}

function unknownName(what: string, name: string, known: Iterable<string>): string {
  const names = [...known];
  const shown = names.slice(0, 8).join(', ') + (names.length > 8 ? ', …' : '');
  return `there is no ${what} ${JSON.stringify(name)}; allowed: ${names.length === 0 ? `none is configured` : shown}`;
}

function checkVrfExists({ vrfs }: Names, name: string | undefined, path: FieldPath, report: Report): void {
  if (name === undefined) return;
  if (name === FABRIC_VRF_NAME) {
    report(
      [...path, 'vrf'],
      `${name} is the fabric VRF, whose routes are the global ones; allowed: a VRF of its own, or no vrf at all`,
    );
  } else if (!vrfs.has(name)) {
    report([...path, 'vrf'], unknownName('VRF', name, vrfs));
  }
}

function checkNeighbor(names: Names, neighbor: NeighborDocument, path: FieldPath, report: Report): void {
  const { groups } = names;
  const group = neighbor.peerGroup === undefined ? undefined : groups.get(neighbor.peerGroup);
  if (neighbor.peerGroup !== undefined && group === undefined) {
    report([...path, 'peerGroup'], unknownName('peer group', neighbor.peerGroup, groups.keys()));
    return;
  }
  const session = mergeSession(neighbor, group);
  if (session.peerAs === undefined) {
    report(path, 'peerAs is missing; allowed: a number 1..4294967295, here or in the peer group');
  }
  checkVrfExists(names, neighbor.vrf, path, report);
  checkFamilies(neighbor, group, path, report);
  checkSessionType(names, neighbor, group, path, report);
  const { localAddress } = session;
  if (localAddress !== undefined && parseIp(localAddress)?.length !== parseIp(neighbor.address)?.length) {
    const field = neighbor.localAddress === undefined ? 'address' : 'localAddress';
    report(
      [...path, field],
      `the local address ${localAddress} and the address ${neighbor.address} are of different IP versions; allowed: the same`,
    );
  }
}

/** The path of a merged field: where the neighbor or group itself sets it, or else the whole of it. */
function fieldPath(own: object, field: string, path: FieldPath): FieldPath {
  return field in own ? [...path, field] : path;
}

function checkFamilies(
  own: NeighborDocument | PeerGroupDocument,
  group: PeerGroupDocument | undefined,
  path: FieldPath,
  report: Report,
): void {
  const { vrf, families } = mergeSession(own, group);
  if (vrf === undefined || families === undefined) return;
  for (const [index, family] of families.entries()) {
    if (CE_FAMILIES.includes(family)) continue;
    const where = own.families === undefined ? fieldPath(own, 'vrf', path) : [...path, 'families', index];
    report(where, `${family} cannot be used inside a VRF; allowed: ${CE_FAMILIES.join(', ')}`);
  }
}

/** Reflection is for internal sessions (RFC 4456 §4), a route server's clients are external (RFC 7947 §2). */
function checkSessionType(
  { autonomousSystem }: Names,
  own: NeighborDocument | PeerGroupDocument,
  group: PeerGroupDocument | undefined,
  path: FieldPath,
  report: Report,
): void {
  const session = mergeSession(own, group);
  if (session.peerAs === undefined) return;
  const localAs = session.localAs ?? autonomousSystem;
  const internal = session.peerAs === localAs;
  if (session.routeReflectorClient === true && !internal) {
    report(
      fieldPath(own, 'routeReflectorClient', path),
      `routeReflectorClient is for iBGP, but peerAs ${session.peerAs} is not the own AS ${localAs}; allowed: false, or peerAs ${localAs}`,
    );
  }
  if (session.routeServerClient === true && internal) {
    report(
      fieldPath(own, 'routeServerClient', path),
      `routeServerClient is for eBGP, but peerAs ${session.peerAs} is the own AS; allowed: false, or another peerAs`,
    );
  }
}

/** The fabric VRF has no tables of its own: its routes are the global, unlabelled ones. */
function checkFabricVrf(vrf: VrfDocument, path: FieldPath, report: Report): void {
  if (vrf.name !== FABRIC_VRF_NAME) return;
  const why = `the fabric VRF ${FABRIC_VRF_NAME} holds the global routes, nothing is imported, exported or originated there`;
  for (const field of ['importTargets', 'exportTargets', 'staticRoutes'] as const) {
    if (vrf[field].length > 0) report([...path, field], `${why}; allowed: none`);
  }
  if (vrf.alwaysImport) report([...path, 'alwaysImport'], `${why}; allowed: false`);
}

function checkVrfs({ vrfs, autonomousSystem }: ConfigDocument, report: Report): void {
  const names = new Uniqueness('name', report);
  const distinguishers = new Uniqueness('route distinguisher', report);
  const networkNames = new Map<number, string>();
  const networkIds = new Map<string, number>();
  const vxlanOwners = new Map<number, string>();
  for (const [index, vrf] of vrfs.entries()) {
    const path = ['vrfs', index];
    const where = `vrfs[${index}]`;
    names.add(vrf.name, [...path, 'name'], where);
    checkFabricVrf(vrf, path, report);
    if (vrf.routeDistinguisher !== undefined) {
      distinguishers.add(vrf.routeDistinguisher, [...path, 'routeDistinguisher'], where);
    }

    const { name, id, vxlanId } = vrf.virtualNetwork;
    const network = [...path, 'virtualNetwork'];
    const otherName = networkNames.get(id) ?? name;
    const otherId = networkIds.get(name) ?? id;
    if (otherName !== name) {
      report(
        [...network, 'id'],
        `${id} is already the id of virtual network ${otherName}; allowed: one id per virtual network`,
      );
    } else if (otherId !== id) {
      report(
        [...network, 'id'],
        `virtual network ${name} has already the id ${otherId}; allowed: one id per virtual network`,
      );
    }
    networkNames.set(id, otherName);
    networkIds.set(name, otherId);
    if (autonomousSystem > MAXIMUM_TWO_OCTET_AS && id > 0xffff) {
      report(
        [...network, 'id'],
        `${id} does not fit the OriginVn community of AS ${autonomousSystem}, which has four octets; allowed: 1..65535`,
      );
    }
    if (vxlanId !== undefined) {
      const owner = vxlanOwners.get(vxlanId) ?? name;
      if (owner !== name) {
        report(
          [...network, 'vxlanId'],
          `${vxlanId} is already the VXLAN network identifier of virtual network ${owner}; allowed: each only once`,
        );
      }
      vxlanOwners.set(vxlanId, owner);
    }

    const routes = new Uniqueness('prefix', report);
    for (const [position, route] of vrf.staticRoutes.entries()) {
      const distinguisher = route.routeDistinguisher ?? vrf.routeDistinguisher;
      const key =
        distinguisher === undefined || distinguisher === vrf.routeDistinguisher
          ? route.prefix
          : `${distinguisher}:${route.prefix}`;
      routes.add(key, [...path, 'staticRoutes', position, 'prefix'], `${where}.staticRoutes[${position}]`);
    }
  }
}

function checkTls({ agents }: ConfigDocument, report: Report): void {
  if (agents.tls?.requireClientCertificate === true && agents.tls.ca === undefined) {
    report(
      ['agents', 'tls', 'requireClientCertificate'],
      'true needs agents.tls.ca; allowed: false, or name the file of `ca`',
    );
  }
}
