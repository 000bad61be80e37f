/**
 * The least that can stand behind an agent server: VRF tables as maps, all paths of a route equal, no BGP. It joins the item codecs, the
 * channel server and the reference agent into a working fabric, without the product's own RIB.
 */
import { systemClock } from '../../src/util/clock.js';
import { silentLogger } from '../../src/util/logger.js';
import { Scheduler } from '../../src/util/scheduler.js';
import type { TlsParameters } from '../../src/net/tls.js';
import { Writer } from '../../src/wire/writer.js';
import type { AgentHandler } from '../../src/xmpp/agent-handler.js';
import type { XmlElement } from '../../src/xmpp/element.js';
import type { ChannelFamilyId } from '../../src/xmpp/items/channel-family.js';
import { EventCollector, eventStart, MAX_ITEMS_PER_MESSAGE } from '../../src/xmpp/items/envelope.js';
import { isPushable, writeItem, writeRetract } from '../../src/xmpp/items/item.js';
import { renderTail } from '../../src/xmpp/items/item-tail.js';
import { hasPushableLabel, hasPushableNextHop, nextHopLabels, nextHopTemplate } from '../../src/xmpp/items/next-hop.js';
import { SharedOctets } from '../../src/xmpp/items/octet-text.js';
import { decodePublished, decodeWithdrawn } from '../../src/xmpp/items/publish.js';
import type { PublishedRoute } from '../../src/xmpp/items/published-route.js';
import { virtualNetworkOf } from '../../src/xmpp/items/push-context.js';
import { AgentServer } from '../../src/xmpp/server.js';
import type { AgentSession } from '../../src/xmpp/session.js';

const FABRIC_VRF = 'default-domain:default-project:ip-fabric:__default__';
const CONTEXT = { serverAs: 64512, virtualNetworkName: () => undefined };

/** One route of a table: its paths by agent. */
interface Entry {
  readonly family: ChannelFamilyId;
  readonly key: Uint8Array;
  readonly paths: Map<AgentSession, PublishedRoute>;
}

export class SmallController implements AgentHandler {
  readonly server: AgentServer;
  readonly drops: string[] = [];
  readonly #vrfs: ReadonlySet<string>;
  readonly #tables = new Map<string, Map<string, Entry>>();
  readonly #subscribers = new Map<string, Set<AgentSession>>();

  constructor(vrfs: readonly string[], address: string, tls?: TlsParameters) {
    this.#vrfs = new Set(vrfs);
    const options = { serverName: 'ctl1', listen: [{ address, port: 0 }], holdTimeSec: 3, ...(tls && { tls }) };
    const scheduler = new Scheduler(
      () => systemClock.nowMs(),
      (turn) => void setImmediate(turn),
      (error) => {
        throw error;
      },
    );
    this.server = new AgentServer(options, this, { clock: systemClock, logger: silentLogger, scheduler });
  }

  /** Routes of a VRF, all families. */
  size(vrf: string): number {
    return this.#tables.get(vrf)?.size ?? 0;
  }

  vrfState(vrf: string): 'known' | 'unknown' {
    return this.#vrfs.has(vrf) ? 'known' : 'unknown';
  }

  subscribed(session: AgentSession, vrf: string, _instanceId: number, noRibOut: boolean): void {
    if (noRibOut) return;
    const subscribers = this.#subscribers.get(vrf) ?? new Set();
    this.#subscribers.set(vrf, subscribers.add(session));
    for (const entry of this.#tables.get(vrf)?.values() ?? []) push(vrf, entry, [session]);
  }

  unsubscribed(session: AgentSession, vrf: string): void {
    this.#subscribers.get(vrf)?.delete(session);
    this.#removePaths(session, vrf);
  }

  publish(session: AgentSession, vrf: string, instanceId: number, node: string, item: XmlElement): string | undefined {
    const route = decodePublished(node, item, this.#context(session, vrf, instanceId));
    if (route.kind === 'drop') return this.#dropped(route.reason);
    const table = this.#tables.get(vrf) ?? new Map<string, Entry>();
    this.#tables.set(vrf, table);
    const name = `${String(route.family)} ${Buffer.from(route.key).toString('hex')}`;
    const entry = table.get(name) ?? { family: route.family, key: route.key, paths: new Map() };
    table.set(name, entry);
    entry.paths.set(session, route);
    push(vrf, entry, this.#subscribers.get(vrf) ?? []);
    return undefined;
  }

  withdraw(session: AgentSession, vrf: string, instanceId: number, node: string, item: XmlElement): string | undefined {
    const route = decodeWithdrawn(node, item, this.#context(session, vrf, instanceId));
    if (route.kind === 'drop') return this.#dropped(route.reason);
    this.#removePath(session, vrf, `${String(route.family)} ${Buffer.from(route.key).toString('hex')}`);
    return undefined;
  }

  agentDown(session: AgentSession): void {
    for (const subscribers of this.#subscribers.values()) subscribers.delete(session);
    for (const vrf of this.#tables.keys()) this.#removePaths(session, vrf);
  }

  agentUp(): void {}

  endOfRib(): void {}

  resynchronizing(): boolean {
    return false;
  }

  writable(): void {}

  #context(session: AgentSession, vrf: string, instanceId: number) {
    return {
      serverAs: CONTEXT.serverAs,
      instanceId,
      fabric: vrf === FABRIC_VRF,
      agentAddress: session.address,
    };
  }

  #dropped(reason: string): string {
    this.drops.push(reason);
    return reason;
  }

  #removePaths(session: AgentSession, vrf: string): void {
    for (const name of [...(this.#tables.get(vrf)?.keys() ?? [])]) this.#removePath(session, vrf, name);
  }

  #removePath(session: AgentSession, vrf: string, name: string): void {
    const table = this.#tables.get(vrf);
    const entry = table?.get(name);
    if (!entry?.paths.delete(session)) return;
    if (entry.paths.size === 0) table?.delete(name);
    push(vrf, entry, this.#subscribers.get(vrf) ?? []);
  }
}

/** Pushes the present state of one route. */
function push(vrf: string, entry: Entry, sessions: Iterable<AgentSession>): void {
  const { family, key } = entry;
  if (!isPushable(family, key)) return;
  const paths = [...entry.paths.values()]
    .filter(({ attributes }) => hasPushableNextHop(attributes))
    .filter(({ payload }) => hasPushableLabel(family, payload, vrf === FABRIC_VRF))
    .sort((a, b) => Buffer.compare(a.attributes.nextHop!, b.attributes.nextHop!));
  const [best] = paths;
  const network = vrf.slice(0, vrf.lastIndexOf(':'));
  const octets = new SharedOctets();
  const bodies: Uint8Array[] = [];
  const collector = new EventCollector(new Writer(), eventStart(family, vrf), MAX_ITEMS_PER_MESSAGE);
  const w = collector.begin(bodies);
  if (best) {
    const nextHops = paths.map(({ attributes, payload }) => {
      const name = virtualNetworkOf(attributes, network, CONTEXT);
      const template = nextHopTemplate(family, attributes, name, CONTEXT, octets);
      return { template, ...nextHopLabels(template, payload) };
    });
    const tail = renderTail(family, best.attributes, network, CONTEXT, octets);
    writeItem(w, family, key, 0, key.length, nextHops, tail);
  } else writeRetract(w, family, key);
  collector.end();
  collector.finish();
  for (const session of sessions) session.push(bodies);
}
