/** Reads fixtures/agent-channel/transcript.txt: what each side of one agent session sends, octet by octet. */
import { readFileSync } from 'node:fs';

export interface TranscriptBlock {
  readonly from: 'agent' | 'server';
  readonly title: string;
  readonly bytes: Buffer;
}

/** Blocks in order. */
export function readTranscript(): readonly TranscriptBlock[] {
  const text = readFileSync(new URL('../../fixtures/agent-channel/transcript.txt', import.meta.url), 'utf8');
  return [...text.matchAll(/^=== (agent|server): (.*)\n((?:(?!=== ).*\n)*)/gm)].map(
    ([, from, title = '', body = '']) => ({
      from: from === 'agent' ? 'agent' : 'server',
      title,
      bytes: octetsOf(body.replaceAll('\\\n', '')),
    }),
  );
}

function octetsOf(text: string): Buffer {
  return Buffer.concat(
    text.split('{C8 80}').flatMap((part, index) => [...(index > 0 ? [KEEPALIVE] : []), Buffer.from(part)]),
  );
}

const KEEPALIVE = Buffer.from([0xc8, 0x80]);

/** All octets of one side. */
export function octetsFrom(side: TranscriptBlock['from']): Buffer {
  return Buffer.concat(
    readTranscript()
      .filter((block) => block.from === side)
      .map((block) => block.bytes),
  );
}
