/** A RIB with a session of each kind, beside maps that say what each session's routes must be. */
import { encodeCanonical } from '../../src/bgp/attribute/canonical.js';
import type { CodecContext } from '../../src/bgp/attribute/codec.js';
import { AttributeTooLongError } from '../../src/bgp/attribute/encode-attributes.js';
import type { DecodedUpdate } from '../../src/bgp/message/update-decode.js';
import { strongerAction } from '../../src/bgp/attribute/fault.js';
import { scanUpdate, UpdateScan } from '../../src/bgp/message/update.js';
import { FamilyId, type FamilyName } from '../../src/bgp/nlri/family.js';
import { familyById } from '../../src/bgp/nlri/registry.js';
import { Rib } from '../../src/rib/rib.js';
import type { RouteTable } from '../../src/rib/route-table.js';
import { SourceKind, type Source } from '../../src/rib/source.js';
import { SourceSweep } from '../../src/rib/source-sweep.js';
import { UpdateReceiver } from '../../src/rib/update-receiver.js';
import { HandScheduler, hex, keyOf, pathsOf } from '../rib/world.js';

export const SESSIONS: readonly CodecContext[] = [
  {
    fourOctetAs: true,
    external: false,
    addPath: [FamilyId.ipv4Unicast, FamilyId.l3vpnIpv4Unicast, FamilyId.l2vpnEvpn],
  },
  { fourOctetAs: true, external: false },
  { fourOctetAs: true, external: true },
  { fourOctetAs: false, external: false },
  { fourOctetAs: false, external: true },
];

/** What the last of the sessions has not negotiated. */
const NOT_NEGOTIATED: ReadonlySet<FamilyId> = new Set([FamilyId.l2vpnEvpn, FamilyId.ipv6Unicast]);

export class ReceiverModel {
  readonly #rib = new Rib(() => 0);
  readonly #hand = new HandScheduler();
  readonly #tables = new Map<FamilyId, RouteTable>();
  readonly #scan = new UpdateScan();
  readonly #sources: Source[] = [];
  readonly #receivers: UpdateReceiver[] = [];
  readonly #held: Array<Map<string, string>> = [];

