/**
 * All BFD sessions of this process: opens the sockets that they need and finds the session that a packet belongs to
 * (RFC 5880 §6.3, RFC 5881 §3, RFC 5883 §4). Runs in a thread of its own (worker.ts), so that packets leave and silence is
 * noticed in time whatever the rest of the process does.
 */
import { describeSocketError } from '../net/errors.js';
import type { DatagramNetwork, DatagramSocket } from '../net/datagram.js';
import type { Clock, Timer } from '../util/clock.js';
import { decodeControlPacket } from './control-packet.js';
import type { ControlPacket, PacketFault } from './control-packet.js';
import { CONTROL_PORT, MULTIHOP_CONTROL_PORT, SOURCE_PORTS } from './iana.js';
import { Session } from './session.js';
import { initialSnapshot } from './session-fsm.js';
import type { SessionSettings, SessionSnapshot } from './session-fsm.js';

/** What is sent has this TTL, and what comes over a single hop must still have it (RFC 5881 §5). */
const MAXIMUM_TTL = 255;
/** An address that cannot be used is tried again after this time. */
const RETRY_MS = 2000;
/** Distinct discriminators: 2^32 - 1, without 0. */
const DISCRIMINATORS = 0xffff_ffff;

/** A session to be: between which addresses, and how fast. Addresses are IP literals in canonical spelling. */
export interface SessionDescription extends SessionSettings {
  readonly localAddress: string;
  readonly remoteAddress: string;
  /** Over more than one hop (RFC 5883); otherwise packets must come from the same link. */
  readonly multihop: boolean;
}

/** What there is to know of a session at one moment; plain data. */
export interface SessionReport {
  readonly snapshot: SessionSnapshot;
  readonly transmitIntervalUs: number;
  readonly detectionTimeUs: number;
  /** Why the session cannot run at present. */
  readonly problem?: string;
}

/** Packets that belong to no session, by the reason for which they were discarded. */
export type DiscardReason = PacketFault | 'no-session' | 'wrong-address';

export interface EngineDependencies {
  readonly network: DatagramNetwork;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly afterInput: (callback: () => void) => void;
  /** Something about the session `id` is different. */
  readonly changed: (id: number, report: SessionReport) => void;
}

/** A socket that packets come in through, shared by the sessions of a local address. */
interface Receiver {
  readonly opened: Promise<DatagramSocket>;
  users: number;
}

interface Entry {
  readonly id: number;
  description: SessionDescription;
  readonly localDiscriminator: number;
  session: Session | undefined;
  /** That of a session that cannot run yet. */
  readonly waiting: SessionSnapshot;
  problem: string | undefined;
  sender: DatagramSocket | undefined;
  /** It is a user of the receiver of its local address. */
  receives: boolean;
  /** The next attempt to open the sockets, or the end of an administratively down session. */
  timer: Timer | undefined;
  removed: boolean;
}

export class Engine {
  readonly #dependencies: EngineDependencies;
  readonly #entries = new Map<number, Entry>();
  readonly #byDiscriminator = new Map<number, Entry>();
  readonly #byAddresses = new Map<string, Entry>();
  readonly #receivers = new Map<string, Receiver>();
  readonly #discarded = new Map<DiscardReason, number>();

