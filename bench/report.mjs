/** The tables of a benchmark run. */

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length === 0) return NaN;
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function number(value) {
  if (value === undefined || !Number.isFinite(value)) return '';
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  return value >= 100
    ? value.toFixed(0)
    : value >= 10
      ? value.toFixed(1)
      : value >= 1
        ? value.toFixed(2)
        : value.toFixed(3);
}

const LOAD_COLUMNS = [
  ['all complete, s', 'convergenceSeconds'],
  ['CPU s', 'cpuSeconds'],
  ['peak MB', 'peakMb'],
  ['octets/path', 'octetsPerPath'],
  ['UPDATEs/receiver', 'updatesPerReceiver'],
  ['routes/UPDATE', 'routesPerUpdate'],
  ['late join, s', 'lateSeconds'],
  ['generator CPU s', 'generatorCpuSeconds'],
  ['foreign CPU s', 'foreignCpuSeconds'],
];

const AGENT_COLUMNS = [
  ['all complete, s', 'conv_s'],
  ['all up, s', 'up_s'],
  ['items/s', 'items_per_s'],
  ['CPU s', 'cpu_s'],
  ['RSS MB', 'rss_mb'],
];

/** Rows of one scenario and speaker as one: medians of those that succeeded. */
function summarise(rows, columns) {
  const good = rows.filter(({ ok }) => ok);
  const figures = Object.fromEntries(
    columns.map(([, key]) => [key, median(good.map((row) => row[key]).filter(Number.isFinite))]),
  );
  return { runs: rows.length, good: good.length, why: rows.find(({ ok }) => !ok)?.why, figures };
}

function groupBy(rows, key) {
  const groups = new Map();
  for (const row of rows) groups.set(row[key], [...(groups.get(row[key]) ?? []), row]);
  return groups;
}

/** A markdown table with aligned columns. */
function table(head, lines) {
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column].length)));
  const row = (cells) =>
    `| ${cells.map((cell, n) => (n < 2 ? cell.padEnd(widths[n]) : cell.padStart(widths[n]))).join(' | ')} |`;
  return [row(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...lines.map(row)].join('\n');
}

function part(title, rows, columns) {
  if (rows.length === 0) return '';
  const lines = [];
  const notes = [];
  for (const [scenario, ofScenario] of groupBy(rows, 'scenario')) {
    const summaries = [...groupBy(ofScenario, 'speaker')].map(([speaker, own]) => ({
      speaker,
      ...summarise(own, columns),
    }));
    const time = columns[0][1];
    const best = Math.min(...summaries.map(({ figures }) => figures[time]).filter(Number.isFinite));
    for (const { speaker, runs, good, why, figures } of summaries) {
      if (why !== undefined) notes.push(`${scenario} ${speaker}: ${good}/${runs} runs, ${why}`);
      const ratio = Number.isFinite(figures[time]) ? `${(figures[time] / best).toFixed(2)}×` : outcome(why);
      lines.push([scenario, speaker, String(good), ...columns.map(([, key]) => number(figures[key])), ratio]);
    }
  }
  // A column that nobody fills is left out, and the comparison where there is nobody to compare with.
  if (new Set(rows.map(({ speaker }) => speaker)).size === 1) for (const line of lines) line[line.length - 1] = '';
  const head = ['scenario', 'speaker', 'runs', ...columns.map(([name]) => name), 'to the fastest'];
  const used = head.map((_, column) => lines.some((line) => line[column] !== ''));
  const only = (cells) => cells.filter((_, column) => used[column]);
  return `\n${title}\n\n${table(only(head), lines.map(only))}\n${notes.map((note) => `\n${note}`).join('')}\n`;
}

function outcome(why) {
  return /^unsupported/.test(why ?? '') ? 'cannot' : 'failed';
}

/** Filament beside the best other speaker of each scenario: time, CPU, and memory per path. */
function verdicts(rows) {
  const compared = [
    ['time', 'convergenceSeconds'],
    ['CPU', 'cpuSeconds'],
    ['memory per path', 'octetsPerPath'],
  ];
  const lines = [];
  for (const [scenario, ofScenario] of groupBy(rows, 'scenario')) {
    const bySpeaker = [...groupBy(ofScenario, 'speaker')].map(([speaker, own]) => ({
      speaker,
      ...summarise(own, LOAD_COLUMNS),
    }));
    const ours = bySpeaker.find(({ speaker }) => speaker === 'filament');
    const others = bySpeaker.filter(({ speaker, good }) => speaker !== 'filament' && good > 0);
    if (!ours || ours.good === 0 || others.length === 0) continue;
    const parts = compared.map(([what, key]) => {
      const best = others.reduce((a, b) => (b.figures[key] < a.figures[key] ? b : a));
      return `${what} ${(ours.figures[key] / best.figures[key]).toFixed(2)}× of ${best.speaker}`;
    });
    lines.push(`${scenario}: Filament needs ${parts.join(', ')}`);
  }
  return lines.length === 0 ? '' : `\n${lines.join('\n')}\n`;
}

/** All tables of a run as markdown. */
export function render({ date, machine, own, peers, agents }) {
  const on = `${machine.cores} cores (${machine.cpu}), ${machine.memoryGb} GB, Node ${machine.node}, ${date}`;
  return [
    `${on}; medians. Where the foreign CPU seconds are not small, the run was disturbed: read the CPU seconds.\n`,
    part('Own generator', own, LOAD_COLUMNS),
    part('bgpload: Filament and other daemons', peers, LOAD_COLUMNS),
    verdicts(peers),
    part('agentload', agents, AGENT_COLUMNS),
  ].join('');
}
