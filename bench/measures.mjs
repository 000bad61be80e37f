/**
 * What is measured: the one list of names by which rows of all parts keep their figures, and how to read them.
 *
 * A row is one run: {part, scenario, speaker, ok, why?, figures: {<measure>: number}, raw?}.
 */

/** Title of each measure; `more` where more is better. */
export const MEASURES = {
  completeSeconds: { title: 'all complete, s' },
  cpuSeconds: { title: 'CPU s' },
  peakAboveIdleMb: { title: 'peak above idle, MB' },
  octetsPerPath: { title: 'octets a path' },
  updatesPerReceiver: { title: 'UPDATEs a receiver' },
  announceP50Ms: { title: 'announce p50, ms' },
  announceP99Ms: { title: 'announce p99, ms' },
  withdrawP50Ms: { title: 'withdraw p50, ms' },
  withdrawP99Ms: { title: 'withdraw p99, ms' },
  changesPerSecond: { title: 'changes/s incl. drain', more: true },
  lateSeconds: { title: 'late ones complete, s' },
  lateCpuSeconds: { title: 'late ones, CPU s' },

  itemsPerSecond: { title: 'items/s', more: true },
  residentMb: { title: 'RSS, MB' },
  appearP99Ms: { title: 'appear p99, ms' },
  moveP99Ms: { title: 'move p99, ms' },
  goneP99Ms: { title: 'gone p99, ms' },
  retracts: { title: 'retracts' },
  retractSeconds: { title: 'retracted, s' },
  returnSeconds: { title: 'returned, s' },
  probeQuietP99Ms: { title: 'probe p99 in quiet, ms' },
  probeDeathP99Ms: { title: 'probe p99 after the cut, ms' },
  probeReturnP99Ms: { title: 'probe p99 in the return, ms' },
  idleCpuPercent: { title: 'idle CPU, %' },
  idleMb: { title: 'idle RSS, MB' },
  lateMs: { title: 'last late one full, ms' },
  othersSlowdown: { title: 'others, slower by' },
  slowGrowthMb: { title: 'RSS growth, MB' },
  slowMb: { title: 'MB to a slow agent' },

  microsecondsPerRoute: { title: 'µs a route' },
  cpuMicrosecondsPerRoute: { title: 'CPU µs a route' },
  cpuMicrosecondsPerItem: { title: 'CPU µs an item' },

  changeCpuMs: { title: 'CPU of the change, ms' },
  keepaliveLateMs: { title: 'KEEPALIVE late by, ms' },

  loopP99Ms: { title: 'event loop p99, ms' },
  loopMaxMs: { title: 'event loop max, ms' },
  generatorCpuSeconds: { title: 'generator CPU s' },
  foreignCpuSeconds: { title: 'foreign CPU s' },
};

/** Figures of a row from the fields of a harness: `fields` says which field is which measure. */
export function figuresOf(raw, fields) {
  const found = Object.entries(fields)
    .map(([measure, field]) => [measure, raw[field]])
    .filter(([, value]) => Number.isFinite(value));
  return Object.fromEntries(found);
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Values by the key that `keyOf` gives them, in the order of their first appearance. */
export function groupBy(values, keyOf) {
  const groups = new Map();
  for (const value of values) {
    const key = keyOf(value);
    const group = groups.get(key);
    if (group) group.push(value);
    else groups.set(key, [value]);
  }
  return groups;
}

/**
 * Repetitions of one scenario by one speaker as one.
 *
 * @returns {runs, good, why, figures: {<measure>: {median, least, most}}}; figures are those of runs that succeeded
 */
export function summarise(rows) {
  const good = rows.filter(({ ok }) => ok);
  const figures = {};
  for (const measure of Object.keys(MEASURES)) {
    const values = good.map((row) => row.figures[measure]).filter(Number.isFinite);
    if (values.length === 0) continue;
    figures[measure] = { median: median(values), least: Math.min(...values), most: Math.max(...values) };
  }
  return { runs: rows.length, good: good.length, why: rows.find(({ ok }) => !ok)?.why, figures };
}

/** Whether other programs took more than a tenth of a processor meanwhile: time then says little, CPU seconds still do. */
export function isDisturbed({ foreignCpuSeconds, completeSeconds }) {
  return foreignCpuSeconds > 0.1 * Math.max(1, completeSeconds);
}

/** A figure as text, with three significant digits where it is small. */
export function number(value) {
  if (!Number.isFinite(value)) return '';
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString('en');
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/** A summarised figure: the median, and the range where there were several runs. */
export function withRange({ median: middle, least, most }) {
  return least === most ? number(middle) : `${number(middle)} [${number(least)}–${number(most)}]`;
}
