/**
 * BFD over a single hop with FRR's bfdd, which takes its port on all addresses and wants an interface: each side has a network
 * namespace of its own. FRR is bfdd, bgpd, and zebra, which tells both of the interface.
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { BfdView, NeighborView } from '../../src/controller/view.js';
import { DaemonProcess, run } from '../support/daemon-process.js';
import { eventually } from '../support/eventually.js';
import { Lab } from '../support/lab.js';
import { inNamespace, linkedNamespaces } from '../support/network-namespaces.js';
import type { LinkEnd } from '../support/network-namespaces.js';
import { describeWithDaemons } from '../support/requirements.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const AS = 65000;
const PORT = 1790;

describeWithDaemons(['frr', 'namespaces'], 'BFD beside BGP, over a single hop', () => {
  const lab = new Lab('bfd-single-hop');
  let near: LinkEnd;
  let far: LinkEnd;
  let directory: string;
  let filament: DaemonProcess;
  let bfdd: DaemonProcess;

  function start(end: LinkEnd, name: string, command: string, args: readonly string[]): DaemonProcess {
    const logFile = `${directory}/${name}.log`;
    return lab.track(new DaemonProcess({ name, command: 'ip', args: inNamespace(end, command, args), logFile }));
  }

  function startFrr(name: 'zebra' | 'bfdd' | 'bgpd', config: string, more: readonly string[]): DaemonProcess {
    writeFileSync(`${directory}/${name}.conf`, config);
    const sockets = ['-z', `${directory}/zserv`, '--vty_socket', `${directory}/vty`];
    const files = ['-f', `${directory}/${name}.conf`, '-i', `${directory}/${name}.pid`];
    return start(far, name, `/usr/lib/frr/${name}`, [...sockets, ...files, ...more]);
  }

  const vtysh = (daemon: string, ...commands: readonly string[]): Promise<string> =>
    run('vtysh', ['--vty_socket', `${directory}/vty`, '-d', daemon, ...commands.flatMap((each) => ['-c', each])]);

  async function neighbor(): Promise<NeighborView> {
    const words = ['show', 'neighbors', far.address, '--json', '--server', 'http://127.0.0.1:8083'];
    return JSON.parse(await run('ip', inNamespace(near, process.execPath, [MAIN, ...words]))) as NeighborView;
  }

  function neighborThat(what: string, fits: (neighbor: NeighborView, bfd: BfdView) => boolean): Promise<NeighborView> {
    return eventually(
      `the neighbor ${what}`,
      async () => {
        const view = await neighbor();
        return view.bfd !== undefined && fits(view, view.bfd) && view;
      },
      { deadlineMs: 60_000, explain: async () => `${JSON.stringify(await neighbor())}\n${filament.logTail()}` },
    );
  }

  const allUp = (): Promise<NeighborView> =>
    neighborThat('is up with BFD', ({ state }, bfd) => state === 'established' && bfd.state === 'up');

  beforeAll(async () => {
    [near, far] = await linkedNamespaces(lab);
    // FRR's daemons change to a user of their own.
    directory = lab.subdirectory('frr');
    mkdirSync(`${directory}/vty`);
    chmodSync(lab.directory, 0o711);
    for (const path of [directory, `${directory}/vty`]) chmodSync(path, 0o777);
    const config = {
      routerId: '10.255.0.1',
      autonomousSystem: AS,
      bgp: {
        listen: [{ address: near.address, port: PORT }],
        neighbors: [
          {
            address: far.address,
            peerAs: AS,
            passive: true,
            families: ['ipv4-unicast'],
            bfd: { minimumInterval: 100, multiplier: 10 },
          },
        ],
      },
      agents: { listen: [] },
      api: { listen: [{ address: '127.0.0.1', port: 8083 }] },
    };
    writeFileSync(`${directory}/filament.json`, JSON.stringify(config));
    filament = start(near, 'filament', process.execPath, [MAIN, 'run', '--config', `${directory}/filament.json`]);
    startFrr('zebra', '', []);
    await eventually('zebra answers', async () => (await vtysh('zebra', 'show interface')).includes('link-b'));
    const profile = ['profile fast', 'transmit-interval 100', 'receive-interval 100', 'detect-multiplier 10'];
    bfdd = startFrr('bfdd', `bfd\n${profile.join('\n')}\n`, ['--bfdctl', `${directory}/bfdd.sock`]);
    await eventually('bfdd answers', async () => (await vtysh('bfdd', 'show running-config')).includes('fast'));
    const peer = `neighbor ${near.address}`;
    const bgp = [
      `router bgp ${AS}`,
      'no bgp network import-check',
      `${peer} remote-as ${AS}`,
      `${peer} port ${PORT}`,
      `${peer} timers connect 1`,
      `${peer} bfd profile fast`,
    ];
    startFrr('bgpd', `${bgp.join('\n')}\n`, ['-n', '-l', far.address, '-p', '179']);
  });
  afterAll(() => lab.close());

  test('the session comes up with the address of the BGP session; TTL 255 is sent and taken (RFC 5881 §5)', async () => {
    const { bfd } = await neighborThat('is up', (_view, one) => one.state === 'up' && one.detectionTimeMs === 1000);
    expect(bfd).toMatchObject({ remoteState: 'up', multihop: false, transmitIntervalMs: 100 });
    const shown = JSON.parse(await vtysh('bfdd', 'show bfd peers json')) as readonly unknown[];
    expect(shown).toMatchObject([{ peer: near.address, local: far.address, status: 'up', multihop: false }]);
  });

  test('A31 bfdd is stopped while bgpd lives: FRR is told why, and comes back (RFC 5881, RFC 9384 §2)', async () => {
    const { flaps } = await allUp();
    bfdd.signal('SIGSTOP');
    try {
      const { lastReset } = await neighborThat('is down', (view, bfd) => bfd.state === 'down' && view.flaps > flaps);
      expect(lastReset?.reason).toMatch(/BFD Down/i);
      await eventually('bgpd has been told', async () =>
        /BFD Down/i.test(await vtysh('bgpd', `show bgp neighbors ${near.address}`)),
      );
    } finally {
      bfdd.signal('SIGCONT');
    }
    await allUp();
  });

  test('BFD that FRR takes away is no failure: BGP stays (RFC 5882 §3.2)', async () => {
    const { flaps, messages } = await allUp();
    await vtysh('bfdd', 'configure terminal', 'bfd', 'profile fast', 'shutdown');
    const { bfd } = await neighborThat('has no BFD', (_view, one) => one.state === 'down');
    expect(bfd).toMatchObject({ lastDiagnostic: 'neighbor-signaled-session-down' });
    // FRR then falls silent, and what it said is forgotten after the detection time (RFC 5880 §6.8.1).
    expect(['admin-down', 'down']).toContain(bfd?.remoteState);
    await vtysh('bfdd', 'configure terminal', 'bfd', 'profile fast', 'no shutdown');
    const after = await allUp();
    expect(after.flaps).toBe(flaps);
    expect(after.messages.sent.notification).toBe(messages.sent.notification);
  });
});
