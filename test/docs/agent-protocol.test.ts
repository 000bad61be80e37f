/** docs/agent-protocol.md says what the code does: stanzas, names, limits, rules and the example. */
import { expect, test } from '@jest/globals';
import { SERVER_RULES } from '../../src/agent/server-rules.js';
import { readTranscript } from '../support/agent-transcript.js';
import { eventually } from '../support/eventually.js';
import { SmallController } from '../agent/small-controller.js';
import { runExample } from './example-agent.js';
import { codeOf, numberIn, readText, tableOf, unionMembers } from './page.js';

const page = readText('docs/agent-protocol.md');

/** Captioned code blocks: `**agent: subscribes**`, perhaps `(excerpt)`, and the block. */
const captioned = [...page.matchAll(/^\*\*(.+?)\*\*( \(excerpt\))?\n\n```(?:xml|text)\n([\s\S]*?)^```$/gm)].map(
  ([, caption, excerpt, text]) => ({ caption: caption!, excerpt: excerpt !== undefined, text: text! }),
);

const transcript = new Map(readTranscript().map(({ from, title, bytes }) => [`${from}: ${title}`, bytes]));

/** Names in the first column. */
function names(...head: readonly string[]): readonly string[] {
  return tableOf(page, ...head).rows.map(([cell]) => codeOf(cell));
}

test('every XML block has a caption that says which fixture it is', () => {
  expect(captioned.filter(({ text }) => text.includes('<'))).toHaveLength(page.match(/^```xml$/gm)!.length);
  const files = captioned.filter(({ caption }) => caption.startsWith('file: '));
  expect(files.length).toBeGreaterThan(0);
  for (const { caption, text } of files) {
    expect(text).toBe(readText(`fixtures/agent-channel/items/${caption.slice('file: '.length)}`));
  }
});

test.each(captioned.filter(({ caption }) => !caption.startsWith('file: ')))(
  'the stanza shown as "$caption" is that of the transcript',
  ({ caption, excerpt, text }) => {
    const bytes = transcript.get(caption);
    expect(bytes).toBeDefined();
    const fixture = bytes!.toString('utf8');
    if (/^[0-9A-F ]+\n$/.test(text)) expect(Buffer.from(text.replaceAll(/\s/g, ''), 'hex')).toEqual(bytes);
    else if (excerpt) expect(`\n${fixture}`).toContain(`\n${text}`);
    // Stream headers end without a line feed, which a code block cannot show.
    else expect(text).toBe(fixture.endsWith('\n') ? fixture : `${fixture}\n`);
  },
);

test('the worked session mentions every step of the transcript, in its order', () => {
  const session = page.slice(page.indexOf('## A worked session')).replaceAll(/\s+/g, ' ');
  const places = [...transcript.keys()].map((title) => session.indexOf(title));
  expect(places).not.toContain(-1);
  expect(places).toEqual([...places].sort((a, b) => a - b));
});

test('the rules are those that the reference agent checks', () => {
  const { rows } = tableOf(page, 'Rule', 'Text');
  expect(rows.map(([rule, text]) => [codeOf(rule), text])).toEqual(
    Object.entries(SERVER_RULES).map(([rule, { text }]) => [rule, text]),
  );
});

test('every close reason is there, and no other', () => {
  const reasons = [
    ...unionMembers('src/xmpp/channel-fsm.ts', 'CloseReason'),
    ...unionMembers('src/xmpp/framer.ts', 'FramingFault'),
    ...unionMembers('src/xmpp/stream.ts', 'HeaderFault'),
    ...unionMembers('src/xmpp/subscriptions.ts', 'SubscriptionFault'),
  ];
  expect([...names('Name', 'Why')].sort()).toEqual(reasons.sort());
  for (const refusal of unionMembers('src/xmpp/server.ts', 'RefusalReason')) expect(page).toContain(`\`${refusal}\``);
});

test('every drop reason is there, and no other', () => {
  const reasons = [
    ...unionMembers('src/xmpp/channel-counters.ts', 'DropReason'),
    ...unionMembers('src/xmpp/items/published-route.ts', 'DropReason'),
  ];
  const shown = names('Name', 'What was wrong');
  expect(shown).toEqual(expect.arrayContaining(reasons));
  // The controller drops items for reasons of its own.
  const controller = readText('src/controller/agent-routes.ts') + readText('src/controller/agent-limits.ts');
  for (const name of shown) if (!reasons.includes(name)) expect(controller).toContain(`return '${name}'`);
});

test('every reason to ignore a stanza is there, and no other', () => {
  const reasons = [...unionMembers('src/xmpp/channel-counters.ts', 'IgnoreReason')];
  expect([...names('Name', 'Stanza')].sort()).toEqual(reasons.sort());
});

test('the limits are those of the code', () => {
  const { rows } = tableOf(page, 'Limit', 'Value', 'Set in', 'When exceeded');
  for (const [limit, value, where] of rows) {
    const [, name, path] = /^`(\w+)` in `([\w/.-]+)`$/.exec(where ?? '') ?? [];
    expect({ limit, value: Number(value) }).toEqual({ limit, value: numberIn(path ?? '', name ?? '') });
  }
});

test('the options of `filament agent` are all there', () => {
  const program = readText('src/cli/program.ts');
  const agent = program.slice(program.indexOf('function addAgent('), program.indexOf('function addShow('));
  const options = [...agent.matchAll(/\.option\('([\w-]+)'/g)].map(([, name]) => `--${name!}`);
  expect(names('Option', 'Default', 'Meaning').map((name) => name.split(' ')[0])).toEqual(options);
});

test('the example is the file that the next test runs', () => {
  const [, shown] = /```ts\n([\s\S]*?)```/.exec(page) ?? [];
  expect(shown).toBe(readText('test/docs/example-agent.ts').replace(/^\/\*\*.*\*\/\n/, ''));
});

test('the example publishes a route and is sent it back', async () => {
  const controller = new SmallController(['default-domain:demo:blue:blue'], '127.0.0.1');
  const [endpoint] = await controller.server.start();
  const said: string[] = [];
  const agent = runExample({ address: '127.0.0.1', port: endpoint!.port }, (line) => said.push(line));
  try {
    await eventually('the route is back', () => said.some((line) => line.endsWith('10.20.0.7/32 via 127.0.0.11')));
    expect(said.filter((line) => line.startsWith('the server broke'))).toEqual([]);
  } finally {
    agent.stop();
    await controller.server.stop();
  }
});
