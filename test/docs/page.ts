/** Reads the pages of docs/ far enough to hold them against the code: tables, code blocks, and what sources say. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Text of a file of the repository. */
export function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Files below a folder of the repository whose name ends so, as paths from its root. */
export function filesBelow(folder: string, ending: string): readonly string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name}`)
    .sort();
}

interface Table {
  readonly head: readonly string[];
  readonly rows: ReadonlyArray<readonly string[]>;
}

/** Cells of a line of a table; a `|` in a cell is written `\|`. */
function cellsOf(line: string): readonly string[] {
  return line
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll('\\|', '|'));
}

/** All tables of a page, in order. */
function tablesOf(page: string): readonly Table[] {
  return [...page.matchAll(/(?:^\|.*\|\n)+/gm)].map(([text]) => {
    const [head, , ...rows] = text.trimEnd().split('\n').map(cellsOf);
    return { head: head ?? [], rows };
  });
}

/** The one table with these heads. */
export function tableOf(page: string, ...head: readonly string[]): Table {
  const found = tablesOf(page).filter((table) => table.head.join() === head.join());
  if (found.length !== 1) throw new Error(`${found.length} tables with the heads ${head.join(', ')}`);
  return found[0]!;
}

/** The name in the back quotes that a cell begins with. */
export function codeOf(cell: string | undefined): string {
  const name = /^`([^`]+)`/.exec(cell ?? '')?.[1];
  if (name === undefined) throw new Error(`no name in back quotes: ${cell ?? 'no cell'}`);
  return name;
}

/** The texts in a union type of string literals: `type NAME = 'a' | 'b';`. Other members of the union are passed over. */
export function unionMembers(path: string, name: string): readonly string[] {
  const declaration = new RegExp(`^(?:export )?type ${name} =\\s*([^;]+);`, 'm').exec(readText(path))?.[1];
  if (declaration === undefined) throw new Error(`${path} has no type ${name}`);
  return [...declaration.matchAll(/'([^']+)'/g)].map(([, member]) => member!);
}

/** A number that a source gives a name: `NAME = 1_024`, `name: 16 * 1024`. */
export function numberIn(path: string, name: string): number {
  const factors = new RegExp(`\\b${name}(?:\\s*=|:)\\s*([\\d_]+(?:\\s*\\*\\s*[\\d_]+)*)[;,]`).exec(readText(path))?.[1];
  if (factors === undefined) throw new Error(`${path} has no number ${name}`);
  return factors
    .replaceAll('_', '')
    .split('*')
    .reduce((product, factor) => product * Number(factor), 1);
}

/** Source text without its comments. Good for our own files, not for every program. */
export function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}
