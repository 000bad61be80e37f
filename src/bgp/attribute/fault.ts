import { UPDATE_MESSAGE_ERROR } from './iana.js';

/**
 * What a protocol error leads to, mildest first (RFC 7606 §2). `ignore` is for what is no error but of no use here: routes of
 * families and of types that this end does not know or has not negotiated (RFC 4760 §7, RFC 7606 §5.4).
 */
export type ErrorAction = 'ignore' | 'attribute-discard' | 'treat-as-withdraw' | 'afi-safi-disable' | 'session-reset';

/** A protocol error as a value: what, where, which rule, and what follows from it. One place makes NOTIFICATIONs of them. */
export interface ProtocolFault {
  readonly action: ErrorAction;
  /** NOTIFICATION error code and subcode (RFC 4271 §4.5), used when the action is `session-reset`. */
  readonly code: number;
  readonly subcode: number;
  /** NOTIFICATION data. */
  readonly data?: Uint8Array;
  /** With `session-reset`: nothing is to be kept over it on either side, graceful restart or not (RFC 8538 §3.1). */
  readonly hardReset?: boolean;
  /** For people: the attribute, the offset, the value and the rule, e.g. `ORIGIN: value 7 (RFC 7606 §7.1)`. */
  readonly reason: string;
}

const SEVERITY: Readonly<Record<ErrorAction | 'none', number>> = {
  none: 0,
  ignore: 1,
  'attribute-discard': 2,
  'treat-as-withdraw': 3,
  'afi-safi-disable': 4,
  'session-reset': 5,
};

/** The stronger of two actions: with several errors in a message the most severe one counts (RFC 7606 §3 h). */
export function strongerAction<A extends ErrorAction | 'none', B extends ErrorAction | 'none'>(a: A, b: B): A | B {
  return SEVERITY[a] >= SEVERITY[b] ? a : b;
}

/** A fault in an UPDATE message. */
export function updateFault(action: ErrorAction, subcode: number, reason: string, data?: Uint8Array): ProtocolFault {
  return { action, code: UPDATE_MESSAGE_ERROR, subcode, reason, ...(data && { data }) };
}
