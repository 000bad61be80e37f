import { afterAll, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ResolvedTls } from '../../src/config/resolved.js';
import { readAgentTls } from '../../src/controller/agent-tls.js';
import { CertificateAuthority } from '../support/certificates.js';

const directory = mkdtempSync(join(tmpdir(), 'filament-agent-tls-'));
const authority = new CertificateAuthority(directory, 'test authority');
const pair = authority.issue({ commonName: 'ctl-1' });
const good: ResolvedTls = {
  ...pair,
  ca: authority.certificate,
  revocationList: authority.revoke(authority.issue({ commonName: 'revoked' })),
  requireClientCertificate: true,
  verifyAgentName: true,
  handshakesPerSecond: 250,
};
afterAll(() => {
  rmSync(directory, { recursive: true });
});

// Also when the file was replaced after the configuration that names it was checked, as when a trial is over.
test.each(['certificate', 'key', 'ca', 'revocationList'] as const)(
  'E02 a %s that is a pipe, a device or too large is refused and not waited for',
  (field) => {
    expect(readAgentTls(good).fingerprint).toMatch(/^[0-9a-f]{64}$/);
    const pipe = join(directory, `${field}-pipe`);
    execFileSync('mkfifo', [pipe]);
    const large = join(directory, `${field}-large`);
    writeFileSync(large, Buffer.alloc(1024 * 1024 + 1));
    const rule = 'allowed: a regular file of at most 1048576 octets';
    for (const [file, fault] of [
      [pipe, `it is a pipe; ${rule}`],
      ['/dev/zero', `it is a device; ${rule}`],
      [large, 'it has 1048577 octets; allowed: at most 1048576'],
    ] as const) {
      expect(() => readAgentTls({ ...good, [field]: file })).toThrow(
        expect.objectContaining({
          code: 'ERR_TLS_MATERIAL',
          message: `TLS certificate, key or CA cannot be used: cannot read ${file}: ${fault}`,
        }),
      );
    }
  },
);
