/** A whole controller without sockets: its clock is turned by hand, its neighbors and agents are fake transports. */
import {
  encodePublish,
  encodeWithdraw,
  endOfRibTransaction,
  streamHeader,
  subscribe,
  unsubscribe,
} from '../../src/agent/stanzas.js';
import type { Announcement } from '../../src/agent/announcement.js';
import { KEEPALIVE } from '../../src/bgp/message/keepalive.js';
import { encodeOpen } from '../../src/bgp/message/open.js';
import type { FamilyId } from '../../src/bgp/nlri/family.js';
import { localOpen } from '../../src/bgp/session/negotiation.js';
import type { LoadResult } from '../../src/config/load.js';
import { ConfigReader } from '../../src/config/reader.js';
import { Controller } from '../../src/controller/controller.js';
import type { ControllerDependencies } from '../../src/controller/view.js';
import type { Dialing, DialTarget, Network } from '../../src/net/transport.js';
import { ManualClock } from '../../src/util/clock.js';
import { silentLogger } from '../../src/util/logger.js';
import { runAtOnce, type Steps } from '../../src/util/steps.js';
import { attribute, LOCAL_PREF, ORIGIN, updateBody } from '../support/update-messages.js';
import { bgpMessage } from '../support/raw-client.js';
import { FakeTransport } from '../xmpp/fake-transport.js';

const HEAD = 'routerId: 192.0.2.1\nautonomousSystem: 64512\n';

/** Remembers where the controller connects to; nobody ever answers. */
class DeafNetwork implements Network {
  readonly dialed: string[] = [];

  dial({ address, port }: DialTarget): Dialing {
    this.dialed.push(`${address} ${port}`);
    return { cancel() {} };
  }
}

export class World {
  readonly clock = new ManualClock();
  readonly network = new DeafNetwork();
  readonly controller: Controller;
  readonly reader = new ConfigReader();
  #text: string;
  /** Source port of the next agent's connection. */
  #nextPort = 40_000;

