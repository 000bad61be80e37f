import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parsePush } from '../../src/agent/push-parser.js';
import type { PushedRoute } from '../../src/agent/pushed-route.js';
import { encapsulationCommunity } from '../../src/bgp/attribute/tunnel-communities.js';
import { originVnCommunity } from '../../src/bgp/attribute/virtual-network-communities.js';
import type { PathAttributes } from '../../src/bgp/attribute/path-attributes.js';
import { makeEvpnMacIpKey, makeEvpnPrefixKey } from '../../src/bgp/nlri/evpn-key.js';
import { makeEvpnPayload } from '../../src/bgp/nlri/evpn-payload.js';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { encodeMplsLabel } from '../../src/bgp/nlri/mpls-label.js';
import { familyById } from '../../src/bgp/nlri/registry.js';
import { AgentExporter } from '../../src/controller/agent-exporter.js';
import { NetworkMentions } from '../../src/controller/network-mentions.js';
import { PushScratch } from '../../src/controller/push-scratch.js';
import { ExportGroups, type Membership } from '../../src/controller/export-groups.js';
import { EncodedRuns } from '../../src/rib/encoded-runs.js';
import { OutputPace } from '../../src/rib/output-pace.js';
import type { ExportReceiver } from '../../src/rib/exporter.js';
import { NO_PATH, NO_SOURCE, type SourceId } from '../../src/rib/handles.js';
import { PathFlag } from '../../src/rib/path-flags.js';
import type { RouteTable } from '../../src/rib/route-table.js';
import { SourceKind, type Source } from '../../src/rib/source.js';
import { ManualClock } from '../../src/util/clock.js';
import { formatIp } from '../../src/wire/ip.js';
import { parseXml, XmlFault } from '../../src/xmpp/xml-parser.js';
import { selectPaths, type ModelSource, type SelectablePath } from '../rib/selection-model.js';
import { HandScheduler, newRib, runs, same } from '../rib/world.js';

const VRF = 'default-domain:demo:blue:blue';
const FIRST_NAMES: ReadonlyArray<readonly [number, string]> = [
  [1, 'default-domain:demo:blue'],
  [2, 'default-domain:demo:red & green'],
];
/** The network of the VRF itself. */
const OWN = 1;

/** A fake agent: parses every stanza and keeps what it holds. */
class FakeAgent implements ExportReceiver {
  readonly sourceId: SourceId = NO_SOURCE;
  readonly held = new Map<string, string>();
  readonly faults: string[] = [];
  readonly messages: Uint8Array[] = [];
  credit = Infinity;
  synchronizations = 0;
  largestMessage = 0;

  get writable(): boolean {
    return this.credit > 0;
  }

  synchronized(): void {
    this.synchronizations++;
  }

  send(chunks: readonly Uint8Array[]): void {
    this.credit--;
    for (const chunk of chunks) {
      this.messages.push(chunk);
      this.#receive(chunk);
    }
  }

  #receive(chunk: Uint8Array): void {
    const stanza = parseXml(Buffer.concat([Buffer.from('<message>'), chunk]));
    if (stanza instanceof XmlFault) {
      this.faults.push(stanza.reason);
      return;
    }
    const text = Buffer.from(chunk).toString();
    if (text.includes('<retract') && text.includes('<item ')) this.faults.push('items and retracts in one message');
    const push = parsePush(stanza);
    if (push.kind !== 'items' && push.kind !== 'retracts') {
      this.faults.push(`a message of ${push.kind}`);
      return;
    }
    if (push.vrf !== VRF) this.faults.push(`for ${push.vrf}`);
    if (push.kind === 'items') {
      this.#count(push.routes.length, 32);
      for (const route of push.routes) this.held.set(route.id, describeRoute(route));
    } else {
      this.#count(push.ids.length, 256);
      for (const id of push.ids) if (!this.held.delete(id)) this.faults.push(`${id} retracted, which is not held`);
    }
  }

  #count(members: number, limit: number): void {
    this.largestMessage = Math.max(this.largestMessage, members);
    if (members < 1 || members > limit) this.faults.push(`${members} in one message`);
  }
}

