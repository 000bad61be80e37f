/** docs/configuration.md, made of the schema; a test compares the file with what this module makes. */
import { z } from 'zod';
import { statedEffect, unwrapSchema, type Effect } from './effect.js';
import { allowedValues } from './field.js';
import { configSchema } from './schema.js';
import { sessionFields } from './session-schema.js';

/** A whole configuration that shows most sections; a test loads it. */
export const EXAMPLE_CONFIG = `name: ctl-1
routerId: 192.0.2.1
autonomousSystem: 64512
bgp:
  listen: [{ address: 127.0.0.1, port: 1790 }]
  peerGroups:
    - name: gateways
      peerAs: 64512
      families: [l3vpn-ipv4-unicast, l3vpn-ipv6-unicast, l2vpn-evpn, rtc]
  neighbors:
    - { address: 127.0.0.11, port: 1791, peerGroup: gateways, description: mx-gateway-1 }
    - { address: 127.0.0.12, port: 1791, peerGroup: gateways, routeReflectorClient: true }
    - { address: 127.0.0.13, peerAs: 65001, vrf: 'default-domain:demo:blue:blue' }
  dynamicNeighbors: [{ prefix: 127.0.1.0/24, peerGroup: gateways }]
agents:
  listen: [{ address: 127.0.0.1, port: 5269 }]
vrfs:
  - name: default-domain:demo:blue:blue
    virtualNetwork: { name: default-domain:demo:blue, id: 4, vxlanId: 1004 }
    importTargets: [target:64512:100]
    exportTargets: [target:64512:100]
    staticRoutes: [{ prefix: 203.0.113.0/24, nextHop: 192.0.2.20, label: 100 }]
api:
  listen: [{ address: 127.0.0.1, port: 8083 }]
log: { level: info }
`;

const INTRODUCTION = `<!-- Generated from the schema by \`npm run docs\`; do not edit. -->

# Configuration

One file in YAML (or JSON, which is YAML too) describes a controller:

    filament check --config FILE     says what is wrong, with line and column; with \`--against URL\` also what the file
                                     would change in the controller whose HTTP API is at that URL; FILE may be a pipe
    filament run --config FILE       runs it; SIGHUP reads the file again
    filament schema                  prints the JSON Schema for editors

Field names and value formats are those of the HTTP API. A field that is not listed here is an error, and so is a value
that is not allowed; each problem is one line, \`FILE:LINE:COLUMN: path.to.field: what is wrong; what is allowed\`.
In the tables below, *required* is a field that must be given, and \`–\` one that is simply absent when it is left out.

## Example

\`\`\`yaml
${EXAMPLE_CONFIG}\`\`\`
`;

/** Every section and field, the effect of a reload, as Markdown. */
export function configurationPage(): string {
  const parts = [INTRODUCTION, '## Fields\n'];
  for (const section of sectionsOf(configSchema, '')) parts.push(sectionText(section));
  parts.push(RELOAD_TEXT);
  return parts.join('\n');
}

interface Section {
  /** `bgp.neighbors[]`; empty for the document. */
  readonly path: string;
  readonly description: string;
  readonly schema: z.ZodObject;
  /** That of its fields when they state none. */
  readonly effect: Effect | undefined;
}

/** The section and those inside it, outer ones first. */
function sectionsOf(schema: unknown, path: string, description = '', around?: Effect): Section[] {
  const inner = unwrapSchema(schema);
  const effect = statedEffect(schema) ?? around;
  if (inner instanceof z.ZodArray) return sectionsOf(inner.element, `${path}[]`, description, effect);
  if (!(inner instanceof z.ZodObject)) return [];
  const section: Section = { path, description, schema: inner, effect };
  const nested = Object.entries(inner.shape).flatMap(([name, field]) =>
    sectionsOf(field, path === '' ? name : `${path}.${name}`, descriptionOf(field), effect),
  );
  return [section, ...nested.filter(isDescribedHere)];
}

/** Listen addresses and the sections of a session are the same everywhere: described once. */
function isDescribedHere({ path }: Section): boolean {
  if (path.endsWith('.listen[]')) return path === 'bgp.listen[]';
  return !path.startsWith('bgp.peerGroups[].');
}

function descriptionOf(schema: unknown): string {
  return schema instanceof z.ZodType ? (schema.description ?? '') : '';
}

