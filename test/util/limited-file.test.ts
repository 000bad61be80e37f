import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readLimitedFile } from '../../src/util/limited-file.js';

const LIMIT = 10_000;
const RULE = `allowed: a regular file of at most ${LIMIT} octets`;
const directory = mkdtempSync(join(tmpdir(), 'filament-limited-'));
const at = (name: string): string => join(directory, name);
const content = (octets: number): Buffer => Buffer.alloc(octets, 'abcdefg');
const server = createServer();

beforeAll(async () => {
  execFileSync('mkfifo', [at('pipe')]);
  symlinkSync('pipe', at('link-to-pipe'));
  mkdirSync(at('folder'));
  for (const octets of [0, 1, LIMIT, LIMIT + 1]) writeFileSync(at(`${octets}`), content(octets));
  // As a mounted ConfigMap is: a link through a link.
  symlinkSync('.', at('..data'));
  symlinkSync(`..data/${LIMIT}`, at('link'));
  server.listen(at('socket'));
  await once(server, 'listening');
});

afterAll(async () => {
  server.close();
  await once(server, 'close');
  rmSync(directory, { recursive: true });
});

describe('readLimitedFile', () => {
  test.each([0, 1, LIMIT])('reads a file of %d octets', (octets) => {
    expect(readLimitedFile(at(`${octets}`), LIMIT)).toEqual(content(octets));
  });

  test('follows symbolic links', () => {
    expect(readLimitedFile(at('link'), LIMIT)).toEqual(content(LIMIT));
  });

  test.each([
    ['what comes late and in parts', `sleep 0.1; printf abc; sleep 0.1; printf def`, 'abcdef'],
    ['nothing', `:`, ''],
    ['as much as is allowed', `head -c ${LIMIT} /dev/zero`, '\0'.repeat(LIMIT)],
  ])('reads a pipe to its end for who may wait: %s', (_what, script, expected) => {
    spawn('sh', ['-c', `{ ${script}; } > ${at('pipe')}`], { stdio: 'ignore' });
    expect(readLimitedFile(at('link-to-pipe'), LIMIT, true).toString()).toBe(expected);
  });

  test('takes no more of a pipe than is allowed', () => {
    spawn('sh', ['-c', `cat /dev/zero > ${at('pipe')}`], { stdio: 'ignore' });
    expect(() => readLimitedFile(at('pipe'), LIMIT, true)).toThrow(`it has more than ${LIMIT} octets`);
  });

  test('who may wait reads files as everybody does, and no devices', () => {
    expect(readLimitedFile(at(`${LIMIT}`), LIMIT, true)).toEqual(content(LIMIT));
    expect(() => readLimitedFile('/dev/zero', LIMIT, true)).toThrow('it is a device');
    expect(() => readLimitedFile(at('missing'), LIMIT, true)).toThrow('no such file');
  });

  test('reads a file that has more than the system says', () => {
    const file = '/proc/self/limits';
    expect(readLimitedFile(file, LIMIT)).toEqual(readFileSync(file));
  });

  test.each([
    ['pipe', `it is a pipe; ${RULE}`],
    ['link-to-pipe', `it is a pipe; ${RULE}`],
    ['folder', `it is a directory; ${RULE}`],
    ['socket', `it is a socket; ${RULE}`],
    ['/dev/zero', `it is a device; ${RULE}`],
    [`${LIMIT + 1}`, `it has ${LIMIT + 1} octets; allowed: at most ${LIMIT}`],
    ['missing', 'no such file'],
    [`${LIMIT}/below`, 'ENOTDIR'],
    // Says that it is a file of 0 octets, as one does that grows after it was looked at.
    ['/proc/self/maps', `it has more than ${LIMIT} octets; allowed: at most ${LIMIT}`],
    // A regular file that can be opened and not read.
    ['/proc/self/mem', 'EIO'],
  ])('refuses %s and leaves nothing open', (name, fault) => {
    const file = name.startsWith('/') ? name : at(name);
    const open = readdirSync('/proc/self/fd').length;
    expect(() => readLimitedFile(file, LIMIT)).toThrow(
      expect.objectContaining({ code: 'ERR_FILE_READ', message: `cannot read ${file}: ${fault}` }),
    );
    expect(readdirSync('/proc/self/fd')).toHaveLength(open);
  });
});
