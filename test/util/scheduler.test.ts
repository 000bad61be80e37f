import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Scheduler, type Job, type Slice } from '../../src/util/scheduler.js';

/** What a turn may take, so that keepalives and accepts wait no longer than that. */
const BUDGET_MS = 5;

/** A scheduler on a clock that moves by hand, with its turns caught. */
function setUp(): {
  readonly scheduler: Scheduler;
  readonly errors: unknown[];
  readonly spend: (ms: number) => void;
  readonly input: () => void;
  readonly turn: () => boolean;
} {
  let nowMs = 0;
  let inputs = 0;
  const turns: (() => void)[] = [];
  const errors: unknown[] = [];
  const scheduler = new Scheduler(
    () => nowMs,
    (turn) => turns.push(turn),
    (error) => errors.push(error),
    () => inputs,
  );
  const turn = (): boolean => {
    expect(turns.length).toBeLessThanOrEqual(1);
    const next = turns.shift();
    next?.();
    return next !== undefined;
  };
  return { scheduler, errors, spend: (ms) => (nowMs += ms), input: () => inputs++, turn };
}

/** Does `units` of work that cost one millisecond each. */
class Work implements Job {
  readonly #spend: (ms: number) => void;
  readonly #onUnit: () => void;
  left: number;

  constructor(units: number, spend: (ms: number) => void, onUnit: () => void = () => undefined) {
    this.left = units;
    this.#spend = spend;
    this.#onUnit = onUnit;
  }

  run(slice: Slice): boolean {
    while (this.left > 0) {
      this.left--;
      this.#onUnit();
      this.#spend(1);
      if (slice.expired) break;
    }
    return this.left === 0;
  }
}

