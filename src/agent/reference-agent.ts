/**
 * A vRouter agent as far as the agent channel shows it: the working example of the protocol, the workload of tests and demo, and a
 * strict observer of the server (server-checker.ts).
 *
 *   stopped ──start──▶ waiting ──back-off──▶ connecting ──TCP──▶ opening ──header──▶ established
 *                         ▲                                        │  ▲                  │
 *                         │                                        └──┴─ starttls, TLS   │
 *                         └───────────────────────── connection lost ────────────────────┘
 *
 * Subscriptions and announcements are the agent's wishes: they may be made at any time and are sent, in order, whenever a session
 * comes up. What the server pushed is forgotten when the session ends, as agents do without graceful restart; with it, the agent works on
 * with what it has, and forgets what the server has not pushed again by its End-of-RIB.
 */
import type { Dialing, Network, Transport, TransportError } from '../net/transport.js';
import type { TlsParameters } from '../net/tls.js';
import type { Clock, Timer } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import type { FramerEvent } from '../xmpp/framer.js';
import type { ChannelFamilyName } from '../xmpp/items/channel-family.js';
import { AgentConnection } from './agent-connection.js';
import { AgentVrf, announcedId } from './agent-tables.js';
import type { Announcement } from './announcement.js';
import { BackOff } from './back-off.js';
import { parsePush } from './push-parser.js';
import type { Push, PushedRoute } from './pushed-route.js';
import type { RuleViolation, ServerRule } from './server-rules.js';
import * as stanzas from './stanzas.js';

export interface ReferenceAgentOptions {
  /** Name of the host: the agent's identity towards the server. */
  readonly name: string;
  readonly server: { readonly address: string; readonly port: number };
  /** Source address; servers tell agents apart by it. Default: the system's choice. */
  readonly localAddress?: string;
  /** Client parameters; with them the agent insists on TLS. */
  readonly tls?: TlsParameters;
  /** Both ends must be configured alike. Default 90. */
  readonly holdTimeSec?: number;
  /** Dial again after a session was lost. Default true. */
  readonly reconnect?: boolean;
  /** Keep what the server pushed when the session is lost, and end each repetition of what it wants known with End-of-RIB. Default false. */
  readonly gracefulRestart?: boolean;
  /** Wait this long with the first octet after the stream header, to see whether the server waits too. Default 0. */
  readonly greetingDelayMs?: number;
  /** Name of the sub-cluster, in the stream header. Default none. */
  readonly subCluster?: string;
}

/** What the rest of the world supplies. */
export interface ReferenceAgentDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  /** 0 ≤ value < 1, for the jitter of the back-off. */
  readonly random: () => number;
}

export type AgentState = 'stopped' | 'waiting' | 'connecting' | 'opening' | 'established';

/** What an agent tells its owner; all of it optional. */
export interface ReferenceAgentListener {
  stateChanged?(state: AgentState, reason: string | undefined): void;
  /** A route was pushed (also when nothing in it changed) or retracted (`undefined`). */
  routeChanged?(vrf: string, family: ChannelFamilyName, id: string, route: PushedRoute | undefined): void;
  endOfRib?(): void;
  /** The server broke a rule of the channel. */
  violation?(violation: RuleViolation): void;
}

/** A publication into a VRF that the agent has not subscribed to: servers close the session for it. */
export class NotSubscribedError extends Error {
  readonly code = 'ERR_NOT_SUBSCRIBED';

  constructor(vrf: string) {
    super(`subscribe to ${vrf} before publishing into it`);
  }
}

const DEFAULT_HOLD_TIME_SEC = 90;
const KEEPALIVES_PER_HOLD_TIME = 3;
/** How much later than due a keepalive of the server may come before it counts as missing. */
const KEEPALIVE_TOLERANCE = 1.5;

/** See the top of the file. */
export class ReferenceAgent {
  readonly #options: ReferenceAgentOptions;
  readonly #deps: ReferenceAgentDeps;
  readonly #listener: ReferenceAgentListener;
  readonly #log: Logger;
  readonly #backOff: BackOff;
  readonly #holdTimeMs: number;
  readonly #vrfs = new Map<string, AgentVrf>();
  readonly #violations: RuleViolation[] = [];
  /** Timers of the present state; cancelled together when it ends. */
  readonly #timers = new Set<Timer>();
  #state: AgentState = 'stopped';
  #serial = 0;
  #dialing: Dialing | undefined;
  #session: AgentConnection | undefined;

