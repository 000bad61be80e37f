/** FRR's bgpd alone, without zebra: configured by a file, driven through vtysh on a socket directory of its own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { ForegroundDaemon, placeOf } from './bgp-daemon.js';
import type { DaemonDescription, Place } from './bgp-daemon.js';
import { run } from './daemon-process.js';
import type { DaemonCommand } from './daemon-process.js';
import { eventually } from './eventually.js';
import type { Lab } from './lab.js';
import { isVpn } from './routes.js';
import type { Route, SeenRoute, VpnRoute } from './routes.js';

/** Address family words of its configuration. */
const ADDRESS_FAMILY: Partial<Readonly<Record<FamilyName, string>>> = {
  'ipv4-unicast': 'ipv4 unicast',
  'ipv6-unicast': 'ipv6 unicast',
  'ipv4-labelled-unicast': 'ipv4 labeled-unicast',
  'ipv6-labelled-unicast': 'ipv6 labeled-unicast',
  'l3vpn-ipv4-unicast': 'ipv4 vpn',
  'l3vpn-ipv6-unicast': 'ipv6 vpn',
  'l2vpn-evpn': 'l2vpn evpn',
};

interface FrrPath {
  readonly aspath?: { readonly string: string };
  readonly metric?: number;
  readonly locPrf?: number;
  readonly originatorId?: string;
  readonly clusterList?: { readonly list: readonly string[] };
  readonly extendedCommunity?: { readonly string: string };
  readonly community?: { readonly string: string };
  readonly remoteLabel?: number;
  readonly VNI?: string;
  readonly nexthops?: ReadonlyArray<{ readonly ip: string; readonly used?: boolean }>;
  readonly peer?: { readonly peerId: string };
}

/** Communities that it shows by name. */
const COMMUNITIES: Readonly<Record<string, string>> = { 'llgr-stale': '65535:6', 'no-llgr': '65535:7' };

/** Its JSON puts the paths of a prefix beside keys of other kinds; only arrays and objects are looked at. */
type Json = Readonly<Record<string, unknown>>;

function asJson(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

function seenPath(prefix: string, path: FrrPath): SeenRoute {
  const nextHop = path.nexthops?.find(({ used }) => used === true)?.ip ?? path.nexthops?.[0]?.ip;
  const from = path.peer?.peerId;
  const asPath = path.aspath?.string ?? '';
  const label = path.remoteLabel ?? (path.VNI === undefined ? undefined : Number(path.VNI));
  return {
    prefix,
    // Its own routes have the unspecified address.
    ...(!from?.startsWith('127.') ? {} : { from }),
    ...(nextHop === undefined ? {} : { nextHop }),
    ...(label === undefined ? {} : { labels: [label] }),
    routeTargets: [...(path.extendedCommunity?.string ?? '').matchAll(/RT:(\S+)/g)].map((match) => match[1] ?? ''),
    asPath: asPath === 'Local' ? [] : asPath.split(' ').filter(Boolean).map(Number),
    ...(path.locPrf === undefined ? {} : { localPreference: path.locPrf }),
    ...(path.metric === undefined ? {} : { med: path.metric }),
    ...(path.community && {
      communities: path.community.string.split(' ').map((community) => COMMUNITIES[community] ?? community),
    }),
    ...(path.originatorId === undefined ? {} : { originatorId: path.originatorId }),
    ...(path.clusterList === undefined ? {} : { clusterList: path.clusterList.list }),
  };
}

/** `[2]:[0]:[48]:[mac]:[32]:[ip]` as the API's text form. */
function evpnText(routeDistinguisher: string, shown: string): string {
  const fields = [...shown.matchAll(/\[([^\]]*)\]/g)].map((match) => match[1] ?? '');
  const [type, tag = ''] = fields;
  switch (type) {
    case '2':
      return `2:${routeDistinguisher}:${tag}:${fields[3] ?? ''}:${fields[5] ?? ''}`;
    case '3':
      return `3:${routeDistinguisher}:${tag}:${fields[3] ?? ''}`;
    case '5':
      return `5:${routeDistinguisher}:${tag}:${fields[3] ?? ''}/${fields[2] ?? ''}`;
    default:
      return `${type ?? ''}:${routeDistinguisher}:${fields.slice(1).join(':')}`;
  }
}

function routeMapName(route: VpnRoute): string {
  return `EXPORT-${route.routeDistinguisher}-${route.label}`.replaceAll(':', '-');
}

export class Frr extends ForegroundDaemon {
  readonly name = 'frr';

  private constructor(lab: Lab, place: Place, description: DaemonDescription) {
    super(lab, place, 'frr', description);
  }

  static async create(lab: Lab, description: DaemonDescription, place?: Place): Promise<Frr> {
    return new Frr(lab, place ?? (await placeOf(lab)), description);
  }

