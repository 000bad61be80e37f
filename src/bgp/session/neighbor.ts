/**
 * One remote BGP speaker: at most one session, out of at most two connections.
 *
 *   outbound   one machine for the neighbor's life; connects (or, passive, waits in Active) and holds the pause after a failure
 *   inbound    a machine of its own for a connection that the neighbor opened, from accept to close
 *
 * After any failure both are idle and the outbound one is started again after a pause: after failed attempts to connect a
 * short one that grows up to the connect retry time; after an error on a connection (damping, RFC 4271 §8.1.1) one that grows
 * up to a minute, until a session has been stable. An inbound connection ends a pause of the first kind at once; in a damping
 * pause it is held until the pause is over, so that a passive peer need not come back later.
 */
import type { Clock, Timer } from '../../util/clock.js';
import type { Logger } from '../../util/logger.js';
import type { SegmentProtection } from '../../net/segment-protection.js';
import { confinedClock, traceOf } from '../../net/confinement.js';
import type { Network, Transport } from '../../net/transport.js';
import type { ProtocolFault } from '../attribute/fault.js';
import { CeaseSubcode, ErrorCode } from '../message/iana.js';
import { encodeRouteRefresh, RouteRefreshSubtype } from '../message/route-refresh.js';
import type { RouteRefreshMessage } from '../message/route-refresh.js';
import { messageLengthAt, messageTypeAt } from '../message/header.js';
import type { FamilyId } from '../nlri/family.js';
import { familyById } from '../nlri/registry.js';
import { BackOff } from './back-off.js';
import { plainReason } from './close-reason.js';
import type { CloseReason } from './close-reason.js';
import { isDominant, resolveAccept, resolveDeferred, resolveOpen } from './collision.js';
import type { CollisionVerdict } from './collision.js';
import { Connection } from './connection.js';
import type { ConnectionContext, ConnectionOwner } from './connection.js';
import { SESSION_STATES } from './fsm-events.js';
import type { SessionState } from './fsm-events.js';
import { IgnoredRefreshes, refreshedFamily } from './ignored-refreshes.js';
import { MalformedUpdates, type FaultCounts } from './malformed-updates.js';
import { MessageCounts } from './message-counts.js';
import type { MessageCountsView } from './message-counts.js';
import { sendHoldMsOf, type NeighborConfig } from './neighbor-config.js';
import { cease, refuseConnection, type StopReason } from './cease.js';
import type { Negotiated } from './negotiation.js';
import { ProtocolErrors } from './protocol-errors.js';

/** A neighbor is writable below this many octets that the operating system has not taken. */
export const HIGH_WATER_OCTETS = 256 * 1024;

/** OpenSent waits this long for the OPEN (RFC 4271 §8.2.2 suggests 4 minutes). */
const LARGE_HOLD_MS = 240_000;
/** An inbound connection gets our OPEN after the neighbor's, or after this time. */
const INBOUND_DELAY_OPEN_MS = 1000;
/** A collision is decided by the rule when it has not decided itself. */
const DEFER_MS = 2000;
const FIRST_PAUSE_MS = 1000;
const MAX_DAMPING_MS = 60_000;
/** A session that lasted this long ends damping. */
const STABLE_MS = 60_000;
const LOST_COLLISION = 'another connection won';
const ANEW = 'the neighbor has connected anew';
/** A second connection this soon is still part of a collision, later it is a neighbor that has restarted. */
const COLLISION_MS = 5000;

/** What a neighbor tells the controller; nothing of it is called from within a call to the neighbor that is not a state change. */
export interface NeighborHandler {
  /** The session is up; {@link Neighbor.send} works from here on. */
  established(negotiated: Negotiated): void;
  /**
   * Body of an UPDATE, `bytes[start, end)`, valid only during the call. A fault of action `session-reset` makes the
   * neighbor send the NOTIFICATION and close. One of an UPDATE message error is counted and logged as malformed.
   */
  update(bytes: Uint8Array, start: number, end: number): ProtocolFault | undefined;
  /** A ROUTE-REFRESH for a negotiated family; subtypes 1 and 2 only when enhanced refresh is negotiated (RFC 7313 §4). */
  routeRefresh(family: FamilyId, subtype: RouteRefreshSubtype): void;
  /** The session is down: exactly once after each `established`. */
  closed(reason: CloseReason): void;
  /** The socket has taken everything after {@link Neighbor.writable} was false. */
  writable(): void;
  /** {@link Neighbor.state} is another one. */
  stateChanged(): void;
}

