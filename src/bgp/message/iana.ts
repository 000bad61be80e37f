/** Numbers of the IANA registries "BGP Message Types" and "BGP Error (Notification) Codes" with their subcodes. */

export const MessageType = { open: 1, update: 2, notification: 3, keepalive: 4, routeRefresh: 5 } as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

/** NOTIFICATION error codes (RFC 4271 §4.5, RFC 7313 §5, RFC 9687 §4). */
export const ErrorCode = {
  messageHeader: 1,
  openMessage: 2,
  updateMessage: 3,
  holdTimerExpired: 4,
  finiteStateMachine: 5,
  cease: 6,
  routeRefreshMessage: 7,
  sendHoldTimerExpired: 8,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** Message header error (RFC 4271 §6.1). */
export const HeaderErrorSubcode = { connectionNotSynchronized: 1, badMessageLength: 2, badMessageType: 3 } as const;

/** OPEN message error (RFC 4271 §6.2, RFC 5492 §5, RFC 9234 §5). */
export const OpenErrorSubcode = {
  unsupportedVersionNumber: 1,
  badPeerAs: 2,
  badBgpIdentifier: 3,
  unsupportedOptionalParameter: 4,
  unacceptableHoldTime: 6,
  unsupportedCapability: 7,
  roleMismatch: 11,
} as const;

/** Finite state machine error: the state in which the unexpected message came (RFC 6608 §3). */
export const FsmErrorSubcode = { unspecified: 0, openSent: 1, openConfirm: 2, established: 3 } as const;

/** Cease (RFC 4486 §3, RFC 8538 §3, RFC 9384 §3). */
export const CeaseSubcode = {
  maximumPrefixesReached: 1,
  administrativeShutdown: 2,
  peerDeconfigured: 3,
  administrativeReset: 4,
  connectionRejected: 5,
  otherConfigurationChange: 6,
  connectionCollisionResolution: 7,
  outOfResources: 8,
  hardReset: 9,
  bfdDown: 10,
} as const;

/** ROUTE-REFRESH message error (RFC 7313 §5). */
export const RouteRefreshErrorSubcode = { invalidMessageLength: 1 } as const;
