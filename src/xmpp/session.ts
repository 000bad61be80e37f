/**
 * One agent connection: the thin driver around framer, state machine and route service. It turns octets and timers into events and
 * actions into octets, timers and calls of the handler.
 */
import { confine, confinedClock, confinedHandler, traceOf } from '../net/confinement.js';
import { describeSocketError } from '../net/errors.js';
import { describeSubject, isCertificateOf } from '../net/tls.js';
import type { Transport, TransportError, TransportHandler } from '../net/transport.js';
import type { Clock } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import { NamedTimers } from '../util/named-timers.js';
import type { Slice } from '../util/scheduler.js';
import { delayToGridAfter, delayToGridBefore } from '../util/timer-grid.js';
import { parseIpv4 } from '../wire/ipv4.js';
import type { AgentPermit } from './agent-policy.js';
import { ChannelCounters } from './channel-counters.js';
import { ChannelFsm, REFUSALS } from './channel-fsm.js';
import type { ChannelAction, ChannelEvent, ChannelState, CloseReason } from './channel-fsm.js';
import { findElement } from './element.js';
import type { XmlElement } from './element.js';
import { endOfRibDelayMs } from './end-of-rib.js';
import { Framer } from './framer.js';
import type { FramerEvent } from './framer.js';
import { RouteService } from './route-service.js';
import {
  END_OF_RIB_BODY,
  formatMessageHead,
  formatStreamHeader,
  headerFault,
  KEEPALIVE,
  parseStreamHeader,
  PROCEED,
  serviceOf,
  STREAM_CLOSE,
  STREAM_FEATURES,
} from './stream.js';
import type { AgentRecord, SessionOwner } from './session-owner.js';
import type { Subscription } from './subscriptions.js';
import { TlsUpgrade } from './tls-upgrade.js';
import { parseXml, XmlFault } from './xml-parser.js';

/** Wait for a stream header after accept (agent-channel.md §2.9). */
const HEADER_WAIT_MS = 15_000;
/** Octets that may wait in a session's socket before {@link AgentSession.writable} turns false. */
const HIGH_WATER_OCTETS = 256 * 1024;
/** Output is held back at most this long for an agent that had sent its first stanzas together with its header. */
const PIPELINED_HOLD_BACK_MS = 200;
/** An agent that takes nothing of what waits for it for so many hold times is gone, whatever it says itself (after RFC 9687). */
const SEND_HOLD_TIMES = 2;
/** Points of time in a hold time on which the keepalives of all agents fall. */
const KEEPALIVE_GRID = 90;
/** The same for the question whether End-of-RIB is due. */
const END_OF_RIB_GRID_MS = 500;
/** How long the last words may take to leave. */
const FAREWELL_LINGER_MS = 1000;

type TimerName = 'header' | 'hold' | 'keepalive' | 'end-of-rib' | 'hold-back';

export class AgentSession {
  /** Source address of the connection, as text. */
  readonly addressText: string;
  /** The same as a number: the agent's identity in distinguishers and in path selection (agent-channel.md §1.2). */
  readonly address: number;
  readonly port: number;
  readonly counters = new ChannelCounters();

  readonly #owner: SessionOwner;
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #routes: RouteService;
  readonly #framer: Framer;
  readonly #fsm: ChannelFsm;
  #logger: Logger;
  #name = '';
  #record: AgentRecord | undefined;
  /** From the header on. */
  #permit: AgentPermit | undefined;
  /** What to say beside the close reason. */
  #detail = '';
  #head: Uint8Array = new Uint8Array(0);
  readonly #timers: NamedTimers<TimerName>;
  /** When the agent last gave a sign of life. */
  #heardMs = 0;
  #upSinceMs = 0;
  #activityMs = 0;
  #wasUp = false;
  readonly #tls: TlsUpgrade;
  /** Octets arrive, so what is pipelined behind a header in the same read can be told from an answer to ours. */
  #reading = false;
  /** Output that waits for the agent's first octet after our header; `undefined` once it flows. */
  #heldBack: Uint8Array[] | undefined;
  #heldBackOctets = 0;
  /** When its socket had too much queued; absent while it takes more. */
  #blockedSinceMs: number | undefined;
  /** One was due behind output that waits; it leaves when there is room. */
  #keepaliveOwed = false;
  /** What the operating system had taken when it was last seen to take something, and when that was. */
  #takenOctets = 0;
  #takenMs = 0;
  #dumpPending = false;
  #endOfRibSent = false;