function describeRoute({ nextHops, virtualNetwork, med, localPreference }: PushedRoute): string {
  const hops = nextHops.map(
    ({ address, label, encapsulations, virtualNetwork: network }) =>
      `${address} ${label} ${encapsulations.join()} ${network}`,
  );
  return `${hops.join(' | ')} | ${virtualNetwork} ${med} ${localPreference}`;
}

const SOURCES: readonly ModelSource[] = [
  ...Array.from({ length: 6 }, (_each, i) => ({
    kind: 'agent' as const,
    external: false,
    routerId: 10 + i,
    address: Uint8Array.of(192, 0, 2, i),
  })),
  { kind: 'bgp', external: true, routerId: 1, address: Uint8Array.of(192, 0, 2, 200) },
  { kind: 'bgp', external: false, routerId: 2, address: Uint8Array.of(192, 0, 2, 201) },
];

type TestFamily = typeof FamilyId.ipv4Unicast | typeof FamilyId.l2vpnEvpn;

/** A route, and the id that agents know it by; without one it is not for them. */
interface Key {
  readonly octets: Uint8Array;
  readonly id: string | undefined;
}
const zeroRd = new Uint8Array(8);
const ROUTES = 700;
const KEYS: Readonly<Record<TestFamily, readonly Key[]>> = {
  [FamilyId.ipv4Unicast]: Array.from({ length: ROUTES }, (_each, i) => ({
    octets: Uint8Array.of(32, 10, 1, i >>> 8, i),
    id: `10.1.${i >>> 8}.${i & 255}/32`,
  })),
  [FamilyId.l2vpnEvpn]: Array.from({ length: ROUTES }, (_each, i) => {
    if (i % 5 === 4) {
      const octets = makeEvpnPrefixKey({
        rd: zeroRd,
        ethernetTag: 0,
        address: Uint8Array.of(10, i >>> 8, i, 0),
        lengthBits: 24,
      });
      return { octets, id: `00:00:00:00:00:00,10.${i >>> 8}.${i & 255}.0/24` };
    }
    const broadcast = i % 5 === 3;
    const mac = broadcast ? new Uint8Array(6).fill(255) : Uint8Array.of(2, 0, 0, 0, i >>> 8, i);
    const ip = Uint8Array.of(10, 2, i >>> 8, i);
    const text = [...mac].map((octet) => octet.toString(16).padStart(2, '0')).join(':');
    const octets = makeEvpnMacIpKey({ rd: zeroRd, ethernetTag: 0, mac, ip });
    return { octets, id: broadcast ? undefined : `${text},10.2.${i >>> 8}.${i & 255}/32` };
  }),
};

interface ModelPath extends SelectablePath {
  readonly label: number;
  readonly secondary: boolean;
}

type Operation =
  | {
      readonly kind: 'announce';
      readonly source: number;
      readonly from: number;
      readonly count: number;
      readonly set: number;
      readonly label: number;
      readonly secondary: boolean;
      readonly unusable: boolean;
    }
  | { readonly kind: 'withdraw'; readonly source: number; readonly from: number; readonly count: number }
  | { readonly kind: 'join' | 'leave' | 'refresh' | 'fill' | 'drain'; readonly agent: number; readonly credit: number }
  | { readonly kind: 'rename'; readonly network: number; readonly name: string }
  | { readonly kind: 'turn'; readonly looks: number }
  | { readonly kind: 'under way'; readonly octets: number }
  | { readonly kind: 'compare' };

