/**
 * What the schema cannot say: references, uniqueness, and fields that only make sense together.
 * Works on a document that fits the schema, or on what can be used of one (usable-parts.ts): each check stands alone there.
 * Every finding has the path of the field to change.
 */
import type { Steps } from '../util/steps.js';
import { isLoopback, parseIp } from '../wire/ip.js';
import { hostPrefix, parsePrefix, prefixContains } from '../wire/prefix.js';
import type { Prefix } from '../wire/prefix.js';
import { VrfChecks } from './check-vrfs.js';
import { FABRIC_VRF_NAME } from './fabric-vrf.js';
import type { FieldPath, FieldProblem } from './problem.js';
import { defaultFamilies, mergeSession } from './resolved.js';
import type { ListenAddress } from './resolved.js';
import type { ConfigDocument, NeighborDocument, PeerGroupDocument } from './schema.js';
import { CE_FAMILIES, SESSION_DEFAULTS } from './session-schema.js';
import { Uniqueness } from './uniqueness.js';
import type { Report } from './uniqueness.js';
import { attempt, eachOf } from './usable-parts.js';

type TlsDocument = NonNullable<ConfigDocument['agents']['tls']>;

/** All problems of a document, or of what can be used of it; empty when nothing is wrong. Can be interrupted between two VRFs. */
export function* checkDocument(document: ConfigDocument): Steps<FieldProblem[]> {
  const problems: FieldProblem[] = [];
  const report: Report = (path, message) => problems.push({ path, message });
  const checks = new VrfChecks(ownAs(document), report);
  let vrfs: ConfigDocument['vrfs'] = [];
  const isList = attempt(() => {
    ({ vrfs } = document);
  });
  if (!isList) checks.names.miss();
  for (const [index, vrf] of vrfs.entries()) {
    checks.add(vrf, index);
    yield;
  }
  checkSections(document, checks, report);
  return problems;
}

/** The own AS number, if it can be used. */
function ownAs(document: ConfigDocument): number | undefined {
  let autonomousSystem: number | undefined;
  attempt(() => {
    ({ autonomousSystem } = document);
  });
  return autonomousSystem;
}

