/**
 * Row D01 in the kernel's own forwarding: two BIRDs and the product share a network namespace, one BIRD brings the route of a host behind a link,
 * the product reflects it, the other BIRD puts it into the kernel. Probes to the host go through while the controller is killed and starts again.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { NeighborView } from '../../src/controller/view.js';
import { DaemonProcess, run } from '../support/daemon-process.js';
import { eventually } from '../support/eventually.js';
import { Lab } from '../support/lab.js';
import { inNamespace, linkedNamespaces, type LinkEnd } from '../support/network-namespaces.js';
import { describeWithDaemons } from '../support/requirements.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const AS = 65000;
const PORT = 1790;
const OURS = '127.0.0.1';
const GATEWAY = '127.0.0.2';
const SOURCE = '127.0.0.3';
const API = 'http://127.0.0.1:8083';
const PREFIX = '10.9.0.0/24';
const HOST = '10.9.0.1';
const LIMIT_MS = 120_000;

const ECHO = `const s = require('dgram').createSocket('udp4'); s.on('message', (m, r) => s.send(m, r.port, r.address)); s.bind(7007, '${HOST}');`;
/** A probe every 10 ms; at SIGTERM it waits for the last answers and says how many probes were sent and answered. */
const PROBES = `const s = require('dgram').createSocket('udp4'); let sent = 0; const back = new Set();
s.on('message', (m) => back.add(m.toString()));
const t = setInterval(() => s.send(String(sent++), 7007, '${HOST}', () => {}), 10);
process.on('SIGTERM', () => { clearInterval(t); setTimeout(() => { console.log(JSON.stringify([sent, back.size])); process.exit(); }, 500); });`;

describeWithDaemons(['bird', 'namespaces'], 'forwarding while the controller is away', () => {
  const lab = new Lab('data-plane');
  let [near, far] = [] as unknown as [LinkEnd, LinkEnd];
  let filament: DaemonProcess;

  function start(end: LinkEnd, name: string, command: string, ...args: readonly string[]): DaemonProcess {
    const logFile = `${lab.directory}/${name}.log`;
    return lab.track(new DaemonProcess({ name, command: 'ip', args: inNamespace(end, command, args), logFile }));
  }

  function startBird(name: string, address: string, more: string, channel: string): void {
    const peer = `local ${address} as ${AS}; neighbor ${OURS} port ${PORT} as ${AS}; multihop; strict bind; hold time 30; connect retry time 1; connect delay time 1; error wait time 1, 2;`;
    const text = `log stderr all; router id 10.255.0.${address.at(-1)}; protocol device {} ${more} protocol bgp { ${peer} ipv4 { ${channel} }; }`;
    writeFileSync(`${lab.directory}/${name}.conf`, text);
    start(near, name, 'bird', '-f', '-c', `${lab.directory}/${name}.conf`, '-s', `${lab.directory}/${name}.ctl`);
  }

  const startFilament = (): void => {
    filament = start(near, 'filament', process.execPath, MAIN, 'run', '--config', `${lab.directory}/filament.json`);
  };

  const kernelRoutes = (): Promise<string> => run('ip', ['-n', near.namespace, 'route', 'show', PREFIX]);

  /** The product's API is in the namespace too. */
  async function neighbors(): Promise<readonly NeighborView[]> {
    const script = `fetch('${API}/api/v1/neighbors').then((r) => r.text()).then((t) => console.log(t))`;
    const text = await run('ip', inNamespace(near, process.execPath, ['-e', script]));
    return (JSON.parse(text) as { readonly neighbors: readonly NeighborView[] }).neighbors;
  }

  const converged = (): Promise<boolean> =>
    eventually(
      'the gateway has been told the route',
      async () => {
        const gateway = (await neighbors()).find(({ address }) => address === GATEWAY);
        return gateway?.state === 'established' && gateway.families[0]?.advertised === 1;
      },
      { deadlineMs: 60_000, explain: () => filament.logTail() },
    );

  beforeAll(async () => {
    [near, far] = await linkedNamespaces(lab);
    await run('ip', ['-n', far.namespace, 'address', 'add', `${HOST}/32`, 'dev', 'lo']);
    const common = { peerAs: AS, families: ['ipv4-unicast'], routeReflectorClient: true, passive: true };
    const gracefulRestart = { enabled: true, restartTime: 60 };
    const configuration = {
      routerId: '10.255.0.1',
      autonomousSystem: AS,
      bgp: {
        listen: [{ address: OURS, port: PORT }],
        neighbors: [GATEWAY, SOURCE].map((address) => ({ address, ...common, gracefulRestart })),
      },
      agents: { endOfRibDelay: 0 },
    };
    writeFileSync(`${lab.directory}/filament.json`, JSON.stringify(configuration));
    startFilament();
    const kernel = 'protocol direct { ipv4; } protocol kernel { ipv4 { export where source = RTS_BGP; }; }';
    startBird('gateway', GATEWAY, kernel, 'import all; export none;');
    const route = `protocol static { ipv4; route ${PREFIX} blackhole; }`;
    startBird('source', SOURCE, route, `import none; export filter { bgp_next_hop = ${far.address}; accept; };`);
    await eventually('the kernel has the route', async () => (await kernelRoutes()).includes(`via ${far.address}`), {
      deadlineMs: 60_000,
      explain: () => filament.logTail(),
    });
  }, LIMIT_MS);

  afterAll(() => lab.close());

  test(
    'D01 killed and started again within the restart time: not a probe is lost, and the kernel route of the gateway is never touched (RFC 4724 §4.1)',
    async () => {
      start(far, 'echo', process.execPath, '-e', ECHO);
      const monitor = start(near, 'monitor', 'ip', 'monitor', 'route');
      await eventually('the host answers', async () => {
        const script = `const s = require('dgram').createSocket('udp4'); s.on('message', () => process.exit(0)); s.send('x', 7007, '${HOST}'); setTimeout(() => process.exit(1), 1000)`;
        await run('ip', inNamespace(near, process.execPath, ['-e', script]));
        return true;
      });
      const probes = start(near, 'probes', process.execPath, '-e', PROBES);
      await converged();
      await filament.kill();
      startFilament();
      await converged();
      expect((await neighbors()).map(({ state, flaps }) => [state, flaps])).toEqual(Array(2).fill(['established', 0]));
      await probes.stop();
      const [sent, answered] = JSON.parse(readFileSync(probes.logFile, 'utf8')) as [number, number];
      expect(sent).toBeGreaterThan(100);
      expect(answered).toBe(sent);
      expect(await kernelRoutes()).toContain(`via ${far.address}`);
      await monitor.stop();
      expect(readFileSync(monitor.logFile, 'utf8')).not.toContain('10.9.0.0');
    },
    LIMIT_MS,
  );
});
