/** GoBGP (gobgpd): configured by a TOML file, driven by its command line client. */
import { spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { ForegroundDaemon, placeOf } from './bgp-daemon.js';
import type { DaemonDescription, Place, SessionDescription } from './bgp-daemon.js';
import { run } from './daemon-process.js';
import type { DaemonCommand } from './daemon-process.js';
import { eventually } from './eventually.js';
import { freePort } from './lab.js';
import type { Lab } from './lab.js';
import { isLabelled, isUnicast, isVpn } from './routes.js';
import type { Route, SeenRoute } from './routes.js';

/** Its command line's names of the families. */
const CLI_FAMILY: Readonly<Record<FamilyName, string>> = {
  'ipv4-unicast': 'ipv4',
  'ipv6-unicast': 'ipv6',
  'ipv4-labelled-unicast': 'ipv4-mpls',
  'ipv6-labelled-unicast': 'ipv6-mpls',
  'l3vpn-ipv4-unicast': 'vpnv4',
  'l3vpn-ipv6-unicast': 'vpnv6',
  'l2vpn-evpn': 'evpn',
  rtc: 'rtc',
};

/** Attribute type codes in its JSON, which names attributes by number. */
const ATTRIBUTE = {
  asPath: 2,
  communities: 8,
  nextHop: 3,
  med: 4,
  localPreference: 5,
  originatorId: 9,
  clusterList: 10,
  mpReach: 14,
  extendedCommunities: 16,
} as const;

interface GobgpAttribute {
  readonly type: number;
  readonly value?: unknown;
  readonly nexthop?: string;
  readonly metric?: number;
  readonly communities?: readonly number[];
  readonly as_paths?: ReadonlyArray<{ readonly asns: readonly number[] }>;
}

interface GobgpDistinguisher {
  readonly admin: number | string;
  readonly assigned: number;
}

interface GobgpNlri {
  readonly prefix?: string;
  readonly rd?: GobgpDistinguisher;
  readonly labels?: readonly number[];
  readonly type?: number;
  readonly value?: {
    readonly rd: GobgpDistinguisher;
    readonly etag?: number;
    readonly mac?: string;
    readonly ip?: string;
    readonly prefix?: string;
    readonly esi?: string;
    readonly labels?: readonly number[];
    readonly label?: number;
  };
}

interface GobgpPath {
  readonly nlri: GobgpNlri;
  readonly attrs: readonly GobgpAttribute[];
  readonly 'neighbor-ip'?: string;
}

/** 4-octet AS numbers in its arguments must be in dotted form, else they are cut to 16 bits. */
function argumentOf(administratorAndNumber: string): string {
  const [administrator = '', number = ''] = administratorAndNumber.split(':');
  const asNumber = Number(administrator);
  return Number.isInteger(asNumber) && asNumber > 0xffff
    ? `${asNumber >>> 16}.${asNumber & 0xffff}:${number}`
    : administratorAndNumber;
}

function formatDistinguisher({ admin, assigned }: GobgpDistinguisher): string {
  return `${admin}:${assigned}`;
}

function nlriText(key: string, nlri: GobgpNlri): string {
  const evpn = nlri.value;
  if (evpn === undefined) {
    // RTC is shown only in the key of the table.
    const prefix = nlri.prefix ?? key;
    return nlri.rd ? `${formatDistinguisher(nlri.rd)}:${prefix}` : prefix;
  }
  const rd = formatDistinguisher(evpn.rd);
  switch (nlri.type) {
    case 2:
      // A route without address is shown with what Go prints for none.
      return `2:${rd}:${evpn.etag ?? 0}:${evpn.mac ?? ''}:${/^[\da-f:.]+$/i.test(evpn.ip ?? '') ? evpn.ip : ''}`;
    case 5:
      return `5:${rd}:${evpn.etag ?? 0}:${evpn.prefix ?? ''}`;
    case 4:
      return `4:${rd}:${evpn.esi ?? ''}:${evpn.ip ?? ''}`;
    default:
      return `${nlri.type ?? 0}:${rd}:${evpn.etag ?? 0}:${evpn.ip ?? ''}`;
  }
}

/** AS numbers beyond 16 bits come back in dotted form. */
function plainNumber(text: string): string {
  const dotted = /^(\d+)\.(\d+):(\d+)$/.exec(text);
  return dotted ? `${Number(dotted[1]) * 65536 + Number(dotted[2])}:${dotted[3]}` : text;
}

function seenRoute(key: string, { nlri, attrs, ...path }: GobgpPath): SeenRoute {
  const attribute = (type: number): GobgpAttribute | undefined => attrs.find((candidate) => candidate.type === type);
  const extended = (attribute(ATTRIBUTE.extendedCommunities)?.value ?? []) as ReadonlyArray<{
    readonly type: number;
    readonly subtype: number;
    readonly value: string;
  }>;
  const from = path['neighbor-ip'];
  const nextHop = attribute(ATTRIBUTE.mpReach)?.nexthop ?? attribute(ATTRIBUTE.nextHop)?.nexthop;
  const labels =
    nlri.labels ?? nlri.value?.labels ?? (nlri.value?.label === undefined ? undefined : [nlri.value.label]);
  const asPath = attribute(ATTRIBUTE.asPath)?.as_paths;
  const med = attribute(ATTRIBUTE.med)?.metric;
  const localPreference = attribute(ATTRIBUTE.localPreference)?.value as number | undefined;
  const communities = attribute(ATTRIBUTE.communities)?.communities;
  const originatorId = attribute(ATTRIBUTE.originatorId)?.value as string | undefined;
  const clusterList = attribute(ATTRIBUTE.clusterList)?.value as readonly string[] | undefined;
  return {
    prefix: nlriText(key, nlri),
    ...(from === undefined ? {} : { from }),
    ...(nextHop === undefined ? {} : { nextHop }),
    ...(labels === undefined ? {} : { labels }),
    routeTargets: extended
      .filter(({ type, subtype }) => type <= 2 && subtype === 2)
      .map(({ value }) => plainNumber(value)),
    asPath: (asPath ?? []).flatMap(({ asns }) => asns),
    ...(localPreference === undefined ? {} : { localPreference }),
    ...(med === undefined ? {} : { med }),
    ...(communities && { communities: communities.map((value) => `${value >>> 16}:${value & 0xffff}`) }),
    ...(originatorId === undefined ? {} : { originatorId }),
    ...(clusterList === undefined ? {} : { clusterList }),
  };
}

function sessionToml(session: SessionDescription, localAddress: string): string {
  return [
    '[[neighbors]]',
    '  [neighbors.config]',
    `    neighbor-address = "${session.address}"`,
    `    peer-as = ${session.autonomousSystem}`,
    '  [neighbors.transport.config]',
    session.passive === true ? '    passive-mode = true' : `    remote-port = ${session.port}`,
    `    local-address = "${localAddress}"`,
    '  [neighbors.timers.config]',
    '    connect-retry = 1',
    '    idle-hold-time-after-reset = 1',
    '    hold-time = 30',
    '    keepalive-interval = 10',
    // Off by default: any fault would reset the session.
    '  [neighbors.error-handling.config]',
    '    treat-as-withdraw = true',
    ...(session.reflectorClient === true
      ? ['  [neighbors.route-reflector.config]', '    route-reflector-client = true']
      : []),
    ...(session.gracefulRestartSec === undefined
      ? []
      : [
          '  [neighbors.graceful-restart.config]',
          '    enabled = true',
          '    notification-enabled = true',
          '    long-lived-enabled = true',
          `    restart-time = ${session.gracefulRestartSec}`,
        ]),
    ...session.families.flatMap((family) => [
      '  [[neighbors.afi-safis]]',
      '    [neighbors.afi-safis.config]',
      `      afi-safi-name = "${family}"`,
      ...(session.gracefulRestartSec === undefined
        ? []
        : [
            '    [neighbors.afi-safis.mp-graceful-restart.config]',
            '      enabled = true',
            '    [neighbors.afi-safis.long-lived-graceful-restart.config]',
            '      enabled = true',
            `      restart-time = ${session.longLivedSec ?? session.gracefulRestartSec}`,
          ]),
    ]),
    '',
  ].join('\n');
}

/** The name of its client, to be run in the background. */
const CLIENT = 'gobgp';

/** What GoBGP itself says it has lost. */
export class Losses {
  /** Routes that left the table since the start or the last {@link forget}, as `<distinguisher>:<prefix>`. */
  readonly lost: string[] = [];
  readonly #client: ChildProcess;
  #line = '';

  constructor(args: readonly string[]) {
    this.#client = spawn(CLIENT, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#client.stdout?.on('data', (chunk: Buffer) => {
      const lines = (this.#line + chunk.toString()).split('\n');
      this.#line = lines.pop() ?? '';
      for (const line of lines) {
        const route = /\[DELROUTE\] (\S+)/.exec(line)?.[1];
        if (route !== undefined) this.lost.push(route);
      }
    });
  }

  forget(): void {
    this.lost.length = 0;
  }

  stop(): void {
    this.#client.kill();
  }
}

