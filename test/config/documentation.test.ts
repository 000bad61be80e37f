import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { configurationPage, EXAMPLE_CONFIG } from '../../src/config/documentation.js';
import { loadConfig } from '../../src/config/load.js';
import { configJsonSchema } from '../../src/config/schema.js';

test('docs/configuration.md is what the schema says (npm run docs writes it)', () => {
  const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  expect(page).toBe(configurationPage());
});

test('the example of the documentation is a valid configuration', () => {
  expect(loadConfig(EXAMPLE_CONFIG, 'example', { hostName: 'h' })).toMatchObject({ kind: 'loaded' });
});

interface SchemaNode {
  readonly description?: string;
  readonly additionalProperties?: boolean;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
}

/** All fields with their paths; sections and lists are entered. */
function* fieldsOf(node: SchemaNode, path: string): Generator<readonly [string, SchemaNode]> {
  for (const [name, field] of Object.entries(node.properties ?? {})) {
    yield [`${path}.${name}`, field];
    yield* fieldsOf(field, `${path}.${name}`);
    if (field.items) yield* fieldsOf(field.items, `${path}.${name}[]`);
  }
}

const fields = [...fieldsOf(configJsonSchema(), '')];

test('every field of the JSON Schema is described', () => {
  expect(fields.length).toBeGreaterThan(80);
  expect(fields.filter(([, field]) => !field.description).map(([path]) => path)).toEqual([]);
});

test('every section of the JSON Schema refuses unknown fields', () => {
  const sections = fields.flatMap(([path, field]) => [
    [path, field] as const,
    [`${path}[]`, field.items ?? {}] as const,
  ]);
  const open = sections.filter(([, node]) => node.properties !== undefined && node.additionalProperties !== false);
  expect(open.map(([path]) => path)).toEqual([]);
});

test('the fields whose behaviour comes later are not in the schema', () => {
  const names = new Set(fields.map(([path]) => path.split('.').pop()));
  expect(fields.map(([path]) => path)).not.toContain('bgp.neighbors[].addPath.send');
  for (const name of ['importPolicy', 'exportPolicy', 'policies']) {
    expect(names).not.toContain(name);
  }
});