const AGENTS = 4;
const SETS = 6;
const source = fc.nat(SOURCES.length - 1);
const span = {
  from: fc.oneof(fc.nat(4), fc.nat(ROUTES)),
  count: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.nat(ROUTES)),
};
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('announce' as const),
      source,
      ...span,
      set: fc.nat(SETS - 1),
      label: fc.constantFrom(0, 16, 16, 17),
      secondary: fc.boolean(),
      unusable: fc.constantFrom(false, false, false, true),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('withdraw' as const), source, ...span }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'join' as const,
        'join' as const,
        'leave' as const,
        'refresh' as const,
        'fill' as const,
        'drain' as const,
      ),
      agent: fc.nat(AGENTS - 1),
      credit: fc.nat(2),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('rename' as const),
      network: fc.integer({ min: 1, max: 4 }),
      name: fc.constantFrom('', 'default-domain:demo:lime', 'default-domain:demo:navy'),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('turn' as const), looks: fc.constantFrom(0, 1, 2, 1000) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('under way' as const), octets: fc.constantFrom(0, 1_000_000_000) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('compare' as const) }) },
);

const attributes: fc.Arbitrary<PathAttributes> = fc
  .record({
    nextHop: fc.constantFrom(Uint8Array.of(192, 0, 2, 11), Uint8Array.of(192, 0, 2, 12), new Uint8Array(16).fill(0x20)),
    med: fc.constantFrom(100, 200),
    localPreference: fc.constantFrom(100, 100, 200),
    originVn: fc.constantFrom(undefined, 1, 2, 3),
    encapsulations: fc.subarray([2, 13]),
  })
  .map(({ originVn, encapsulations, ...rest }) => {
    const communities = [
      ...(originVn === undefined ? [] : [originVnCommunity(64512, originVn)]),
      ...encapsulations.map(encapsulationCommunity),
    ];
    return {
      ...rest,
      origin: 0 as const,
      asPath: [],
      ...(communities.length > 0 && { extendedCommunities: Uint8Array.from(communities.flatMap((each) => [...each])) }),
    };
  });

class World {
  readonly rib = newRib();
  readonly hand = new HandScheduler();
  readonly groups = new ExportGroups(this.rib, this.hand.scheduler);
  readonly family: TestFamily;
  readonly table: RouteTable;
  readonly sources: readonly Source[];
  readonly sets: readonly PathAttributes[];
  readonly agents = new Map<number, { readonly agent: FakeAgent; readonly membership: Membership }>();
  readonly paths = new Map<Key, Map<number, ModelPath>>();
  readonly names = new Map(FIRST_NAMES);
  readonly mentions = new NetworkMentions();
  /** Hardly moves: what is kept goes only because it changes or has no room. */
  readonly clock = new ManualClock();
  underWay = 0;
  readonly runs: EncodedRuns;
  readonly scratch: PushScratch;

  constructor(family: TestFamily, sets: readonly PathAttributes[], limits?: { readonly limitOctets: number }) {
    const { scheduler } = this.hand;
    this.runs = new EncodedRuns(this.clock, { leastRoutes: 8, ...limits });
    this.scratch = new PushScratch(undefined, this.runs, new OutputPace(this.clock, () => this.underWay));
    this.family = family;
    this.sets = sets;
    this.table = this.rib.createTable({ name: `${VRF}.inet.0`, family: familyById(family), vrf: VRF, scheduler });
    this.sources = SOURCES.map(({ kind, ...rest }, i) =>
      this.rib.createSource({
        ...rest,
        kind: kind === 'agent' ? SourceKind.agent : SourceKind.bgp,
        text: `source ${i}`,
      }),
    );
  }

  apply(op: Operation): void {
    switch (op.kind) {
      case 'announce':
        for (const key of KEYS[this.family].slice(op.from, op.from + op.count)) this.announce(key, op);
        return;
      case 'withdraw':
        for (const key of KEYS[this.family].slice(op.from, op.from + op.count)) {
          this.rib.withdraw(this.table, this.sources[op.source]!, key.octets, 0, key.octets.length);
          this.paths.get(key)?.delete(op.source);
        }
        return;
      case 'turn':
        this.hand.turn(op.looks);
        return;
      case 'under way':
        this.underWay = op.octets;
        this.clock.advance(1);
        return;
      case 'compare':
        this.compare();
        return;
      case 'rename':
        this.#rename(op.network, op.name);
        return;
      case 'join':
        this.join(op.agent);
        return;
      default:
        this.#change(op.kind, op.agent, op.credit);
    }
  }

