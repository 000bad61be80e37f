/**
 * The life of one agent connection as a pure state machine (agent-channel.md §2.1–§2.9): events in, ordered actions out; no
 * socket, no timer, no name table inside.
 *
 *   header-wait ──header──▶ established                                     without TLS
 *   header-wait ──header──▶ starttls-wait ──starttls──▶ tls-handshake ──secured──▶ tls-header-wait ──header──▶ established
 *   any ──fault, timer, end──▶ closed
 *
 * Stanzas of an established session do not pass through here one by one: the driver restarts the hold time and hands them on.
 */
import type { FramingFault } from './framer.js';
import type { HeaderFault } from './stream.js';
import type { SubscriptionFault } from './subscriptions.js';

export type ChannelState =
  'header-wait' | 'starttls-wait' | 'tls-handshake' | 'tls-header-wait' | 'established' | 'closed';

/** Why a session ended; stable names for counters, logs and the API. */
export type CloseReason =
  | 'closed-by-agent'
  | 'stream-closed-by-agent'
  | 'connection-failed'
  | 'tls-handshake-failed'
  | 'no-stream-header'
  | 'hold-time-expired'
  | 'send-time-expired'
  | 'unexpected-stanza'
  | 'unexpected-stream-header'
  | 'unexpected-negotiation'
  | 'malformed-stanza'
  | 'name-in-use'
  | 'name-in-use-by-other-address'
  | 'replaced-by-new-connection'
  | 'server-stopped'
  | 'administrative-reset'
  | 'agent-not-allowed'
  | 'permission-changed'
  | 'internal-error'
  | 'certificate-name-mismatch'
  | FramingFault
  | HeaderFault
  | SubscriptionFault;

/** Ends that an operator wants to know of: somebody is here who may not, or says to be somebody else. */
export const REFUSALS: ReadonlySet<CloseReason> = new Set([
  'agent-not-allowed',
  'certificate-name-mismatch',
  'name-in-use-by-other-address',
  'tls-handshake-failed',
]);

export type ChannelEvent =
  /** The connection was accepted. */
  | { readonly kind: 'accepted' }
  /** A stream header came; `refusal` is the verdict of {@link headerFault} and of the collision rules. */
  | { readonly kind: 'header'; readonly refusal?: CloseReason }
  | { readonly kind: 'starttls' }
  /** The TLS handshake is complete. */
  | { readonly kind: 'secured' }
  /** White space or keepalives. */
  | { readonly kind: 'idle-octets' }
  /** A stanza, or `features` or `proceed`, which only a server says. */
  | { readonly kind: 'stanza' }
  | { readonly kind: 'negotiation' }
  | { readonly kind: 'header-timer-expired' }
  | { readonly kind: 'hold-timer-expired' }
  | { readonly kind: 'keepalive-timer-expired' }
  /** The connection is to end, or has ended, for a reason that was found elsewhere. */
  | { readonly kind: 'close'; readonly reason: CloseReason };

export type ChannelAction =
  | { readonly kind: 'send'; readonly what: 'stream-header' | 'features' | 'proceed' | 'keepalive' }
  | { readonly kind: 'start-timer'; readonly timer: 'header' | 'hold' | 'keepalive' }
  | { readonly kind: 'stop-timer'; readonly timer: 'header' | 'hold' | 'keepalive' }
  /** What follows from the agent is a TLS handshake. */
  | { readonly kind: 'start-tls' }
  /** The session is established: tell the controller; hold back output until the agent is heard (§2.3). */
  | { readonly kind: 'up' }
  /** Close the connection; `farewell`: send `</stream:stream>` first. */
  | { readonly kind: 'close'; readonly reason: CloseReason; readonly farewell: boolean };

const NOTHING: readonly ChannelAction[] = [];

export class ChannelFsm {
  readonly #tls: boolean;
  #state: ChannelState = 'header-wait';

  /** @param tls  the server insists on TLS; there is no negotiation of whether (§2.1) */
  constructor(tls: boolean) {
    this.#tls = tls;
  }

