/** `npm run bench -- compare OLD.json NEW.json`: what changed between two runs by more than their spread. */
import { groupBy, isDisturbed, MEASURES, summarise, withRange } from './measures.mjs';

/** Beyond the ranges of the runs, and by at least this share: single runs have no range. */
const LEAST_CHANGE = 0.05;
const LEAST_CHANGE_OF_SINGLE_RUNS = 0.15;

const keyOf = ({ part, scenario, speaker }) => `${part} ${scenario} ${speaker}`;

/** The change of a median as a share, or `undefined` where the runs do not tell the two apart. */
function change(before, after, runs) {
  const apart = before.most < after.least || after.most < before.least;
  const share = after.median / before.median - 1;
  const least = runs > 1 ? LEAST_CHANGE : LEAST_CHANGE_OF_SINGLE_RUNS;
  return apart && Math.abs(share) >= least ? share : undefined;
}

/** @returns the differences as text; other speakers' are in it, because they tell a changed machine from changed code */
export function compare(older, newer) {
  const before = groupBy(older.rows, keyOf);
  const lines = [];
  let compared = 0;
  for (const [key, rows] of groupBy(newer.rows, keyOf)) {
    const oldRows = before.get(key);
    if (oldRows === undefined) continue;
    const [old, now] = [summarise(oldRows), summarise(rows)];
    const doubt = [...oldRows, ...rows].some(({ figures }) => isDisturbed(figures))
      ? ', disturbed by other programs'
      : '';
    if (old.good > 0 !== now.good > 0) lines.push(`${key}: ${now.good > 0 ? 'passes now' : `fails now: ${now.why}`}`);
    for (const [measure, figure] of Object.entries(now.figures)) {
      if (old.figures[measure] === undefined || measure.startsWith('foreign')) continue;
      compared++;
      const share = change(old.figures[measure], figure, Math.min(old.good, now.good));
      if (share === undefined) continue;
      const { title, more } = MEASURES[measure];
      const verdict = share > 0 === Boolean(more) ? 'better' : 'WORSE';
      const percent = `${share > 0 ? '+' : ''}${(share * 100).toFixed(0)} %`;
      lines.push(
        `${verdict}  ${key}: ${title} ${withRange(old.figures[measure])} → ${withRange(figure)} (${percent}${doubt})`,
      );
    }
  }
  const heading = `${older.commit} (${older.date}) → ${newer.commit} (${newer.date})`;
  return `${heading}: ${lines.length} differences in ${compared} figures\n${lines.map((line) => `${line}\n`).join('')}`;
}