  constructor(dependencies: EngineDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Adds a session and begins to send.
   * @param id        of the caller's choice, not in use
   * @param snapshot  of a session that goes on as if nothing had happened, after a restart of the thread
   */
  add(id: number, description: SessionDescription, snapshot?: SessionSnapshot): void {
    const key = addressKey(description);
    // One that is on its way out has nothing to say any more.
    const predecessor = this.#byAddresses.get(key);
    if (predecessor?.removed === true) this.#delete(predecessor);
    const localDiscriminator = snapshot?.localDiscriminator ?? this.#newDiscriminator();
    const entry: Entry = {
      id,
      description,
      localDiscriminator,
      session: undefined,
      waiting: snapshot ?? initialSnapshot(localDiscriminator),
      problem: undefined,
      sender: undefined,
      receives: false,
      timer: undefined,
      removed: false,
    };
    this.#entries.set(id, entry);
    this.#byDiscriminator.set(localDiscriminator, entry);
    this.#byAddresses.set(key, entry);
    void this.#open(entry);
  }

  /** Other settings for a session; it stays up. */
  reconfigure(id: number, settings: SessionSettings): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.removed) return;
    const { minimumIntervalUs, detectMultiplier } = settings;
    entry.description = { ...entry.description, minimumIntervalUs, detectMultiplier };
    entry.session?.reconfigure(settings);
  }

  /** Ends a session; the other side is told for a while that it was meant to end (RFC 5880 §6.8.16). */
  remove(id: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.removed) return;
    entry.removed = true;
    entry.timer?.cancel();
    const { session } = entry;
    if (session === undefined || session.snapshot.remoteDiscriminator === 0) {
      this.#delete(entry);
      return;
    }
    session.administrativelyDown();
    const lingerMs = (session.transmitIntervalUs / 1000) * entry.description.detectMultiplier;
    entry.timer = this.#dependencies.clock.after(lingerMs, () => this.#delete(entry));
  }

  /** Ends everything at once; each session says so in one packet. */
  close(): void {
    for (const entry of [...this.#entries.values()]) {
      if (!entry.removed) entry.session?.administrativelyDown();
      this.#delete(entry);
    }
  }

  /** Packets by session, since each was added. */
  counters(): { readonly id: number; readonly received: number; readonly sent: number }[] {
    return [...this.#entries.values()]
      .filter(({ removed }) => !removed)
      .map(({ id, session }) => ({ id, ...(session?.counters ?? { received: 0, sent: 0 }) }));
  }

  get discarded(): ReadonlyMap<DiscardReason, number> {
    return this.#discarded;
  }

  // Sockets ------------------------------------------------------------------------------------------------------------

  async #open(entry: Entry): Promise<void> {
    const { localAddress } = entry.description;
    try {
      await this.#receiver(entry).opened;
      if (entry.removed) return;
      const sender = await this.#dependencies.network.sender({
        address: localAddress,
        ports: SOURCE_PORTS,
        ttl: MAXIMUM_TTL,
      });
      // Meanwhile the session may be gone.
      if (this.#entries.get(entry.id) === entry) this.#run(entry, sender);
      else sender.close();
    } catch (error) {
      if (this.#entries.get(entry.id) !== entry) return;
      this.#releaseReceiver(entry);
      this.#setProblem(entry, `${localAddress}: ${describeSocketError(error as Error)}`);
      entry.timer = this.#dependencies.clock.after(RETRY_MS, () => void this.#open(entry));
    }
  }

  #run(entry: Entry, sender: DatagramSocket): void {
    const { description } = entry;
    const port = portOf(description);
    entry.problem = undefined;
    entry.sender = sender;
    const session = new Session(
      description,
      entry.waiting,
      {
        send: (bytes) => sender.send(bytes, port, description.remoteAddress),
        changed: () => this.#report(entry),
      },
      this.#dependencies,
    );
    entry.session = session;
    this.#report(entry);
  }

  /** The receiving socket of an entry; counted as used by it. */
  #receiver(entry: Entry): Receiver {
    const { description } = entry;
    entry.receives = true;
    const key = receiverKey(description);
    const known = this.#receivers.get(key);
    if (known !== undefined) {
      known.users++;
      return known;
    }
    const { localAddress, multihop } = description;
    const receiver: Receiver = {
      opened: this.#dependencies.network.receiver({
        address: localAddress,
        port: portOf(description),
        ...(multihop ? {} : { onlyTtl: MAXIMUM_TTL }),
        received: (bytes, remoteAddress) => this.#received(bytes, localAddress, remoteAddress, multihop),
      }),
      users: 1,
    };
    this.#receivers.set(key, receiver);
    return receiver;
  }

  #releaseReceiver(entry: Entry): void {
    if (!entry.receives) return;
    entry.receives = false;
    const key = receiverKey(entry.description);
    const receiver = this.#receivers.get(key);
    if (receiver === undefined || --receiver.users > 0) return;
    this.#receivers.delete(key);
    receiver.opened.then(
      (socket) => socket.close(),
      () => undefined,
    );
  }

  // Packets ------------------------------------------------------------------------------------------------------------

  #received(bytes: Uint8Array, localAddress: string, remoteAddress: string, multihop: boolean): void {
    const packet = decodeControlPacket(bytes);
    if (typeof packet === 'string') {
      this.#discard(packet);
      return;
    }
    const addresses = { localAddress, remoteAddress, multihop };
    const entry = this.#entryOf(packet, addresses);
    if (entry?.session === undefined) this.#discard('no-session');
    else if (addressKey(entry.description) !== addressKey(addresses)) this.#discard('wrong-address');
    else entry.session.received(packet);
  }

  #entryOf(packet: ControlPacket, addresses: Addresses): Entry | undefined {
    return packet.yourDiscriminator === 0
      ? this.#byAddresses.get(addressKey(addresses))
      : this.#byDiscriminator.get(packet.yourDiscriminator);
  }

  #discard(reason: DiscardReason): void {
    this.#discarded.set(reason, (this.#discarded.get(reason) ?? 0) + 1);
  }

  // Entries ------------------------------------------------------------------------------------------------------------

  #setProblem(entry: Entry, problem: string): void {
    if (entry.problem === problem) return;
    entry.problem = problem;
    this.#report(entry);
  }

  #report(entry: Entry): void {
    if (entry.removed) return;
    const { id, session, waiting, problem } = entry;
    const report: SessionReport = {
      snapshot: session?.snapshot ?? waiting,
      transmitIntervalUs: session?.transmitIntervalUs ?? 0,
      detectionTimeUs: session?.detectionTimeUs ?? 0,
      ...(problem === undefined ? {} : { problem }),
    };
    this.#dependencies.changed(id, report);
  }

  #delete(entry: Entry): void {
    entry.removed = true;
    entry.timer?.cancel();
    entry.session?.close();
    entry.sender?.close();
    this.#entries.delete(entry.id);
    this.#byDiscriminator.delete(entry.localDiscriminator);
    const key = addressKey(entry.description);
    if (this.#byAddresses.get(key) === entry) this.#byAddresses.delete(key);
    this.#releaseReceiver(entry);
  }

  #newDiscriminator(): number {
    for (;;) {
      const discriminator = 1 + Math.floor(this.#dependencies.random() * DISCRIMINATORS);
      if (!this.#byDiscriminator.has(discriminator)) return discriminator;
    }
  }
}

type Addresses = Pick<SessionDescription, 'localAddress' | 'remoteAddress' | 'multihop'>;

function addressKey({ localAddress, remoteAddress, multihop }: Addresses): string {
  return `${localAddress} ${remoteAddress} ${multihop}`;
}

function receiverKey({ localAddress, multihop }: Addresses): string {
  return `${localAddress} ${multihop}`;
}

function portOf({ multihop }: Addresses): number {
  return multihop ? MULTIHOP_CONTROL_PORT : CONTROL_PORT;
}
