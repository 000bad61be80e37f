/** What a protocol error leads to, mildest first (RFC 7606 §2). */
export type ErrorAction = 'attribute-discard' | 'treat-as-withdraw' | 'afi-safi-disable' | 'session-reset';

/** A protocol error as a value: what, where, which rule, and what follows from it. One place makes NOTIFICATIONs of them. */
export interface ProtocolFault {
  readonly action: ErrorAction;
  /** NOTIFICATION error code and subcode (RFC 4271 §4.5), used when the action is `session-reset`. */
  readonly code: number;
  readonly subcode: number;
  /** NOTIFICATION data. */
  readonly data?: Uint8Array;
  /** For people: the attribute, the offset, the value and the rule, e.g. `ORIGIN: value 7 (RFC 7606 §7.1)`. */
  readonly reason: string;
}
