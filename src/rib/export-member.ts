import type { Audience } from './audiences.js';
import type { ExportStream } from './export-batch.js';
import type { ExportReceiver } from './exporter.js';
import type { OwedRoutes } from './owed-routes.js';

/** A receiver as the group sees it. */
export class ExportMember {
  readonly receiver: ExportReceiver;
  /** Position in the group's bitmaps. */
  readonly index: number;
  /** Absent while the member is in step with the group. */
  owed: OwedRoutes | undefined;
  /** Delivery that still has to reach this member; 0 when none does. */
  ticket = 0;
  /** Next word of the advertised routes to be owed for a refresh; absent when none is under way. */
  refreshFrom: number | undefined;
  /** Asked again while it was. */
  refreshAgain = false;

  constructor(receiver: ExportReceiver, index: number) {
    this.receiver = receiver;
    this.index = index;
  }
}

/** Encoded octets on their way to recipients, in slices. */
export interface Delivery {
  readonly ticket: number;
  readonly recipients: readonly ExportMember[];
  position: number;
  readonly streams: readonly ExportStream[];
  /** Of a batch: the slots, and who had what was advertised there before. */
  readonly slots: readonly number[];
  readonly before: readonly (Audience | undefined)[];
  /** Of owed routes: the range of words served. */
  readonly firstWord: number;
  readonly lastWord: number;
}