  get state(): ChannelState {
    return this.#state;
  }

  /** Takes one event. */
  handle(event: ChannelEvent): readonly ChannelAction[] {
    if (this.#state === 'closed') return NOTHING;
    if (event.kind === 'close') return this.#close(event.reason);
    switch (this.#state) {
      case 'header-wait':
        return this.#headerWait(event);
      case 'starttls-wait':
        return this.#starttlsWait(event);
      case 'tls-handshake':
        return this.#tlsHandshake(event);
      case 'tls-header-wait':
        return this.#tlsHeaderWait(event);
      case 'established':
        return this.#established(event);
    }
  }

  #headerWait(event: ChannelEvent): readonly ChannelAction[] {
    switch (event.kind) {
      case 'accepted':
        return [{ kind: 'start-timer', timer: 'header' }];
      case 'header':
        if (event.refusal) return this.#close(event.refusal);
        if (!this.#tls) return this.#establish([{ kind: 'stop-timer', timer: 'header' }]);
        this.#state = 'starttls-wait';
        return [
          { kind: 'stop-timer', timer: 'header' },
          { kind: 'send', what: 'stream-header' },
          { kind: 'send', what: 'features' },
          { kind: 'start-timer', timer: 'hold' },
        ];
      case 'idle-octets':
        return NOTHING;
      case 'header-timer-expired':
        return this.#close('no-stream-header', true);
      default:
        return this.#unexpected(event);
    }
  }

  /** Idle octets do not restart the hold time here: an agent without TLS would otherwise stay for ever. */
  #starttlsWait(event: ChannelEvent): readonly ChannelAction[] {
    switch (event.kind) {
      case 'starttls':
        this.#state = 'tls-handshake';
        return [{ kind: 'send', what: 'proceed' }, { kind: 'start-tls' }];
      case 'idle-octets':
        return NOTHING;
      default:
        return this.#unexpected(event);
    }
  }

  #tlsHandshake(event: ChannelEvent): readonly ChannelAction[] {
    if (event.kind !== 'secured') return this.#unexpected(event);
    this.#state = 'tls-header-wait';
    return NOTHING;
  }

  #tlsHeaderWait(event: ChannelEvent): readonly ChannelAction[] {
    switch (event.kind) {
      case 'header':
        return event.refusal ? this.#close(event.refusal) : this.#establish([]);
      case 'idle-octets':
        return NOTHING;
      default:
        return this.#unexpected(event);
    }
  }

  #established(event: ChannelEvent): readonly ChannelAction[] {
    switch (event.kind) {
      case 'idle-octets':
      case 'stanza':
        return NOTHING;
      case 'keepalive-timer-expired':
        return [
          { kind: 'send', what: 'keepalive' },
          { kind: 'start-timer', timer: 'keepalive' },
        ];
      default:
        return this.#unexpected(event);
    }
  }

  #establish(first: readonly ChannelAction[]): readonly ChannelAction[] {
    this.#state = 'established';
    return [
      ...first,
      { kind: 'send', what: 'stream-header' },
      { kind: 'start-timer', timer: 'hold' },
      { kind: 'start-timer', timer: 'keepalive' },
      { kind: 'up' },
    ];
  }

  /** Any other event: what it means does not depend on the state. */
  #unexpected(event: ChannelEvent): readonly ChannelAction[] {
    switch (event.kind) {
      case 'hold-timer-expired':
        return this.#close('hold-time-expired');
      case 'header':
        return this.#close(event.refusal ?? 'unexpected-stream-header');
      case 'stanza':
        return this.#close('unexpected-stanza');
      case 'starttls':
      case 'negotiation':
        return this.#close('unexpected-negotiation');
      default:
        // A timer that was stopped in the same turn, or octets without meaning.
        return NOTHING;
    }
  }

  #close(reason: CloseReason, farewell = false): readonly ChannelAction[] {
    this.#state = 'closed';
    return [{ kind: 'close', reason, farewell }];
  }
}
