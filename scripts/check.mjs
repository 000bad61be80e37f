/**
 * Every check that needs no running program, all of them even when one fails: types, lint, format, who may import
 * whom, dead code. Prints one line per check, and the output of those that failed.
 *
 *   npm run check                  all
 *   npm run check -- types lint    some
 */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const script = (...path) => join(root, 'node_modules', ...path);

const CHECKS = [
  { name: 'types', args: [script('@typescript', 'native', 'bin', 'tsc'), '-p', 'tsconfig.json', '--noEmit'] },
  { name: 'lint', args: [script('eslint', 'bin', 'eslint.js'), '--max-warnings=0', '.'] },
  { name: 'format', args: [script('prettier', 'bin', 'prettier.cjs'), '--check', '--log-level=warn', '.'] },
  {
    name: 'rooms',
    args: [
      script('dependency-cruiser', 'bin', 'dependency-cruise.mjs'),
      '--config=.dependency-cruiser.cjs',
      '--output-type=err-long',
      'src',
    ],
  },
  { name: 'dead code', args: [script('knip', 'bin', 'knip.js')] },
];

function run({ name, args }) {
  const started = performance.now();
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: process.stdout.isTTY ? process.env : { ...process.env, NO_COLOR: '1' },
  });
  const output = [];
  child.stdout.on('data', (chunk) => output.push(chunk));
  child.stderr.on('data', (chunk) => output.push(chunk));
  return new Promise((resolve) => {
    child.on('error', (error) => output.push(Buffer.from(`${error.message}\n`)));
    child.on('close', (code) => {
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      const ok = code === 0;
      process.stdout.write(`${ok ? 'ok    ' : 'FAILED'}  ${name} (${seconds} s)\n`);
      if (!ok) process.stdout.write(`\n${Buffer.concat(output).toString('utf8').trim()}\n\n`);
      resolve(ok);
    });
  });
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !CHECKS.some((check) => check.name === name));
if (unknown.length > 0) {
  const names = CHECKS.map(({ name }) => name).join(', ');
  process.stderr.write(`npm run check: no such check: ${unknown.join(', ')}; there are ${names}\n`);
  process.exit(2);
}

// The slowest (lint) sets the time; the others run beside it as far as there are processors.
const queue = CHECKS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
const results = [];
async function work() {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) results.push(await run(next));
}
await Promise.all(Array.from({ length: Math.min(availableParallelism(), queue.length) }, work));
process.exitCode = results.every(Boolean) ? 0 : 1;