  constructor() {
    for (const id of Object.values(FamilyId)) {
      const family = familyById(id);
      const table = this.#rib.createTable({ name: family.name, family, scheduler: this.#hand.scheduler });
      this.#tables.set(id, table);
    }
    for (const session of SESSIONS.keys()) {
      const source = this.#rib.createSource({
        kind: SourceKind.bgp,
        text: `neighbor ${session}`,
        routerId: session + 1,
        address: Uint8Array.of(192, 0, 2, session + 1),
      });
      this.#sources.push(source);
      this.#held.push(new Map());
      this.#receivers.push(
        new UpdateReceiver({
          rib: this.#rib,
          source,
          sweep: new SourceSweep(this.#rib, source, this.#hand.scheduler),
          context: SESSIONS[session]!,
          ownAses: [64512],
          allowOwnAs: 0,
          routerId: 0x0a00_0001,
          clusterId: 0x0a00_0002,
          tableOf: (family) => (this.#speaks(session, family) ? this.#tables.get(family) : undefined),
          endOfRib: () => undefined,
        }),
      );
    }
  }

  #speaks(session: number, family: FamilyId): boolean {
    return session < SESSIONS.length - 1 || !NOT_NEGOTIATED.has(family);
  }

  /** Hands an UPDATE to the receiver of a session and compares with what the plain decoder made of it. */
  receive(session: number, bytes: Uint8Array, start: number, end: number, update: DecodedUpdate): void {
    const fault = this.#receivers[session]!.receive(bytes, start, end);
    const { unsendable, action } = this.#verdict(session, bytes, start, end, update);
    if ((fault?.action ?? 'none') !== action) {
      throw new Error(`the receiver says ${fault?.action ?? 'none'}, the decoder ${action}: ${fault?.reason ?? ''}`);
    }
    const held = this.#held[session]!;
    if (action === 'session-reset') {
      while (!this.#rib.removePathsOf(this.#sources[session]!, 100));
      held.clear();
    } else if (this.#saysIpv4Twice(bytes, start, end)) {
      // Which of the two places for IPv4 routes is read first is nobody's business.
      held.clear();
      for (const [id, path] of this.#heldBy(session)) held.set(id, path);
    } else {
      this.#apply(session, update, unsendable);
    }
    const { pathCount } = this.#sources[session]!;
    if (pathCount !== held.size) throw new Error(`${pathCount} paths in the table instead of ${held.size}`);
  }

  /** An attribute that is too long to be sent on makes a withdrawal of what the decoder accepts. */
  #verdict(
    session: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    update: DecodedUpdate,
  ): { readonly unsendable: boolean; readonly action: DecodedUpdate['action'] } {
    const unsendable = update.announced.some(({ attributes }) => {
      try {
        encodeCanonical(attributes);
        return false;
      } catch (error) {
        if (error instanceof AttributeTooLongError) return true;
        throw error;
      }
    });
    let { action } = update;
    // The plain decoder knows of no session, so not what this one has left out.
    if (this.#mentionsOther(session, bytes, start, end, update)) action = strongerAction(action, 'ignore');
    return { unsendable, action: unsendable ? strongerAction(action, 'treat-as-withdraw') : action };
  }

  /** Whether there are routes of a family that the session does not speak. */
  #mentionsOther(session: number, bytes: Uint8Array, start: number, end: number, update: DecodedUpdate): boolean {
    if (update.endOfRib !== undefined) return false;
    scanUpdate(bytes, start, end, this.#scan);
    const { reachFamily, unreachFamily } = this.#scan;
    return [reachFamily, unreachFamily].some((family) => family !== undefined && !this.#speaks(session, family.id));
  }

  #saysIpv4Twice(bytes: Uint8Array, start: number, end: number): boolean {
    scanUpdate(bytes, start, end, this.#scan);
    const { reachFamily, nlriStart, nlriEnd } = this.#scan;
    return reachFamily?.id === FamilyId.ipv4Unicast && nlriEnd > nlriStart;
  }

  #apply(session: number, { withdrawn, announced }: DecodedUpdate, unsendable: boolean): void {
    const held = this.#held[session]!;
    const speaks = (name: FamilyName): boolean => {
      const id = [...this.#tables.keys()].find((each) => familyById(each).name === name);
      return id !== undefined && this.#speaks(session, id);
    };
    for (const { family, routes } of withdrawn) {
      for (const { key, pathId = 0 } of routes) held.delete(`${family} ${hex(key)} ${pathId}`);
    }
    for (const { family, routes, attributes } of announced) {
      if (!speaks(family)) continue;
      const set = unsendable ? undefined : hex(encodeCanonical(attributes));
      for (const { key, payload, pathId = 0 } of routes) {
        const id = `${family} ${hex(key)} ${pathId}`;
        if (set === undefined) held.delete(id);
        else held.set(id, `${set} ${hex(payload)}`);
      }
    }
  }

  /** Paths of a session as the RIB has them. */
  #heldBy(session: number): Map<string, string> {
    const rib = this.#rib;
    const held = new Map<string, string>();
    for (const [id, table] of this.#tables) {
      for (let slot = 0; slot < table.slotCount; slot++) {
        const route = table.routeAt(slot);
        if (route === 0) continue;
        for (const path of pathsOf(rib, route)) {
          if (rib.sourceIdOf(path) !== this.#sources[session]!.id) continue;
          const set = rib.attributes.attributesOf(rib.setOf(path));
          const payload = hex(rib.payloads.bytesOf(rib.payloadOf(path)));
          const name = `${familyById(id).name} ${hex(keyOf(rib, route))} ${rib.discriminatorOf(path)}`;
          held.set(name, `${hex(encodeCanonical(set))} ${payload}`);
        }
      }
    }
    return held;
  }

  /** Compares all routes, takes the sources away, and looks for what they left behind. */
  end(): void {
    this.#hand.settle();
    for (const session of SESSIONS.keys()) {
      const actual = this.#heldBy(session);
      for (const [id, path] of this.#held[session]!) {
        if (actual.get(id) !== path) throw new Error(`session ${session}, ${id}: ${actual.get(id)} instead of ${path}`);
      }
      while (!this.#rib.removePathsOf(this.#sources[session]!, 100));
    }
    this.#hand.settle();
    const { routeCount, pathCount, attributes, payloads, targets } = this.#rib;
    const left = [routeCount, pathCount, attributes.size, attributes.totalReferences(), payloads.size, targets.size];
    if (left.some((number) => number !== 0)) {
      throw new Error(`left behind: routes, paths, sets, references, payloads, target lists: ${left.join(', ')}`);
    }
  }
}
