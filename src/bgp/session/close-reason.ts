import type { ProtocolFault } from '../attribute/fault.js';
import { communicationOf, formatNotification, isHardReset, unwrapHardReset } from '../message/notification.js';
import type { NotificationMessage } from '../message/notification.js';
import type { NotificationContent } from './fsm-events.js';

/** Why a connection ended or did not come about. */
export interface CloseReason {
  readonly kind: 'notification-sent' | 'notification-received' | 'connection-lost' | 'local';
  /** Of the NOTIFICATION, or of the one that a Hard Reset wraps. */
  readonly code?: number;
  readonly subcode?: number;
  /** Shutdown communication, safe to print (RFC 9003). */
  readonly communication?: string;
  /** The NOTIFICATION was a Hard Reset: no graceful restart (RFC 8538). */
  readonly hardReset: boolean;
  /** One line for people. */
  readonly text: string;
}

/** A reason without any NOTIFICATION. */
export function plainReason(kind: 'connection-lost' | 'local', text: string): CloseReason {
  return { kind, hardReset: false, text };
}

export function receivedReason(message: NotificationMessage): CloseReason {
  return notificationReason('notification-received', message, `received ${formatNotification(message)}`);
}

/** @param cause  what made us send it; left out of the text when the NOTIFICATION says it all */
export function sentReason(content: NotificationContent, cause: string | undefined): CloseReason {
  const message = { code: content.code, subcode: content.subcode, data: content.data ?? new Uint8Array(0) };
  const text = `sent ${formatNotification(message)}`;
  return notificationReason('notification-sent', message, cause === undefined ? text : `${text} (${cause})`);
}

function notificationReason(kind: CloseReason['kind'], message: NotificationMessage, text: string): CloseReason {
  const { code, subcode } = unwrapHardReset(message);
  const communication = communicationOf(unwrapHardReset(message));
  return {
    kind,
    code,
    subcode,
    ...(communication !== undefined && { communication }),
    hardReset: isHardReset(message),
    text,
  };
}

/** What a fault that resets the session puts into the NOTIFICATION. */
export function notificationOfFault({ code, subcode, data, hardReset }: ProtocolFault): NotificationContent {
  return { code, subcode, ...(data && { data }), ...(hardReset !== undefined && { hardReset }) };
}
