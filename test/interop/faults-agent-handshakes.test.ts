/**
 * Row C24 on the real process: hundreds of agents, in the long form ten thousand, begin TLS at the same moment, while a BGP session
 * with the shortest hold time is up. All of them get in, those that come again resume their TLS sessions, and the neighbor notices nothing.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import * as net from 'node:net';
import * as tls from 'node:tls';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { streamHeader, STARTTLS } from '../../src/agent/stanzas.js';
import { CertificateAuthority, readPair } from '../support/certificates.js';
import { eventually } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';

const AS = 65000;
const LONG = process.env['FILAMENT_LONG_TESTS'] === '1';
/** Files that this process, and so the product, may have open; some are for other things than agents. */
const OPEN_FILES = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1024);
/** The row has 10,000: the long form is that, or as many as there are files for. */
const AGENTS = LONG ? Math.min(10_000, OPEN_FILES - 500) : 400;
/** Some four seconds of handshakes, were they for nothing. */
const PER_SECOND = AGENTS / 4;
/** Of the agents, which share them: there are limits for each address. */
const ADDRESSES = 50;
/** The shortest that there is (RFC 4271 §4.2). */
const HOLD_TIME_SEC = 3;
const PROCEED = '<proceed';
const DEADLINE_MS = LONG ? 600_000 : 60_000;

describeWithDaemons([], 'a storm of TLS handshakes', () => {
  const lab = new Lab('handshakes');
  const authority = new CertificateAuthority(lab.subdirectory('ca'), 'test authority');
  const own = readPair(authority.issue({ commonName: 'compute' }));
  const sessions = new Map<string, Buffer>();
  let addresses: readonly string[];
  let asked = 0;
  let filament: Filament;
  let neighbor: Filament;
  let agents: tls.TLSSocket[] = [];
  let invariants: Invariants;

  beforeAll(async () => {
    const [address, far] = [lab.nextAddress(), lab.nextAddress()];
    addresses = Array.from({ length: ADDRESSES }, () => lab.nextAddress());
    const server = authority.issue({ commonName: 'ctl-1', names: ['DNS:ctl-1'] });
    filament = await Filament.create(
      lab,
      {
        autonomousSystem: AS,
        routerId: '10.255.0.1',
        neighbors: [{ address: far, peerAs: AS, passive: true, holdTime: HOLD_TIME_SEC }],
        agents: {
          // They say nothing but that they are there.
          holdTime: 3600,
          tls: {
            ...server,
            ca: authority.certificate,
            requireClientCertificate: true,
            verifyAgentName: false,
            handshakesPerSecond: PER_SECOND,
          },
        },
      },
      address,
    );
    neighbor = await Filament.create(
      lab,
      {
        autonomousSystem: AS,
        routerId: '10.255.0.2',
        neighbors: [
          {
            address,
            port: filament.bgpPort,
            localAddress: far,
            peerAs: AS,
            holdTime: HOLD_TIME_SEC,
            connectRetryTime: 1,
          },
        ],
      },
      far,
    );
    await Promise.all([filament.start(), neighbor.start()]);
    await filament.established(far);
    invariants = await Invariants.watch(filament);
  });
  afterAll(async () => {
    for (const agent of agents) agent.destroy();
    await lab.close();
  });

  /** An agent that has said everything there is to say in clear text, and waits for `proceed`. */
  async function asking(name: string): Promise<net.Socket> {
    const localAddress = addresses[asked++ % ADDRESSES]!;
    const socket = net.connect({ host: filament.address, port: filament.agentPort, localAddress });
    await once(socket, 'connect');
    socket.write(streamHeader(name) + STARTTLS);
    return socket;
  }

  /** The rest of its way, up to the header inside TLS that answers its own. */
  async function secured(name: string, plain: net.Socket): Promise<tls.TLSSocket> {
    await new Promise<void>((resolve, reject) => {
      let heard = '';
      const hear = (chunk: Buffer): void => {
        heard += chunk.toString();
        if (!heard.includes(PROCEED)) return;
        plain.off('data', hear).pause();
        resolve();
      };
      plain.on('data', hear);
      plain.once('close', () => reject(new Error(`${name} was cut: ${heard}`)));
    });
    const session = sessions.get(name);
    const secure = tls.connect({ socket: plain, rejectUnauthorized: false, ...own, ...(session && { session }) });
    secure.on('session', (ticket: Buffer) => sessions.set(name, ticket));
    await once(secure, 'secureConnect');
    secure.write(streamHeader(name));
    await once(secure, 'data');
    return secure;
  }

  async function storm(names: readonly string[]): Promise<tls.TLSSocket[]> {
    const plain = await Promise.all(names.map(asking));
    return Promise.all(names.map((name, i) => secured(name, plain[i]!)));
  }

  const waiting = async (): Promise<number> =>
    Number(
      /^filament_tls_handshakes_waiting (\d+)$/m.exec(await (await fetch(`${filament.apiUrl}/metrics`)).text())?.[1],
    );

  const established = async (): Promise<number> =>
    (await filament.agents()).filter(({ state }) => state === 'established').length;

  test(
    `C24 ${AGENTS} agents begin TLS at once: they wait their turn, all get in, and a session with 3 s of hold time stays`,
    async () => {
      const names = Array.from({ length: AGENTS }, (_, i) => `compute-${i}`);
      const all = storm(names);
      await eventually('agents wait for their turn', async () => (await waiting()) > AGENTS / 4, { intervalMs: 20 });
      agents = await all;
      expect(await waiting()).toBe(0);
      await eventually('all of them are in', async () => (await established()) === AGENTS, {
        deadlineMs: DEADLINE_MS,
      });
      expect(await filament.neighbor(neighbor.address)).toMatchObject({ state: 'established', flaps: 0 });
      expect(await neighbor.neighbor(filament.address)).toMatchObject({ state: 'established', flaps: 0 });
    },
    DEADLINE_MS * 2,
  );

  test(
    'C24 those that come again resume their TLS sessions',
    async () => {
      await eventually('they have their tickets', () => sessions.size === AGENTS);
      for (const agent of agents) agent.destroy();
      await eventually('all of them are gone', async () => (await established()) === 0, { deadlineMs: DEADLINE_MS });
      agents = await storm([...sessions.keys()].slice(0, 100));
      expect(agents.every((agent) => agent.isSessionReused())).toBe(true);
      expect(await filament.neighbor(neighbor.address)).toMatchObject({ state: 'established', flaps: 0 });
      for (const agent of agents) agent.destroy();
      await invariants.hold();
    },
    DEADLINE_MS,
  );
});
