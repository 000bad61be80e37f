/** What is said to a neighbor whose connection is not wanted, or not any more (RFC 4486, RFC 9003). */
import type { Transport } from '../../net/transport.js';
import { CeaseSubcode, ErrorCode } from '../message/iana.js';
import { encodeCommunication, encodeNotification } from '../message/notification.js';
import type { NotificationContent } from './fsm-events.js';

/** Ends that last, or that somebody wants complete (RFC 8538 §5.1, RFC 9384 §3). */
const HARD_RESETS: ReadonlySet<number> = new Set([
  CeaseSubcode.maximumPrefixesReached,
  CeaseSubcode.administrativeShutdown,
  CeaseSubcode.peerDeconfigured,
  CeaseSubcode.administrativeReset,
  CeaseSubcode.bfdDown,
]);

/** Why the operator or the configuration ends a session (RFC 4486). */
export interface StopReason {
  /** Cease subcode. */
  readonly subcode: number;
  /** Shutdown communication, sent with Administrative Shutdown and Reset (RFC 9003). */
  readonly communication?: string;
  /** Data of the NOTIFICATION, with another subcode. */
  readonly data?: Uint8Array;
  /** Whether the neighbor is to drop our routes also where it would keep them; what the subcode suggests if left out. */
  readonly hardReset?: boolean;
}

/** The NOTIFICATION that says so. */
export function cease({ subcode, communication, data, hardReset }: StopReason): NotificationContent {
  const carriesText = subcode === CeaseSubcode.administrativeShutdown || subcode === CeaseSubcode.administrativeReset;
  return {
    code: ErrorCode.cease,
    subcode,
    ...(data && { data }),
    hardReset: hardReset ?? HARD_RESETS.has(subcode),
    ...(communication !== undefined && carriesText && { data: encodeCommunication(communication) }),
  };
}

/** A refused peer has this long to take the NOTIFICATION. */
const REFUSAL_LINGER_MS = 1000;

/**
 * Closes a connection that nobody wants, with a Cease that says why (RFC 4486).
 * @param gone  the connection is no more
 */
export function refuseConnection(transport: Transport, subcode: number, gone: () => void = () => undefined): void {
  transport.attach({ data() {}, ended() {}, drained() {}, closed: gone });
  transport.write(encodeNotification(ErrorCode.cease, subcode));
  transport.close(REFUSAL_LINGER_MS);
}
