/** What the thread of BFD and the main thread say to each other; plain data, copied on the way. */
import type { DiscardReason, SessionDescription, SessionReport } from './engine.js';
import type { SessionSettings, SessionSnapshot } from './session-fsm.js';

export type ToWorker =
  /** `snapshot`: the session goes on from there. */
  | {
      readonly kind: 'add';
      readonly id: number;
      readonly description: SessionDescription;
      readonly snapshot?: SessionSnapshot;
    }
  | { readonly kind: 'reconfigure'; readonly id: number; readonly settings: SessionSettings }
  | { readonly kind: 'remove'; readonly id: number }
  /** End everything, and the thread. */
  | { readonly kind: 'close' };

/** Packets of one session since the thread knows it. */
export interface SessionCounters {
  readonly id: number;
  readonly received: number;
  readonly sent: number;
}

export type FromWorker =
  | { readonly kind: 'changed'; readonly id: number; readonly report: SessionReport }
  /** Now and then. */
  | {
      readonly kind: 'counters';
      readonly sessions: readonly SessionCounters[];
      readonly discarded: ReadonlyMap<DiscardReason, number>;
    };