export interface NeighborDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
  readonly network: Network;
  /** This speaker has started a short time ago (RFC 4724 §4.1); never, if left out. */
  readonly restarting?: () => boolean;
}

/** What of its configuration a neighbor can take over while it has a session: it matters to the next connection. */
export type ConnectSettings = Pick<NeighborConfig, 'port' | 'passive' | 'connectRetryTimeSec' | 'sendHoldTimeSec'>;

export class Neighbor {
  #config: NeighborConfig;
  readonly #handler: NeighborHandler;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #context: ConnectionContext;
  readonly #outbound: Connection;
  #inbound: Connection | undefined;
  /** The one in Established. */
  #session: Connection | undefined;

  #enabled = false;
  /** Cease subcode for those who connect while it is not. */
  #refusal: number = CeaseSubcode.administrativeShutdown;
  /** The current pause is for damping. */
  #damping = false;
  readonly #connectBackOff: BackOff;
  readonly #dampingBackOff: BackOff;
  #deferral: Timer | undefined;

  readonly #received = new MessageCounts();
  readonly #sent = new MessageCounts();
  readonly #malformed: MalformedUpdates;
  readonly #ignoredRefreshes: IgnoredRefreshes;
  readonly #errors: ProtocolErrors;
  #flaps = 0;
  #mistakes = 0;
  #lastError: string | undefined;
  #establishedMs = 0;
  /** When the socket had too much queued for more to be sent; absent while it takes more. */
  #blockedSinceMs: number | undefined;
  /** Octets received on the session when its key was changed; absent when it was not. */
  #heardBeforeKeyChange: number | undefined;
  #reportedState: SessionState = 'idle';
  /** Transports that still send their last words, and who waits for them. */
  readonly #closing = new Set<Transport>();
  #stopped: (() => void)[] = [];