  protected prepare(): Omit<DaemonCommand, 'name' | 'logFile'> {
    const { directory } = this;
    mkdirSync(`${directory}/vty`, { recursive: true });
    writeFileSync(`${directory}/frr.conf`, this.#configuration());
    const listen = ['-p', String(this.port), '-l', this.address, '-P', '0'];
    const files = ['-f', `${directory}/frr.conf`, '-i', `${directory}/bgpd.pid`, '--vty_socket', `${directory}/vty`];
    return { command: '/usr/lib/frr/bgpd', args: ['-Z', '-S', '-n', ...listen, ...files] };
  }

  #configuration(): string {
    const external = this.sessions.some(({ autonomousSystem }) => autonomousSystem !== this.autonomousSystem);
    const families = new Set(this.sessions.flatMap((session) => session.families));
    const announced = [...this.announced.values()].filter((route) => isVpn(route) || route.family === 'l2vpn-evpn');
    const lines = [
      'hostname frr',
      `log file ${this.directory}/frr.log`,
      ...announced.filter(isVpn).flatMap(routeMapLines),
      `router bgp ${this.autonomousSystem}`,
      ` bgp router-id ${this.routerId}`,
      ' no bgp default ipv4-unicast',
      ' no bgp ebgp-requires-policy',
      ' no bgp network import-check',
      ...this.#restartLines(),
    ];
    for (const session of this.sessions) {
      const neighbor = ` neighbor ${session.address}`;
      lines.push(
        `${neighbor} remote-as ${session.autonomousSystem}`,
        session.passive === true ? `${neighbor} passive` : `${neighbor} port ${session.port}`,
        `${neighbor} update-source ${this.address}`,
        `${neighbor} timers 10 30`,
        `${neighbor} timers connect 1`,
        // Its default of 5 s between two UPDATEs about a prefix to an external neighbor only slows the tests.
        `${neighbor} advertisement-interval 0`,
      );
    }
    for (const family of families) {
      const words = ADDRESS_FAMILY[family];
      if (words === undefined) throw new Error(`FRR does not know ${family}`);
      lines.push(` address-family ${words}`);
      for (const session of this.sessions) {
        if (!session.families.includes(family)) continue;
        lines.push(`  neighbor ${session.address} activate`);
        if (session.reflectorClient === true) lines.push(`  neighbor ${session.address} route-reflector-client`);
        if (session.sendsAllPaths === true) lines.push(`  neighbor ${session.address} addpath-tx-all-paths`);
        // FRR would put its own loopback address in as next hop of what it sends to another AS.
        if (external) {
          lines.push(`  neighbor ${session.address} attribute-unchanged next-hop`);
        }
      }
      // What it announced before a restart it announces at once, before it ends its table.
      lines.push(...announced.filter((route) => route.family === family).map((route) => `  ${networkLine(route)}`));
      lines.push(' exit-address-family');
    }
    return `${lines.join('\n')}\n!\n`;
  }