  constructor(transport: Transport, owner: SessionOwner, deps: { readonly clock: Clock; readonly logger: Logger }) {
    this.#transport = transport;
    this.#owner = owner;
    const failed = (error: unknown): void => {
      this.#logger.error({ error: traceOf(error) }, 'bug');
      this.close('internal-error');
    };
    this.#clock = confinedClock(deps.clock, failed);
    this.#timers = new NamedTimers(this.#clock);
    this.#logger = deps.logger;
    this.addressText = transport.remoteAddress;
    this.address = parseIpv4(transport.remoteAddress) ?? 0;
    this.port = transport.remotePort;
    this.#framer = new Framer(owner.maxStanzaOctets);
    this.#fsm = new ChannelFsm(owner.tls !== undefined);
    this.#routes = this.#routeService();
    this.#tls = new TlsUpgrade(transport, owner, this.#clock, {
      turn: (hasWaited) => this.#startTls(hasWaited),
      secured: () => confine(() => this.#run({ kind: 'secured' }), failed),
    });
    this.#heardMs = this.#clock.nowMs();
    const handler: TransportHandler = {
      data: (chunk) => this.#received(chunk),
      ended: () => this.close('closed-by-agent'),
      drained: () => this.#drained(),
      closed: (error) => this.#lost(error),
    };
    transport.attach(confinedHandler(handler, failed));
    this.#run({ kind: 'accepted' });
  }

  /** From the stream header; empty before it. */
  get name(): string {
    return this.#name;
  }

  get state(): ChannelState {
    return this.#fsm.state;
  }

  /** Times an established session of this agent was lost, this one included. */
  get flaps(): number {
    return this.#record?.flaps ?? 0;
  }

  /** Why the agent's last session ended; empty while none has. */
  get lastError(): string {
    return this.#record?.lastError ?? '';
  }

  /** Milliseconds since the session was established; 0 when it is not. */
  get uptimeMs(): number {
    return this.state === 'established' ? this.#clock.nowMs() - this.#upSinceMs : 0;
  }

  /** The agent's subscriptions, in order of arrival. */
  get subscriptions(): readonly Subscription[] {
    return [...this.#routes.subscriptions()];
  }

  /** Transactions that wait for a VRF. */
  get deferred(): number {
    return this.#routes.deferred;
  }

  /** Octets queued and not yet taken by the operating system. */
  get writableLength(): number {
    return this.#transport.writableLength + this.#heldBackOctets;
  }

  /** How long the agent has not taken enough of what is queued; 0 while it does. */
  get blockedMs(): number {
    return this.#blockedSinceMs === undefined ? 0 : this.#clock.nowMs() - this.#blockedSinceMs;
  }

  /** False: stop pushing until {@link AgentHandler.writable} is called. */
  get writable(): boolean {
    if (this.writableLength < HIGH_WATER_OCTETS) return true;
    this.#blockedSinceMs ??= this.#clock.nowMs();
    return false;
  }

  /**
   * Sends route messages, each this agent's head and a shared body, without waiting for the end of the turn (see
   * {@link Transport.writeAll}). Dropped when the session is not established.
   *
   * @param bodies  each from `<TAB><event` through `</message>` and LF; shared by many agents and never changed afterwards
   */
  push(bodies: readonly Uint8Array[]): void {
    if (this.state !== 'established') return;
    this.counters.sent.message += bodies.length;
    this.#activityMs = this.#clock.nowMs();
    const chunks: Uint8Array[] = [];
    for (const body of bodies) chunks.push(this.#head, body);
    if (this.#heldBack) for (const chunk of chunks) this.#send(chunk);
    else this.#transport.writeAll(chunks);
    if (this.writableLength >= HIGH_WATER_OCTETS) this.#blockedSinceMs ??= this.#clock.nowMs();
  }

  /** Says whether content of a table is still to be pushed; the End-of-RIB marker waits for it (agent-channel.md §6.9). */
  setDumpPending(pending: boolean): void {
    if (this.#dumpPending === pending) return;
    this.#dumpPending = pending;
    if (!pending) this.#awaitEndOfRib();
  }

  /** Closes the session without a word, as this protocol does. */
  close(reason: CloseReason): void {
    this.#run({ kind: 'close', reason });
  }

  /** A VRF that the agent showed interest in was created. @returns false: more has waited for it than the slice had time for */
  vrfCreated(vrf: string, slice: Slice): boolean {
    if (this.state !== 'established') return true;
    const fault = this.#routes.vrfCreated(vrf, () => !slice.expired);
    if (fault) this.close(fault);
    return !this.#routes.isAdmitting(vrf);
  }

  /** A VRF that the agent showed interest in is going. */
  vrfDeleted(vrf: string): void {
    this.#routes.vrfDeleted(vrf);
  }

  /** The operator allows other agents now: this one goes when it is allowed something else, and comes back if it may (§1.2). */
  policyChanged(): void {
    if (!this.#permit) return;
    const permit = this.#owner.policy.permitOf(this.#name, this.address);
    if (!permit) this.close('agent-not-allowed');
    else if (!permit.equals(this.#permit)) this.close('permission-changed');
  }

  /** The configured hold time has changed; both timers start anew (agent-channel.md §2.6). */
  holdTimeChanged(): void {
    if (!this.#timers.has('hold')) return;
    this.#startTimer('hold');
    if (this.#timers.has('keepalive')) this.#startTimer('keepalive');
  }

  #routeService(): RouteService {
    const { handler, subscriptionLimits, waitingMemory, tails } = this.#owner;
    return new RouteService(
      {
        vrfState: (vrf) => handler.vrfState(vrf),
        maySubscribe: (vrf) => this.#permit?.maySubscribe(vrf) ?? false,
        refused: (vrf) => this.#logger.warn({ vrf, reason: 'vrf-not-allowed' }, 'agent subscription refused'),
        interest: (vrf, interested) => this.#owner.interest(this, vrf, interested),
        subscribed: (vrf, instanceId, noRibOut) => handler.subscribed(this, vrf, instanceId, noRibOut),
        unsubscribed: (vrf) => handler.unsubscribed(this, vrf),
        publish: (vrf, instanceId, node, item) => handler.publish(this, vrf, instanceId, node, item),
        withdraw: (vrf, instanceId, node, item) => handler.withdraw(this, vrf, instanceId, node, item),
        dropped: (vrf, node, reason) => this.#logger.warn({ vrf, node, reason }, 'agent route dropped'),
        endOfRib: () => handler.endOfRib(this),
        resynchronizing: () => handler.resynchronizing(this),
        closed: () => this.state === 'closed',
        close: (fault) => this.close(fault),
      },
      this.counters,
      this.#clock,
      { limits: subscriptionLimits, memory: waitingMemory, tails },
    );
  }

  // Octets in.

  #received(chunk: Uint8Array): void {
    if (this.#tls.expectsRecord) {
      this.#tls.octets(chunk);
      return;
    }
    this.#reading = true;
    // Established and hearing the agent means that it has our header (§2.3).
    if (this.#heldBack && this.state === 'established') this.#release();
    const idleBefore = this.#framer.idleOctets;
    let heard = false;
    this.#routes.readBegan();
    this.#framer.push(chunk);
    for (let event = this.#framer.next(); event; event = this.#framer.next()) {
      if (event.kind === 'stanza') heard = true;
      this.#framed(event);
      if (this.state === 'closed' || this.#tls.waiting) break;
    }
    this.#reading = false;
    this.#routes.readEnded(this.#framer.reserved);
    // Half a stanza is no sign of life: an agent that never ends one must not stay for ever.
    if (this.#framer.idleOctets !== idleBefore) {
      heard = true;
      this.#run({ kind: 'idle-octets' });
    }
    if (heard && this.state === 'established') this.#heardMs = this.#clock.nowMs();
  }

  #framed(event: FramerEvent): void {
    switch (event.kind) {
      case 'keepalive':
        this.counters.received.keepalive++;
        break;
      case 'stream-open':
        this.#header(event.bytes);
        break;
      case 'stream-close':
        this.close('stream-closed-by-agent');
        break;
      case 'negotiation':
        if (event.name !== 'starttls') this.#run({ kind: 'negotiation' });
        else if (this.state === 'starttls-wait') this.#requestTls();
        else this.#run({ kind: 'starttls' });
        break;
      case 'violation':
        this.close(event.fault);
        break;
      case 'stanza':
        if (this.state === 'established') this.#stanza(event);
        else this.#run({ kind: 'stanza' });
        break;
    }
  }

  #header(tag: Buffer): void {
    // The name in force is that of the first header; one inside TLS does not change it (§1.2).
    let refusal = this.#name === '' ? this.#identify(tag) : undefined;
    // In clear text a name is only an assertion: nobody has it, and nobody loses it, before TLS has shown whose it is.
    const isLast = this.state === (this.#owner.tls === undefined ? 'header-wait' : 'tls-header-wait');
    if (isLast) refusal ??= this.#claim();
    this.#run(refusal ? { kind: 'header', refusal } : { kind: 'header' });
  }

  #identify(tag: Buffer): CloseReason | undefined {
    const header = parseStreamHeader(tag);
    const fault = headerFault(header, this.#owner.subCluster);
    if (fault || !header) return fault;
    this.#logger = this.#logger.child({ agent: header.from });
    this.#permit = this.#owner.policy.permitOf(header.from, this.address);
    if (!this.#permit) return 'agent-not-allowed';
    this.#name = header.from;
    this.#head = formatMessageHead(header.from);
    return undefined;
  }

  /** Takes the name in force. @returns why it may not be had */
  #claim(): CloseReason | undefined {
    if (this.#owner.tls && this.#owner.verifyAgentName) {
      const certificate = this.#transport.peerCertificate;
      if (!certificate || !isCertificateOf(certificate, this.#name)) {
        this.#detail = `the certificate is that of ${certificate ? describeSubject(certificate) : 'nobody'}`;
        return 'certificate-name-mismatch';
      }
    }
    const refusal = this.#owner.claim(this, this.#name);
    if (!refusal) this.#record = this.#owner.recordOf(this.#name);
    return refusal;
  }

  #stanza(event: FramerEvent & { readonly kind: 'stanza' }): void {
    const { name, bytes } = event;
    this.counters.received[name]++;
    const element = parseXml(bytes, this.#owner.tails);
    if (element instanceof XmlFault) {
      this.#logger.debug({ reason: element.reason, offset: element.offset, octets: bytes.length }, 'malformed stanza');
      this.#detail = `${element.reason} at ${element.offset}`;
      this.close('malformed-stanza');
      return;
    }
    if (name === 'presence') {
      this.counters.ignore('presence');
      return;
    }
    this.#activityMs = this.#clock.nowMs();
    const service = serviceOf(element.attributes['to'] ?? '');
    if (service !== 'route') {
      this.counters.ignore(service === 'config' ? 'config-service' : 'service-unknown');
    } else if (name === 'message') {
      this.#message(element);
    } else {
      const fault = this.#routes.handle(element, bytes);
      if (fault) this.close(fault);
    }
  }

  /** Real agents announce End-of-RIB by a message, long before they have learnt their VRFs: ignored unless told otherwise (§5.11). */
  #message(message: XmlElement): void {
    const node = findElement(message, 'items')?.attributes['node'];
    if (this.#owner.honourMessageEndOfRib && node === '0/0/EndOfRib') this.#routes.endOfRib();
    else this.counters.ignore('message');
  }

  #requestTls(): void {
    this.#tls.request();
    // Until its turn comes its silence is not its own.
    if (this.#tls.waiting) this.#timers.stop('hold');
  }

  #startTls(hasWaited: boolean): void {
    if (hasWaited) this.#startTimer('hold');
    this.#run({ kind: 'starttls' });
    this.#tls.octets(this.#framer.restart());
  }

  #lost(error: TransportError | undefined): void {
    if (this.state === 'closed') return;
    if (error) this.#detail = describeSocketError(error);
    const failure = this.state === 'tls-handshake' ? 'tls-handshake-failed' : 'connection-failed';
    this.close(error ? failure : 'closed-by-agent');
  }

  // Octets out.

  /** Queues octets behind the stream header, or holds them back. */
  #send(bytes: Uint8Array): void {
    if (!this.#heldBack) {
      this.#transport.write(bytes);
      return;
    }
    this.#heldBack.push(bytes);
    this.#heldBackOctets += bytes.length;
  }

  #release(): void {
    for (const bytes of this.#heldBack ?? []) this.#transport.write(bytes);
    this.#heldBack = undefined;
    this.#heldBackOctets = 0;
    this.#timers.stop('hold-back');
  }

  #drained(): void {
    if (this.#blockedSinceMs === undefined) return;
    this.#blockedSinceMs = undefined;
    if (this.state !== 'established') return;
    if (this.#keepaliveOwed) this.#sendFixed('keepalive');
    this.#owner.handler.writable(this);
  }

  #sendFixed(what: 'stream-header' | 'features' | 'proceed' | 'keepalive'): void {
    switch (what) {
      case 'stream-header':
        this.#transport.write(formatStreamHeader(this.#owner.serverName, this.#name));
        break;
      case 'features':
        this.#transport.write(STREAM_FEATURES);
        break;
      case 'proceed':
        this.#transport.write(PROCEED);
        break;
      case 'keepalive':
        // A keepalive behind a backlog tells nobody anything, and an agent that never reads must not collect them: one follows.
        this.#keepaliveOwed = this.#heldBack !== undefined || !this.writable;
        if (this.#keepaliveOwed) break;
        this.counters.sent.keepalive++;
        this.#transport.write(KEEPALIVE);
        break;
    }
  }

  // The state machine and its timers.

  #run(event: ChannelEvent): void {
    const before = this.state;
    const actions = this.#fsm.handle(event);
    for (const action of actions) this.#perform(action);
    const after = this.state;
    if (after !== before && after !== 'closed') {
      this.#logger.info({ address: this.addressText, state: after }, 'agent session');
    }
  }

  #perform(action: ChannelAction): void {
    switch (action.kind) {
      case 'send':
        this.#sendFixed(action.what);
        break;
      case 'start-timer':
        this.#startTimer(action.timer);
        break;
      case 'stop-timer':
        this.#timers.stop(action.timer);
        break;
      case 'start-tls':
        this.#tls.expectRecord();
        break;
      case 'up':
        this.#up();
        break;
      case 'close':
        this.#closed(action.reason, action.farewell);
        break;
    }
  }

  #up(): void {
    this.#upSinceMs = this.#activityMs = this.#heardMs = this.#clock.nowMs();
    this.#wasUp = true;
    this.#heldBack = [];
    if (this.#reading && this.#framer.pendingOctets > 0) {
      // Its stanzas are here already; it may stay silent until its next keepalive, a third of the hold time away.
      this.#timers.set('hold-back', PIPELINED_HOLD_BACK_MS, () => this.#release());
    }
    this.#owner.handler.agentUp(this);
    this.#awaitEndOfRib();
  }

  #closed(reason: CloseReason, farewell: boolean): void {
    this.#timers.stopAll();
    this.#tls.end();
    this.#routes.stop();
    this.#heldBack = undefined;
    this.#heldBackOctets = 0;
    const record = this.#record;
    if (record) {
      if (this.#wasUp) record.flaps++;
      record.lastError = this.#detail === '' ? reason : `${reason}: ${this.#detail}`;
    }
    const detail = this.#detail === '' ? {} : { detail: this.#detail };
    const fields = { address: this.addressText, state: 'closed', reason, ...detail };
    if (REFUSALS.has(reason)) this.#logger.warn(fields, 'agent session');
    else this.#logger.info(fields, 'agent session');
    if (farewell) {
      this.#transport.write(STREAM_CLOSE);
      this.#transport.close(FAREWELL_LINGER_MS);
    } else {
      this.#transport.destroy();
    }
    this.#owner.released(this, reason);
    if (this.#wasUp) this.#owner.handler.agentDown(this, reason);
  }

  #startTimer(timer: 'header' | 'hold' | 'keepalive'): void {
    const holdMs = this.#owner.holdTimeSec * 1000;
    switch (timer) {
      case 'header':
        this.#timers.set('header', HEADER_WAIT_MS, () => this.#run({ kind: 'header-timer-expired' }));
        break;
      case 'hold':
        this.#heardMs = this.#clock.nowMs();
        this.#timers.set('hold', holdMs, () => this.#holdTimerFired());
        break;
      case 'keepalive': {
        const delayMs = delayToGridBefore(this.#clock.nowMs(), holdMs / 3, holdMs / KEEPALIVE_GRID);
        this.#timers.set('keepalive', delayMs, () => {
          this.#watchSending(holdMs);
          this.#run({ kind: 'keepalive-timer-expired' });
        });
        break;
      }
    }
  }

  /**
   * The timer is not restarted at each sign of life but looks at the last one when it fires. Before it believes in silence it lets
   * the event loop read once more: after a long turn of ours timers run first, and unread octets are a sign of life (§2.6).
   */
  #holdTimerFired(): void {
    const holdMs = this.#owner.holdTimeSec * 1000;
    const silentMs = this.#clock.nowMs() - this.#heardMs;
    if (silentMs < holdMs) {
      this.#timers.set('hold', holdMs - silentMs, () => this.#holdTimerFired());
      return;
    }
    const receivedBefore = this.#transport.receivedOctets;
    this.#transport.afterNextPoll(() => {
      if (this.state === 'closed') return;
      if (this.#transport.receivedOctets === receivedBefore) this.#run({ kind: 'hold-timer-expired' });
      else this.#timers.set('hold', holdMs, () => this.#holdTimerFired());
    });
  }

  #watchSending(holdMs: number): void {
    const { sentOctets, writableLength } = this.#transport;
    const nowMs = this.#clock.nowMs();
    if (writableLength === 0 || sentOctets !== this.#takenOctets) {
      this.#takenOctets = sentOctets;
      this.#takenMs = nowMs;
    } else if (nowMs - this.#takenMs >= SEND_HOLD_TIMES * holdMs) this.close('send-time-expired');
  }

  #awaitEndOfRib(): void {
    if (this.#endOfRibSent || this.state !== 'established') return;
    const delayMs = endOfRibDelayMs(
      {
        nowMs: this.#clock.nowMs(),
        serverStartMs: this.#owner.startedMs,
        upSinceMs: this.#upSinceMs,
        lastActivityMs: this.#activityMs,
        dumpPending: this.#dumpPending,
        blocked: this.#blockedSinceMs !== undefined,
        converged: this.#owner.converged,
      },
      this.#owner.endOfRib,
    );
    if (delayMs > 0) {
      const askMs = delayToGridAfter(this.#clock.nowMs(), delayMs, END_OF_RIB_GRID_MS);
      this.#timers.set('end-of-rib', askMs, () => this.#awaitEndOfRib());
      return;
    }
    this.#endOfRibSent = true;
    this.counters.sent.endOfRib++;
    this.#send(this.#head);
    this.#send(END_OF_RIB_BODY);
  }
}