  constructor(options: ReferenceAgentOptions, deps: ReferenceAgentDeps, listener: ReferenceAgentListener = {}) {
    this.#options = options;
    this.#deps = deps;
    this.#listener = listener;
    this.#log = deps.logger.child({ agent: options.name });
    this.#backOff = new BackOff(deps.random);
    this.#holdTimeMs = (options.holdTimeSec ?? DEFAULT_HOLD_TIME_SEC) * 1000;
  }

  get name(): string {
    return this.#options.name;
  }

  get state(): AgentState {
    return this.#state;
  }

  /** Breaches of the channel's rules by the server, in the order in which they were seen. */
  get violations(): readonly RuleViolation[] {
    return this.#violations;
  }

  /** A VRF that the agent is subscribed to. */
  vrf(name: string): AgentVrf | undefined {
    return this.#vrfs.get(name);
  }

  /** Connects, and goes on trying. */
  start(): void {
    if (this.#state !== 'stopped') return;
    this.#backOff.reset();
    this.#dialLater();
  }

  /** Closes the session and stays away; wishes are kept for the next {@link start}. */
  stop(): void {
    this.#dialing?.cancel();
    this.#dialing = undefined;
    const session = this.#session;
    this.#session = undefined;
    session?.transport.close();
    this.#enter('stopped', undefined);
    for (const vrf of this.#vrfs.values()) vrf.forgetRoutes();
  }

  /** Drops the connection without a word, as a host that dies; the agent dials again. */
  cut(): void {
    this.#session?.transport.destroy();
  }

  /** Takes part in a VRF. A second subscription to the same is a mistake that servers answer by closing; it is not sent. */
  subscribe(vrf: string, options: stanzas.SubscribeOptions): void {
    if (this.#vrfs.has(vrf)) return;
    this.#vrfs.set(vrf, new AgentVrf(vrf, options));
    if (this.#state === 'established') this.#sendSubscribe(vrf, options);
  }

  /** Leaves a VRF; its announcements go with it, and nothing is withdrawn one by one. */
  unsubscribe(vrf: string): void {
    const present = this.#vrfs.get(vrf);
    if (!present) return;
    this.#vrfs.delete(vrf);
    this.#send(stanzas.unsubscribe(this.name, this.#nextSerial(), vrf, present.options));
  }

  /**
   * Announces or changes a route.
   * @throws NotSubscribedError
   */
  publish(vrf: string, route: Announcement): void {
    const present = this.#vrfs.get(vrf);
    if (!present) throw new NotSubscribedError(vrf);
    present.announce(route);
    this.#sendRoute(stanzas.encodePublish(this.name, this.#nextSerial(), vrf, route));
  }

  /** Withdraws a route; the key fields are what counts. Nothing happens when it was not announced. */
  withdraw(vrf: string, route: Announcement): void {
    if (!this.#vrfs.get(vrf)?.withdraw(route)) return;
    this.#sendRoute(stanzas.encodeWithdraw(this.name, this.#nextSerial(), vrf, route));
  }

  /** Sends the agent's End-of-RIB marker. */
  sendEndOfRib(): void {
    this.#send(stanzas.endOfRib(this.name));
  }

  /** Sends text as it is, for tests of what no agent would send. */
  sendRaw(text: string | Uint8Array): void {
    this.#session?.transport.write(typeof text === 'string' ? Buffer.from(text) : text);
  }

  /** Reports a violation for each own route that has not come back; to be asked when the network is quiet. */
  checkReflections(): void {
    for (const vrf of this.#vrfs.values()) {
      for (const route of vrf.notReflected()) {
        this.#session?.checker.violation('reflection', `${vrf.name} ${route.family} ${announcedId(route)}`);
      }
    }
  }

  #enter(state: AgentState, reason: string | undefined): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    if (state === this.#state) return;
    this.#state = state;
    this.#log.debug({ state, reason }, 'agent');
    this.#listener.stateChanged?.(state, reason);
  }

  /** A timer that ends with the present state. */
  #after(delayMs: number, callback: () => void): void {
    const timer = this.#deps.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      callback();
    });
    this.#timers.add(timer);
  }

  #dialLater(reason?: string): void {
    this.#enter('waiting', reason);
    const { delayMs, timeoutMs } = this.#backOff.next();
    this.#after(delayMs, () => this.#dial(timeoutMs));
  }

