/** BIRD 2: everything is configuration; a new route is a new configuration, applied with `birdc configure`. */
import { writeFileSync } from 'node:fs';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { ForegroundDaemon, placeOf } from './bgp-daemon.js';
import type { DaemonDescription, Place, SessionDescription } from './bgp-daemon.js';
import { run } from './daemon-process.js';
import type { DaemonCommand } from './daemon-process.js';
import { eventually } from './eventually.js';
import type { Lab } from './lab.js';
import type { Route, SeenRoute } from './routes.js';

interface Channel {
  /** Table type and name. */
  readonly table: string;
  readonly type: string;
  /** Channel word of a BGP protocol. */
  readonly bgp: string;
}

const CHANNELS: Partial<Readonly<Record<FamilyName, Channel>>> = {
  'ipv4-unicast': { table: 'unicast4', type: 'ipv4', bgp: 'ipv4' },
  'ipv6-unicast': { table: 'unicast6', type: 'ipv6', bgp: 'ipv6' },
  'ipv4-labelled-unicast': { table: 'labelled4', type: 'ipv4', bgp: 'ipv4 mpls' },
  'ipv6-labelled-unicast': { table: 'labelled6', type: 'ipv6', bgp: 'ipv6 mpls' },
  'l3vpn-ipv4-unicast': { table: 'vpn4t', type: 'vpn4', bgp: 'vpn4 mpls' },
  'l3vpn-ipv6-unicast': { table: 'vpn6t', type: 'vpn6', bgp: 'vpn6 mpls' },
};

function channelOf(family: FamilyName): Channel {
  const channel = CHANNELS[family];
  if (channel === undefined) throw new Error(`BIRD 2.0 does not know ${family}`);
  return channel;
}

/** What the tests announce from BIRD has these unless they say otherwise. */
const DEFAULT_NEXT_HOPS = ['192.0.2.3', '2001:db8::3'] as const;

export class Bird extends ForegroundDaemon {
  readonly name = 'bird';
  readonly #nextHops: readonly [ipv4: string, ipv6: string];
  #started = false;

  private constructor(lab: Lab, place: Place, description: DaemonDescription) {
    super(lab, place, 'bird', description);
    this.#nextHops = description.nextHops ?? DEFAULT_NEXT_HOPS;
  }

  static async create(lab: Lab, description: DaemonDescription, place?: Place): Promise<Bird> {
    return new Bird(lab, place ?? (await placeOf(lab)), description);
  }

  protected prepare(): Omit<DaemonCommand, 'name' | 'logFile'> {
    const file = this.#writeConfiguration();
    const args = ['-f', '-c', file, '-s', `${this.directory}/ctl`, '-P', `${this.directory}/pid`];
    // A second start is a graceful restart where that is configured.
    if (this.#started && this.sessions.some((session) => session.gracefulRestartSec !== undefined)) args.push('-R');
    this.#started = true;
    return { command: 'bird', args };
  }

  #writeConfiguration(): string {
    const file = `${this.directory}/bird.conf`;
    writeFileSync(file, this.#configuration());
    return file;
  }

  #configuration(): string {
    const families = [...new Set(this.sessions.flatMap((session) => session.families))];
    const lines = [`log "${this.directory}/bird.log" all;`, `router id ${this.routerId};`, 'protocol device { }'];
    // "strict bind": others on this host have the same port on their addresses.
    const withBfd = this.sessions.find(({ bfd }) => bfd === true);
    if (withBfd !== undefined) {
      lines.push(
        'protocol bfd {',
        '  strict bind;',
        `  multihop { interval 100 ms; multiplier ${withBfd.bfdMultiplier ?? 10}; idle tx interval 200 ms; };`,
        '}',
      );
    }
    for (const family of families) {
      const { table, type } = channelOf(family);
      lines.push(`${type} table ${table};`, `protocol static s_${table} { ${type} { table ${table}; };`);
      for (const route of this.announced.values()) {
        if (route.family === family) lines.push(`  ${staticRoute(route)}`);
      }
      lines.push('}');
    }
    this.sessions.forEach((session, index) => lines.push(this.#protocol(session, index)));
    return `${lines.join('\n')}\n`;
  }

  #protocol(session: SessionDescription, index: number): string {
    return [
      `protocol bgp n${index} {`,
      `  local ${this.address} port ${this.port} as ${this.autonomousSystem};`,
      `  neighbor ${session.address} port ${session.port} as ${session.autonomousSystem};`,
      `  multihop${session.ttlSecurity === true ? ' 1; ttl security on' : ''}; strict bind;${session.passive === true ? ' passive;' : ''}`,
      ...(session.password === undefined ? [] : [`  password "${session.password}";`]),
      '  hold time 30; connect delay time 1; connect retry time 2; error wait time 1, 5;',
      ...(session.bfd === true ? ['  bfd on;'] : []),
      ...(session.gracefulRestartSec === undefined
        ? []
        : [
            `  graceful restart on; graceful restart time ${session.gracefulRestartSec};`,
            `  long lived graceful restart on; long lived stale time ${session.longLivedSec ?? session.gracefulRestartSec};`,
          ]),
      ...(session.reflectorClient === true ? [`  rr client; rr cluster id ${this.routerId};`] : []),
      ...session.families.map((family) => {
        const { table, bgp } = channelOf(family);
        // Else it would put its loopback address in, which other daemons refuse as a next hop.
        const nextHop = session.reflectorClient === true ? 'keep' : `address ${this.#nextHopOf(family)}`;
        const addPaths = session.sendsAllPaths === true ? ' add paths tx;' : '';
        return `  ${bgp} { table ${table}; import all; export all; next hop ${nextHop};${addPaths} };`;
      }),
      '}',
    ].join('\n');
  }

  #nextHopOf(family: FamilyName): string {
    return this.#nextHops[family.includes('ipv6') ? 1 : 0];
  }

