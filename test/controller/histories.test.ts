/**
 * Whole controllers and what has happened to them: whatever that was, agents and neighbors hold what they would be sent by one to which only
 * the outcome has happened. Routes that differ in their VRF, their source, their route distinguisher and little else meet in few prefixes.
 */
import { describe, test } from '@jest/globals';
import fc from 'fast-check';
import type { Announcement } from '../../src/agent/announcement.js';
import { parsePush } from '../../src/agent/push-parser.js';
import { decodeUpdate } from '../../src/bgp/message/update-decode.js';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { parseXml, XmlFault } from '../../src/xmpp/xml-parser.js';
import { describeAttributes } from '../rib/fake-neighbor.js';
import { hex, runs, same } from '../rib/world.js';
import { bgpMessage } from '../support/raw-client.js';
import { attribute, LOCAL_PREF, ORIGIN, updateBody } from '../support/update-messages.js';
import { World, type WorldAgent, type WorldPeer } from './world.js';

const VRFS = 3;
const AGENTS = 3;
const PEERS = 2;
const TARGETS = 3;
const PREFIXES = 3;
const DISTINGUISHERS = 2;
const vrfName = (n: number): string => `d:p:v${n}:v${n}`;
const hexOf = (n: number, octets: number): string => n.toString(16).padStart(2 * octets, '0');

type Operation = Said | Other;
type Said =
  | { readonly kind: 'subscribe' | 'unsubscribe'; readonly agent: number; readonly vrf: number; readonly id: number }
  | {
      readonly kind: 'publish' | 'withdraw';
      readonly agent: number;
      readonly vrf: number;
      readonly n: number;
      readonly mac: boolean;
      readonly label: number;
      readonly sequence: number;
    };
type Other =
  | { readonly kind: 'lose'; readonly agent: number }
  | { readonly kind: 'return'; readonly agent: number; readonly keeps: number }
  | { readonly kind: 'up' | 'down' | 'refresh'; readonly peer: number }
  | {
      readonly kind: 'announce' | 'retire';
      readonly peer: number;
      readonly n: number;
      readonly rd: number;
      readonly targets: readonly number[];
      readonly label: number;
    }
  | { readonly kind: 'want' | 'unwant'; readonly peer: number; readonly target: number }
  | { readonly kind: 'fill' | 'drain'; readonly agent: number; readonly peer: number }
  | Configured
  | { readonly kind: 'settle' | 'compare' };
type Configured =
  | { readonly kind: 'import' | 'export'; readonly vrf: number; readonly target: number }
  | { readonly kind: 'configure' | 'remove'; readonly vrf: number }
  | { readonly kind: 'network'; readonly vrf: number; readonly id: number };

const agent = fc.nat(AGENTS - 1);
const peer = fc.nat(PEERS - 1);
const vrf = fc.nat(VRFS - 1);
const target = fc.nat(TARGETS - 1);
const n = fc.nat(PREFIXES - 1);
const label = fc.constantFrom(16, 16, 17);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('subscribe' as const, 'subscribe' as const, 'unsubscribe' as const),
      agent,
      vrf,
      id: fc.constantFrom(1, 1, 2),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constantFrom('publish' as const, 'publish' as const, 'withdraw' as const),
      agent,
      vrf,
      n,
      mac: fc.constantFrom(false, false, true),
      label,
      sequence: fc.constantFrom(0, 0, 1),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('lose' as const), agent }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('return' as const), agent, keeps: fc.nat(0xffff) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('up' as const, 'up' as const, 'up' as const, 'down' as const, 'refresh' as const),
      peer,
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('announce' as const, 'announce' as const, 'retire' as const),
      peer,
      n,
      rd: fc.nat(DISTINGUISHERS - 1),
      targets: fc.subarray([0, 1, 2]),
      label,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('want' as const, 'want' as const, 'unwant' as const),
      peer,
      target,
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('fill' as const, 'drain' as const), agent, peer }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('import' as const, 'export' as const), vrf, target }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom('configure' as const, 'configure' as const, 'remove' as const),
      vrf,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('network' as const), vrf, id: fc.constantFrom(1, 2, 3) }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('settle' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('compare' as const) }) },
);

