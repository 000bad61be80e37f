/**
 * A rehearsal of a controller's first minute: made-up tables go the way of a route (receive, select, replicate, export,
 * to a late joiner too, and back out) in a RIB of their own, so that V8 has compiled and optimised that way when the first
 * neighbor comes. Without it most of the CPU time of the first 200,000 routes is V8's, not ours (docs/performance.md).
 *
 * Nothing of it is left behind but compiled code: no socket, no file, no log line.
 */
import type { PathAttributes } from '../bgp/attribute/path-attributes.js';
import { HEADER_OCTETS } from '../bgp/message/header.js';
import { writeAttributes } from '../bgp/message/update-encode.js';
import { FamilyId, type Family } from '../bgp/nlri/family.js';
import { familyById } from '../bgp/nlri/registry.js';
import type { ResolvedConfig } from '../config/resolved.js';
import { NeighborKind, type BgpExportOptions, type BgpReceiver } from '../rib/bgp-exporter.js';
import { Rib } from '../rib/rib.js';
import { SourceKind, type Source } from '../rib/source.js';
import { UpdateReceiver } from '../rib/update-receiver.js';
import { assert, defined } from '../util/assert.js';
import { Scheduler } from '../util/scheduler.js';
import { Replicator } from '../vpn/replicator.js';
import { Writer } from '../wire/writer.js';
import { ExportGroups } from './export-groups.js';
import { GlobalTables } from './global-tables.js';

const LOCAL_AS = 64512;
const ROUTER_ID = 0x7f000001;
const MAX_MESSAGE_OCTETS = 4096;
/** Routes of a table; enough for V8 to optimise what is called per route. */
const ROUTES = 10_000;
const ROUTES_PER_UPDATE = 40;
/** UPDATEs that come in with one read of a socket. */
const UPDATES_PER_READ = 15;
/** Routes that change alone. */
const LONE_CHANGES = 300;

/** One route of each family that is loaded in bulk; its last two octets count. */
const FAMILIES: readonly { readonly id: FamilyId; readonly route: string; readonly payload: Uint8Array }[] = [
  { id: FamilyId.l3vpnIpv4Unicast, route: '64512:1:10.0.0.0/32', payload: Uint8Array.of(0, 1, 1) },
  { id: FamilyId.l2vpnEvpn, route: '2:64512:1:0:02:00:00:00:00:01:10.0.0.0', payload: Uint8Array.of(0, 0, 100) },
  { id: FamilyId.ipv4Unicast, route: '10.0.0.0/32', payload: new Uint8Array(0) },
];

/**
 * Rehearses the families that this configuration's neighbors speak: a few tenths of a second of CPU time, without
 * yielding. A family that nobody speaks would teach V8 branches that are then not taken.
 *
 * @returns octets that the receivers were sent, by family
 */
export function rehearse({ bgp }: ResolvedConfig): ReadonlyMap<string, number> {
  const sent = new Map<string, number>();
  const sessions = [...bgp.neighbors, ...bgp.dynamicNeighbors.map(({ session }) => session)];
  const spoken = new Set<string>(sessions.flatMap(({ families }) => families));
  if (spoken.size === 0) return sent;
  const stage = new Stage();
  for (const { id, route, payload } of FAMILIES) {
    const family = familyById(id);
    if (spoken.has(family.name)) sent.set(family.name, stage.play(family, route, payload));
  }
  return sent;
}

