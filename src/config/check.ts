/**
 * What the schema cannot say: references, uniqueness, and fields that only make sense together.
 * Works on a document that fits the schema; every finding has the path of the field to change.
 */
import { isLoopback, parseIp } from '../wire/ip.js';
import { hostPrefix, parsePrefix, prefixContains } from '../wire/prefix.js';
import type { Prefix } from '../wire/prefix.js';
import { formatFieldPath } from './problem.js';
import type { FieldPath, FieldProblem } from './problem.js';
import { defaultFamilies, mergeSession } from './resolved.js';
import type { ListenAddress } from './resolved.js';
import type { ConfigDocument, NeighborDocument, PeerGroupDocument, VrfDocument } from './schema.js';
import { CE_FAMILIES, SESSION_DEFAULTS } from './session-schema.js';
import { FABRIC_VRF_NAME } from './fabric-vrf.js';

/** Largest AS number of two octets, whose communities leave four octets for the value. */
const MAXIMUM_TWO_OCTET_AS = 0xffff;

/** Takes what is wrong. */
type Report = (path: FieldPath, message: string) => void;

/** All problems of a document; empty when it can be used. */
export function checkDocument(document: ConfigDocument): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const report: Report = (path, message) => problems.push({ path, message });
  const vrfs = new VrfChecks(document.autonomousSystem, report);
  for (const [index, vrf] of document.vrfs.entries()) vrfs.add(vrf, index);
  checkSections(document, vrfs, report);
  return problems;
}

/** Checks everything but the VRFs, which `vrfs` knows. */
export function checkSections(document: ConfigDocument, vrfs: VrfChecks, report: Report): void {
  checkListeners(document, report);
  checkBgp(document, vrfs, report);
  checkTls(document, report);
  checkGuards(document, report);
  const { user, group } = document.process;
  if (user === undefined && group !== undefined) {
    report(['process', 'group'], 'a group needs process.user; allowed: no group, or name the user');
  }
}

/** Reports each field whose value an earlier one has already. */
class Uniqueness {
  readonly #what: string;
  readonly #list: FieldPath;
  readonly #field: string;
  readonly #first = new Map<string, number>();
  readonly #report: Report;

  /** @param list  where the list is that {@link add} takes the positions of. @param field  that must be unique */
  constructor(what: string, list: FieldPath, field: string, report: Report) {
    this.#what = what;
    this.#list = list;
    this.#field = field;
    this.#report = report;
  }