  /** As the controller does it: whoever mentions the network is told, and its group looks again. */
  #rename(network: number, name: string): void {
    if (name === '') this.names.delete(network);
    else this.names.set(network, name);
    const outdated = new Set<AgentExporter>(this.mentions.of(network));
    for (const exporter of outdated) exporter.networkRenamed(network);
    for (const exporter of this.groups.exporters()) {
      if (network !== OWN || !(exporter instanceof AgentExporter)) continue;
      exporter.ownNetworkRenamed();
      outdated.add(exporter);
    }
    this.groups.reevaluate(outdated);
  }

  announce(
    key: Key,
    op: {
      readonly source: number;
      readonly set: number;
      readonly label: number;
      readonly secondary: boolean;
      readonly unusable: boolean;
    },
  ): void {
    const { rib } = this;
    const wanted = this.sets[op.set]!;
    const payload = new Uint8Array(3);
    if (this.family === FamilyId.l2vpnEvpn) payload.set(makeEvpnPayload({ routeType: 2, label1: op.label << 4 }));
    else encodeMplsLabel(payload, 0, op.label, true);
    const set = rib.attributes.intern(wanted);
    const handle = rib.payloads.intern(payload, payload.length);
    const flags = (op.secondary ? PathFlag.secondary : 0) | (op.unusable ? PathFlag.noTunnelEncapsulation : 0);
    rib.announce(this.table, this.sources[op.source]!, key.octets, 0, key.octets.length, set, handle, flags, NO_PATH);
    rib.payloads.release(handle);
    rib.attributes.release(set);
    let paths = this.paths.get(key);
    if (paths === undefined) this.paths.set(key, (paths = new Map<number, ModelPath>()));
    paths.set(op.source, {
      attributes: wanted,
      source: SOURCES[op.source]!,
      usable: !op.unusable,
      label: op.label,
      secondary: op.secondary,
    });
  }

  join(index: number): void {
    if (this.agents.has(index)) return;
    const agent = new FakeAgent();
    const exporter = (): AgentExporter =>
      new AgentExporter(this.rib, {
        family: this.family,
        vrf: VRF,
        virtualNetwork: () => this.names.get(OWN),
        fabric: false,
        context: { serverAs: 64512, virtualNetworkName: (id) => this.names.get(id) },
        scratch: this.scratch,
        mentions: this.mentions,
      });
    this.agents.set(index, { agent, membership: this.groups.join(this.table, 'agents', exporter, agent) });
  }

  #change(kind: 'leave' | 'refresh' | 'fill' | 'drain', index: number, credit: number): void {
    const known = this.agents.get(index);
    if (known === undefined) return;
    const { agent, membership } = known;
    if (kind === 'refresh') membership.refresh();
    else if (kind === 'fill') agent.credit = credit;
    else if (kind === 'drain') {
      agent.credit = Infinity;
      membership.writable();
    } else {
      same(agent.faults, []);
      membership.leave();
      this.agents.delete(index);
    }
  }

  compare(): void {
    this.underWay = 0;
    for (const index of this.agents.keys()) this.#change('drain', index, 0);
    this.hand.settle(2);
    // Who waits for less to be under way goes on now.
    this.clock.advance(3);
    this.hand.settle(2);
    const expected = new Map<string, string>();
    for (const [key, paths] of this.paths) {
      const text = this.#expected([...paths.values()]);
      if (key.id !== undefined && text !== undefined) expected.set(key.id, text);
    }
    const sorted = (map: ReadonlyMap<string, string>): [string, string][] =>
      [...map].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const { agent, membership } of this.agents.values()) {
      same(agent.faults, []);
      same(sorted(agent.held), sorted(expected));
      same(agent.synchronizations > 0, true);
      same(membership.countAdvertised(), expected.size);
    }
  }

  /** The equal-cost next hops that an agent can use, each once; the rest of the route is the first one's. */
  #expected(paths: readonly ModelPath[]): string | undefined {
    const evpn = this.family === FamilyId.l2vpnEvpn;
    const shown = selectPaths(paths).equalCost.filter(
      ({ attributes: { nextHop }, label }) => nextHop?.length === 4 && (evpn || label !== 0),
    );
    const [first] = shown;
    if (first === undefined) return undefined;
    const hops = shown.map((path) => {
      const { encapsulations } = communitiesOf(path.attributes);
      const address = formatIp(path.attributes.nextHop!);
      return `${address} ${path.label} ${encapsulations} ${evpn ? '' : this.#networkOf(path)}`;
    });
    return `${[...new Set(hops)].join(' | ')} | ${this.#networkOf(first)} ${first.attributes.med} ${first.attributes.localPreference}`;
  }

  #networkOf({ attributes: set, secondary }: ModelPath): string {
    const { originVn } = communitiesOf(set);
    const name = originVn > 0 ? this.names.get(originVn) : secondary ? undefined : this.names.get(OWN);
    return name ?? 'unresolved';
  }

  end(): void {
    for (const index of [...this.agents.keys()]) this.#change('leave', index, 0);
    for (const each of this.sources) while (!this.rib.removePathsOf(each, 100));
    this.hand.settle(1);
    const { rib } = this;
    same(
      [
        this.groups.size,
        rib.routeCount,
        rib.attributes.size,
        rib.payloads.size,
        this.table.consumerCount,
        this.mentions.size,
        this.runs.octets,
      ],
      [0, 0, 0, 0, 0, 0, 0],
      'left at the end',
    );
  }
}