  /** One command of its control socket. */
  control(...words: readonly string[]): Promise<string> {
    return run('birdc', ['-s', `${this.directory}/ctl`, ...words]);
  }

  protected async ready(): Promise<void> {
    await eventually('bird answers', async () => (await this.control('show', 'status')).includes('Daemon is up'), {
      explain: () => this.logTail(),
    });
  }

  async isEstablished(neighbor: string): Promise<boolean> {
    const index = this.sessions.findIndex(({ address }) => address === neighbor);
    return /BGP state:\s+Established/.test(await this.control('show', 'protocols', 'all', `n${index}`));
  }

  async routes(family: FamilyName): Promise<readonly SeenRoute[]> {
    return parseRoutes(await this.control('show', 'route', 'table', channelOf(family).table, 'all'));
  }

  protected async addRoute(route: Route): Promise<void> {
    const nextHop = this.#nextHopOf(route.family);
    if (route.nextHop !== nextHop) {
      throw new Error(`BIRD was set up to announce next hop ${nextHop}, not ${route.nextHop}`);
    }
    await this.#reconfigure();
  }

  protected removeRoute(): Promise<void> {
    return this.#reconfigure();
  }

  async #reconfigure(): Promise<void> {
    this.#writeConfiguration();
    const answer = await this.control('configure');
    if (!/Reconfigured|Reconfiguration in progress/.test(answer)) throw new Error(`BIRD refused: ${answer}`);
  }

  async clear(neighbor: string): Promise<void> {
    const index = this.sessions.findIndex(({ address }) => address === neighbor);
    await this.control('restart', `n${index}`);
  }
}

function staticRoute(route: Route): string {
  const via = `via ${route.nextHop}%lo onlink`;
  switch (route.family) {
    case 'ipv4-unicast':
    case 'ipv6-unicast':
      return `route ${route.prefix} ${via};`;
    case 'ipv4-labelled-unicast':
    case 'ipv6-labelled-unicast':
      return `route ${route.prefix} ${via} mpls ${route.label};`;
    case 'l3vpn-ipv4-unicast':
    case 'l3vpn-ipv6-unicast': {
      const attributes = [
        ...route.routeTargets.map((rt) => `bgp_ext_community.add((rt, ${rt.replace(':', ', ')}));`),
        ...(route.communities ?? []).map((community) => `bgp_community.add((${community.replace(':', ', ')}));`),
      ];
      return `route ${route.routeDistinguisher} ${route.prefix} ${via} mpls ${route.label} { ${attributes.join(' ')} };`;
    }
    case 'l2vpn-evpn':
      throw new Error('BIRD 2.0 has no EVPN');
  }
}

/**
 * Reads `show route all`: a line per path, the first of a prefix beginning with the prefix (`<rd> <prefix>` for VPN), then
 * one indented line per attribute.
 */
function parseRoutes(text: string): readonly SeenRoute[] {
  const seen: SeenRoute[] = [];
  let prefix = '';
  for (const line of text.split('\n')) {
    const path = /^(\S.*?)?\s+(?:unicast|unreachable|blackhole)\s+\[\S+ [^\]]*?(?: from (\S+?))?\]/.exec(line);
    if (path) {
      prefix = path[1]?.trim().replace(' ', ':') ?? prefix;
      seen.push({ prefix, asPath: [], routeTargets: [], ...(path[2] === undefined ? {} : { from: path[2] }) });
      continue;
    }
    const attribute = /^\s+BGP\.(\w+): ?(.*)$/.exec(line);
    const current = seen.at(-1);
    if (!attribute || !current) continue;
    seen[seen.length - 1] = { ...current, ...attributeOf(attribute[1] ?? '', attribute[2] ?? '') };
  }
  return seen;
}

function attributeOf(name: string, value: string): Partial<SeenRoute> {
  switch (name) {
    case 'next_hop':
      // Of an IPv6 pair the first address is the global one.
      return { nextHop: value.split(' ')[0] ?? value };
    case 'as_path':
      return { asPath: value.split(' ').filter(Boolean).map(Number) };
    case 'med':
      return { med: Number(value) };
    case 'local_pref':
      return { localPreference: Number(value) };
    case 'originator_id':
      return { originatorId: value };
    case 'cluster_list':
      return { clusterList: value.split(' ') };
    case 'community':
      return { communities: [...value.matchAll(/\((\d+),(\d+)\)/g)].map(([, high, low]) => `${high!}:${low!}`) };
    case 'ext_community':
      return {
        routeTargets: [...value.matchAll(/\(rt, ([^,]+), (\d+)\)/g)].map(
          (match) => `${match[1] ?? ''}:${match[2] ?? ''}`,
        ),
      };
    case 'mpls_label_stack':
      return { labels: value.split(/[ /]/).filter(Boolean).map(Number) };
    default:
      return {};
  }
}
