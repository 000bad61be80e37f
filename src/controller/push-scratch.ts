import { EncodedRuns } from '../rib/encoded-runs.js';
import type { OutputPace } from '../rib/output-pace.js';
import { systemClock } from '../util/clock.js';
import { Writer } from '../wire/writer.js';
import { PathRenderings } from './path-renderings.js';

/**
 * Memory that the exporters of all tables share: an exporter per table with buffers of its own would keep
 * megabytes for ten thousand VRFs. Nothing stays in the writers
 * from one batch to the next.
 */
export class PushScratch {
  /** The message of items in the making, and that of retracts. */
  readonly items = new Writer();
  readonly retracts = new Writer();
  /** The key of a list of paths that is looked up. */
  readonly key = new Writer();
  readonly renderings: PathRenderings;
  readonly runs: EncodedRuns;
  readonly pace: OutputPace | undefined;

  constructor(renderings = new PathRenderings(), runs = new EncodedRuns(systemClock), pace?: OutputPace) {
    this.renderings = renderings;
    this.runs = runs;
    this.pace = pace;
  }

  /** Forgets what can be made again; not to be called in the middle of a push. */
  trim(): void {
    this.renderings.trim(0);
    this.runs.forgetAll();
  }
}
