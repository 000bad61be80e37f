/** `filament show`: what the HTTP API of a controller says, as tables or as JSON. */
import type {
  AgentView,
  BfdView,
  ControllerInfo,
  NeighborView,
  OutputView,
  PathView,
  RouteMatch,
  RouteView,
  TableCounts,
  VrfView,
} from '../controller/view.js';
import { parseIp } from '../wire/ip.js';
import { IPV4_OCTETS } from '../wire/ipv4.js';
import { parsePrefix } from '../wire/prefix.js';
import { routeDistinguisherTextLength } from '../wire/route-distinguisher.js';
import { ApiClient } from './api-client.js';
import type { ApiAccess } from './api-client.js';
import type { Output } from './output.js';
import { formatDuration, renderFields, renderTable } from './table.js';
import type { Cell } from './table.js';

export interface ShowOptions extends ApiAccess {
  readonly json: boolean;
}

export interface ShowRoutesOptions extends ShowOptions {
  readonly prefix?: string;
  readonly vrf?: string;
  readonly family?: string;
  readonly match: RouteMatch;
  /** At most this many routes; all without. */
  readonly limit?: number;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** `show summary`: the controller, and how many of what it has. */
export async function showSummary(options: ShowOptions, output: Output): Promise<void> {
  const client = new ApiClient(options);
  const controller = await client.get<ControllerInfo>('/api/v1/controller');
  const { neighbors } = await client.get<{ neighbors: readonly NeighborView[] }>('/api/v1/neighbors');
  const { agents } = await client.get<{ agents: readonly AgentView[] }>('/api/v1/agents');
  const { vrfs } = await client.get<{ vrfs: readonly VrfView[] }>('/api/v1/vrfs');
  const summary = {
    controller,
    neighbors: { total: neighbors.length, established: neighbors.filter(isUp).length },
    agents: { total: agents.length, established: agents.filter(isUp).length },
    vrfs: { total: vrfs.length, prefixes: sum(vrfs, 'prefixes'), paths: sum(vrfs, 'paths') },
  };
  if (options.json) {
    output.out(json(summary));
    return;
  }
  output.out(
    renderFields([
      ['Controller', controller.name],
      ['Version', controller.version],
      ['Router id', controller.routerId],
      ['AS', controller.autonomousSystem],
      ['Uptime', formatDuration(controller.uptimeSeconds)],
      ['Ready', controller.ready],
      ...(controller.memoryShort === undefined
        ? []
        : ([['Memory', 'short: new sessions and agents are refused']] as const)),
      ['Neighbors', `${summary.neighbors.established} of ${summary.neighbors.total} established`],
      ['Agents', `${summary.agents.established} of ${summary.agents.total} established`],
      ['VRFs', `${summary.vrfs.total} with ${summary.vrfs.prefixes} prefixes, ${summary.vrfs.paths} paths`],
    ]),
  );
}

function isUp({ state }: { readonly state: string }): boolean {
  return state === 'established';
}

function sum(vrfs: readonly VrfView[], what: keyof TableCounts): number {
  return vrfs.reduce((total, vrf) => total + Object.values(vrf.routes).reduce((all, table) => all + table[what], 0), 0);
}

/** `show neighbors [ADDRESS]`. */
export async function showNeighbors(address: string | undefined, options: ShowOptions, output: Output): Promise<void> {
  const client = new ApiClient(options);
  if (address !== undefined) {
    const neighbor = await client.get<NeighborView>(`/api/v1/neighbors/${encodeURIComponent(address)}`);
    output.out(options.json ? json(neighbor) : neighborText(neighbor));
    return;
  }
  const answer = await client.get<{ neighbors: readonly NeighborView[] }>('/api/v1/neighbors');
  if (options.json) {
    output.out(json(answer));
    return;
  }
  output.out(
    renderTable(
      ['Neighbor', 'AS', 'State', 'Uptime', 'Received', 'Accepted', 'Advertised', 'Flaps', 'Description'],
      answer.neighbors.map((neighbor) => [
        neighbor.address,
        neighbor.peerAs,
        neighbor.adminDown ? 'admin down' : neighbor.state,
        isUp(neighbor) ? formatDuration(neighbor.uptimeSeconds) : undefined,
        ...(['received', 'accepted', 'advertised'] as const).map((kind) =>
          neighbor.families.reduce((total, family) => total + family[kind], 0),
        ),
        neighbor.flaps,
        neighbor.description,
      ]),
    ),
  );
}

function neighborText(neighbor: NeighborView): string {
  const { received, sent } = neighbor.messages;
  const { lastReset } = neighbor;
  return [
    renderFields([
      ['Neighbor', neighbor.address],
      ['Description', neighbor.description],
      ['AS', neighbor.peerAs],
      ['Local AS', neighbor.localAs],
      ['Peer group', neighbor.peerGroup],
      ['VRF', neighbor.vrf],
      ['Dynamic', neighbor.dynamic],
      ['State', neighbor.adminDown ? `${neighbor.state} (admin down)` : neighbor.state],
      ['Uptime', isUp(neighbor) ? formatDuration(neighbor.uptimeSeconds) : undefined],
      ['Router id', neighbor.routerId],
      ['Hold time', neighbor.holdTime === undefined ? undefined : `${neighbor.holdTime} s`],
      ['Flaps', neighbor.flaps],
      ['Last error', neighbor.lastError],
      [
        'Last reset',
        lastReset === undefined ? undefined : `${formatDuration(lastReset.secondsAgo)} ago: ${lastReset.reason}`,
      ],
      ['Not sent yet', outputText(neighbor.output)],
      ['Families not offered', neighbor.familiesNotOffered?.join(', ')],
      ['Capabilities', neighbor.capabilities.join(', ')],
      ...(neighbor.bfd === undefined ? [] : bfdFields(neighbor.bfd)),
    ]),
    renderTable(
      ['Family', 'Received', 'Accepted', 'Advertised', 'EoR received', 'EoR sent'],
      neighbor.families.map((family) => [
        family.family,
        family.received,
        family.accepted,
        family.advertised,
        family.endOfRibReceived,
        family.endOfRibSent,
      ]),
    ),
    renderTable(
      ['Messages', 'Received', 'Sent'],
      [
        ['open', received.open, sent.open],
        ['update', received.update, sent.update],
        ['notification', received.notification, sent.notification],
        ['keepalive', received.keepalive, sent.keepalive],
        ['route refresh', received.routeRefresh, sent.routeRefresh],
      ],
    ),
  ].join('\n');
}

/** What waits for a receiver that is slow. */
function outputText(output: OutputView | undefined): string | undefined {
  if (output === undefined) return undefined;
  const { owedRoutes, queuedOctets, blockedSeconds } = output;
  const blocked = blockedSeconds > 0 ? `, has not taken enough for ${formatDuration(blockedSeconds)}` : '';
  return `${owedRoutes} routes, ${queuedOctets} octets queued${blocked}`;
}

function bfdFields(bfd: BfdView): (readonly [string, Cell])[] {
  const { state, remoteState, transmitIntervalMs, detectionTimeMs, packets } = bfd;
  return [
    ['BFD', `${state}${bfd.multihop ? ' (multihop)' : ''}, the other side ${remoteState}`],
    ['BFD uptime', state === 'up' ? formatDuration(bfd.uptimeSeconds) : undefined],
    ['BFD times', `a packet every ${transmitIntervalMs} ms, down after ${detectionTimeMs} ms of silence`],
    ['BFD packets', `${packets.received} received, ${packets.sent} sent`],
    ['BFD flaps', bfd.flaps],
    ['BFD last down', bfd.lastDiagnostic === 'none' ? undefined : bfd.lastDiagnostic],
    ['BFD problem', bfd.problem],
  ];
}

/** `show agents [NAME]`. */
export async function showAgents(name: string | undefined, options: ShowOptions, output: Output): Promise<void> {
  const client = new ApiClient(options);
  if (name !== undefined) {
    const agent = await client.get<AgentView>(`/api/v1/agents/${encodeURIComponent(name)}`);
    output.out(options.json ? json(agent) : agentText(agent));
    return;
  }
  const answer = await client.get<{ agents: readonly AgentView[] }>('/api/v1/agents');
  if (options.json) {
    output.out(json(answer));
    return;
  }
  output.out(
    renderTable(
      ['Agent', 'Address', 'State', 'Uptime', 'VRFs', 'Received', 'Advertised', 'Flaps'],
      answer.agents.map((agent) => [
        agent.name,
        agent.address,
        agent.state,
        isUp(agent) ? formatDuration(agent.uptimeSeconds) : undefined,
        agent.subscriptions.length,
        agent.routes.received,
        agent.routes.advertised,
        agent.flaps,
      ]),
    ),
  );
}

function agentText(agent: AgentView): string {
  return [
    renderFields([
      ['Agent', agent.name],
      ['Address', agent.address],
      ['State', agent.state],
      ['Uptime', isUp(agent) ? formatDuration(agent.uptimeSeconds) : undefined],
      ['Kept for', agent.keptSeconds === undefined ? undefined : formatDuration(agent.keptSeconds)],
      ['Routes', `${agent.routes.received} received, ${agent.routes.advertised} advertised`],
      ['Flaps', agent.flaps],
      ['Last error', agent.lastError],
      ['Not sent yet', outputText(agent.output)],
    ]),
    renderTable(
      ['VRF', 'Instance id', 'Waiting'],
      agent.subscriptions.map(({ vrf, instanceId, pending }) => [
        vrf,
        instanceId,
        pending && `not configured, ${pending.publications} publications`,
      ]),
    ),
  ].join('\n');
}

/** `show vrfs [NAME]`. */
export async function showVrfs(name: string | undefined, options: ShowOptions, output: Output): Promise<void> {
  const client = new ApiClient(options);
  if (name !== undefined) {
    const vrf = await client.get<VrfView>(`/api/v1/vrfs/${encodeURIComponent(name)}`);
    output.out(options.json ? json(vrf) : vrfText(vrf));
    return;
  }
  const answer = await client.get<{ vrfs: readonly VrfView[] }>('/api/v1/vrfs');
  if (options.json) {
    output.out(json(answer));
    return;
  }
  output.out(
    renderTable(
      ['VRF', 'Network id', 'RD', 'Import', 'Export', 'Prefixes', 'Paths'],
      answer.vrfs.map((vrf) => [
        vrf.name,
        vrf.virtualNetwork.id,
        vrf.routeDistinguisher,
        targets(vrf.importTargets),
        targets(vrf.exportTargets),
        sum([vrf], 'prefixes'),
        sum([vrf], 'paths'),
      ]),
    ),
  );
}

/** The first few route targets without their keyword. */
function targets(list: readonly string[]): string {
  const shown = list.slice(0, 3).map((target) => target.replace(/^target:/, ''));
  return shown.join(' ') + (list.length > shown.length ? ` +${list.length - shown.length}` : '');
}

function vrfText(vrf: VrfView): string {
  const { virtualNetwork } = vrf;
  return [
    renderFields([
      ['VRF', vrf.name],
      ['Virtual network', `${virtualNetwork.name} (id ${virtualNetwork.id})`],
      ['VXLAN id', virtualNetwork.vxlanId],
      ['RD', vrf.routeDistinguisher],
      ['Import targets', vrf.importTargets.join(' ')],
      ['Export targets', vrf.exportTargets.join(' ')],
    ]),
    renderTable(
      ['Family', 'Prefixes', 'Paths'],
      Object.entries(vrf.routes).map(([family, { prefixes, paths }]) => [family, prefixes, paths]),
    ),
  ].join('\n');
}

/** The family that is meant when none is given: that of the text of the route, in the table that is asked for. */
export function defaultFamily(route: string | undefined, vrf: string | undefined): string {
  if (route === undefined) return vrf === undefined ? 'l3vpn-ipv4-unicast' : 'ipv4-unicast';
  const version = ipVersionOf(route);
  if (version !== undefined) return `ipv${version}-unicast`;
  const inner = ipVersionOf(route.slice(routeDistinguisherTextLength(route) + 1));
  if (inner !== undefined) return `l3vpn-ipv${inner}-unicast`;
  return 'l2vpn-evpn';
}

/** The IP version of an address or prefix; `undefined` when it is neither. */
function ipVersionOf(text: string): 4 | 6 | undefined {
  const octets = parsePrefix(text, 'mask')?.bytes ?? parseIp(text);
  return octets && (octets.length === IPV4_OCTETS ? 4 : 6);
}

interface RoutesPage {
  readonly routes: readonly RouteView[];
  readonly cursor?: string;
}

/** Routes of one request; a whole table is read in pages of this size. */
const PAGE_SIZE = 1000;

async function* pagesOf(client: ApiClient, options: ShowRoutesOptions): AsyncGenerator<readonly RouteView[]> {
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  let cursor: string | undefined;
  do {
    const query = new URLSearchParams({ family: options.family ?? defaultFamily(options.prefix, options.vrf) });
    if (options.vrf !== undefined) query.set('vrf', options.vrf);
    if (options.prefix !== undefined) {
      query.set('prefix', options.prefix);
      query.set('match', options.match);
    }
    query.set('limit', String(Math.min(left, PAGE_SIZE)));
    if (cursor !== undefined) query.set('cursor', cursor);
    const page = await client.get<RoutesPage>(`/api/v1/routes?${query.toString()}`);
    yield page.routes;
    left -= page.routes.length;
    ({ cursor } = page);
  } while (cursor !== undefined && left > 0);
}

/** `show routes [PREFIX]`: one line per path, the best one first. */
export async function showRoutes(options: ShowRoutesOptions, output: Output): Promise<void> {
  const client = new ApiClient(options);
  let shown = 0;
  if (options.json) {
    output.out('{"routes": [');
    for await (const routes of pagesOf(client, options)) {
      for (const route of routes) output.out(`${shown++ === 0 ? '' : ','}\n  ${JSON.stringify(route)}`);
    }
    output.out(shown === 0 ? ']}\n' : '\n]}\n');
    return;
  }
  for await (const routes of pagesOf(client, options)) {
    if (routes.length > 0) output.out(routesText(routes));
    shown += routes.length;
  }
  if (shown === 0) output.err('no routes\n');
  else output.out('\n*> best  *= equal cost  x not usable\n');
}

function routesText(routes: readonly RouteView[]): string {
  const rows = routes.flatMap(({ prefix, paths }) =>
    paths.map((path, index): Cell[] => [
      marker(path),
      index === 0 ? prefix : '',
      path.nextHop,
      path.vni === undefined ? path.labels?.join('/') : `vni ${path.vni}`,
      path.encapsulations?.join(','),
      path.localPreference,
      path.med,
      path.asPath,
      path.source,
      formatDuration(path.ageSeconds),
      path.flags.join(','),
    ]),
  );
  const head = ['', 'Prefix', 'Next hop', 'Label', 'Encap', 'Pref', 'MED', 'AS path', 'Source', 'Age', 'Flags'];
  return renderTable(head, rows);
}

function marker(path: PathView): string {
  if (path.best) return '*>';
  if (path.ecmp) return '*=';
  return path.flags.some((flag) => flag !== 'stale' && flag !== 'llgr-stale') ? 'x ' : '* ';
}