  constructor(config: NeighborConfig, handler: NeighborHandler, dependencies: NeighborDependencies) {
    const { clock, logger, random, network, restarting = () => false } = dependencies;
    this.#config = config;
    this.#handler = handler;
    this.#clock = clock;
    this.#logger = logger;
    this.#malformed = new MalformedUpdates(config.address, clock, logger);
    this.#ignoredRefreshes = new IgnoredRefreshes(config.address, clock, logger);
    this.#errors = new ProtocolErrors(config.address, clock, logger);
    const current = (): NeighborConfig => this.#config;
    const connectRetryMs = (): number => Math.max(FIRST_PAUSE_MS, this.#config.connectRetryTimeSec * 1000);
    const sendHoldMs = (): number | undefined => sendHoldMsOf(this.#config);
    this.#context = {
      get config() {
        return current();
      },
      clock: confinedClock(clock, (error) => this.failed(error)),
      random,
      network,
      restarting,
      failed: (error) => this.failed(error),
      received: this.#received,
      sent: this.#sent,
    };
    this.#connectBackOff = new BackOff({ firstMs: FIRST_PAUSE_MS, maxMs: connectRetryMs }, random);
    this.#dampingBackOff = new BackOff({ firstMs: FIRST_PAUSE_MS, maxMs: () => MAX_DAMPING_MS }, random);
    this.#outbound = new Connection('outbound', this.#context, this.#owner(), {
      get connectRetryMs() {
        return connectRetryMs();
      },
      largeHoldMs: LARGE_HOLD_MS,
      delayOpenMs: 0,
      get sendHoldMs() {
        return sendHoldMs();
      },
    });
  }

  // --- what there is to see ---

  get config(): NeighborConfig {
    return this.#config;
  }

  /** The more advanced of both connections. */
  get state(): SessionState {
    // One that has just ended is told of before it is let go.
    if (this.#session?.state === 'established') return 'established';
    const inbound = this.#inbound?.state ?? 'idle';
    const outbound = this.#outbound.state;
    return SESSION_STATES.indexOf(inbound) > SESSION_STATES.indexOf(outbound) ? inbound : outbound;
  }

  /** Of the established session. */
  get negotiated(): Negotiated | undefined {
    return this.#session?.negotiated;
  }

  /** Messages since the neighbor was created. */
  get counters(): { readonly received: MessageCountsView; readonly sent: MessageCountsView } {
    return { received: this.#received, sent: this.#sent };
  }

  get faults(): FaultCounts {
    return this.#malformed.counts;
  }

  /** ROUTE-REFRESHes that this neighbor had no reason to send. */
  get ignoredRefreshes(): number {
    return this.#ignoredRefreshes.count;
  }

  /** Errors that the neighbor was told, those in UPDATEs left out, by name. */
  get errors(): ReadonlyMap<string, number> {
    return this.#errors.counts;
  }

  /** How often a mistake of ours has ended connections. */
  get mistakes(): number {
    return this.#mistakes;
  }

  /** How often an established session has ended. */
  get flaps(): number {
    return this.#flaps;
  }

  /** Why the last session or attempt failed. */
  get lastError(): string | undefined {
    return this.#lastError;
  }

  /** How long the session has been established, 0 when it is not. */
  get uptimeMs(): number {
    return this.#session ? this.#clock.nowMs() - this.#establishedMs : 0;
  }

  /** A TCP connection is there, and with it perhaps a session soon. */
  get isConnected(): boolean {
    return (this.#inbound?.transport ?? this.#outbound.transport) !== undefined;
  }

  /** Addresses of the session's connection. */
  get endpoint(): Pick<Transport, 'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort'> | undefined {
    return this.#session?.transport;
  }

  /** More may be sent: little enough waits for the socket. False when there is no session. */
  get writable(): boolean {
    const transport = this.#session?.transport;
    if (transport === undefined) return false;
    if (transport.writableLength < HIGH_WATER_OCTETS) return true;
    this.#blockedSinceMs ??= this.#clock.nowMs();
    return false;
  }

  /** How long the neighbor has not taken enough of what is queued for it; 0 while it does. */
  get blockedMs(): number {
    return this.#blockedSinceMs === undefined ? 0 : this.#clock.nowMs() - this.#blockedSinceMs;
  }

  /** Octets queued for the session that the operating system has not taken. */
  get queuedOctets(): number {
    return this.#session?.transport?.writableLength ?? 0;
  }

  // --- what can be done ---

  /** Begins to connect or to wait for connections; without effect when it is administratively down or was started. */
  start(): void {
    if (this.#enabled || this.config.adminDown) return;
    this.#enabled = true;
    this.#startOutbound();
  }

  /**
   * Ends the session for good, until {@link start}. The NOTIFICATION goes to every connection that has come far enough.
   * @returns when the last words are out and the sockets are gone
   */
  stop(reason: StopReason): Promise<void> {
    this.#enabled = false;
    this.#refusal = reason.subcode;
    this.#damping = false;
    const notification = cease(reason);
    this.#dropHeld();
    for (const connection of new Set([this.#session, this.#inbound, this.#outbound])) {
      connection?.dispatch({ kind: 'manualStop', notification }, 'stopped');
    }
    return new Promise((resolve) => {
      this.#stopped.push(resolve);
      this.#reportStopped();
    });
  }

  /** Hard reset: ends the session with Cease/Administrative Reset, or a pause, and tries again from the beginning. */
  reset(communication?: string): void {
    if (!this.#enabled) return;
    const notification = cease({
      subcode: CeaseSubcode.administrativeReset,
      ...(communication !== undefined && { communication }),
    });
    this.#dampingBackOff.reset();
    this.#connectBackOff.reset();
    if (this.#session) {
      this.#session.dispatch({ kind: 'automaticStop', notification }, 'reset');
      return;
    }
    this.#dropHeld();
    this.#inbound?.dispatch({ kind: 'manualStop', notification }, 'stopped');
    this.#outbound.dispatch({ kind: 'manualStop', notification }, 'stopped');
    this.#startOutbound();
  }

  /** The path to the neighbor has failed although TCP has not noticed: ends the session (RFC 9384 §2). */
  bfdDown(): void {
    const notification = cease({ subcode: CeaseSubcode.bfdDown });
    this.#session?.dispatch({ kind: 'automaticStop', notification }, 'BFD is down');
  }

  /**
   * Takes over where and how often to connect, and what holds for the next session. A session stays as it is; an attempt or a pause gives way to a new attempt.
   */
  reconfigure(settings: ConnectSettings): void {
    this.#config = { ...this.#config, ...settings };
    if (!this.#enabled || this.#session) return;
    this.#connectBackOff.reset();
    const notification = cease({ subcode: CeaseSubcode.otherConfigurationChange });
    this.#outbound.dispatch({ kind: 'manualStop', notification }, 'configuration changed');
    // A connection that the neighbor opened goes on.
    if (this.#pauseIsOver()) this.#startOutbound();
  }

  /**
   * Changes the key, on a live session too: it survives when the neighbor does the same before its hold time is over.
   * @throws SocketOptionsError
   */
  changeKey(protection: SegmentProtection): void {
    this.#config = { ...this.#config, protection };
    const transport = this.#session?.transport;
    if (transport) {
      this.#heardBeforeKeyChange = transport.receivedOctets;
      transport.protect(protection);
    } else this.reset();
  }

  /** A connection from its address did not satisfy its protection; `reason` is a clause. */
  turnedAway(reason: string): void {
    this.#lastError = `its connection was cut: ${reason}`;
  }

  /** An inbound connection from the neighbor's address; owned from here on. */
  accept(transport: Transport): void {
    if (!this.#enabled) {
      refuseConnection(transport, this.#refusal);
      return;
    }
    const inbound = this.#inbound;
    const verdict = resolveAccept(inbound, this.#outbound.state, this.#mayHaveRestarted);
    if (verdict === 'reject' && this.#begunAnewWithKey) {
      const notification = cease({ subcode: CeaseSubcode.otherConfigurationChange });
      this.#session?.dispatch({ kind: 'manualStop', notification }, 'the neighbor has begun anew with the new key');
      this.accept(transport);
      return;
    }
    if (verdict === 'reject') {
      refuseConnection(transport, CeaseSubcode.connectionCollisionResolution);
      // A neighbor that comes again may have lost the old connection without a trace: let it say so now.
      this.#session?.probe();
      return;
    }
    // A session steps aside until the new connection has shown that it is the neighbor's.
    if (inbound && inbound !== this.#session) {
      this.#inbound = undefined;
      inbound.dispatch({ kind: 'openCollisionDump' }, ANEW);
      inbound.discard();
    }
    const connection = new Connection('inbound', this.#context, this.#owner(), {
      connectRetryMs: LARGE_HOLD_MS,
      largeHoldMs: LARGE_HOLD_MS,
      delayOpenMs: INBOUND_DELAY_OPEN_MS,
      sendHoldMs: sendHoldMsOf(this.#config),
    });
    this.#inbound = connection;
    connection.hold(transport);
    if (this.#damping) return;
    this.#connectBackOff.reset();
    connection.release();
  }

  /**
   * Queues whole messages for the session; without one they are dropped. What is sent in one turn of the event loop leaves
   * together. The memory must not change afterwards; the same memory may be sent to many neighbors.
   */
  send(bytes: Uint8Array): void {
    const transport = this.#session?.transport;
    if (!transport) return;
    this.#count(bytes);
    transport.write(bytes);
  }

  /** Sends chunks of whole messages without waiting for the end of the turn, see {@link Transport.writeAll}. */
  sendAll(chunks: readonly Uint8Array[]): void {
    const transport = this.#session?.transport;
    if (!transport) return;
    for (const bytes of chunks) this.#count(bytes);
    transport.writeAll(chunks);
  }

  /**
   * A connection that satisfies the new key comes while nothing has come on the session since the key was changed: the
   * neighbor took the key over by beginning anew, and what it said on the old connection was signed with the old one.
   */
  get #begunAnewWithKey(): boolean {
    return this.#session !== undefined && this.#session.transport?.receivedOctets === this.#heardBeforeKeyChange;
  }

  #count(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += messageLengthAt(bytes, at)) this.#sent.add(messageTypeAt(bytes, at));
  }

  /** Asks the neighbor to send its routes of a family anew. @returns false when it cannot (no session, not negotiated) */
  requestRefresh(family: FamilyId): boolean {
    const { negotiated } = this;
    if (!negotiated?.routeRefresh || !negotiated.families.includes(family)) return false;
    const { afi, safi } = familyById(family);
    this.send(encodeRouteRefresh({ afi, safi, subtype: RouteRefreshSubtype.request }));
    return true;
  }

  // --- what the connections report ---

  #owner(): ConnectionOwner {
    return {
      connected: () => this.#connectBackOff.reset(),
      openReceived: (connection, negotiated) => this.#openReceived(connection, negotiated),
      stateChanged: (reason) => this.#stateChanged(reason),
      established: (connection, negotiated) => this.#established(connection, negotiated),
      down: (reason) => this.#down(reason),
      idle: (connection, damped, reason) => this.#idle(connection, damped, reason),
      mayStart: () => this.#pauseIsOver(),
      update: (bytes, start, end) => this.#update(bytes, start, end),
      routeRefresh: (message) => this.#routeRefresh(message),
      unanswered: (reason) => (this.#lastError = reason),
      drained: (connection) => {
        if (connection !== this.#session) return;
        this.#blockedSinceMs = undefined;
        this.#handler.writable();
      },
      closing: (transport) => this.#closing.add(transport),
      closed: (transport) => {
        if (this.#closing.delete(transport)) this.#reportStopped();
      },
    };
  }

  #openReceived(connection: Connection, negotiated: Negotiated): CollisionVerdict {
    // The old session goes without a word: its routes are kept for the new one (RFC 4724 §5).
    if (this.#session && this.#mayHaveRestarted) {
      this.#session.dispatch({ kind: 'tcpConnectionFails' }, plainReason('connection-lost', ANEW));
    }
    const other = this.#otherThan(connection);
    const local = { identifier: this.config.routerId, asn: negotiated.localAs };
    const remote = { identifier: negotiated.peerRouterId, asn: negotiated.peerAs };
    const verdict = resolveOpen(connection.direction, other, isDominant(local, remote));
    if (verdict === 'close-other') {
      other?.dispatch({ kind: 'openCollisionDump' }, LOST_COLLISION);
    } else if (verdict === 'defer') {
      this.#deferral = this.#clock.after(DEFER_MS, () => {
        this.#decide(connection, resolveDeferred(this.#otherThan(connection)) === 'close-other');
      });
    }
    return verdict;
  }

  #stateChanged(reason: CloseReason): void {
    if (reason.kind !== 'local') this.#lastError = reason.text;
    // An OPEN that waits for the outcome of our own connection is taken as soon as that has lost it.
    if (this.#inbound?.deferred && !this.#outbound.transport) this.#decide(this.#inbound, true);
    const { state } = this;
    this.#errors.add(reason, state !== this.#reportedState);
    if (state === this.#reportedState) return;
    this.#reportedState = state;
    this.#logger.info({ neighbor: this.config.address, state, reason: reason.text }, 'session');
    this.#handler.stateChanged();
  }

  #established(connection: Connection, negotiated: Negotiated): void {
    this.#session = connection;
    this.#heardBeforeKeyChange = undefined;
    this.#establishedMs = this.#clock.nowMs();
    const rival = this.#otherThan(connection);
    if (rival?.deferred) this.#decide(rival, false);
    else rival?.dispatch({ kind: 'openCollisionDump' }, LOST_COLLISION);
    this.#handler.established(negotiated);
  }

  #down(reason: CloseReason): void {
    if (this.uptimeMs >= STABLE_MS) this.#dampingBackOff.reset();
    this.#session = undefined;
    this.#blockedSinceMs = undefined;
    this.#flaps++;
    this.#handler.closed(reason);
  }

  #idle(connection: Connection, damped: boolean, reason: CloseReason): void {
    if (connection === this.#inbound) {
      // A session that had stepped aside has its place back.
      this.#inbound = this.#session?.direction === 'inbound' ? this.#session : undefined;
      this.#deferral?.cancel();
      this.#deferral = undefined;
      if (this.#damping) return; // it was only held; the pause goes on
    } else if (connection !== this.#outbound) {
      return; // replaced by a newer one
    }
    // The other connection goes on.
    if (!this.#enabled || this.#session || this.#otherThan(connection)) return;
    this.#lastError = reason.text;
    this.#pause(damped);
  }

  #pauseIsOver(): boolean {
    this.#damping = false;
    if (!this.#inbound) return true;
    // The neighbor has connected: that is as good as connecting to it. Should it fail there will be a new pause.
    if (this.#inbound.state === 'idle') this.#inbound.release();
    return false;
  }

  #update(bytes: Uint8Array, start: number, end: number): ProtocolFault | undefined {
    const fault = this.#handler.update(bytes, start, end);
    if (!fault) return undefined;
    const { negotiated } = this;
    if (fault.code === ErrorCode.updateMessage && negotiated) {
      this.#malformed.add(fault, bytes, start, end, negotiated);
    }
    return fault.action === 'session-reset' ? fault : undefined;
  }

  #routeRefresh(message: RouteRefreshMessage): void {
    const family = refreshedFamily(message, this.negotiated);
    if (family === undefined) this.#ignoredRefreshes.add(message);
    else this.#handler.routeRefresh(family, message.subtype as RouteRefreshSubtype);
  }

  /** A mistake of ours in the work for this neighbor: its connections end, and begin anew after a damping pause. */
  failed(error: unknown): void {
    this.#mistakes++;
    this.#logger.error({ neighbor: this.config.address, error: traceOf(error) }, 'bug');
    const notification = cease({ subcode: 0, hardReset: true });
    // One that has stepped aside is neither of the others.
    for (const connection of new Set([this.#session, this.#inbound, this.#outbound])) {
      // The end of one may have begun the pause of the other, which is to go on.
      if (connection && connection.state !== 'idle') {
        connection.dispatch({ kind: 'automaticStop', notification }, 'internal error');
      }
    }
  }

  // --- inside ---

  /** A neighbor that has restarted may come back before its old session has ended here (RFC 4724 §5). */
  get #mayHaveRestarted(): boolean {
    if (!this.#config.gracefulRestart || this.uptimeMs < COLLISION_MS) return false;
    const { gracefulRestart, longLivedRestart = [] } = this.negotiated ?? {};
    return (gracefulRestart?.families.length ?? 0) + longLivedRestart.length > 0;
  }

  #reportStopped(): void {
    if (this.#closing.size > 0) return;
    const stopped = this.#stopped;
    this.#stopped = [];
    for (const resolve of stopped) resolve();
  }

  #startOutbound(): void {
    this.#damping = false;
    this.#outbound.dispatch({ kind: this.config.passive ? 'manualStartPassive' : 'manualStart' }, 'started');
  }

  /** Nothing is left of the last attempt: the next one begins after a pause. */
  #pause(damped: boolean): void {
    this.#damping = damped;
    const idleHoldMs = (damped ? this.#dampingBackOff : this.#connectBackOff).next();
    const kind = this.config.passive ? 'automaticStartDampedPassive' : 'automaticStartDamped';
    this.#outbound.dispatch({ kind, idleHoldMs }, 'pause');
  }

  /** The other connection, if it is more than a machine at rest. */
  #otherThan(connection: Connection): Connection | undefined {
    if (connection === this.#outbound) return this.#inbound;
    return this.#outbound.state === 'idle' ? undefined : this.#outbound;
  }

  #decide(connection: Connection, take: boolean): void {
    this.#deferral?.cancel();
    this.#deferral = undefined;
    if (!connection.deferred) return;
    if (take) this.#otherThan(connection)?.dispatch({ kind: 'openCollisionDump' }, LOST_COLLISION);
    connection.decide(take);
  }

  /** A connection that is held for the end of a pause goes without ceremony. */
  #dropHeld(): void {
    if (this.#inbound?.state !== 'idle') return;
    this.#inbound.discard();
    this.#inbound = undefined;
  }
}