/** What is so: all that a controller has to be told that knows nothing of what was. */
interface Vpn {
  imports: Set<number>;
  exports: Set<number>;
  network: number;
  configured: boolean;
}
interface Host {
  /** Instance ids by VRF, and what is published there. */
  readonly vrfs: Map<number, { id: number; readonly routes: Map<string, Announcement> }>;
  away: boolean;
}
interface Router {
  readonly routes: Map<string, string>;
  readonly wants: Set<number>;
  up: boolean;
}
class Facts {
  readonly vrfs: Vpn[] = Array.from({ length: VRFS }, (_each, i) => ({
    imports: new Set(i === 2 ? [0, 1, 2] : [i]),
    exports: new Set([i]),
    network: i + 1,
    configured: true,
  }));
  readonly hosts: Host[] = Array.from({ length: AGENTS }, () => ({ vrfs: new Map(), away: false }));
  readonly routers: Router[] = Array.from({ length: PEERS }, () => ({
    routes: new Map(),
    wants: new Set(),
    up: false,
  }));

  get text(): string {
    const vrfs = this.vrfs.flatMap(({ imports, exports, network, configured }, i) => {
      const targets = (of: Set<number>): string =>
        [...of]
          .sort()
          .map((each) => `'target:64512:${each + 1}'`)
          .join();
      return configured
        ? [
            `{name: '${vrfName(i)}', virtualNetwork: {name: 'd:p:n${network}', id: ${network}}, ` +
              `importTargets: [${targets(imports)}], exportTargets: [${targets(exports)}]}`,
          ]
        : [];
    });
    return `
agents: {gracefulRestart: {enabled: true, restartTime: 600}}
bgp:
  neighbors:
    - {address: 192.0.2.9, peerAs: 64512, passive: true, families: [l3vpn-ipv4-unicast, rtc], routeReflectorClient: true}
    - {address: 192.0.2.10, peerAs: 64512, passive: true, families: [l3vpn-ipv4-unicast], routeReflectorClient: true}
vrfs: [${vrfs.join(', ')}]`;
  }
}

const addressOf = (host: number): string => `192.0.2.${21 + host}`;
const INTERNAL = attribute(0x40, 2, '');

/** A controller with its agents and neighbors, and what these hold. */
class Scene {
  readonly world: World;
  readonly agents = new Map<number, WorldAgent>();
  readonly peers = new Map<number, WorldPeer>();
  /** By VRF. */
  readonly heldByAgent = new Map<number, Map<string, Map<string, string>>>();
  readonly heldByPeer = new Map<number, Map<string, string>>();
  #paused = false;

  constructor(world: World) {
    this.world = world;
    const settle = world.settle.bind(world);
    world.settle = () => {
      if (!this.#paused) settle();
    };
  }

  static async start(facts: Facts): Promise<Scene> {
    return new Scene(await World.start(facts.text));
  }

  /** Does something that nothing comes of until {@link settle}. */
  at(moment: () => void): void {
    this.#paused = true;
    moment();
    this.#paused = false;
  }

  settle(): void {
    this.world.settle();
    for (const each of this.agents.keys()) this.#hear(each);
    for (const each of this.peers.keys()) this.#receive(each);
  }

  connect(host: number): WorldAgent {
    const connected = this.world.agent(`host-${host}`, addressOf(host));
    this.agents.set(host, connected);
    this.heldByAgent.set(host, new Map());
    return connected;
  }

  lose(host: number): void {
    this.#hear(host);
    const lost = this.agents.get(host)!;
    this.agents.delete(host);
    lost.close();
  }

  /** @returns false: after an end it is let in only some time later */
  up(router: number): boolean {
    const families = router === 0 ? [FamilyId.l3vpnIpv4Unicast, FamilyId.rtc] : [FamilyId.l3vpnIpv4Unicast];
    const address = `192.0.2.${9 + router}`;
    const connected = this.world.peer(address, families);
    if (this.world.controller.neighbors.get(address)?.neighbor.state !== 'established') {
      connected.transport.lose();
      return false;
    }
    this.peers.set(router, connected);
    this.heldByPeer.set(router, new Map());
    if (router === 0) connected.endOfMembership();
    return true;
  }

  down(router: number): void {
    const gone = this.peers.get(router)!;
    this.peers.delete(router);
    gone.close();
  }

  update(router: number, attributes: readonly string[]): void {
    const { transport } = this.peers.get(router)!;
    transport.receive(bgpMessage(2, updateBody({ attributes: attributes.join('') })));
    this.world.settle();
  }

  want(router: number, which: number, wanted: boolean): void {
    const nlri = `60 0000fc00 0002fc00 ${hexOf(which + 1, 4)}`;
    if (wanted) {
      this.update(router, [attribute(0x90, 14, `0001 84 04 0a000001 00 ${nlri}`), ORIGIN, INTERNAL, LOCAL_PREF]);
    } else this.update(router, [attribute(0x90, 15, `0001 84 ${nlri}`)]);
  }

  #hear(host: number): void {
    const { transport } = this.agents.get(host)!;
    if (transport.closing) throw new Error(`host ${host} was cut off`);
    for (const [message] of transport.taken().matchAll(/<message[^]*?<\/message>/g)) {
      const stanza = parseXml(Buffer.from(message, 'latin1'));
      if (stanza instanceof XmlFault) throw new Error(stanza.reason);
      const push = parsePush(stanza);
      if (push.kind !== 'items' && push.kind !== 'retracts') continue;
      const tables = this.heldByAgent.get(host)!;
      const table = `${push.vrf} ${push.family}`;
      const held = tables.get(table) ?? new Map<string, string>();
      tables.set(table, held);
      if (push.kind === 'items') for (const route of push.routes) held.set(route.id, JSON.stringify(route));
      else {
        for (const id of push.ids) {
          if (!held.delete(id)) throw new Error(`${id} is retracted from host ${host}, which does not hold it`);
        }
      }
    }
  }

