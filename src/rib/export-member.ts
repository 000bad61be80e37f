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

/** The writable member that is owed something at or behind a word first, and where; wraps around. */
export function nextOwed(
  outOfStep: Iterable<ExportMember>,
  cursor: number,
): { readonly member: ExportMember; readonly word: number } | undefined {
  let best: ExportMember | undefined;
  let bestWord = Infinity;
  let wrapped: ExportMember | undefined;
  let wrappedWord = Infinity;
  for (const member of outOfStep) {
    if (!member.receiver.writable || member.owed === undefined) continue;
    const word = member.owed.firstWordFrom(cursor);
    if (word === cursor) return { member, word };
    if (word >= 0 && word < bestWord) {
      best = member;
      bestWord = word;
    }
    const early = word >= 0 ? word : member.owed.firstWordFrom(0);
    if (early >= 0 && early < wrappedWord) {
      wrapped = member;
      wrappedWord = early;
    }
  }
  if (best !== undefined) return { member: best, word: bestWord };
  return wrapped === undefined ? undefined : { member: wrapped, word: wrappedWord };
}

/**
 * The leader and writable members that are owed and hold exactly the same in the words `[first, last)`. No more of them are
 * sought than are wanted: of thousands that join, few are served at a time.
 */
export function cohortOf(
  outOfStep: Iterable<ExportMember>,
  leader: ExportMember,
  first: number,
  last: number,
  limit: number,
): ExportMember[] {
  const cohort = [leader];
  const owed = leader.owed!;
  for (const member of outOfStep) {
    if (cohort.length >= limit) break;
    if (member === leader || !member.receiver.writable) continue;
    if (member.owed!.sameRange(owed, first, last)) cohort.push(member);
  }
  return cohort;
}