export class Gobgp extends ForegroundDaemon {
  readonly name = 'gobgp';
  readonly #apiPort: number;

  private constructor(lab: Lab, place: Place, apiPort: number, description: DaemonDescription) {
    super(lab, place, 'gobgp', description);
    this.#apiPort = apiPort;
  }

  static async create(lab: Lab, description: DaemonDescription, place?: Place): Promise<Gobgp> {
    const { address, port } = place ?? (await placeOf(lab));
    return new Gobgp(lab, { address, port }, await freePort(address), description);
  }

  /** Runs its client: `cli('global', 'rib', …)`. */
  cli(...args: readonly string[]): Promise<string> {
    return run('gobgp', ['-u', this.address, '-p', String(this.#apiPort), ...args]);
  }

  protected prepare(): Omit<DaemonCommand, 'name' | 'logFile'> {
    const file = `${this.directory}/gobgpd.toml`;
    writeFileSync(
      file,
      [
        '[global.config]',
        `  as = ${this.autonomousSystem}`,
        `  router-id = "${this.routerId}"`,
        `  port = ${this.port}`,
        `  local-address-list = ["${this.address}"]`,
        ...this.sessions.map((session) => sessionToml(session, this.address)),
      ].join('\n'),
    );
    return {
      command: 'gobgpd',
      args: ['-f', file, '--api-hosts', `${this.address}:${this.#apiPort}`, '--pprof-disable', '-p'],
    };
  }

  protected async ready(): Promise<void> {
    await eventually('gobgpd answers', async () => (await this.cli('global')).includes(this.routerId), {
      explain: () => this.logTail(),
    });
  }

  /** Has it say from now on which routes leave its table; those of other families, too. */
  watchLosses(family: FamilyName): Losses {
    return new Losses([
      ...['-u', this.address, '-p', String(this.#apiPort)],
      ...['monitor', 'global', 'rib', '-a', CLI_FAMILY[family]],
    ]);
  }

  async isEstablished(neighbor: string): Promise<boolean> {
    const text = await this.cli('neighbor', neighbor);
    return /BGP state = ESTABLISHED/i.test(text);
  }

  async routes(family: FamilyName): Promise<readonly SeenRoute[]> {
    return this.#table(['global', 'rib', '-a', CLI_FAMILY[family], '-j']);
  }

  /** Routes a VRF of this daemon has imported or originated. */
  async vrfRoutes(vrf: string): Promise<readonly SeenRoute[]> {
    return this.#table(['vrf', vrf, 'rib', '-j']);
  }

  async #table(args: readonly string[]): Promise<readonly SeenRoute[]> {
    const text = await this.cli(...args);
    // An empty table is a sentence, not JSON.
    if (!text.trimStart().startsWith('{')) return [];
    const table = JSON.parse(text) as Readonly<Record<string, readonly GobgpPath[]>>;
    return Object.entries(table).flatMap(([key, paths]) => paths.map((path) => seenRoute(key, path)));
  }

  protected async addRoute(route: Route): Promise<void> {
    await this.cli('global', 'rib', 'add', '-a', CLI_FAMILY[route.family], ...announcementArguments(route));
  }

  protected async removeRoute(route: Route): Promise<void> {
    await this.cli('global', 'rib', 'del', '-a', CLI_FAMILY[route.family], ...announcementArguments(route));
  }

  async clear(neighbor: string): Promise<void> {
    // After `reset` it idles for 30 s whatever its configuration says; off and on again does not.
    await this.cli('neighbor', neighbor, 'disable');
    await this.cli('neighbor', neighbor, 'enable');
  }

  /** Adds a VRF; with `rtc` on a session it also announces its interest in the route target. */
  async addVrf(name: string, routeDistinguisher: string, routeTarget: string): Promise<void> {
    await this.cli('vrf', 'add', name, 'rd', argumentOf(routeDistinguisher), 'rt', 'both', argumentOf(routeTarget));
  }

  async deleteVrf(name: string): Promise<void> {
    await this.cli('vrf', 'del', name);
  }

  /** Originates a route in one of its VRFs. */
  async addVrfRoute(vrf: string, prefix: string, nextHop: string): Promise<void> {
    await this.cli(
      'vrf',
      vrf,
      'rib',
      'add',
      prefix,
      ...(prefix.includes(':') ? ['-a', 'ipv6'] : []),
      'nexthop',
      nextHop,
    );
  }

  async deleteVrfRoute(vrf: string, prefix: string): Promise<void> {
    await this.cli('vrf', vrf, 'rib', 'del', prefix, ...(prefix.includes(':') ? ['-a', 'ipv6'] : []));
  }
}

/** Arguments of `global rib add|del` behind the family. */
function announcementArguments(route: Route): string[] {
  const nextHop = ['nexthop', route.nextHop];
  if (isUnicast(route)) return [route.prefix, ...nextHop];
  if (isLabelled(route)) return [route.prefix, String(route.label), ...nextHop];
  const rd = ['rd', argumentOf(route.routeDistinguisher)];
  const rt = route.routeTargets.length === 0 ? [] : ['rt', ...route.routeTargets.map(argumentOf)];
  if (isVpn(route)) return [route.prefix, 'label', String(route.label), ...rd, ...rt, ...nextHop];
  const vni = String(route.vni);
  const tail = [...rd, ...rt, 'encap', 'vxlan'];
  switch (route.type) {
    case 2:
      return ['macadv', route.mac, route.ip ?? '0.0.0.0', 'etag', '0', 'label', vni, ...tail, ...nextHop];
    case 3: {
      const pmsi = ['pmsi', 'ingress-repl', vni, route.nextHop];
      return ['multicast', route.originator, 'etag', '0', ...tail, ...pmsi, ...nextHop];
    }
    case 5: {
      const gateway = route.gateway === undefined ? [] : ['gw', route.gateway];
      const routerMac = route.routerMac === undefined ? [] : ['router-mac', route.routerMac];
      return ['prefix', route.prefix, ...gateway, 'etag', '0', 'label', vni, ...tail, ...routerMac, ...nextHop];
    }
  }
}
