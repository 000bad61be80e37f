/** Numbers of the IANA registries for BFD (RFC 5880 §4.1, §8; RFC 5881 §8; RFC 5883 §9). */

/** UDP destination ports of control packets. */
export const CONTROL_PORT = 3784;
export const MULTIHOP_CONTROL_PORT = 4784;

/** Source ports of control packets: one of their own per session (RFC 5881 §4). */
export const SOURCE_PORTS = { first: 49152, last: 65535 } as const;

/** Session states in the order of their numbers, spelled as the API does. */
export const BFD_STATES = ['admin-down', 'down', 'init', 'up'] as const;
export type BfdState = (typeof BFD_STATES)[number];

/** Diagnostic codes in the order of their numbers: why a session last went down. */
export const BFD_DIAGNOSTICS = [
  'none',
  'control-detection-time-expired',
  'echo-function-failed',
  'neighbor-signaled-session-down',
  'forwarding-plane-reset',
  'path-down',
  'concatenated-path-down',
  'administratively-down',
  'reverse-concatenated-path-down',
] as const;
export type BfdDiagnostic = (typeof BFD_DIAGNOSTICS)[number] | 'reserved';