  /** @param text  configuration without router id and AS number */
  private constructor(text: string, dependencies: Partial<ControllerDependencies>) {
    this.#text = text;
    const load = (running?: Controller['config']): Steps<LoadResult> =>
      this.reader.load(HEAD + this.#text, 'test.yaml', {
        hostName: 'ctl',
        ...(running === undefined ? {} : { running }),
      });
    const loaded = runAtOnce(load());
    if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.problems));
    this.controller = new Controller(loaded.config, {
      clock: this.clock,
      logger: silentLogger,
      network: this.network,
      reloadSource: (running) => load(running),
      ...dependencies,
    });
  }

  /** @param dependencies  in place of the made-up ones */
  static async start(text: string, dependencies: Partial<ControllerDependencies> = {}): Promise<World> {
    const world = new World(`api: { listen: [] }\n${text}`, dependencies);
    await world.controller.start();
    world.settle();
    return world;
  }

  /** Applies another configuration. @returns what changed, one line each */
  reload(text: string): readonly string[] {
    this.#text = `api: { listen: [] }\n${text}`;
    const result = runAtOnce(this.controller.reload());
    if (!result.applied) throw new Error(JSON.stringify(result.problems));
    this.settle();
    return result.changes;
  }

  settle(): void {
    this.controller.scheduler.drain();
  }

  /** What is left when everything was taken away must be nothing. */
  get leftovers(): Readonly<Record<'routes' | 'paths' | 'payloads' | 'groups' | 'draining', number>> {
    const { rib, vrfs, groups } = this.controller;
    return {
      routes: rib.routeCount,
      paths: rib.pathCount,
      payloads: rib.payloads.size,
      groups: groups.size,
      draining: vrfs.drainingCount,
    };
  }

  /** The number the next table would get: falls back to the old one when numbers are given back. */
  nextTableNumber(): number {
    const { rib, scheduler, tables } = this.controller;
    const [{ family }] = [...tables.all()] as [ReturnType<typeof tables.of>];
    const table = rib.createTable({ name: 'probe', family, scheduler });
    rib.deleteTable(table);
    return table.number;
  }

  /** What bgp.rtarget.0 says that this controller wants. */
  wanted(): string[] {
    const result = this.controller.view.routes({ family: 'rtc' });
    if (result.kind !== 'routes') throw new Error(result.kind);
    return result.routes.filter(({ paths }) => paths.some(({ source }) => source === 'static')).map((r) => r.prefix);
  }

  agent(name: string, address: string): WorldAgent {
    return new WorldAgent(this, name, new FakeTransport(address, this.#nextPort++));
  }

  peer(address: string, families: readonly FamilyId[], localAs = 64512): WorldPeer {
    return new WorldPeer(this, address, families, localAs);
  }
}

/** An agent's end of a channel. */
export class WorldAgent {
  readonly transport: FakeTransport;
  readonly #world: World;
  readonly #name: string;
  #serial = 0;

  constructor(world: World, name: string, transport: FakeTransport) {
    this.#world = world;
    this.#name = name;
    this.transport = transport;
    world.controller.agents.accept(this.transport);
    this.transport.receive(streamHeader(name));
    this.#said();
    this.transport.taken();
  }

  subscribe(vrf: string, instanceId = 1): void {
    this.transport.receive(subscribe(this.#name, this.#serial++, vrf, { instanceId }));
    this.#said();
  }

  unsubscribe(vrf: string, instanceId = 1): void {
    this.transport.receive(unsubscribe(this.#name, this.#serial++, vrf, { instanceId }));
    this.#said();
  }

  publish(vrf: string, route: Announcement): void {
    const { publish, collection } = encodePublish(this.#name, this.#serial++, vrf, route);
    this.transport.receive(publish + collection);
    this.#said();
  }

  withdraw(vrf: string, route: Announcement): void {
    const { publish, collection } = encodeWithdraw(this.#name, this.#serial++, vrf, route);
    this.transport.receive(publish + collection);
    this.#said();
  }

  /** Says that it has said everything. */
  endOfRib(): void {
    this.transport.receive(endOfRibTransaction(this.#name, this.#serial++));
    this.#said();
  }

  close(): void {
    this.transport.lose();
    this.#world.settle();
  }

  /** Items and retracts pushed since the last call, in order. */
  pushed(): string[] {
    const text = this.transport.taken();
    return [...text.matchAll(/<(item|retract) id="([^"]*)"/g)].map(([, kind, id]) => `${kind} ${id}`);
  }

  /** What it holds after what was pushed since the last call; a retract of what it does not hold is an error. */
  heldAfter(before: ReadonlySet<string>): Set<string> {
    const held = new Set(before);
    for (const each of this.pushed()) {
      const [kind, id] = each.split(' ') as [string, string];
      if (kind === 'item') held.add(id);
      else if (!held.delete(id)) throw new Error(`${id} is retracted and was not held`);
    }
    return held;
  }

  /** Its socket takes octets again. */
  drain(): void {
    this.transport.drain();
    this.#world.settle();
  }

  /** Names of virtual networks in what was pushed since the last call. */
  pushedNetworks(): string[] {
    const text = this.transport.taken();
    return [...text.matchAll(/<virtual-network>([^<]*)</g)].map(([, name]) => name!);
  }

  #said(): void {
    this.#world.settle();
  }
}

/** A remote router whose connection comes in; the session is up when the constructor returns. */
export class WorldPeer {
  readonly transport: FakeTransport;
  readonly #world: World;

  constructor(world: World, address: string, families: readonly FamilyId[], localAs: number) {
    this.#world = world;
    this.transport = new FakeTransport(address);
    world.controller.neighbors.listener.accept(this.transport);
    const open = encodeOpen(
      localOpen({
        peerAs: 64512,
        localAs,
        routerId: 0x0a000001 + Number(address.split('.')[3]),
        families,
        holdTimeSec: 0,
      }),
    );
    this.transport.receive(open);
    this.transport.receive(KEEPALIVE);
    world.settle();
  }

  get isClosed(): boolean {
    return this.transport.closing;
  }

  /** Announces a VPN-IPv4 route with the route target 64512:n. */
  announceVpn(prefix: string, routeTarget: number, communities = ''): void {
    const [a, b, c, d] = prefix.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
    const nlri = `78 000101 0000fc0000000001 ${a}${b}${c}${d}`;
    const mpReach = attribute(0x90, 14, `0001 80 0c 0000000000000000 0a000001 00 ${nlri}`);
    const target = `0002 fc00 ${routeTarget.toString(16).padStart(8, '0')}`;
    this.#update([mpReach, ORIGIN, AS_PATH_INTERNAL, LOCAL_PREF, attribute(0xd0, 16, `${target}${communities}`)]);
  }

  /** Asks for the routes with the route targets 64512:n (RFC 4684 §4). */
  wants(routeTargets: readonly number[]): void {
    const nlri = routeTargets.map((n) => `60 0000fc00 0002fc00 ${n.toString(16).padStart(8, '0')}`).join('');
    const mpReach = attribute(0x90, 14, `0001 84 04 0a000001 00 ${nlri}`);
    this.#update([mpReach, ORIGIN, AS_PATH_INTERNAL, LOCAL_PREF]);
  }

  /** End-of-RIB of the memberships: now the routes may come (RFC 4724 §2, RFC 4684 §6). */
  endOfMembership(): void {
    this.#update([attribute(0x80, 15, '000184')]);
  }

  /** Announces an IPv4 route of AS 65001 as an eBGP neighbor. */
  announceUnicast(prefixHex: string): void {
    this.#update([ORIGIN, attribute(0x40, 2, '0201 0000fde9'), attribute(0x40, 3, '0a090001')], prefixHex);
  }

  close(): void {
    this.transport.lose();
    this.#world.settle();
  }

  #update(attributes: readonly string[], nlri = ''): void {
    this.transport.receive(bgpMessage(2, updateBody({ attributes: attributes.join(''), nlri })));
    this.#world.settle();
  }
}

const AS_PATH_INTERNAL = attribute(0x40, 2, '');
