import type { EncodedRuns } from './encoded-runs.js';
import type { OutputPace } from './output-pace.js';
import type { Payload, RouteId, SourceId } from './handles.js';

/** What a group's receivers must see of one route; reused from route to route. */
export class Advertisement {
  /** What is announced: an attribute set for BGP, a list of paths for agents. The exporter knows; 0 is "nothing". */
  content = 0;
  payload = 0 as Payload;
  /** Source that must not get its own route back; NO_SOURCE when everybody may have it. */
  source = 0 as SourceId;
}

/** A receiver of routes: a BGP session or an agent stream. */
export interface ExportReceiver {
  /** Its own source: it is not sent what came from there. */
  readonly sourceId: SourceId;
  /** False while its socket has more queued than it should; see {@link ExportReceiver.send}. */
  readonly writable: boolean;
  /**
   * Sends octets that other receivers are sent as well; never changes them. What this costs is spent here and not later,
   * so that a delivery to thousands knows when its slice of time is over.
   */
  send(chunks: readonly Uint8Array[]): void;
  /** Everything it was owed when it joined or asked for a refresh has been sent. */
  synchronized(): void;
}

/** Turns routes into octets for one kind of receiver. The same export group serves BGP neighbors and agents through it. */
export interface Exporter {
  /**
   * What the receivers must see of a route now.
   * @returns false when they must see nothing
   */
  evaluate(route: RouteId, out: Advertisement): boolean;

  /** Keeps content alive as long as a group remembers having advertised it. */
  hold(content: number, payload: Payload): void;
  release(content: number, payload: Payload): void;
  /** No more routes are evaluated: what the last one came to, and nobody holds, may go. */
  close?(): void;

  /**
   * Contents with the same key have the same eligible receivers; 0 means that everybody is eligible.
   * Stable until the group is told that eligibility changed.
   */
  eligibilityKey(content: number): number;
  /** Changes when the keys begin to mean something else: what is remembered by them does not hold any more. */
  readonly eligibilityGeneration?: number;
  isEligible(receiver: ExportReceiver, content: number): boolean;
  /** False while every receiver may have everything that did not come from itself. */
  readonly isSelective: boolean;

  /** Where octets are kept for members out of step; only of an exporter that encodes each route by itself and is not selective. */
  readonly runs?: EncodedRuns;
  /** Holds back what members out of step are owed. */
  readonly pace?: OutputPace | undefined;

  /**
   * Octets that announcing one more route of this content takes, roughly: batches are bounded by it.
   * @param isKnown  others of the same content are announced with it
   */
  sizeOf(content: number, isKnown: boolean): number;

  /** True when what receivers are sent of this content does not depend on which of the two sources it came from. */
  rendersAlike(content: number, a: SourceId, b: SourceId): boolean;

  /** Encodes announcements of one content from one source; `payloads[i]` belongs to `routes[i]`. */
  encodeAnnouncements(
    content: number,
    source: SourceId,
    routes: readonly RouteId[],
    payloads: readonly Payload[],
    out: Uint8Array[],
  ): void;
  encodeWithdrawals(routes: readonly RouteId[], out: Uint8Array[]): void;
  /** Everything of a batch was handed over: what was collected across calls must be in its `out` now. */
  finishEncoding(): void;
}
