/** What a run prints: one table of Filament beside the best other speaker, and the growth curves. */
import { EVENT_LOOP_TARGETS, FLOOR, targetsOf } from './catalogue.mjs';
import { groupBy, isDisturbed, MEASURES, number, summarise, withRange } from './measures.mjs';

/** A markdown table; the first `left` columns are aligned to the left. */
function table(head, lines, left) {
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column].length)));
  const pad = (cell, n) => (n < left ? cell.padEnd(widths[n]) : cell.padStart(widths[n]));
  const row = (cells) => `| ${cells.map(pad).join(' | ')} |`;
  return [row(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...lines.map(row)].join('\n');
}

/** Scenario → speaker → summary. */
function summaries(rows) {
  return [...groupBy(rows, ({ scenario }) => scenario)].map(([scenario, ofScenario]) => ({
    scenario,
    bySpeaker: new Map([...groupBy(ofScenario, ({ speaker }) => speaker)].map(([name, own]) => [name, summarise(own)])),
  }));
}

function bestOf(others, more) {
  return others.reduce((a, b) => (a.value > b.value === Boolean(more) ? a : b), others[0]);
}

/** `yes` or `no`, or nothing where there is no target or nobody to compare with. */
function met({ ratio, limit }, more, value, best) {
  const bounds = [limit, ratio !== undefined && best !== undefined ? ratio * best : undefined].filter(Number.isFinite);
  if (bounds.length === 0) return '';
  return bounds.every((bound) => (more ? value >= bound : value <= bound)) ? 'yes' : 'no';
}

function targetText({ ratio, limit }, more) {
  const sign = more ? '≥' : '≤';
  const bounds = [];
  if (ratio !== undefined) bounds.push(`${sign} ${ratio}×`);
  if (limit !== undefined) bounds.push(`${sign} ${number(limit)}`);
  return bounds.join(', ');
}

const HEAD = ['scenario', 'measure', 'best other', 'the others', 'Filament', 'ratio', 'target', 'met'];
const LEFT_COLUMNS = 4;

/** One line: Filament's figure of a measure beside those of the others. */
function comparison(scenario, target, bySpeaker) {
  const { title, more } = MEASURES[target.measure];
  const ours = bySpeaker.get('filament')?.figures[target.measure];
  if (ours === undefined) return undefined;
  const others = [...bySpeaker]
    .filter(([name, { figures }]) => name !== 'filament' && figures[target.measure] !== undefined)
    .map(([name, { figures }]) => ({ name, value: figures[target.measure].median }));
  const best = bestOf(
    others.filter(({ name }) => name !== FLOOR),
    more,
  );
  const text = ({ name, value }) => `${name} ${number(value)}`;
  return [
    scenario,
    title,
    best ? text(best) : '',
    others
      .filter((other) => other !== best)
      .map(text)
      .join('; '),
    withRange(ours),
    best?.value ? `${(ours.median / best.value).toFixed(2)}×` : '',
    targetText(target, more),
    met(target, more, ours.median, best?.value),
  ];
}

/** The event loop in the scenario of a part where it was worst. */
function worstEventLoop(part, all) {
  return EVENT_LOOP_TARGETS.flatMap((target) => {
    const { measure } = target;
    const measured = all
      .map(({ scenario, bySpeaker }) => ({ scenario, value: bySpeaker.get('filament')?.figures[measure]?.median }))
      .filter(({ value }) => value !== undefined);
    if (measured.length === 0) return [];
    const worst = bestOf(measured, true);
    const { title } = MEASURES[measure];
    const text = `${number(worst.value)} (${worst.scenario})`;
    return [[`worst of ${part}`, title, '', '', text, '', targetText(target), met(target, false, worst.value)]];
  });
}

function comparisons(rows) {
  const parts = [...groupBy(rows, ({ part }) => part)].map(([part, ofPart]) => [part, summaries(ofPart)]);
  const scenarios = parts.flatMap(([, all]) => all);
  const lines = scenarios.flatMap(({ scenario, bySpeaker }) =>
    targetsOf(scenario)
      .map((target) => comparison(scenario, target, bySpeaker))
      .filter((line) => line !== undefined),
  );
  lines.push(...parts.flatMap(([part, all]) => worstEventLoop(part, all)));
  return lines.length === 0 ? '' : `${table(HEAD, lines, LEFT_COLUMNS)}\n`;
}

const CURVE_COLUMNS = [
  'completeSeconds',
  'cpuSeconds',
  'microsecondsPerRoute',
  'cpuMicrosecondsPerRoute',
  'cpuMicrosecondsPerItem',
  'octetsPerPath',
  'loopP99Ms',
  'loopMaxMs',
];

function curves(rows) {
  const lines = summaries(rows).flatMap(({ scenario, bySpeaker }) =>
    [...bySpeaker.values()].map(({ figures }) => [
      scenario,
      ...CURVE_COLUMNS.map((measure) => (figures[measure] ? withRange(figures[measure]) : '')),
    ]),
  );
  if (lines.length === 0) return '';
  const head = ['growth', ...CURVE_COLUMNS.map((measure) => MEASURES[measure].title)];
  return `\nHow the cost of a route grows; an item is a route that one receiver got.\n\n${table(head, lines, 1)}\n`;
}

/** What was left out or failed, one line for each reason. */
function notes(rows, skipped) {
  const reasons = [
    ...skipped.map(({ scenario, speaker, why }) => ({ scenario, text: `${speaker} left out: ${why}` })),
    ...rows
      .filter(({ ok }) => !ok)
      .map(({ scenario, speaker, why }) => ({ scenario, text: `${speaker} failed: ${why || 'no reason given'}` })),
  ];
  return [...groupBy(reasons, ({ text }) => text)]
    .map(([text, of]) => `\n${[...new Set(of.map(({ scenario }) => scenario))].join(', ')}: ${text}`)
    .join('\n');
}

function disturbed(rows) {
  const names = rows.filter(({ figures }) => isDisturbed(figures)).map(({ scenario }) => scenario);
  if (names.length === 0) return '';
  return `\n\nDisturbed by other programs in at least one run, read the CPU seconds: ${[...new Set(names)].join(', ')}`;
}

/** All tables of a run as markdown. */
export function render({ date, commit, machine, rows, skipped }) {
  const on = `${machine.cores} cores (${machine.cpu}), ${machine.memoryGb} GB, Node ${machine.node}; ${commit}, ${date}`;
  const isGrowth = ({ part }) => part === 'growth';
  return [
    `${on}\n\nMedians [lowest–highest] of the runs; ratios are to the best other speaker of the same run.\n\n`,
    comparisons(rows.filter((row) => !isGrowth(row))),
    curves(rows.filter(isGrowth)),
    notes(rows, skipped),
    disturbed(rows),
    '\n',
  ].join('');
}