  #dial(timeoutMs: number): void {
    this.#enter('connecting', undefined);
    const { server, localAddress } = this.#options;
    this.#dialing = this.#deps.network.dial(
      { address: server.address, port: server.port, ...(localAddress !== undefined && { localAddress }) },
      {
        connected: (transport) => this.#open(transport),
        failed: (error) => this.#lost(error.message),
      },
    );
    this.#after(timeoutMs, () => {
      this.#dialing?.cancel();
      this.#lost('connect timeout');
    });
  }

  #open(transport: Transport): void {
    this.#dialing = undefined;
    this.#enter('opening', undefined);
    const session = new AgentConnection(transport, this.name, this.#deps.clock.nowMs(), (violation) => {
      this.#violations.push(violation);
      this.#listener.violation?.(violation);
    });
    this.#session = session;
    // The handlers of a session that was replaced or stopped find that they are not the present one.
    transport.attach({
      data: (chunk) => {
        if (this.#session === session) this.#receive(session, chunk);
      },
      ended: () => transport.close(),
      drained: () => undefined,
      closed: (error) => {
        if (this.#session === session) this.#closed(error);
      },
    });
    this.#watchHoldTime(session);
    this.#sendHeader(session);
  }

  #closed(error: TransportError | undefined): void {
    this.#session = undefined;
    this.#lost(error?.message ?? 'closed by the server');
  }

  #lost(reason: string): void {
    this.#dialing = undefined;
    for (const vrf of this.#vrfs.values()) {
      if (this.#options.gracefulRestart === true) vrf.markStale();
      else vrf.forgetRoutes();
    }
    if (this.#options.reconnect === false) this.#enter('stopped', reason);
    else this.#dialLater(reason);
  }

  #forgetStale(): void {
    for (const vrf of this.#vrfs.values()) {
      for (const { family, id } of vrf.sweep()) this.#listener.routeChanged?.(vrf.name, family, id, undefined);
    }
  }

  #sendHeader(session: AgentConnection): void {
    session.phase = 'header';
    session.transport.write(Buffer.from(stanzas.streamHeader(this.name, this.#options.subCluster)));
  }

  #receive(session: AgentConnection, chunk: Uint8Array): void {
    session.lastReceivedMs = this.#deps.clock.nowMs();
    session.push(chunk);
    for (;;) {
      const event = session.framer.next();
      if (!event) break;
      this.#handle(session, event);
      // A listener may have stopped the agent, or a fault ended the session.
      if (this.#session !== session || session.transport.closing) return;
    }
    if (session.phase === 'greeting') this.#greet(session);
  }

  #handle(session: AgentConnection, event: FramerEvent): void {
    if (event.kind === 'violation') {
      session.checker.violation(session.phase === 'header' ? 'header-first' : 'framing', event.fault);
      session.transport.destroy();
      return;
    }
    switch (session.phase) {
      case 'header':
        if (event.kind === 'stream-open') this.#headerReceived(session, event.bytes);
        else this.#unexpected(session, 'header-first', event.kind);
        return;
      case 'starttls':
        if (event.kind === 'negotiation') this.#negotiate(session, event.name, event.bytes);
        else this.#unexpected(session, 'framing', event.kind);
        return;
      case 'greeting':
      case 'greeting-delay':
        session.checker.violation('quiet-after-header', event.kind);
        this.#handleEstablished(session, event);
        return;
      case 'open':
        this.#handleEstablished(session, event);
        return;
    }
  }

  #handleEstablished(session: AgentConnection, event: FramerEvent): void {
    switch (event.kind) {
      case 'keepalive':
        session.lastKeepaliveMs = this.#deps.clock.nowMs();
        this.#backOff.keepalive();
        return;
      case 'stanza': {
        const message = session.checker.stanza(event.name, event.bytes);
        if (message) this.#pushed(parsePush(message));
        return;
      }
      case 'stream-close':
        this.#unexpected(session, 'no-stream-close', '</stream:stream>');
        return;
      default:
        this.#unexpected(session, 'framing', event.kind);
    }
  }

  /** The server said what it must not say at this point; an agent would be lost from here. */
  #unexpected(session: AgentConnection, rule: ServerRule, what: string): void {
    session.checker.violation(rule, what);
    session.transport.destroy();
  }

  #headerReceived(session: AgentConnection, header: Buffer): void {
    session.headerReceived(header);
    session.phase = this.#options.tls && !session.secure ? 'starttls' : 'greeting';
  }

  /** Ends the silence after the header with the first keepalive, and tells the server everything. */
  #greet(session: AgentConnection): void {
    if (session.framer.pendingOctets > 0) session.checker.violation('quiet-after-header', 'part of a stanza');
    const delayMs = this.#options.greetingDelayMs ?? 0;
    if (delayMs === 0) {
      this.#establish(session);
      return;
    }
    session.phase = 'greeting-delay';
    this.#after(delayMs, () => this.#establish(session));
  }

  #establish(session: AgentConnection): void {
    session.phase = 'open';
    this.#enter('established', undefined);
    session.lastKeepaliveMs = this.#deps.clock.nowMs();
    this.#watchHoldTime(session);
    this.#watchKeepalives(session);
    this.#keepalive(session);
    for (const vrf of this.#vrfs.values()) {
      this.#sendSubscribe(vrf.name, vrf.options);
      for (const route of vrf.announcements.values()) {
        this.#sendRoute(stanzas.encodePublish(this.name, this.#nextSerial(), vrf.name, route));
      }
    }
    if (this.#options.gracefulRestart === true) {
      this.#send(stanzas.endOfRibTransaction(this.name, this.#nextSerial()));
    }
  }

  #negotiate(session: AgentConnection, name: string, octets: Buffer): void {
    const tls = this.#options.tls;
    if (!tls) return;
    if (name === 'stream:features') {
      session.checker.features(octets);
      session.transport.write(Buffer.from(stanzas.STARTTLS));
      return;
    }
    const proceed = Buffer.from(octets);
    session.checker.proceed(proceed, session.framer.restart().length);
    session.secure = true;
    session.transport.upgradeToTls(tls, () => this.#sendHeader(session));
  }

  #pushed(push: Push): void {
    switch (push.kind) {
      case 'items': {
        const vrf = this.#vrfs.get(push.vrf);
        for (const route of push.routes) {
          vrf?.pushed(push.family, route);
          this.#listener.routeChanged?.(push.vrf, push.family, route.id, route);
        }
        return;
      }
      case 'retracts': {
        const vrf = this.#vrfs.get(push.vrf);
        for (const id of push.ids) {
          vrf?.retracted(push.family, id);
          this.#listener.routeChanged?.(push.vrf, push.family, id, undefined);
        }
        return;
      }
      case 'end-of-rib':
        this.#forgetStale();
        this.#listener.endOfRib?.();
        return;
      case 'flush-stale':
        this.#forgetStale();
        return;
      case 'unknown':
        return;
    }
  }

  #keepalive(session: AgentConnection): void {
    session.transport.write(stanzas.KEEPALIVE);
    this.#after(this.#holdTimeMs / KEEPALIVES_PER_HOLD_TIME, () => this.#keepalive(session));
  }

  #watchHoldTime(session: AgentConnection): void {
    const remainingMs = session.lastReceivedMs + this.#holdTimeMs - this.#deps.clock.nowMs();
    if (remainingMs > 0) {
      this.#after(remainingMs, () => this.#watchHoldTime(session));
      return;
    }
    const received = session.transport.receivedOctets;
    // Octets that wait in the kernel are a sign of life: a long turn of ours is no fault of the server's.
    session.transport.afterNextPoll(() => {
      if (this.#session !== session) return;
      if (session.transport.receivedOctets === received) session.transport.destroy();
      else this.#watchHoldTime(session);
    });
  }

  #watchKeepalives(session: AgentConnection): void {
    const allowedMs = (this.#holdTimeMs / KEEPALIVES_PER_HOLD_TIME) * KEEPALIVE_TOLERANCE;
    const nowMs = this.#deps.clock.nowMs();
    if (nowMs - session.lastKeepaliveMs >= allowedMs) {
      session.checker.violation('keepalive', `none for ${String(Math.round(nowMs - session.lastKeepaliveMs))} ms`);
      session.lastKeepaliveMs = nowMs;
    }
    this.#after(session.lastKeepaliveMs + allowedMs - nowMs, () => this.#watchKeepalives(session));
  }

  #sendSubscribe(vrf: string, options: stanzas.SubscribeOptions): void {
    if (options.noRibOut !== true) this.#session?.checker.subscribed(vrf);
    this.#send(stanzas.subscribe(this.name, this.#nextSerial(), vrf, options));
  }

  #sendRoute(route: stanzas.RouteStanzas): void {
    this.#send(route.publish);
    this.#send(route.collection);
  }

  #send(text: string): void {
    if (this.#state === 'established') this.#session?.transport.write(Buffer.from(text));
  }

  #nextSerial(): number {
    return this.#serial++;
  }
}