function sectionText({ path, description, schema, effect }: Section): string {
  const title = path === '' ? 'The document' : `\`${path}\``;
  const isGroup = path === 'bgp.peerGroups[]';
  const rows = Object.entries(schema.shape)
    .filter(([name]) => !isGroup || !(name in sessionFields))
    .map(
      ([name, field]) =>
        `| \`${name}\` | ${allowedText(field)} | ${defaultText(field)} | ${effectText(statedEffect(field) ?? effect)} | ${descriptionOf(field)} |`,
    );
  const note = isGroup
    ? `${description} Every field of \`bgp.neighbors[]\` but \`address\` and \`peerGroup\`, and:`
    : description;
  const lines = [
    `### ${title}`,
    '',
    '| Field | Allowed | Default | Change | Meaning |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ];
  if (note !== '') lines.splice(2, 0, note, '');
  return lines.join('\n');
}

function allowedText(field: unknown): string {
  const inner = unwrapSchema(field);
  if (inner instanceof z.ZodArray) {
    const item = unwrapSchema(inner.element);
    return item instanceof z.ZodObject ? 'list of sections' : `list of: ${allowedText(item)}`;
  }
  if (inner instanceof z.ZodObject) return 'section';
  if (inner instanceof z.ZodLiteral) return `\`${String(inner.value)}\``;
  if (inner instanceof z.ZodType) return allowedValues.get(inner)?.allowed ?? '';
  return '';
}

function defaultText(field: unknown): string {
  if (!(field instanceof z.ZodType)) return '';
  const given = field.meta()?.['default'];
  if (given !== undefined) return code(given);
  if (field instanceof z.ZodDefault) return code(field.def.defaultValue);
  // A section that may be left out is made of the defaults of its fields.
  if (field instanceof z.ZodPrefault || field instanceof z.ZodExactOptional) return '–';
  return '*required*';
}

function code(value: unknown): string {
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return `\`[${value.join(', ')}]\``;
  return typeof value === 'string' ? `\`${value}\`` : `\`${JSON.stringify(value)}\``;
}

const EFFECT_TEXTS: Readonly<Record<Effect, string>> = {
  none: 'none',
  soft: 'soft',
  'session-reset': 'this session',
  'all-sessions': 'all sessions',
  restart: 'restart',
};

/** A section whose fields differ states nothing itself. */
function effectText(effect: Effect | undefined): string {
  return effect === undefined ? '–' : EFFECT_TEXTS[effect];
}

const RELOAD_TEXT = `## Reload

\`SIGHUP\` or \`POST /api/v1/config/reload\` reads the file again. It is validated whole; when something is wrong, nothing
changes and the problems are reported. Otherwise the difference is applied: sessions and VRFs that did not change are not
touched, a change of import or export targets evaluates only the routes that carry them. The column *Change* above says for
every field what a reload does to what runs when its value is another one:

| Change | What happens |
|---|---|
| none | nothing is interrupted; the new value counts at once, or for connections and attempts from now on |
| soft | the routes concerned are evaluated again; sessions stay up |
| this session | the sessions that the field describes begin anew, no other; a neighbor or dynamic range that comes or goes is started or stopped |
| all sessions | every session begins anew |
| restart | refused as a problem, nothing is applied: restart the controller |

Of several changed fields the strongest counts. What a field of a peer group does, it does to the neighbors that inherit it. A value
written out that is the default, another order of neighbors, VRFs or fields, or another spelling of the same value is no change.

**Before**: \`filament check --config FILE --against URL\` (\`POST /api/v1/config/check\`) reads, validates and compares the file in the
controller itself and prints what would happen: which sessions begin anew, which routes are evaluated again, what needs a restart,
and \`leak between red and blue: N routes\` where routes of one virtual network would begin to enter a VRF of another. Nothing is
applied. Exit code 2: not valid; 1: valid, but refused without a restart.

**On trial**: \`POST /api/v1/config/reload?confirmSeconds=60\` applies the file, and goes back to the configuration before unless
\`POST /api/v1/config/confirm\` (or a reload without \`confirmSeconds\`) comes within that time. Nothing of it is stored: a process
that is started again meanwhile starts from the file.

**After**: \`configuration\` in \`GET /api/v1/controller\` is \`in-force\`, \`rejected\` with the problems of a file that could not be used, until it
is repaired, \`awaiting-confirmation\` or \`rolled-back\`. Of many signals in a short time the first and the last are followed by a reload.
`;