describe('Scheduler', () => {
  test('runs nothing before its turn, and asks for one turn at a time', () => {
    const { scheduler, spend, turn } = setUp();
    const job = new Work(1, spend);
    scheduler.schedule(job);
    scheduler.schedule(job);
    scheduler.schedule(new Work(1, spend));
    expect(job.left).toBe(1);
    expect(scheduler.pending).toBe(2);
    expect(turn()).toBe(true);
    expect(scheduler.pending).toBe(0);
    expect(turn()).toBe(false);
  });

  test('no turn takes longer than its budget by more than one unit of work, and every job gets on', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 10 }), (sizes) => {
        const { scheduler, spend, turn } = setUp();
        let spent = 0;
        const jobs = sizes.map((units) => new Work(units, spend, () => spent++));
        for (const job of jobs) scheduler.schedule(job);
        const total = sizes.reduce((sum, units) => sum + units, 0);
        let before = 0;
        let turns = 0;
        while (turn()) {
          expect(spent - before).toBeLessThanOrEqual(BUDGET_MS);
          before = spent;
          turns++;
        }
        expect(spent).toBe(total);
        expect(turns).toBe(Math.ceil(total / BUDGET_MS));
      }),
    );
  });

  test('a long job does not keep others waiting: they take turns', () => {
    const { scheduler, spend, turn } = setUp();
    const long = new Work(1000, spend);
    const short = new Work(1, spend);
    scheduler.schedule(long);
    scheduler.schedule(short);
    turn();
    turn();
    expect(short.left).toBe(0);
    expect(long.left).toBeGreaterThan(900);
  });

  test('a job that schedules itself while it runs, or another one, is run again', () => {
    const { scheduler, turn } = setUp();
    let runs = 0;
    const other: Job = { run: () => true };
    const job: Job = {
      run: () => {
        runs++;
        if (runs < 3) scheduler.schedule(job);
        scheduler.schedule(other);
        return true;
      },
    };
    scheduler.schedule(job);
    while (turn());
    expect(runs).toBe(3);
    expect(scheduler.pending).toBe(0);
  });

  test('a job that was taken out does not run', () => {
    const { scheduler, spend, turn } = setUp();
    const [first, second] = [new Work(1, spend), new Work(1, spend)];
    scheduler.schedule(first);
    scheduler.schedule(second);
    scheduler.cancel(first);
    scheduler.cancel(first);
    while (turn());
    expect([first.left, second.left]).toEqual([1, 0]);
  });

  test('jobs keep their order of arrival while others come, go and come again', () => {
    const { scheduler, turn } = setUp();
    const order: number[] = [];
    const jobs = Array.from({ length: 1000 }, (_, i): Job => {
      let again = i % 3 === 0;
      return {
        run: () => {
          order.push(i);
          const done = !again;
          again = false;
          return done;
        },
      };
    });
    for (const job of jobs) scheduler.schedule(job);
    const out = jobs.filter((_, i) => i % 5 === 0);
    for (const job of out) scheduler.cancel(job);
    expect(scheduler.pending).toBe(800);
    // What was taken out comes behind those that stayed.
    for (const job of out) scheduler.schedule(job);
    while (turn());
    const first = [...jobs.keys()].filter((i) => i % 5 !== 0);
    const late = [...jobs.keys()].filter((i) => i % 5 === 0);
    const arrived = [...first, ...late];
    expect(order).toEqual([...arrived, ...arrived.filter((i) => i % 3 === 0)]);
    // Empty, and in use again.
    order.length = 0;
    scheduler.schedule(jobs[1]!);
    while (turn());
    expect(order).toEqual([1]);
  });

  test('input goes first between turns that are used up, while it comes and for a while only', () => {
    const { scheduler, spend, input, turn } = setUp();
    const job = new Work(20, spend);
    scheduler.schedule(job);
    input();
    turn();
    expect(job.left).toBe(15);
    // Input in every iteration of the event loop.
    for (let ms = 4; ms < 20; ms += 4) {
      input();
      spend(4);
      turn();
      expect(job.left).toBe(15);
    }
    input();
    spend(4);
    turn();
    expect(job.left).toBe(10);
    // An iteration that brings nothing ends it.
    input();
    turn();
    expect(job.left).toBe(10);
    turn();
    expect(job.left).toBe(5);
  });

  test('a job that comes to an idle scheduler does not wait for input', () => {
    const { scheduler, spend, input, turn } = setUp();
    const long = new Work(10, spend);
    scheduler.schedule(long);
    while (turn());
    input();
    const job = new Work(1, spend);
    scheduler.schedule(job);
    input();
    turn();
    expect(job.left).toBe(0);
  });

  test('short jobs go before long ones, which have a part of each turn all the same', () => {
    const { scheduler, spend, turn } = setUp();
    const order: string[] = [];
    const job = (name: string, runs: number, isLong: boolean): Job => ({
      isLong,
      run: () => {
        order.push(name);
        spend(1);
        return --runs === 0;
      },
    });
    scheduler.schedule(job('L', 4, true));
    for (const name of 'abcdefghij') scheduler.schedule(job(name, 1, false));
    turn();
    expect(order.join('')).toBe('abcdL');
    turn();
    expect(order.join('')).toBe('abcdLefghL');
    turn();
    expect(order.join('')).toBe('abcdLefghLijLL');
    expect(scheduler.pending).toBe(0);
  });

  test('short jobs run while input goes first', () => {
    const { scheduler, spend, input, turn } = setUp();
    const long = new Work(100, spend);
    scheduler.schedule(long);
    turn();
    const short = new Work(1, spend);
    scheduler.schedule(short);
    const { left } = long;
    input();
    turn();
    expect([short.left, long.left]).toEqual([0, left]);
  });

  test('a job that throws is dropped and reported; the others go on', () => {
    const { scheduler, errors, spend, turn } = setUp();
    const bug = new Error('bug');
    const after = new Work(1, spend);
    scheduler.schedule({
      run: () => {
        throw bug;
      },
    });
    scheduler.schedule(after);
    while (turn());
    expect(errors).toEqual([bug]);
    expect(after.left).toBe(0);
    expect(scheduler.pending).toBe(0);
  });

  test('drains everything without yielding', () => {
    const { scheduler, spend } = setUp();
    const job = new Work(100, spend);
    scheduler.schedule(job);
    scheduler.drain();
    expect(job.left).toBe(0);
  });
});