/** Encapsulation names and OriginVn index of these attributes, read octet by octet. */
function communitiesOf({ extendedCommunities }: PathAttributes): {
  readonly encapsulations: string;
  readonly originVn: number;
} {
  const octets = Buffer.from(extendedCommunities ?? []);
  const names = new Set<string>();
  let originVn = 0;
  for (let at = 0; at < octets.length; at += 8) {
    if (octets.readUInt16BE(at) === 0x030c) names.add(octets[at + 7] === 13 ? 'udp' : 'gre');
    if (octets.readUInt16BE(at) === 0x8071) originVn = octets.readUInt32BE(at + 4) & 0xffffff;
  }
  return { encapsulations: names.size === 0 ? 'gre' : [...names].sort().join(), originVn };
}

describe('AgentExporter (agent-channel.md §6)', () => {
  test.each([
    ['IPv4', FamilyId.ipv4Unicast],
    ['EVPN', FamilyId.l2vpnEvpn],
  ] as const)(
    'every agent holds the equal-cost lists of the model, in whole messages of items or of retracts: %s',
    (_name, family) => {
      fc.assert(
        fc.property(
          fc.array(attributes, { minLength: SETS, maxLength: SETS }),
          fc.array(operation, { minLength: 5, maxLength: 60, size: 'max' }),
          fc.constantFrom(0, 50_000, 10_000_000),
          (sets, operations, limitOctets) => {
            const world = new World(family, sets, { limitOctets });
            for (const each of operations) world.apply(each);
            world.compare();
            world.end();
          },
        ),
        runs(60),
      );
    },
  );

  test('messages are filled: 32 items, 256 retracts', () => {
    const world = new World(FamilyId.ipv4Unicast, [
      { nextHop: Uint8Array.of(192, 0, 2, 11), origin: 0, asPath: [], med: 1, localPreference: 100 },
    ]);
    world.join(0);
    world.apply({
      kind: 'announce',
      source: 0,
      from: 0,
      count: ROUTES,
      set: 0,
      label: 16,
      secondary: false,
      unusable: false,
    });
    world.compare();
    const { agent } = world.agents.get(0)!;
    expect(agent.largestMessage).toBe(32);
    world.apply({ kind: 'withdraw', source: 0, from: 0, count: ROUTES });
    world.compare();
    expect(agent.largestMessage).toBe(256);
    world.end();
  });

  test.each([1, 64])(
    '%d prefixes that go to another Ethernet tag, which agents are not shown, stay with them',
    (count) => {
      const world = new World(FamilyId.l2vpnEvpn, [
        { nextHop: Uint8Array.of(192, 0, 2, 11), origin: 0, asPath: [], med: 1, localPreference: 100 },
      ]);
      const keys = (ethernetTag: number): Key[] =>
        Array.from({ length: count }, (_each, i) => ({
          octets: makeEvpnPrefixKey({ rd: zeroRd, ethernetTag, address: Uint8Array.of(10, 0, i, 0), lengthBits: 24 }),
          id: `00:00:00:00:00:00,10.0.${i}.0/24`,
        }));
      const [before, after] = [keys(0), keys(7)];
      const path = { source: 0, set: 0, label: 16, secondary: false, unusable: false };
      world.join(0);
      for (const key of before) world.announce(key, path);
      world.compare();
      for (const key of before) {
        world.rib.withdraw(world.table, world.sources[0]!, key.octets, 0, key.octets.length);
        world.paths.delete(key);
      }
      for (const key of after) world.announce(key, path);
      world.compare();
      expect(world.agents.get(0)!.agent.held.size).toBe(count);
      world.end();
    },
  );

  test('an agent that comes a moment later is sent the octets that others were sent; who comes later yet is sent others', () => {
    const world = new World(FamilyId.ipv4Unicast, [
      { nextHop: Uint8Array.of(192, 0, 2, 11), origin: 0, asPath: [], med: 1, localPreference: 100 },
    ]);
    const all = { source: 0, set: 0, secondary: false, unusable: false };
    world.apply({ kind: 'announce', from: 0, count: ROUTES, label: 16, ...all });
    /** Messages to a new agent, and how many of them no other agent was sent. */
    const joined = (agent: number): readonly [number, number] => {
      const sent = new Set([...world.agents.values()].flatMap((each) => each.agent.messages));
      world.join(agent);
      world.compare();
      const { messages } = world.agents.get(agent)!.agent;
      return [messages.length, messages.filter((message) => !sent.has(message)).length];
    };
    world.join(0);
    world.compare();
    const full = Math.ceil(ROUTES / 32);
    // What those in step were sent a moment ago serves those who come.
    expect(joined(1)).toEqual([full, 0]);
    expect(joined(2)).toEqual([full, 0]);

    world.apply({ kind: 'announce', from: 0, count: 1, label: 17, ...all });
    world.compare();
    expect(joined(3)).toEqual([full, 1]);

    world.clock.advance(10_000);
    expect(world.runs.octets).toBe(0);
    expect(joined(4)).toEqual([full, full]);
    expect(joined(5)).toEqual([full, 0]);
    world.end();
  });

  test('while much is under way a change goes out, and what an agent that joins is owed waits', () => {
    const world = new World(FamilyId.ipv4Unicast, [
      { nextHop: Uint8Array.of(192, 0, 2, 11), origin: 0, asPath: [], med: 1, localPreference: 100 },
    ]);
    const all = { source: 0, set: 0, secondary: false, unusable: false };
    world.join(0);
    world.apply({ kind: 'announce', from: 0, count: ROUTES, label: 16, ...all });
    world.compare();
    world.apply({ kind: 'under way', octets: 1_000_000_000 });
    world.join(1);
    world.apply({ kind: 'announce', from: 0, count: 1, label: 17, ...all });
    world.hand.settle();
    const [inStep, joining] = [world.agents.get(0)!.agent, world.agents.get(1)!.agent];
    expect(inStep.held.get('10.1.0.0/32')).toContain(' 17 ');
    expect(joining.held.size).toBe(0);
    world.underWay = 0;
    world.clock.advance(3);
    world.hand.settle();
    expect(joining.held).toEqual(inStep.held);
    world.end();
  });

  test('what an agent that leaves was owed while too much was under way is let go of once, whoever has its place in the table by then', () => {
    const world = new World(FamilyId.ipv4Unicast, [
      { nextHop: Uint8Array.of(192, 0, 2, 11), origin: 0, asPath: [], med: 1, localPreference: 100 },
    ]);
    const one = { source: 0, from: 0, count: 1 } as const;
    const announce = { kind: 'announce', set: 0, label: 16, secondary: false, unusable: false, ...one } as const;
    world.join(0);
    world.apply(announce);
    world.compare();
    world.apply({ kind: 'fill', agent: 0, credit: 0 });
    world.apply({ kind: 'withdraw', ...one });
    world.hand.settle();
    world.apply({ kind: 'under way', octets: 1_000_000_000 });
    world.apply({ kind: 'drain', agent: 0, credit: 0 });
    world.hand.settle();
    world.apply({ kind: 'leave', agent: 0, credit: 0 });
    world.hand.settle();
    world.apply({ ...announce, from: 1 });
    world.join(1);
    world.compare();
    world.apply({ ...one, kind: 'withdraw', from: 1 });
    world.compare();
    world.end();
  });

  test('what was looked at when a batch ended, and has not been sent when the last agent leaves, leaves nothing behind', () => {
    const world = new World(FamilyId.ipv4Unicast, [
      { nextHop: Uint8Array.of(192, 0, 2, 11), origin: 0, asPath: [], med: 1, localPreference: 100 },
    ]);
    const all = { kind: 'announce', source: 0, set: 0, secondary: false, unusable: false } as const;
    world.join(0);
    world.apply({ ...all, from: 0, count: 512, label: 16 });
    world.apply({ ...all, from: 512, count: 10, label: 17 });
    const advertised = (): number => world.groups.groups()[0]!.advertisedCount;
    while (advertised() === 0) world.hand.turn(0);
    expect(advertised()).toBe(512);
    world.apply({ kind: 'leave', agent: 0, credit: 0 });
    world.end();
  });

  test('a large delivery that has begun waits too while much is under way, and goes on behind the last who had it', () => {
    const world = new World(FamilyId.ipv4Unicast, [
      { nextHop: Uint8Array.of(192, 0, 2, 11), origin: 0, asPath: [], med: 1, localPreference: 100 },
    ]);
    for (let n = 0; n < 100; n++) world.join(n);
    world.compare();
    const all = { source: 0, set: 0, secondary: false, unusable: false };
    world.apply({ kind: 'announce', from: 0, count: ROUTES, label: 16, ...all });
    const served = (): number => [...world.agents.values()].filter(({ agent }) => agent.held.size > 0).length;
    while (served() === 0) world.hand.turn(1);
    const before = served();
    world.apply({ kind: 'under way', octets: 1_000_000_000 });
    world.hand.settle();
    expect(before).toBeLessThan(100);
    expect(served()).toBe(before);
    world.underWay = 0;
    world.clock.advance(3);
    world.hand.settle();
    expect(served()).toBe(100);
    world.compare();
    world.end();
  });

  test('a list has at most 128 next hops (agent-channel.md §6)', () => {
    const world = new World(FamilyId.ipv4Unicast, []);
    const { rib } = world;
    world.join(0);
    const [key] = KEYS[FamilyId.ipv4Unicast];
    for (let i = 0; i < 200; i++) {
      const address = Uint8Array.of(10, 0, 0, i);
      const each = rib.createSource({ kind: SourceKind.agent, text: `agent ${i}`, routerId: i, address });
      const set = rib.attributes.intern({ nextHop: address, origin: 0, asPath: [] });
      rib.announce(
        world.table,
        each,
        key!.octets,
        0,
        key!.octets.length,
        set,
        rib.payloads.intern(Uint8Array.of(0, 1, 1), 3),
        0,
        NO_PATH,
      );
      rib.attributes.release(set);
    }
    world.hand.settle();
    const { agent } = world.agents.get(0)!;
    expect(agent.faults).toEqual([]);
    expect([...agent.held.values()][0]!.split(' | ').length - 1).toBe(128);
  });
});