/** Checks everything but the VRFs, which `vrfs` knows. */
export function checkSections(document: ConfigDocument, vrfs: VrfChecks, report: Report): void {
  checkListeners(document, report);
  checkBgp(document, vrfs, report);
  checkTls(document, report);
  checkGuards(document, report);
  attempt(() => {
    const { user, group } = document.process;
    if (user === undefined && group !== undefined) {
      report(['process', 'group'], 'a group needs process.user; allowed: no group, or name the user');
    }
  });
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

function checkListeners(document: ConfigDocument, report: Report): void {
  const seen: { readonly listen: ListenAddress; readonly name: string }[] = [];
  for (const section of ['bgp', 'agents', 'api'] as const) {
    eachOf(
      () => document[section].listen,
      ({ address, port }, index) => {
        const listen = { address, port };
        const clash = seen.find((other) => overlap(other.listen, listen));
        const path = [section, 'listen', index];
        if (clash) report(path, `${address} port ${port} overlaps ${clash.name}; allowed: another port or address`);
        seen.push({ listen, name: `${section}.listen[${index}]` });
        if (section === 'api' && !isLocal(listen) && document.api.token === undefined) {
          report(
            [...path, 'address'],
            `${address} can be reached from other hosts, which needs api.token; allowed without: a loopback address`,
          );
        }
      },
    );
  }
}

/** What the session checks look up. */
interface Names {
  readonly autonomousSystem: number | undefined;
  readonly groups: ReadonlyMap<string, PeerGroupDocument>;
  readonly groupNames: Uniqueness;
  readonly vrfs: VrfChecks;
}

function checkBgp(document: ConfigDocument, vrfs: VrfChecks, report: Report): void {
  const bgp = ['bgp'] as const;
  const groups = new Map<string, PeerGroupDocument>();
  const groupNames = new Uniqueness('name', [...bgp, 'peerGroups'], 'name', report);
  const areGroups = eachOf(
    () => document.bgp.peerGroups,
    (group, index) => {
      groupNames.addOf(() => group.name, index);
      groups.set(group.name, group);
    },
  );
  if (!areGroups) groupNames.miss();
  const names: Names = { autonomousSystem: ownAs(document), groups, groupNames, vrfs };
  const ofRanges = new Set<string>();
  const prefixes = new Uniqueness('prefix', [...bgp, 'dynamicNeighbors'], 'prefix', report);
  eachOf(
    () => document.bgp.dynamicNeighbors,
    (range, index) => {
      prefixes.addOf(() => range.prefix, index);
      const { peerGroup } = range;
      ofRanges.add(peerGroup);
      checkGroupExists(names, peerGroup, [...bgp, 'dynamicNeighbors', index], report);
    },
  );
  eachOf(
    () => document.bgp.peerGroups,
    (group, index) => {
      const path = [...bgp, 'peerGroups', index];
      checkOwnFields(names, group, path, report);
      checkFamilies(group, undefined, path, report);
      // What a group leaves open its neighbors may give, but a range has nothing else.
      checkDemands(group, mergeSession(group, undefined), ofRanges.has(group.name), path, report);
      checkSessionType(names, group, undefined, path, report);
      checkTtl(names, group, undefined, path, report);
    },
  );
  const addresses = new Uniqueness('address', [...bgp, 'neighbors'], 'address', report);
  eachOf(
    () => document.bgp.neighbors,
    (neighbor, index) => {
      const path = [...bgp, 'neighbors', index];
      addresses.addOf(() => neighbor.address, index);
      checkOwnFields(names, neighbor, path, report);
      checkNeighbor(names, neighbor, path, report);
    },
  );
  checkKeys(document, groups, report);
}

function unknownName(what: string, name: string, known: Iterable<string>): string {
  const names = [...known];
  const shown = names.slice(0, 8).join(', ') + (names.length > 8 ? ', …' : '');
  return `there is no ${what} ${JSON.stringify(name)}; allowed: ${names.length === 0 ? `none is configured` : shown}`;
}

function checkGroupExists({ groupNames }: Names, name: string, path: FieldPath, report: Report): void {
  if (groupNames.lacks(name)) {
    report([...path, 'peerGroup'], unknownName('peer group', name, groupNames.values()));
  }
}

/** What a neighbor or group says by itself, whatever else is wrong with it. */
function checkOwnFields(
  names: Names,
  own: NeighborDocument | PeerGroupDocument,
  path: FieldPath,
  report: Report,
): void {
  attempt(() => {
    checkVrfExists(names, own.vrf, path, report);
  });
  attempt(() => {
    checkPrefixLimits(own, path, report);
  });
}

function checkVrfExists({ vrfs }: Names, name: string | undefined, path: FieldPath, report: Report): void {
  if (name === undefined) return;
  if (name === FABRIC_VRF_NAME) {
    report(
      [...path, 'vrf'],
      `${name} is the fabric VRF, whose routes are the global ones; allowed: a VRF of its own, or no vrf at all`,
    );
  } else if (vrfs.names.lacks(name)) {
    report([...path, 'vrf'], unknownName('VRF', name, vrfs.names.values()));
  }
}

function checkNeighbor(names: Names, neighbor: NeighborDocument, path: FieldPath, report: Report): void {
  const { peerGroup } = neighbor;
  const group = peerGroup === undefined ? undefined : names.groups.get(peerGroup);
  if (peerGroup !== undefined && group === undefined) {
    checkGroupExists(names, peerGroup, path, report);
    return;
  }
  const session = mergeSession(neighbor, group);
  if (session.peerAs === undefined) {
    report(path, 'peerAs is missing; allowed: a number 1..4294967295, here or in the peer group');
  }
  checkFamilies(neighbor, group, path, report);
  checkDemands(neighbor, session, true, path, report);
  checkSessionType(names, neighbor, group, path, report);
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
  if (localAs === undefined) return;
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
  if (peerAs !== undefined && peerAs === localAs) {
    report(where, `ebgpMultihop is for eBGP, but peerAs ${peerAs} is the own AS; allowed: none, or another peerAs`);
  }
}

/**
 * The kernel asks every address of a prefix for the key of the longest prefix that has one: what lies in a dynamic range with a
 * key cannot be without.
 */
function checkKeys(document: ConfigDocument, groups: Names['groups'], report: Report): void {
  const ranges: { parsed: Prefix; prefix: string; keyed: boolean; index: number }[] = [];
  eachOf(
    () => document.bgp.dynamicNeighbors,
    ({ prefix, peerGroup }, index) => {
      const parsed = parsePrefix(prefix);
      if (parsed) ranges.push({ parsed, prefix, keyed: groups.get(peerGroup)?.md5Password !== undefined, index });
    },
  );
  const keyed = ranges.filter((range) => range.keyed);
  const holder = (inner: Prefix, self?: number): string | undefined =>
    keyed.find(({ parsed, index }) => index !== self && prefixContains(parsed, inner))?.prefix;
  const complain = (path: FieldPath, what: string, range: string): void => {
    report(
      path,
      `${what} lies in dynamic neighbors ${range}, whose md5Password the system would ask of it; allowed: a md5Password of its own`,
    );
  };
  eachOf(
    () => document.bgp.neighbors,
    (neighbor, index) => {
      const group = neighbor.peerGroup === undefined ? undefined : groups.get(neighbor.peerGroup);
      const octets = parseIp(neighbor.address);
      if (octets === undefined || mergeSession(neighbor, group).md5Password !== undefined) return;
      const range = holder(hostPrefix(octets));
      if (range !== undefined) complain(['bgp', 'neighbors', index], neighbor.address, range);
    },
  );
  for (const { parsed, prefix, keyed: hasKey, index } of ranges) {
    const range = hasKey ? undefined : holder(parsed, index);
    if (range !== undefined) complain(['bgp', 'dynamicNeighbors', index], prefix, range);
  }
}

/** Costs a pass over the VRFs where there is a guard, and nothing elsewhere. */
function checkGuards(document: ConfigDocument, report: Report): void {
  const guards = new Map<string, ReadonlySet<string>>();
  eachOf(
    () => document.guardedTargets,
    ({ target, vrfs }) => guards.set(target, new Set(vrfs)),
  );
  if (guards.size === 0) return;
  eachOf(
    () => document.vrfs,
    ({ name, importTargets }, index) => {
      for (const [position, target] of importTargets.entries()) {
        const may = guards.get(target);
        if (may === undefined || may.has(name)) continue;
        report(
          ['vrfs', index, 'importTargets', position],
          `${target} is guarded; allowed: importing it in ${may.size === 0 ? 'no VRF' : [...may].join(', ')}`,
        );
      }
    },
  );
}

function checkTls(document: ConfigDocument, report: Report): void {
  const check = (field: string, wrong: (tls: TlsDocument) => boolean, message: string): void => {
    attempt(() => {
      const { tls } = document.agents;
      if (tls !== undefined && wrong(tls)) report(['agents', 'tls', field], message);
    });
  };
  check(
    'requireClientCertificate',
    (tls) => tls.requireClientCertificate && tls.ca === undefined,
    'true needs agents.tls.ca; allowed: false, or name the file of `ca`',
  );
  check(
    'verifyAgentName',
    (tls) => tls.verifyAgentName === true && !tls.requireClientCertificate,
    'true needs agents.tls.requireClientCertificate; allowed: false, or require certificates',
  );
  check(
    'revocationList',
    (tls) => tls.revocationList !== undefined && tls.ca === undefined,
    'a list needs agents.tls.ca; allowed: no list, or name the file of `ca`',
  );
}