  /** Texts are made for what is reported only: there may be ten thousand VRFs. */
  add(value: string, position: number): void {
    const first = this.#first.get(value);
    if (first === undefined) {
      this.#first.set(value, position);
      return;
    }
    const where = formatFieldPath([...this.#list, first]);
    this.#report(
      [...this.#list, position, this.#field],
      `${value} is already the ${this.#what} of ${where}; allowed: each only once`,
    );
  }

  /** Takes back one that was not reported. */
  delete(value: string): void {
    this.#first.delete(value);
  }

  has(value: string): boolean {
    return this.#first.has(value);
  }

  values(): Iterable<string> {
    return this.#first.keys();
  }
}

/** Whether it is only reachable from this host. */
function isLocal({ address }: ListenAddress): boolean {
  const octets = parseIp(address);
  return octets !== undefined && isLoopback(octets);
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
      if (section === 'api' && !isLocal(listen) && api.token === undefined) {
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
  readonly vrfs: VrfChecks;
}

function checkBgp({ bgp, autonomousSystem }: ConfigDocument, vrfs: VrfChecks, report: Report): void {
  const groups = new Map(bgp.peerGroups.map((group) => [group.name, group]));
  const names: Names = { autonomousSystem, groups, vrfs };
  const groupNames = new Uniqueness('name', ['bgp', 'peerGroups'], 'name', report);
  const ofRanges = new Set(bgp.dynamicNeighbors.map(({ peerGroup }) => peerGroup));
  for (const [index, group] of bgp.peerGroups.entries()) {
    const path = ['bgp', 'peerGroups', index];
    groupNames.add(group.name, index);
    checkVrfExists(names, group.vrf, path, report);
    checkFamilies(group, undefined, path, report);
    // What a group leaves open its neighbors may give, but a range has nothing else.
    checkDemands(group, mergeSession(group, undefined), ofRanges.has(group.name), path, report);
    checkSessionType(names, group, undefined, path, report);
    checkPrefixLimits(group, path, report);
    checkTtl(names, group, undefined, path, report);
  }
  const addresses = new Uniqueness('address', ['bgp', 'neighbors'], 'address', report);
  for (const [index, neighbor] of bgp.neighbors.entries()) {
    const path = ['bgp', 'neighbors', index];
    addresses.add(neighbor.address, index);
    checkNeighbor(names, neighbor, path, report);
  }
  const prefixes = new Uniqueness('prefix', ['bgp', 'dynamicNeighbors'], 'prefix', report);
  for (const [index, range] of bgp.dynamicNeighbors.entries()) {
    const path = ['bgp', 'dynamicNeighbors', index];
    prefixes.add(range.prefix, index);
    if (!groups.has(range.peerGroup)) {
      report([...path, 'peerGroup'], unknownName('peer group', range.peerGroup, groups.keys()));
    }
  }
  checkKeys({ bgp }, groups, report);
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
  } else if (!vrfs.names.has(name)) {
    report([...path, 'vrf'], unknownName('VRF', name, vrfs.names.values()));
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
  checkDemands(neighbor, session, true, path, report);
  checkSessionType(names, neighbor, group, path, report);
  checkPrefixLimits(neighbor, path, report);
  checkTtl(names, neighbor, group, path, report);
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

/**
 * What is demanded of a neighbor we must offer ourselves, else there would never be a session; and one that takes nothing gets
 * more time than one that says nothing (RFC 9687 §3.1).
 *
 * @param session   `own`, merged with its group
 * @param complete  what is not in it has its default
 */
function checkDemands(
  own: NeighborDocument | PeerGroupDocument,
  session: ReturnType<typeof mergeSession>,
  complete: boolean,
  path: FieldPath,
  report: Report,
): void {
  const { requiredFamilies = [], minimumHoldTime = 0, sendHoldTime = 0 } = session;
  const families = session.families ?? (complete ? defaultFamilies(session) : undefined);
  for (const [index, family] of requiredFamilies.entries()) {
    if (families === undefined || families.includes(family)) continue;
    const where = fieldPath(own, 'requiredFamilies', path);
    report(
      'requiredFamilies' in own ? [...where, index] : where,
      `the required ${family} is not one of the families of the session; allowed: ${families.join(', ')}`,
    );
  }
  for (const [index, family] of (session.addPath?.receive ?? []).entries()) {
    const where = fieldPath(own, 'addPath', path);
    const at = 'addPath' in own ? [...where, 'receive', index] : where;
    if (session.vrf !== undefined) report(at, 'several paths of a route are not possible inside a VRF; allowed: none');
    else if (families?.includes(family) === false) {
      report(at, `${family} is not one of the families of the session; allowed: ${families.join(', ')}`);
    }
  }
  const holdTime = session.holdTime ?? (complete ? SESSION_DEFAULTS.holdTime : undefined);
  if (holdTime !== undefined && minimumHoldTime > holdTime) {
    report(
      fieldPath(own, 'minimumHoldTime', path),
      `minimumHoldTime ${minimumHoldTime} is more than the own holdTime ${holdTime}; allowed: at most that`,
    );
  }
  if (holdTime !== undefined && sendHoldTime > 0 && sendHoldTime <= holdTime) {
    report(
      fieldPath(own, 'sendHoldTime' in own ? 'sendHoldTime' : 'holdTime', path),
      `sendHoldTime ${sendHoldTime} is not more than holdTime ${holdTime} (RFC 9687 §3.1); allowed: 0, or a number from ${holdTime + 1} on`,
    );
  }
}

function checkPrefixLimits(own: NeighborDocument | PeerGroupDocument, path: FieldPath, report: Report): void {
  const families = new Uniqueness('family', [...path, 'prefixLimit'], 'family', report);
  for (const [index, { family }] of (own.prefixLimit ?? []).entries()) families.add(family, index);
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
  if (session.role !== undefined && internal) {
    report(
      fieldPath(own, 'role', path),
      `role is for eBGP, but peerAs ${session.peerAs} is the own AS; allowed: no role, or another peerAs`,
    );
  }
  if (session.routeServerClient === true && internal) {
    report(
      fieldPath(own, 'routeServerClient', path),
      `routeServerClient is for eBGP, but peerAs ${session.peerAs} is the own AS; allowed: false, or another peerAs`,
    );
  }
}

/** A TTL is given one way; multihop is about external sessions. */
function checkTtl(
  { autonomousSystem }: Names,
  own: NeighborDocument | PeerGroupDocument,
  group: PeerGroupDocument | undefined,
  path: FieldPath,
  report: Report,
): void {
  const { ttlSecurity, ebgpMultihop, peerAs, localAs = autonomousSystem } = mergeSession(own, group);
  if (ebgpMultihop === undefined) return;
  const where = fieldPath(own, 'ebgpMultihop', path);
  if (ttlSecurity !== undefined) {
    report(where, 'ebgpMultihop and ttlSecurity exclude each other; allowed: one of them (ttlSecurity has hops)');
  }
  if (peerAs === localAs) {
    report(where, `ebgpMultihop is for eBGP, but peerAs ${peerAs} is the own AS; allowed: none, or another peerAs`);
  }
}

/**
 * The kernel asks every address of a prefix for the key of the longest prefix that has one: what lies in a dynamic range with a
 * key cannot be without.
 */
function checkKeys({ bgp }: Pick<ConfigDocument, 'bgp'>, groups: Names['groups'], report: Report): void {
  const ranges = bgp.dynamicNeighbors.flatMap(({ prefix, peerGroup }, index) => {
    const parsed = parsePrefix(prefix);
    return parsed ? [{ parsed, prefix, keyed: groups.get(peerGroup)?.md5Password !== undefined, index }] : [];
  });
  const keyed = ranges.filter((range) => range.keyed);
  const holder = (inner: Prefix, self?: number): string | undefined =>
    keyed.find(({ parsed, index }) => index !== self && prefixContains(parsed, inner))?.prefix;
  const complain = (path: FieldPath, what: string, range: string): void => {
    report(
      path,
      `${what} lies in dynamic neighbors ${range}, whose md5Password the system would ask of it; allowed: a md5Password of its own`,
    );
  };
  for (const [index, neighbor] of bgp.neighbors.entries()) {
    const group = neighbor.peerGroup === undefined ? undefined : groups.get(neighbor.peerGroup);
    const octets = parseIp(neighbor.address);
    if (octets === undefined || mergeSession(neighbor, group).md5Password !== undefined) continue;
    const range = holder(hostPrefix(octets));
    if (range !== undefined) complain(['bgp', 'neighbors', index], neighbor.address, range);
  }
  for (const { parsed, prefix, keyed: hasKey, index } of ranges) {
    const range = hasKey ? undefined : holder(parsed, index);
    if (range !== undefined) complain(['bgp', 'dynamicNeighbors', index], prefix, range);
  }
}

/** What the fabric VRF must not have. It has no tables of its own: its routes are the global, unlabelled ones. */
function checkFabricVrf(vrf: VrfDocument, path: FieldPath, report: Report): void {
  const why = `the fabric VRF ${FABRIC_VRF_NAME} holds the global routes, nothing is imported, exported or originated there`;
  for (const field of ['importTargets', 'exportTargets', 'staticRoutes'] as const) {
    if (vrf[field].length > 0) report([...path, field], `${why}; allowed: none`);
  }
  if (vrf.alwaysImport) report([...path, 'alwaysImport'], `${why}; allowed: false`);
}

/**
 * The checks of VRFs: of each one, and of what no two may have. One that was found right can be taken out again, so that
 * a configuration that replaces another one is checked by what differs.
 */
export class VrfChecks {
  readonly names: Uniqueness;
  readonly #distinguishers: Uniqueness;
  readonly #networks: VirtualNetworks;
  readonly #report: Report;

  constructor(autonomousSystem: number, report: Report) {
    this.names = new Uniqueness('name', ['vrfs'], 'name', report);
    this.#distinguishers = new Uniqueness('route distinguisher', ['vrfs'], 'routeDistinguisher', report);
    this.#networks = new VirtualNetworks(autonomousSystem, report);
    this.#report = report;
  }

  add(vrf: VrfDocument, index: number): void {
    this.names.add(vrf.name, index);
    if (vrf.name === FABRIC_VRF_NAME) checkFabricVrf(vrf, ['vrfs', index], this.#report);
    if (vrf.routeDistinguisher !== undefined) this.#distinguishers.add(vrf.routeDistinguisher, index);
    this.#networks.add(vrf, index);
    if (vrf.staticRoutes.length > 0) checkStaticRoutes(vrf, ['vrfs', index, 'staticRoutes'], this.#report);
  }

  delete(vrf: VrfDocument): void {
    this.names.delete(vrf.name);
    if (vrf.routeDistinguisher !== undefined) this.#distinguishers.delete(vrf.routeDistinguisher);
    this.#networks.delete(vrf);
  }
}

/** A value, and how many VRFs there are that say so. */
interface Counted<T> {
  readonly value: T;
  vrfs: number;
}

/** What each key stands for, as the VRFs that use it agree. */
class Agreed<K, T> {
  readonly #values = new Map<K, Counted<T>>();

  /** @returns what the key stands for: this value, or the one that others gave it before */
  add(key: K, value: T): T {
    const known = this.#values.get(key);
    if (known === undefined) {
      this.#values.set(key, { value, vrfs: 1 });
      return value;
    }
    known.vrfs++;
    return known.value;
  }

  delete(key: K): void {
    const known = this.#values.get(key);
    if (known !== undefined && --known.vrfs === 0) this.#values.delete(key);
  }
}

/** Virtual networks as the VRFs name them: one id and one VXLAN network identifier for each name. */
class VirtualNetworks {
  readonly #autonomousSystem: number;
  readonly #report: Report;
  readonly #names = new Agreed<number, string>();
  readonly #ids = new Agreed<string, number>();
  readonly #vxlanOwners = new Agreed<number, string>();

  constructor(autonomousSystem: number, report: Report) {
    this.#autonomousSystem = autonomousSystem;
    this.#report = report;
  }

  add(vrf: VrfDocument, index: number): void {
    const { name, id, vxlanId } = vrf.virtualNetwork;
    const otherName = this.#names.add(id, name);
    const otherId = this.#ids.add(name, id);
    if (otherName !== name) {
      this.#reportField(
        index,
        'id',
        `${id} is already the id of virtual network ${otherName}; allowed: one id per virtual network`,
      );
    } else if (otherId !== id) {
      this.#reportField(
        index,
        'id',
        `virtual network ${name} has already the id ${otherId}; allowed: one id per virtual network`,
      );
    }
    if (this.#autonomousSystem > MAXIMUM_TWO_OCTET_AS && id > 0xffff) {
      this.#reportField(
        index,
        'id',
        `${id} does not fit the OriginVn community of AS ${this.#autonomousSystem}, which has four octets; allowed: 1..65535`,
      );
    }
    if (vxlanId === undefined) return;
    const owner = this.#vxlanOwners.add(vxlanId, name);
    if (owner !== name) {
      this.#reportField(
        index,
        'vxlanId',
        `${vxlanId} is already the VXLAN network identifier of virtual network ${owner}; allowed: each only once`,
      );
    }
  }

  delete(vrf: VrfDocument): void {
    const { name, id, vxlanId } = vrf.virtualNetwork;
    this.#names.delete(id);
    this.#ids.delete(name);
    if (vxlanId !== undefined) this.#vxlanOwners.delete(vxlanId);
  }

  #reportField(index: number, field: string, message: string): void {
    this.#report(['vrfs', index, 'virtualNetwork', field], message);
  }
}

function checkStaticRoutes(vrf: VrfDocument, path: FieldPath, report: Report): void {
  const routes = new Uniqueness('prefix', path, 'prefix', report);
  for (const [position, route] of vrf.staticRoutes.entries()) {
    const distinguisher = route.routeDistinguisher ?? vrf.routeDistinguisher;
    const key =
      distinguisher === undefined || distinguisher === vrf.routeDistinguisher
        ? route.prefix
        : `${distinguisher}:${route.prefix}`;
    routes.add(key, position);
  }
}

/** Costs a pass over the VRFs where there is a guard, and nothing elsewhere. */
function checkGuards({ guardedTargets, vrfs }: ConfigDocument, report: Report): void {
  if (guardedTargets.length === 0) return;
  const guards = new Map(guardedTargets.map(({ target, vrfs: names }) => [target, new Set(names)]));
  for (const [index, { name, importTargets }] of vrfs.entries()) {
    for (const [position, target] of importTargets.entries()) {
      const may = guards.get(target);
      if (may === undefined || may.has(name)) continue;
      report(
        ['vrfs', index, 'importTargets', position],
        `${target} is guarded; allowed: importing it in ${may.size === 0 ? 'no VRF' : [...may].join(', ')}`,
      );
    }
  }
}

function checkTls({ agents }: ConfigDocument, report: Report): void {
  const { tls } = agents;
  if (tls === undefined) return;
  const reportField = (field: string, message: string): void => {
    report(['agents', 'tls', field], message);
  };
  if (tls.requireClientCertificate && tls.ca === undefined) {
    reportField('requireClientCertificate', 'true needs agents.tls.ca; allowed: false, or name the file of `ca`');
  }
  if (tls.verifyAgentName === true && !tls.requireClientCertificate) {
    reportField(
      'verifyAgentName',
      'true needs agents.tls.requireClientCertificate; allowed: false, or require certificates',
    );
  }
  if (tls.revocationList !== undefined && tls.ca === undefined) {
    reportField('revocationList', 'a list needs agents.tls.ca; allowed: no list, or name the file of `ca`');
  }
}