class Stage {
  readonly #scheduler = new Scheduler(
    () => performance.now(),
    () => undefined,
    (error) => {
      throw error;
    },
  );
  readonly #rib = new Rib(() => 0);
  readonly #tables = new GlobalTables(this.#rib, this.#scheduler);
  readonly #groups = new ExportGroups(this.#rib, this.#scheduler);
  #sentOctets = 0;

  constructor() {
    // Follows the VPN tables from here on.
    new Replicator({
      rib: this.#rib,
      scheduler: this.#scheduler,
      vpnTables: this.#tables.vpn,
      sourceRouteDistinguisher: () => undefined,
      autonomousSystem: () => LOCAL_AS,
    });
  }

  /**
   * One family: two senders, receivers of two kinds, a late one, changes of single routes, and the end of it all.
   * @returns octets sent
   */
  play(family: Family, route: string, payload: Uint8Array): number {
    this.#sentOctets = 0;
    const first = this.#sender(family, 1);
    const senders = [first, this.#sender(family, 2)];
    const early = [
      this.#join(family, 3, NeighborKind.client),
      this.#join(family, 4, NeighborKind.client),
      this.#join(family, 5, NeighborKind.external),
    ];
    const updates = updatesOf(family, route, payload);
    for (const { receiver } of senders) {
      for (const [index, update] of updates.entries()) {
        receiver.receive(update, 0, update.length);
        if (index % UPDATES_PER_READ === 0) this.#scheduler.drain();
      }
      this.#scheduler.drain();
    }
    const late = this.#join(family, 6, NeighborKind.client);
    this.#scheduler.drain();
    const lone = updatesOf(family, route, payload, LONE_CHANGES, 1, 1);
    for (const update of lone) {
      first.receiver.receive(update, 0, update.length);
      this.#scheduler.drain();
    }
    for (const { source } of senders) {
      while (!this.#rib.removePathsOf(source, 1000)) this.#scheduler.drain();
      this.#scheduler.drain();
    }
    for (const membership of [...early, late]) membership.leave();
    assert(this.#rib.routeCount === 0, 'a rehearsal leaves no route');
    return this.#sentOctets;
  }

  #source(index: number, external: boolean): Source {
    return this.#rib.createSource({
      kind: SourceKind.bgp,
      text: '',
      routerId: ROUTER_ID + index,
      address: Uint8Array.of(127, 0, 0, index),
      external,
      client: !external,
    });
  }

  #sender(family: Family, index: number): { readonly source: Source; readonly receiver: UpdateReceiver } {
    const source = this.#source(index, false);
    const table = this.#tables.of(family.id);
    const receiver = new UpdateReceiver({
      rib: this.#rib,
      source,
      scheduler: this.#scheduler,
      context: { external: false, fourOctetAs: true },
      ownAses: [LOCAL_AS],
      allowOwnAs: 0,
      routerId: ROUTER_ID,
      clusterId: ROUTER_ID,
      tableOf: (id) => (id === family.id ? table : undefined),
      endOfRib: () => undefined,
    });
    return { source, receiver };
  }

  #join(family: Family, index: number, kind: NeighborKind): ReturnType<ExportGroups['joinBgp']> {
    const options: BgpExportOptions = {
      family,
      kind,
      localAs: LOCAL_AS,
      routerId: ROUTER_ID,
      clusterId: ROUTER_ID,
      fourOctetAs: true,
      maxMessageLength: MAX_MESSAGE_OCTETS,
      routeServerClient: false,
      asOverride: 0,
      removePrivateAs: 'none',
      vrf: false,
      extendedNextHop: false,
    };
    const external = kind === NeighborKind.external;
    const receiver: BgpReceiver = {
      sourceId: this.#source(index, external).id,
      peerAs: external ? LOCAL_AS + index : LOCAL_AS,
      interest: undefined,
      get writable() {
        return true;
      },
      send: (chunks) => {
        for (const chunk of chunks) this.#sentOctets += chunk.length;
      },
      synchronized: () => undefined,
    };
    return this.#groups.joinBgp(this.#tables.of(family.id), options, receiver);
  }
}

/** Bodies of UPDATEs, in memory as sockets give it. */
function updatesOf(
  family: Family,
  route: string,
  payload: Uint8Array,
  routes = ROUTES,
  routesPerUpdate = ROUTES_PER_UPDATE,
  med = 0,
): Buffer[] {
  const key = defined(family.parse(route), route);
  const updates: Buffer[] = [];
  for (let from = 0; from < routes; from += routesPerUpdate) {
    const w = new Writer(MAX_MESSAGE_OCTETS);
    const nlri = (out: Writer): void => {
      for (let i = from; i < from + routesPerUpdate; i++) {
        key[key.length - 2] = i >>> 8;
        key[key.length - 1] = i;
        family.encode(out, key, 0, key.length, payload, 0, payload.length, false);
      }
    };
    w.u16(0); // withdrawn routes length
    const lengthAt = w.reserve16();
    const attributes = attributesOf(from, med);
    const classic = family.id === FamilyId.ipv4Unicast;
    writeAttributes(w, attributes, { fourOctetAs: true }, classic ? undefined : { family, nlri });
    w.patch16(lengthAt, w.position - lengthAt - 2);
    if (classic) nlri(w);
    updates.push(Buffer.concat([Buffer.alloc(HEADER_OCTETS), w.copy()]).subarray(HEADER_OCTETS));
  }
  return updates;
}

/** Another set for each UPDATE. */
function attributesOf(index: number, med: number): PathAttributes {
  return {
    nextHop: Uint8Array.of(198, 18, 0, 1),
    origin: 0,
    asPath: [{ type: 2, asns: [65000, 65001 + index] }],
    med,
    localPreference: 100,
    communities: Uint8Array.of(0xfd, 0xe7, index >>> 8, index),
    // target:64512:<index>
    extendedCommunities: Uint8Array.of(0, 2, 0xfc, 0, 0, 0, index >>> 8, index),
  };
}