  #receive(router: number): void {
    const held = this.heldByPeer.get(router)!;
    const { transport } = this.peers.get(router)!;
    if (transport.closing) throw new Error(`router ${router} was cut off`);
    const octets = Buffer.from(transport.taken(), 'latin1');
    for (let at = 0; at < octets.length; at += octets.readUInt16BE(at + 16)) {
      if (octets[at + 18] !== 2) continue;
      const update = decodeUpdate(octets, at + 19, at + octets.readUInt16BE(at + 16), {
        fourOctetAs: true,
        external: false,
      });
      for (const { attributes, routes, family } of update.announced) {
        for (const { key, payload } of routes) {
          held.set(`${family} ${hex(key)}`, `${describeAttributes(attributes)} ${hex(payload)}`);
        }
      }
      for (const { routes, family } of update.withdrawn) {
        for (const { key } of routes) {
          if (!held.delete(`${family} ${hex(key)}`)) throw new Error(`${hex(key)} is withdrawn and was not held`);
        }
      }
    }
  }

  /** What everybody holds of what is there. */
  holdings(facts: Facts): Record<string, unknown> {
    const all: Record<string, unknown> = {};
    const sorted = (map: ReadonlyMap<string, string> | undefined): unknown =>
      [...(map ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    facts.hosts.forEach(({ vrfs, away }, host) => {
      if (away) return;
      for (let each = 0; each < VRFS; each++) {
        if (!facts.vrfs[each]!.configured) continue;
        for (const family of ['ipv4-unicast', 'l2vpn-evpn']) {
          const table = `${vrfName(each)} ${family}`;
          // What it has unsubscribed from it forgets by itself.
          all[`host ${host} ${table}`] = vrfs.has(each) ? sorted(this.heldByAgent.get(host)?.get(table)) : [];
        }
      }
    });
    for (const router of this.peers.keys()) all[`router ${router}`] = sorted(this.heldByPeer.get(router));
    return all;
  }
}

/** What has happened, and what is so because of it. */
class History {
  readonly facts = new Facts();
  readonly scene: Scene;

  private constructor(scene: Scene) {
    this.scene = scene;
  }

  static async start(): Promise<History> {
    const history = new History(await Scene.start(new Facts()));
    for (let host = 0; host < AGENTS; host++) history.scene.connect(host);
    return history;
  }

  async apply(op: Operation): Promise<void> {
    if (op.kind === 'compare') await this.compare();
    else if (op.kind === 'settle') this.scene.settle();
    else this.scene.at(() => this.#happen(op));
  }

  #happen(op: Operation): void {
    const { facts, scene } = this;
    switch (op.kind) {
      case 'subscribe':
      case 'unsubscribe':
      case 'publish':
      case 'withdraw':
        return this.#hostDoes(op);
      case 'lose':
        if (facts.hosts[op.agent]!.away) return;
        facts.hosts[op.agent]!.away = true;
        return scene.lose(op.agent);
      case 'return':
        return this.#return(op.agent, op.keeps);
      case 'up':
        if (scene.peers.has(op.peer)) return;
        facts.routers[op.peer]!.up = scene.up(op.peer);
        return;
      case 'down': {
        if (!scene.peers.has(op.peer)) return;
        facts.routers[op.peer] = { routes: new Map(), wants: new Set(), up: false };
        scene.down(op.peer);
        scene.world.clock.advance(1000);
        return;
      }
      case 'refresh':
        return scene.peers.get(op.peer)?.transport.receive(bgpMessage(5, Uint8Array.of(0, 1, 0, 128)));
      case 'announce':
      case 'retire':
      case 'want':
      case 'unwant':
        return this.#routerDoes(op);
      case 'fill':
      case 'drain': {
        const receivers = [scene.agents.get(op.agent), scene.peers.get(op.peer)];
        for (const each of receivers) {
          if (op.kind === 'drain') each?.transport.drain();
          else if (each !== undefined) each.transport.writableLength = 1e9;
        }
        return;
      }
      case 'settle':
      case 'compare':
        return;
      default:
        this.#configure(op);
    }
  }

  #hostDoes(op: Said): void {
    const host = this.facts.hosts[op.agent]!;
    const connected = this.scene.agents.get(op.agent);
    const known = host.vrfs.get(op.vrf);
    const { configured } = this.facts.vrfs[op.vrf]!;
    if (connected === undefined) return;
    if (op.kind === 'subscribe') {
      if (known !== undefined || !configured) return;
      host.vrfs.set(op.vrf, { id: op.id, routes: new Map() });
      connected.subscribe(vrfName(op.vrf), op.id);
      return;
    }
    if (known === undefined) return;
    if (!('label' in op)) {
      this.scene.settle();
      host.vrfs.delete(op.vrf);
      connected.unsubscribe(vrfName(op.vrf), known.id);
      for (const table of ['ipv4-unicast', 'l2vpn-evpn']) {
        this.scene.heldByAgent.get(op.agent)!.delete(`${vrfName(op.vrf)} ${table}`);
      }
      return;
    }
    const common = { nextHop: addressOf(op.agent), label: op.label };
    const route: Announcement = op.mac
      ? {
          family: 'l2vpn-evpn',
          mac: `02:00:00:00:00:0${op.n}`,
          address: `10.2.0.${op.n}/32`,
          ...common,
          ...(op.sequence > 0 && { mobility: { sequence: op.sequence, sticky: false } }),
        }
      : { family: 'ipv4-unicast', prefix: `10.1.0.${op.n}/32`, ...common, sequence: op.sequence };
    const name = `${op.mac} ${op.n}`;
    if (op.kind === 'withdraw') {
      if (!known.routes.delete(name)) return;
      connected.withdraw(vrfName(op.vrf), route);
    } else if (configured) {
      known.routes.set(name, route);
      connected.publish(vrfName(op.vrf), route);
    }
  }

  /** It is back and repeats some of what it had. */
  #return(number: number, keeps: number): void {
    const host = this.facts.hosts[number]!;
    if (!host.away) return;
    host.away = false;
    const connected = this.scene.connect(number);
    let bit = 0;
    const isKept = (): boolean => (keeps & (1 << bit++)) !== 0;
    for (const [each, known] of [...host.vrfs]) {
      if (!this.facts.vrfs[each]!.configured || !isKept()) {
        host.vrfs.delete(each);
        continue;
      }
      connected.subscribe(vrfName(each), known.id);
      for (const [name, route] of [...known.routes]) {
        if (isKept()) connected.publish(vrfName(each), route);
        else known.routes.delete(name);
      }
    }
    connected.endOfRib();
  }

  #routerDoes(
    op: Extract<
      Other,
      { readonly peer: number; readonly n: number } | { readonly target: number; readonly peer: number }
    >,
  ): void {
    const router = this.facts.routers[op.peer]!;
    if (!this.scene.peers.has(op.peer)) return;
    if ('target' in op) {
      if (op.peer !== 0) return;
      if (op.kind === 'want') router.wants.add(op.target);
      else if (!router.wants.delete(op.target)) return;
      this.scene.want(op.peer, op.target, op.kind === 'want');
      return;
    }
    const key = `0000fc00 ${hexOf(op.rd + 90, 4)} 0a0100 ${hexOf(op.n, 1)}`;
    if (op.kind === 'retire') {
      if (router.routes.delete(key)) this.scene.update(op.peer, [attribute(0x90, 15, `0001 80 78 800000 ${key}`)]);
      return;
    }
    const nextHop = `0a00000${op.peer + 1}`;
    const targets = op.targets.map((each) => `0002 fc00 ${hexOf(each + 1, 4)}`).join('');
    const attributes = [
      attribute(0x90, 14, `0001 80 0c 0000000000000000 ${nextHop} 00 78 ${hexOf(op.label * 16 + 1, 3)} ${key}`),
      ORIGIN,
      INTERNAL,
      LOCAL_PREF,
      ...(targets === '' ? [] : [attribute(0xd0, 16, targets)]),
    ];
    router.routes.set(key, attributes.join(' '));
    this.scene.update(op.peer, attributes);
  }

  #configure(op: Configured): void {
    const of = this.facts.vrfs[op.vrf]!;
    if ('id' in op) of.network = op.id;
    else if (!('target' in op)) of.configured = op.kind === 'configure';
    else {
      const targets = op.kind === 'import' ? of.imports : of.exports;
      if (!targets.delete(op.target)) targets.add(op.target);
    }
    this.scene.world.reload(this.facts.text);
  }

  /** Everybody must hold what one would be sent who never had anything else. */
  async compare(): Promise<void> {
    const { scene, facts } = this;
    for (const each of [...scene.agents.values(), ...scene.peers.values()]) each.transport.drain();
    scene.settle();
    const fresh = await Scene.start(facts);
    for (const [router, { up, wants, routes }] of facts.routers.entries()) {
      if (!up) continue;
      fresh.up(router);
      for (const each of wants) fresh.want(router, each, true);
      for (const attributes of [...routes.values()].reverse()) fresh.update(router, [attributes]);
    }
    for (const [number, { vrfs }] of facts.hosts.entries()) {
      const connected = fresh.connect(number);
      // The other way round than it came, mostly: the order must not matter.
      for (const [each, { id, routes }] of [...vrfs].reverse()) {
        if (!facts.vrfs[each]!.configured) continue;
        connected.subscribe(vrfName(each), id);
        for (const route of [...routes.values()].reverse()) connected.publish(vrfName(each), route);
      }
    }
    fresh.settle();
    same(scene.holdings(facts), fresh.holdings(facts));
  }

  /** Everything goes, and nothing is left. */
  end(): void {
    const { scene, facts } = this;
    for (const host of [...scene.agents.keys()]) {
      for (const each of [...facts.hosts[host]!.vrfs]) {
        this.#hostDoes({ kind: 'unsubscribe', agent: host, vrf: each[0], id: 0 });
      }
      scene.lose(host);
    }
    for (const router of [...scene.peers.keys()]) scene.down(router);
    this.#giveUpAway();
    scene.settle();
    // A reflector without VRFs asks for everything.
    same(scene.world.leftovers, { routes: 1, paths: 1, payloads: 0, groups: 0, draining: 0 });
  }

  #giveUpAway(): void {
    const { facts, scene } = this;
    for (const each of facts.vrfs) each.configured = false;
    scene.world.reload(facts.text.replace('enabled: true, restartTime: 600', 'enabled: false'));
  }
}

describe('whatever has happened', () => {
  test('agents and neighbors hold what they would be sent by a controller to which only the outcome has happened', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 5, maxLength: 80, size: 'max' }), async (operations) => {
        const history = await History.start();
        for (const each of operations) await history.apply(each);
        await history.compare();
        history.end();
      }),
      runs(60),
    );
  });

  test('two routes of an agent that differ in their VRF alone are in the same order in a third one, whichever came first', async () => {
    const publish = { kind: 'publish', agent: 0, n: 0, mac: false, sequence: 0 } as const;
    for (const [first, second] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const history = await History.start();
      for (const vrf of [first, second]) await history.apply({ kind: 'subscribe', agent: 0, vrf, id: 1 + vrf });
      await history.apply({ kind: 'subscribe', agent: 1, vrf: 2, id: 1 });
      await history.apply({ ...publish, vrf: first, label: 16 + first });
      await history.apply({ kind: 'settle' });
      await history.apply({ ...publish, vrf: second, label: 16 + second });
      await history.compare();
      history.end();
    }
  });
});
