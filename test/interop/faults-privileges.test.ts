/** Row I13 on the real process: what root gives up, what works without any capability, keys that everybody may read. */
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { once } from 'node:events';
import { chmodSync, copyFileSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { filament as run, ROOT } from '../cli/command.js';
import { TestAgent } from '../support/agent.js';
import { CertificateAuthority } from '../support/certificates.js';
import { eventually } from '../support/eventually.js';
import { Filament, type ConfigPart, type FilamentDescription } from '../support/filament.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';

jest.setTimeout(90_000);

const AS = 65000;
const DESCRIPTION = { autonomousSystem: AS, routerId: '10.255.0.1' } as const;
/** `nobody` and `nogroup` of Debian. */
const NOBODY = '65534';
const NOBODY_CONFIG = { user: 'nobody', group: 'nogroup' } as const;
const BIND_SERVICE = (1 << 10).toString(16).padStart(16, '0');
const NO_CAPABILITY = '0'.repeat(16);

const labs: Lab[] = [];
afterEach(async () => {
  for (const lab of labs.splice(0)) await lab.close();
});

/** A lab whose files others may read, as an operator's are. */
function openLab(): Lab {
  const lab = new Lab('privileges');
  chmodSync(lab.directory, 0o711);
  labs.push(lab);
  return lab;
}

function isRootAndTreeIsOpen(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  for (let path = ROOT; path !== '/'; path = dirname(path)) {
    if ((statSync(path).mode & 0o005) !== 0o005) return `needs a tree that others may read, and ${path} is not`;
  }
  return undefined;
}

function describeWithRoot(title: string, define: () => void): void {
  const obstacle = isRootAndTreeIsOpen();
  if (obstacle === undefined) describe(title, define);
  else describe.skip(`${title} [${obstacle}]`, define);
}

/** Who a thread is and what it may. */
interface Credentials {
  readonly users: string;
  readonly groups: string;
  readonly effective: string;
  readonly permitted: string;
}

function credentialsOf(statusFile: string): Credentials {
  const text = readFileSync(statusFile, 'utf8');
  const field = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*$`, 'm').exec(text)?.[1] ?? '';
  const ids = (name: string): string => [...new Set(field(name).split(/\s+/))].join(' ');
  return {
    users: ids('Uid'),
    groups: [...new Set([...ids('Gid').split(' '), ...ids('Groups').split(' ')])].join(' ').trim(),
    effective: field('CapEff'),
    permitted: field('CapPrm'),
  };
}

/** One for each thread that differs from the others. */
function allCredentials(pid: number): Credentials[] {
  const threads = readdirSync(`/proc/${pid}/task`).map((id) => credentialsOf(`/proc/${pid}/task/${id}/status`));
  return [...new Map(threads.map((one) => [JSON.stringify(one), one])).values()];
}

const unprivileged: Credentials = {
  users: NOBODY,
  groups: NOBODY,
  effective: NO_CAPABILITY,
  permitted: NO_CAPABILITY,
};

/** A port below 1024 of an address of a lab, which has nobody else on it. */
const LOW_PORT = 179;

async function create(lab: Lab, more: Partial<FilamentDescription>): Promise<Filament> {
  return Filament.create(lab, { ...DESCRIPTION, ...more });
}

describeWithRoot('I13 a controller that root has started', () => {
  test('I13 becomes the user in every thread when it listens; sessions, BFD and reloads go on', async () => {
    const lab = openLab();
    const [near, far] = [lab.nextAddress(), lab.nextAddress()];
    const neighbor = (address: string, port: number, more: ConfigPart): ConfigPart => ({
      address,
      port,
      peerAs: AS,
      bfd: { minimumInterval: 300, multihop: true },
      ...more,
    });
    const dropping = await Filament.create(
      lab,
      {
        ...DESCRIPTION,
        process: NOBODY_CONFIG,
        bgp: { listen: [{ address: near, port: LOW_PORT }] },
        neighbors: [neighbor(far, 1790, { passive: true, localAddress: near })],
      },
      near,
    );
    const other = await Filament.create(
      lab,
      {
        autonomousSystem: AS,
        routerId: '10.255.0.2',
        neighbors: [neighbor(near, LOW_PORT, { connectRetryTime: 1, localAddress: far })],
      },
      far,
    );
    await Promise.all([dropping.start(), other.start()]);
    expect(allCredentials(dropping.process.pid)).toEqual([unprivileged]);
    expect(readdirSync(`/proc/${dropping.process.pid}/task`).length).toBeGreaterThan(5);
    await dropping.established(far);
    await eventually('BFD is up', async () => (await dropping.neighbor(far)).bfd?.state === 'up');
    const agent = new TestAgent(lab, dropping, 'bystander');
    await agent.start();
    const invariants = await Invariants.watch(dropping);
    expect(await dropping.reload({ vrfs: [{ name: 'red', virtualNetwork: { name: 'red', id: 9 } }] })).toEqual([
      'VRF red added',
    ]);
    expect(dropping.logTail()).toMatch(/"user":"nobody","group":"nogroup","msg":"privileges dropped"/);
    expect(dropping.logTail()).not.toContain('a reload will not be able to read the file');
    await invariants.hold();
    agent.expectNoViolations();
    expect(await dropping.stop()).toBe(0);
  });

  test('I13 while it waits for a port below 1024 it keeps the capability to bind it, and no other', async () => {
    const lab = openLab();
    const address = lab.nextAddress();
    const holder = createServer().listen(LOW_PORT, address);
    await once(holder, 'listening');
    const waiting = await Filament.create(
      lab,
      {
        ...DESCRIPTION,
        process: NOBODY_CONFIG,
        bgp: { listen: [{ address, port: LOW_PORT }], bindWhenAvailable: true },
      },
      address,
    );
    const ready = waiting.start();
    const { pid } = waiting.process;
    await eventually('the privileges are dropped', () => waiting.logTail().includes('privileges dropped'));
    expect(allCredentials(pid)).toContainEqual({ ...unprivileged, effective: BIND_SERVICE, permitted: BIND_SERVICE });
    expect(credentialsOf(`/proc/${pid}/status`).effective).toBe(BIND_SERVICE);
    for (const one of allCredentials(pid)) {
      expect(one).toMatchObject({ users: NOBODY, groups: NOBODY });
      expect([BIND_SERVICE, NO_CAPABILITY]).toContain(one.permitted);
    }
    holder.close();
    await ready;
    expect(waiting.logTail()).toMatch(
      new RegExp(`"listen":"bgp","address":"${address}","port":${LOW_PORT},"msg":"listening"`),
    );
  });

  test('I13 files that the user cannot read are told at the start; the reload is refused and nothing else changes', async () => {
    const lab = openLab();
    // With a secret: whether others may read the file is a question that has no answer here.
    const neighbors = [{ address: lab.nextAddress(), peerAs: AS, passive: true, md5Password: 'secret' }];
    const one = await create(lab, { process: NOBODY_CONFIG, neighbors });
    // A directory that only root may enter.
    chmodSync(lab.directory, 0o700);
    await one.start();
    expect(one.logTail()).toMatch(/"user":"nobody","msg":"a reload will not be able to read the file"/);
    await expect(one.reload({ vrfs: [] })).rejects.toThrow(/422.*permission denied/);
    expect(allCredentials(one.process.pid)).toEqual([unprivileged]);
    expect(await one.stop()).toBe(0);
  });

  test('I13 a user that does not exist is one clear line, before anything listens', async () => {
    const lab = openLab();
    const file = `${lab.directory}/unknown.json`;
    writeFileSync(file, JSON.stringify({ ...DESCRIPTION, api: { listen: [] }, process: { user: 'no-such-user' } }));
    const { exitCode, err } = await run('run', '--config', file);
    expect(err).toMatch(/^filament: cannot become no-such-user: .* change process\.user\n$/);
    expect(exitCode).toBe(1);
  });

  describe('I13 without any capability', () => {
    const through = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--bounding-set=-all'];

    test('I13 ports above 1023 work', async () => {
      const one = await create(openLab(), { through, process: { user: 'nobody' } });
      await one.start();
      expect(allCredentials(one.process.pid)).toEqual([unprivileged]);
    });

    const everybodyMay = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8')) <= LOW_PORT;
    (everybodyMay ? test.skip : test)(
      `I13 a port below 1024 is one clear error${everybodyMay ? ' [here everybody may have such ports]' : ''}`,
      async () => {
        const lab = openLab();
        const address = lab.nextAddress();
        const one = await create(lab, { through, bgp: { listen: [{ address, port: LOW_PORT }] } });
        await expect(one.start()).rejects.toThrow('it ended with 1');
        expect(one.logTail()).toContain(
          `cannot listen on ${address}:${LOW_PORT}: not permitted (ports below 1024 need CAP_NET_BIND_SERVICE); change bgp.listen`,
        );
      },
    );

    test('I13 only root can become somebody else', async () => {
      const one = await create(openLab(), { through, process: { user: 'daemon' } });
      await expect(one.start()).rejects.toThrow('it ended with 1');
      expect(one.logTail()).toContain('only root can become daemon, and this is nobody; change process.user');
    });
  });
});

describe('I13 a private key', () => {
  test('I13 that everybody may read is refused, at the start, by a check and by a reload that leaves the one in force', async () => {
    const lab = openLab();
    const pair = new CertificateAuthority(lab.subdirectory('ca'), 'authority').issue({ commonName: 'ctl-1' });
    const key = `${lab.directory}/server.key`;
    copyFileSync(pair.key, key);
    chmodSync(key, 0o640);
    const one = await create(lab, { agents: { tls: { certificate: pair.certificate, key } } });
    await one.start();
    chmodSync(key, 0o644);
    await expect(one.reload({})).rejects.toThrow(/422.*agents\.tls\.key.*can be read by everybody on this host/);
    const file = `${lab.directory}/check.yaml`;
    const configuration = `routerId: 10.255.0.1\nautonomousSystem: 65000\nagents:\n  tls:\n    certificate: ${pair.certificate}\n    key: ${key}\n`;
    writeFileSync(file, configuration);
    const { exitCode, out } = await run('check', '--config', file);
    expect(out).toBe(
      `${file}:6:5: agents.tls.key: "${key}" can be read by everybody on this host; allowed: a mode without access for others, such as 640\n`,
    );
    expect(exitCode).toBe(2);
    expect((await run('run', '--config', file)).exitCode).toBe(2);
    chmodSync(key, 0o600);
    expect((await run('check', '--config', file)).exitCode).toBe(0);
    expect(await one.reload({})).toEqual([]);
  });
});
