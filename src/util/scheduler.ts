/**
 * The one scheduler of bulk work. Jobs run in slices; between slices the event loop serves sockets and timers, so that
 * keepalives and accepts wait at most one slice whatever else is going on.
 */

/** A piece of work that can be interrupted. */
export interface Job {
  /**
   * Works until it is done or {@link Slice.expired} says that the slice is over.
   * @returns true when there is nothing left to do; false to be called again
   */
  run(slice: Slice): boolean;
  /** True while a run is known to be long (a fan-out to thousands): asked when its turn comes, it then lets short ones go first. */
  readonly isLong?: boolean;
}

/** Time of one turn, shared by the jobs that run in it. */
export class Slice {
  readonly #nowMs: () => number;
  #endMs = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  start(budgetMs: number): void {
    this.#endMs = this.#nowMs() + budgetMs;
  }

  /** True when less than this is left. */
  hasLess(thanMs: number): boolean {
    return this.#nowMs() + thanMs > this.#endMs;
  }

  /** True when the job must return. Costs one clock reading: ask once per few dozen units of work, not per route. */
  get expired(): boolean {
    return this.#nowMs() >= this.#endMs;
  }
}

/** Milliseconds a turn may take (design.md §4.6). */
const SLICE_BUDGET_MS = 5;
/** Milliseconds of a turn that short jobs leave to long ones. */
const LONG_JOBS_MS = 2;
/** Milliseconds that short jobs may take while input goes first. */
const SHORT_JOBS_MS = 2;
/** Milliseconds for which input goes first between two turns while there is more work than a turn can do. */
const INPUT_FIRST_MS = 20;

/** Defers a turn of the scheduler; `setImmediate` in production, by hand in tests. */
export type Defer = (turn: () => void) => void;

export class Scheduler {
  readonly #defer: Defer;
  readonly #slice: Slice;
  readonly #onError: (error: unknown) => void;
  readonly #nowMs: () => number;
  readonly #inputEvents: () => number;
  /** Until when input goes first, and what {@link #inputEvents} was when it was looked at last. */
  #inputUntilMs = -Infinity;
  #inputBefore = 0;
  /**
   * Short jobs go first, so that a change that concerns few does not wait behind fan-outs to many; a job that a slice was
   * not enough for is a long one. A part of each turn is for the long ones.
   */
  readonly #short = new Lane();
  readonly #long = new Lane();
  #armed = false;

  /**
   * @param nowMs    monotonic clock in milliseconds
   * @param defer    runs a callback after pending I/O
   * @param onError  a job that throws is a bug: it is dropped and reported here
   * @param inputEvents  a number that changes when sockets bring something in (util/input-meter.ts)
   */
  constructor(
    nowMs: () => number,
    defer: Defer,
    onError: (error: unknown) => void,
    inputEvents: () => number = () => 0,
  ) {
    this.#slice = new Slice(nowMs);
    this.#nowMs = nowMs;
    this.#defer = defer;
    this.#onError = onError;
    this.#inputEvents = inputEvents;
  }

  /** Queues a job unless it is queued already; it first runs after the I/O that is pending now. */
  schedule(job: Job): void {
    if (this.#short.has(job) || this.#long.has(job)) return;
    this.#short.add(job);
    this.#arm();
  }

  /** Takes a job out, e.g. because its owner is gone. */
  cancel(job: Job): void {
    this.#short.delete(job);
    this.#long.delete(job);
  }

  /** Jobs waiting; 0 means that everything has settled. */
  get pending(): number {
    return this.#short.size + this.#long.size;
  }

  /** Runs everything that is queued, also what gets queued meanwhile, without yielding. For tests and orderly stops. */
  drain(): void {
    while (this.pending > 0) this.#turn();
  }

  #arm(): void {
    if (this.#armed || this.pending === 0) return;
    this.#armed = true;
    this.#defer(() => {
      this.#armed = false;
      if (this.#inputGoesFirst()) this.#runShort();
      else this.#turn();
      this.#arm();
    });
  }

  /**
   * While turns do not get through the work, what waits in the sockets is taken in first, for some iterations of the
   * event loop: it accepts one connection per iteration and takes in what fits a turn (net/input-turns.ts), and what comes
   * in together goes out together, at a fraction of the cost.
   */
  #inputGoesFirst(): boolean {
    if (this.#inputUntilMs === -Infinity) return false;
    const events = this.#inputEvents();
    const more = events !== this.#inputBefore;
    this.#inputBefore = events;
    return more && this.#nowMs() < this.#inputUntilMs;
  }

  /** Jobs take turns in order; one that has more to do goes to the end. */
  #turn(): void {
    this.#slice.start(SLICE_BUDGET_MS);
    this.#inputUntilMs = -Infinity;
    do {
      const job = this.#take();
      if (job === undefined) return;
      this.#run(job);
    } while (!this.#slice.expired);
    if (this.pending === 0) return;
    this.#inputUntilMs = this.#nowMs() + INPUT_FIRST_MS;
    this.#inputBefore = this.#inputEvents();
  }

  #runShort(): void {
    this.#slice.start(SHORT_JOBS_MS);
    do {
      const job = this.#takeShort();
      if (job === undefined) return;
      this.#run(job);
    } while (!this.#slice.expired);
  }

  #take(): Job | undefined {
    if (this.#long.size > 0 && this.#slice.hasLess(LONG_JOBS_MS)) return this.#long.take();
    return this.#takeShort() ?? this.#long.take();
  }

  #takeShort(): Job | undefined {
    let job = this.#short.take();
    while (job?.isLong === true) {
      this.#long.add(job);
      job = this.#short.take();
    }
    return job;
  }

  #run(job: Job): void {
    let done = true;
    try {
      done = job.run(this.#slice);
    } catch (error) {
      this.#onError(error);
    }
    if (!done && !this.#short.has(job)) this.#long.add(job);
  }
}

/** Jobs in the order in which they came; adding, removing and taking the oldest cost the same at any size. */
class Lane {
  /** A set remembers when each member came. */
  readonly #queue = new Set<Job>();
  /** Stands behind the job taken last and goes on to those that come, so that gaps at the front are not walked again. */
  #oldest = this.#queue.values();

  get size(): number {
    return this.#queue.size;
  }

  has(job: Job): boolean {
    return this.#queue.has(job);
  }

  add(job: Job): void {
    this.#queue.add(job);
  }

  delete(job: Job): void {
    this.#queue.delete(job);
  }

  /** Takes out the job that has waited longest. */
  take(): Job | undefined {
    let next = this.#oldest.next();
    if (next.done === true) {
      // An iterator that has come to the end stays there.
      this.#oldest = this.#queue.values();
      next = this.#oldest.next();
    }
    if (next.done === true) return undefined;
    this.#queue.delete(next.value);
    return next.value;
  }
}
