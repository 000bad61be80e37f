/** Answers that may be long are made in slices, one of all answers in a turn of the event loop. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { runInSlices, type Steps } from '../util/steps.js';
import { LongText } from './long-text.js';

let turns: Promise<unknown> = Promise.resolve();

/** Kept in a turn of the event loop that nobody else who asks here has. */
export async function ownTurn(): Promise<void> {
  turns = turns.then(() => nextTurn());
  await turns;
}

export const inSlices = <T>(steps: Steps<T>): Promise<T> => runInSlices(steps, () => performance.now(), ownTurn);

/** `{"name":[…]}`, asked for the next view step by step. */
export function* listText(name: string, views: Iterable<unknown>): Steps<Buffer> {
  const text = new LongText();
  let start = `{${JSON.stringify(name)}:[`;
  for (const view of views) {
    text.add(`${start}${JSON.stringify(view)}`);
    start = ',';
    yield;
  }
  text.add(start === ',' ? ']}' : `${start}]}`);
  return Buffer.concat(text.pieces);
}
