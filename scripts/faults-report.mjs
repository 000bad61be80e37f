/**
 * What `npm run faults` prints of the tests that ran.
 *
 * @param rows      the wanted rows of the catalogue: identifier → { title, notBuilt }
 * @param evidence  identifier → [{ status, file, title, reason }], the tests of the row
 * @param named     has the identifiers that a test file names
 * @returns { text, sums, hasFailed }: the rows; how many there are of each verdict; whether one of them is FAIL
 */
export function reportOf(rows, evidence, named) {
  const counts = { pass: 0, FAIL: 0, skipped: 0, 'not built': 0 };
  let passedInPart = 0;
  const lines = [];
  for (const [id, row] of Object.entries(rows)) {
    const tests = evidence.get(id) ?? [];
    const failed = tests.filter(({ status }) => status === 'failed');
    const passed = tests.filter(({ status }) => status === 'passed');
    const skipped = tests.filter(({ status }) => status !== 'failed' && status !== 'passed');
    const verdict =
      failed.length > 0
        ? 'FAIL'
        : passed.length > 0
          ? 'pass'
          : tests.length > 0 || named.has(id)
            ? 'skipped'
            : 'not built';
    counts[verdict]++;
    const isInPart = verdict === 'pass' && skipped.length > 0;
    if (isInPart) passedInPart++;
    const note = isInPart
      ? ` (${skipped.length} ${skipped.length === 1 ? 'test' : 'tests'} skipped)`
      : verdict === 'not built'
        ? reasonOf(row)
        : '';
    lines.push(`${id}  ${verdict.padEnd(9)}  ${row.title}${note}`);
    const shown = failed.length > 0 ? failed : passed.length > 0 ? passed : tests;
    // Failures one by one; of what is well, one title a file.
    const told = failed.length > 0 ? shown : [...new Map(shown.map((each) => [each.file, each])).values()];
    for (const { file, title, reason } of told) {
      const others = shown.filter((each) => each.file === file).length - 1;
      const more = failed.length > 0 || others === 0 ? '' : ` (and ${others} more)`;
      lines.push(`                  ${file}: ${title}${more}`);
      const line = reason?.split('\n').find((each) => /[^\s●]/.test(each) && !each.includes('●'));
      if (line !== undefined) lines.push(`                    ${line.trim()}`);
    }
    // One by one: the one that did not run may be the one that decides.
    if (isInPart) {
      for (const { file, title } of skipped) lines.push(`                  skipped here: ${file}: ${title}`);
    }
  }
  const inPart = passedInPart === 0 ? '' : ` (${passedInPart} of them with skipped tests)`;
  const sums = Object.entries(counts).map(
    ([verdict, count]) => `${count} ${verdict}${verdict === 'pass' ? inPart : ''}`,
  );
  return { text: lines.map((line) => `${line}\n`).join(''), sums: sums.join(', '), hasFailed: counts.FAIL > 0 };
}

/** Why no test shows a row, where that is known: ` (reason)`. */
export function reasonOf({ notBuilt }) {
  return notBuilt === undefined ? '' : ` (${notBuilt})`;
}
