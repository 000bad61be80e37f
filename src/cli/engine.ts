/** What V8 is told about the program that it runs (docs/performance.md has the figures). */
import { constants, PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';

/** Bytecodes that a function runs before V8 considers to optimise it: a controller's first minute is a full table from each neighbor. */
const RUNNING_BUDGET = 400_000;
/** The same in the rehearsal's second round, when everything has been seen once. */
const REHEARSAL_BUDGET = 66_000;
/**
 * By how many percent the heap may grow beyond what is in use after the start before all of it is collected. V8 itself lets that of a
 * process that has just been busy grow by half: with the first tables everything was then collected twice, for nothing was garbage.
 */
const FIRST_GROWTH_PERCENT = 300;

/**
 * Makes V8 compile everything with its baseline compiler at once and optimise late, when it knows all there is to know about a
 * function: with its defaults half of the CPU time of taking in 10,000 to 200,000 routes goes into optimising, deoptimising
 * and optimising again.
 */
export function tuneEngine(): void {
  setFlagsFromString('--always-sparkplug');
  setOptimisationBudget(RUNNING_BUDGET);
  setHeapGrowth(FIRST_GROWTH_PERCENT);
  // Of a process that has become idle V8 collects the garbage three times in a row, 1 % of a core over 40 s each with 5,000 agents.
  setFlagsFromString('--memory-reducer-single-gc');
}

/** Two rehearsals: the first shows V8 what happens, in the second it optimises what it has seen. @returns what the second one does */
export async function warmUp<Result>(rehearse: () => Promise<Result>): Promise<Result> {
  try {
    await rehearse();
    setOptimisationBudget(REHEARSAL_BUDGET);
    return await rehearse();
  } finally {
    setOptimisationBudget(RUNNING_BUDGET);
  }
}

/** With the next collection of the whole heap its growth is V8's own affair again: of a large heap it is what memory is made of. */
export function collectAsUsual(): void {
  const observer = new PerformanceObserver((list) => {
    if (!list.getEntries().some(isOfWholeHeap)) return;
    observer.disconnect();
    setHeapGrowth(0);
  });
  observer.observe({ entryTypes: ['gc'] });
}

function isOfWholeHeap(entry: PerformanceEntry): boolean {
  const { detail } = entry as PerformanceEntry & { readonly detail?: { readonly kind?: number } };
  return detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
}

function setOptimisationBudget(bytecodes: number): void {
  setFlagsFromString(`--interrupt-budget=${bytecodes}`);
}

/** @param percent  0: V8 decides */
function setHeapGrowth(percent: number): void {
  setFlagsFromString(`--heap-growing-percent=${percent}`);
}
