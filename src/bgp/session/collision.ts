/**
 * Connection collision resolution (RFC 4271 §6.8, RFC 6286 §2.3): which of two connections to one neighbor survives.
 * Pure decisions over what is known of both; neighbor.ts carries them out.
 *
 * The rule of the RFC is that the connection survives which the speaker with the higher identifier (then AS number) opened;
 * we call that speaker dominant. Both ends must come to the same result although each sees the messages in another order,
 * and speakers differ in when they look. What keeps both connections from dying:
 *
 *  - We answer an inbound connection only after its OPEN (DelayOpen), so a peer cannot choose it before we did.
 *  - While our own connection is undecided, the choice is deferred: the inbound OPEN waits, unanswered, until the other
 *    connection is up or gone, at most for a short time.
 *  - A connection attempt that is not through yet is given up as soon as the other direction has the peer's OPEN.
 */
import type { SessionState } from './fsm-events.js';

/** Who opened the TCP connection: we (`outbound`) or the neighbor. */
export type Direction = 'outbound' | 'inbound';

/** A speaker as collision resolution sees it. */
export interface SpeakerIdentity {
  /** BGP identifier, 1..2^32-1. */
  readonly identifier: number;
  /** 4-octet AS number. */
  readonly asn: number;
}

/** Whether connections of `local` survive those of `remote`: higher identifier, on a tie higher AS number (RFC 6286 §2.3). */
export function isDominant(local: SpeakerIdentity, remote: SpeakerIdentity): boolean {
  if (local.identifier !== remote.identifier) return local.identifier > remote.identifier;
  return local.asn > remote.asn;
}

/** The other connection when an OPEN arrives. */
export interface RivalConnection {
  readonly state: SessionState;
  /** Its own OPEN has arrived and waits for a decision. */
  readonly deferred: boolean;
}

/**
 * - `proceed`: take the OPEN; the other connection, if any, may go on
 * - `close-other`: close the other one, take the OPEN
 * - `close-this`: close this one
 * - `defer`: leave the OPEN waiting
 */
export type CollisionVerdict = 'proceed' | 'close-other' | 'close-this' | 'defer';

/**
 * A valid OPEN has arrived on the connection of this direction.
 *
 * @param rival  the connection of the other direction, `undefined` when there is none
 * @param dominant  {@link isDominant} of us over the sender of the OPEN
 */
export function resolveOpen(
  direction: Direction,
  rival: RivalConnection | undefined,
  dominant: boolean,
): CollisionVerdict {
  if (!rival) return 'proceed';
  // The connection that the dominant speaker opened.
  const thisIsPreferred = (direction === 'outbound') === dominant;
  switch (rival.state) {
    case 'established':
      // §6.8: a collision with an established connection closes the new one.
      return 'close-this';
    case 'openconfirm':
      if (!thisIsPreferred) return 'close-this';
      // Our KEEPALIVE is out on the rival: the peer may hold it for established by now. Its KEEPALIVE or its end will tell.
      return direction === 'inbound' ? 'defer' : 'close-other';
    case 'opensent':
      if (direction === 'outbound') return 'proceed'; // the inbound one has said nothing yet; judged when it does
      return thisIsPreferred ? 'close-other' : 'defer';
    case 'connect':
    case 'active':
    case 'idle':
      if (rival.deferred) return thisIsPreferred ? 'close-other' : 'close-this';
      // An attempt of ours that is not through is given up. An inbound connection without an OPEN may stay until it has one.
      return direction === 'inbound' ? 'close-other' : 'proceed';
    default:
      return rival.state satisfies never;
  }
}

/**
 * A deferred OPEN has waited long enough: by the rule if the rival got as far as OpenConfirm, else for the connection that
 * has shown life.
 */
export function resolveDeferred(rival: RivalConnection | undefined): 'close-other' | 'close-this' {
  return rival?.state === 'established' ? 'close-this' : 'close-other';
}

/** What to do with a new inbound TCP connection beside the connections that are there. */
export type AcceptVerdict = 'accept' | 'replace-inbound' | 'reject';

/**
 * @param inbound  the present inbound connection, if any
 * @param outbound  the state of our own
 * @param restarted  the session that is established may be the neighbor's old one (RFC 4724 §5)
 */
export function resolveAccept(
  inbound: (RivalConnection & { readonly openReceived: boolean }) | undefined,
  outbound: SessionState,
  restarted: boolean,
): AcceptVerdict {
  if (outbound === 'established' && !restarted) return 'reject';
  if (!inbound || (inbound.state === 'established' && restarted)) return 'accept';
  // The neighbor has one connection at a time in this direction: one that was silent so far is probably dead.
  return inbound.openReceived || inbound.deferred ? 'reject' : 'replace-inbound';
}
