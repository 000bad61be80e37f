/** OpenBGPD: routes are added with bgpctl; on Linux it has no VPN instances, so it originates unicast only. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { ForegroundDaemon, placeOf } from './bgp-daemon.js';
import type { DaemonDescription, Place } from './bgp-daemon.js';
import { run } from './daemon-process.js';
import type { DaemonCommand } from './daemon-process.js';
import { eventually } from './eventually.js';
import type { Lab } from './lab.js';
import { isUnicast } from './routes.js';
import type { Route, SeenRoute } from './routes.js';

const FAMILY_WORDS: Partial<Readonly<Record<FamilyName, { readonly announce: string; readonly show: string }>>> = {
  'ipv4-unicast': { announce: 'IPv4 unicast', show: 'IPv4' },
  'ipv6-unicast': { announce: 'IPv6 unicast', show: 'IPv6' },
  'l3vpn-ipv4-unicast': { announce: 'IPv4 vpn', show: 'VPNv4' },
  'l3vpn-ipv6-unicast': { announce: 'IPv6 vpn', show: 'VPNv6' },
};

interface OpenbgpdRoute {
  readonly prefix: string;
  readonly aspath: string;
  readonly exit_nexthop: string;
  readonly neighbor: { readonly remote_addr: string };
  readonly metric: number;
  readonly localpref: number;
  readonly extended_communities?: readonly string[];
  readonly attributes?: ReadonlyArray<{ readonly originator?: string; readonly cluster_list?: readonly string[] }>;
}

function seenRoute(route: OpenbgpdRoute): SeenRoute {
  const originatorId = route.attributes?.find(({ originator }) => originator !== undefined)?.originator;
  const clusterList = route.attributes?.find((attribute) => attribute.cluster_list)?.cluster_list;
  const own = route.neighbor.remote_addr === '???';
  return {
    prefix: route.prefix.replace(/^rd (\S+) /, '$1:'),
    ...(own ? {} : { from: route.neighbor.remote_addr }),
    nextHop: route.exit_nexthop,
    routeTargets: (route.extended_communities ?? [])
      .filter((text) => text.startsWith('rt '))
      .map((text) => text.slice(3)),
    asPath: route.aspath.split(' ').filter(Boolean).map(Number),
    localPreference: route.localpref,
    med: route.metric,
    ...(originatorId === undefined ? {} : { originatorId }),
    ...(clusterList === undefined ? {} : { clusterList }),
  };
}

export class Openbgpd extends ForegroundDaemon {
  readonly name = 'openbgpd';

  private constructor(lab: Lab, place: Place, description: DaemonDescription) {
    super(lab, place, 'openbgpd', description);
  }

  static async create(lab: Lab, description: DaemonDescription, place?: Place): Promise<Openbgpd> {
    return new Openbgpd(lab, place ?? (await placeOf(lab)), description);
  }

  protected prepare(): Omit<DaemonCommand, 'name' | 'logFile'> {
    // Its children change their root to the home of its user, which only the service file would make.
    const home = execFileSync('getent', ['passwd', '_openbgpd'], { encoding: 'utf8' }).split(':')[5];
    if (home !== undefined) mkdirSync(home, { recursive: true });
    const file = `${this.directory}/bgpd.conf`;
    const lines = [
      `AS ${this.autonomousSystem}`,
      `router-id ${this.routerId}`,
      `socket "${this.directory}/sock"`,
      'fib-update no',
      `listen on ${this.address} port ${this.port}`,
      'nexthop qualify via default',
      'nexthop qualify via bgp',
    ];
    for (const session of this.sessions) {
      const external = session.autonomousSystem !== this.autonomousSystem;
      lines.push(
        `neighbor ${session.address} {`,
        `  remote-as ${session.autonomousSystem}`,
        session.passive === true ? '  passive' : `  port ${session.port}`,
        `  local-address ${this.address}`,
        ...(external ? ['  multihop 2', '  enforce neighbor-as no'] : []),
        ...(session.reflectorClient === true ? ['  route-reflector'] : []),
        ...(session.families.includes('ipv4-unicast') ? [] : ['  announce IPv4 none']),
        ...session.families.map((family) => `  announce ${FAMILY_WORDS[family]?.announce ?? family}`),
        '}',
      );
    }
    lines.push('allow from any', 'allow to any', '');
    writeFileSync(file, lines.join('\n'), { mode: 0o600 });
    return { command: '/usr/sbin/bgpd', args: ['-d', '-v', '-f', file] };
  }

  control(...words: readonly string[]): Promise<string> {
    return run('/usr/sbin/bgpctl', ['-s', `${this.directory}/sock`, ...words]);
  }

  protected async ready(): Promise<void> {
    await eventually('bgpd answers bgpctl', async () => (await this.control('show')) !== '', {
      explain: () => this.logTail(),
    });
  }

  async isEstablished(neighbor: string): Promise<boolean> {
    const shown = JSON.parse(await this.control('-j', 'show', 'neighbor', neighbor)) as {
      readonly neighbors: ReadonlyArray<{ readonly state: string }>;
    };
    return shown.neighbors[0]?.state === 'Established';
  }

  async routes(family: FamilyName): Promise<readonly SeenRoute[]> {
    const words = FAMILY_WORDS[family];
    if (words === undefined) throw new Error(`OpenBGPD 7.7 does not know ${family}`);
    const text = await this.control('-j', 'show', 'rib', 'detail', words.show);
    return (JSON.parse(text) as { readonly rib?: readonly OpenbgpdRoute[] }).rib?.map(seenRoute) ?? [];
  }

  protected async addRoute(route: Route): Promise<void> {
    if (!isUnicast(route)) throw new Error('OpenBGPD on Linux originates unicast only');
    await this.control('network', 'add', route.prefix, 'nexthop', route.nextHop);
  }

  protected async removeRoute(route: Route): Promise<void> {
    if (!isUnicast(route)) throw new Error('OpenBGPD on Linux originates unicast only');
    await this.control('network', 'delete', route.prefix);
  }

  async clear(neighbor: string): Promise<void> {
    await this.control('neighbor', neighbor, 'clear');
  }
}
