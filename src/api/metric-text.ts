/**
 * Metrics of many things of a kind in the text format of Prometheus (0.0.4). They are written without its library, which takes a third
 * of a millisecond for each neighbor, and in slices: there may be ten thousand.
 */
import type { Steps } from '../util/steps.js';
import { LongText } from './long-text.js';

/** @param labels  beside those of the subject, each with a comma in front */
type AddSample = (labels: string, value: number) => void;

export interface SubjectMetric<S> {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly collect: (subject: S, add: AddSample) => void;
}

/**
 * Every metric with its samples of all subjects, each line ended and an empty one behind.
 *
 * @param subjects  asked for the next one step by step
 * @param labelsOf  what names a subject, for example `vrf="blue"`; values {@link escaped}
 */
export function* metricText<S>(
  metrics: readonly SubjectMetric<S>[],
  subjects: Iterable<S>,
  labelsOf: (subject: S) => string,
): Steps<Buffer> {
  const parts = metrics.map(({ name, type, help, collect }) => {
    const text = new LongText();
    text.add(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`);
    return { name, collect, text };
  });
  for (const subject of subjects) {
    const ownLabels = labelsOf(subject);
    for (const { name, collect, text } of parts) {
      collect(subject, (labels, value) => text.add(`${name}{${ownLabels}${labels}} ${value}\n`));
    }
    yield;
  }
  return Buffer.concat(
    parts.flatMap(({ text }) => {
      text.add('\n');
      return text.pieces;
    }),
  );
}

/** The value of a label. */
export function escaped(text: string): string {
  return text.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}