  /** Graceful restart is a setting of all sessions. */
  #restartLines(): string[] {
    const session = this.sessions.find(({ gracefulRestartSec }) => gracefulRestartSec !== undefined);
    if (session === undefined) return [];
    const { gracefulRestartSec, longLivedSec = gracefulRestartSec } = session;
    return [
      ' bgp graceful-restart',
      ` bgp graceful-restart restart-time ${gracefulRestartSec}`,
      ' bgp graceful-restart preserve-fw-state',
      ` bgp long-lived-graceful-restart stale-time ${longLivedSec}`,
    ];
  }

  protected async ready(): Promise<void> {
    await eventually('bgpd answers vtysh', async () => (await this.show('show bgp summary')) !== '', {
      explain: () => this.logTail(),
    });
  }

  /** One `show` command. */
  show(command: string): Promise<string> {
    return run('vtysh', ['--vty_socket', `${this.directory}/vty`, '-c', command]);
  }

  async #configure(...lines: readonly string[]): Promise<void> {
    const commands = ['configure terminal', ...lines].flatMap((line) => ['-c', line]);
    const output = await run('vtysh', ['--vty_socket', `${this.directory}/vty`, ...commands]);
    const refusals = output.replace('% Same network configuration exists', '');
    if (refusals.includes('%')) throw new Error(`FRR refused: ${output.trim()}`);
  }

  async isEstablished(neighbor: string): Promise<boolean> {
    const shown = asJson(JSON.parse(await this.show(`show bgp neighbors ${neighbor} json`)));
    return asJson(shown[neighbor])['bgpState'] === 'Established';
  }

  /** How often a session with a neighbor has ended since this daemon was started. */
  async drops(neighbor: string): Promise<number> {
    const shown = asJson(JSON.parse(await this.show(`show bgp neighbors ${neighbor} json`)));
    return Number(asJson(shown[neighbor])['connectionsDropped']);
  }

  async routes(family: FamilyName): Promise<readonly SeenRoute[]> {
    switch (family) {
      case 'ipv4-unicast':
      case 'ipv6-unicast':
        return this.#unicastRoutes(family);
      case 'l3vpn-ipv4-unicast':
      case 'l3vpn-ipv6-unicast':
        return this.#vpnRoutes(family);
      case 'l2vpn-evpn':
        return this.#evpnRoutes();
      default:
        throw new Error(`not asked of FRR: ${family}`);
    }
  }

  async #unicastRoutes(family: FamilyName): Promise<readonly SeenRoute[]> {
    const shown = asJson(JSON.parse(await this.show(`show bgp ${ADDRESS_FAMILY[family] ?? ''} json detail`)));
    return Object.entries(asJson(shown['routes'])).flatMap(([prefix, entries]) =>
      // The first entry describes the prefix, the others are its paths.
      (entries as readonly FrrPath[]).slice(1).map((path) => seenPath(prefix, path)),
    );
  }

  async #vpnRoutes(family: FamilyName): Promise<readonly SeenRoute[]> {
    const words = ADDRESS_FAMILY[family] ?? '';
    const shown = asJson(asJson(JSON.parse(await this.show(`show bgp ${words} json`)))['routes']);
    const prefixes = new Set(
      Object.values(asJson(shown['routeDistinguishers'])).flatMap((rd) => Object.keys(asJson(rd))),
    );
    const seen: SeenRoute[] = [];
    for (const prefix of prefixes) {
      const byDistinguisher = asJson(JSON.parse(await this.show(`show bgp ${words} ${prefix} json`)));
      for (const [rd, entry] of Object.entries(byDistinguisher)) {
        const paths = (asJson(entry)['paths'] ?? []) as readonly FrrPath[];
        seen.push(...paths.map((path) => seenPath(`${rd}:${prefix}`, path)));
      }
    }
    return seen;
  }

  async #evpnRoutes(): Promise<readonly SeenRoute[]> {
    const shown = asJson(JSON.parse(await this.show('show bgp l2vpn evpn route detail json')));
    const seen: SeenRoute[] = [];
    for (const [rd, table] of Object.entries(shown)) {
      for (const [prefix, entry] of Object.entries(asJson(table))) {
        const paths = (asJson(entry)['paths'] ?? []) as ReadonlyArray<readonly FrrPath[]>;
        seen.push(...paths.flat().map((path) => seenPath(evpnText(rd, prefix), path)));
      }
    }
    return seen;
  }

  protected async addRoute(route: Route): Promise<void> {
    if (isVpn(route)) {
      await this.#configure(...routeMapLines(route), ...this.#within(route, networkLine(route)));
    } else if (route.family === 'l2vpn-evpn') {
      await this.#configure(...this.#within(route, networkLine(route)));
    } else {
      const map = `UNICAST-${route.nextHop}`.replaceAll(/[.:]/g, '-');
      await this.#configure(
        `route-map ${map} permit 10`,
        route.family === 'ipv4-unicast'
          ? `set ip next-hop ${route.nextHop}`
          : `set ipv6 next-hop global ${route.nextHop}`,
        'exit',
        ...this.#within(route, `network ${route.prefix} route-map ${map}`),
      );
    }
  }

  protected async removeRoute(route: Route): Promise<void> {
    // Its `no network` takes neither route map nor router MAC.
    const line = networkLine(route).replace(/ (route-map|routermac) .*$/, '');
    await this.#configure(...this.#within(route, `no ${line}`));
  }

  #within({ family }: Route, line: string): string[] {
    return [`router bgp ${this.autonomousSystem}`, `address-family ${ADDRESS_FAMILY[family] ?? ''}`, line];
  }

  async clear(neighbor: string): Promise<void> {
    await this.show(`clear bgp ${neighbor}`);
  }
}

function networkLine(route: Route): string {
  switch (route.family) {
    case 'ipv4-labelled-unicast':
    case 'ipv6-labelled-unicast':
      throw new Error('without zebra FRR has no labels to announce');
    case 'ipv4-unicast':
    case 'ipv6-unicast':
      return `network ${route.prefix}`;
    case 'l3vpn-ipv4-unicast':
    case 'l3vpn-ipv6-unicast': {
      const { prefix, routeDistinguisher, label } = route;
      return `network ${prefix} rd ${routeDistinguisher} label ${label} route-map ${routeMapName(route)}`;
    }
    case 'l2vpn-evpn': {
      if (route.type !== 5) throw new Error('without zebra FRR originates EVPN type 5 only');
      // The label is written MPLS-style: the 24 bits on the wire are label × 16 + 1.
      const label = `label ${(route.vni - 1) / 16}`;
      const rest = `esi 00:00:00:00:00:00:00:00:00:00 gwip ${route.gateway ?? '0.0.0.0'}`;
      const routerMac = `routermac ${route.routerMac ?? '00:00:00:00:00:00'}`;
      return `network ${route.prefix} rd ${route.routeDistinguisher} ethtag 0 ${label} ${rest} ${routerMac}`;
    }
  }
}

function routeMapLines(route: VpnRoute): string[] {
  const nextHop =
    route.family === 'l3vpn-ipv4-unicast'
      ? `set ip next-hop ${route.nextHop}`
      : `set ipv6 next-hop global ${route.nextHop}`;
  return [
    `route-map ${routeMapName(route)} permit 10`,
    `set extcommunity rt ${route.routeTargets.join(' ')}`,
    nextHop,
    'exit',
  ];
}
