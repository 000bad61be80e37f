/**
 * Faults of the link between the product and a neighbor and an agent, in two network namespaces that the test makes for itself (which
 * takes root): they vanish without a word, the own address goes and comes back.
 */
import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { AgentView, NeighborView } from '../../src/controller/view.js';
import { DaemonProcess, run } from '../support/daemon-process.js';
import { eventually } from '../support/eventually.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { ProductApi } from '../support/product-api.js';
import { describeWithDaemons } from '../support/requirements.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const AS = 65000;
const OURS = '10.77.0.1';
const FAR = '10.77.0.2';
/** A neighbor in our own namespace, whose session no link can hurt. */
const BYSTANDER = '127.0.0.2';
const HOLD_TIME = 9;
const BLUE = {
  name: 'd:p:blue:blue',
  virtualNetwork: { name: 'd:p:blue', id: 1 },
  importTargets: ['target:65000:1'],
  exportTargets: ['target:65000:1'],
};
const API_PORT = 8083;

const withRoot = process.getuid?.() === 0 ? describe : describe.skip;

function birdConfiguration(local: string, remote: string, routerId: string): string {
  return `log stderr all;
router id ${routerId};
protocol device { }
protocol bgp {
  local ${local} port 179 as ${AS};
  neighbor ${remote} port 179 as ${AS};
  multihop; strict bind;
  hold time ${HOLD_TIME}; connect delay time 1; connect retry time 2; error wait time 1, 2;
  ipv4 { import all; export none; };
}
`;
}

withRoot('(needs root: network namespaces)', () => {
  describeWithDaemons(['bird'], 'faults of the link', () => {
    const lab = new Lab('link');
    const id = randomInt(0x1_0000).toString(16);
    const [here, there] = [`fl${id}a`, `fl${id}b`];
    let filament: DaemonProcess;
    let invariants: Invariants;

    const ip = (...words: string[]): Promise<string> => run('ip', words);

    function start(name: string, namespace: string, ...command: string[]): DaemonProcess {
      const args = ['netns', 'exec', namespace, ...command];
      return lab.track(new DaemonProcess({ name, command: 'ip', args, logFile: `${lab.directory}/${name}.log` }));
    }

    function startBird(name: string, namespace: string, local: string, remote: string, routerId: string): void {
      const file = `${lab.directory}/${name}.conf`;
      writeFileSync(file, birdConfiguration(local, remote, routerId));
      start(name, namespace, 'bird', '-f', '-c', file, '-s', `${lab.directory}/${name}.ctl`);
    }

    function startAgent(name: string, namespace: string, local: string, server: string): void {
      const words = [
        'agent',
        '--name',
        name,
        '--first-address',
        local,
        '--server',
        `${server}:5269`,
        '--vrf',
        BLUE.name,
      ];
      start(name, namespace, process.execPath, MAIN, ...words, '--hold-time', String(HOLD_TIME), '--watch');
    }

    /** The product's API is in the namespace too: a process there takes what comes by a socket in the file system to it. */
    const socketPath = `${lab.directory}/api`;
    const forwarder = `require('node:net').createServer((client) => {
      const server = require('node:net').connect(${API_PORT}, '127.0.0.1');
      client.on('error', () => server.destroy());
      server.on('error', () => client.destroy());
      client.pipe(server).pipe(client);
    }).listen('${socketPath}')`;

    const text = (path: string): Promise<string> =>
      new Promise((resolve, reject) => {
        request({ socketPath, path, headers: { host: `127.0.0.1:${API_PORT}` }, agent: false }, (response) => {
          let body = '';
          response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
          response.once('end', () => resolve(body));
        })
          .once('error', reject)
          .end();
      });

    class Product extends ProductApi {
      get process(): DaemonProcess {
        return filament;
      }

      async get<T>(path: string): Promise<T> {
        return JSON.parse(await text(path)) as T;
      }

      metrics(): Promise<string> {
        return text('/metrics');
      }
    }
    const product = new Product();

    const neighbor = (address: string): Promise<NeighborView> => product.get(`/api/v1/neighbors/${address}`);

    /** The agent behind the link, and the one beside the product. */
    const agents = async (): Promise<Readonly<Record<string, AgentView | undefined>>> =>
      Object.fromEntries((await product.agents()).map((agent) => [agent.name, agent]));

    const agentIs = (state: AgentView['state'], flaps: number, routes: number): Promise<AgentView> =>
      eventually(
        `the agent is ${state}`,
        async () => {
          const { far } = await agents();
          return far?.state === state && far.flaps === flaps && far.routes.received === routes && far;
        },
        { deadlineMs: 50_000, intervalMs: 500, explain: () => filament.logTail(4000) },
      );

    const becomes = (state: 'up' | 'down', flaps: number): Promise<NeighborView> =>
      eventually(
        `the session is ${state}`,
        async () => {
          const view = await neighbor(FAR);
          return (view.state === 'established') === (state === 'up') && view.flaps === flaps && view;
        },
        { deadlineMs: 50_000, intervalMs: 500, explain: () => filament.logTail(4000) },
      );

    const bystanderIsWell = async (): Promise<void> => {
      expect(await neighbor(BYSTANDER)).toMatchObject({ state: 'established', flaps: 0 });
      expect((await agents())['bystander']).toMatchObject({ state: 'established', flaps: 0, routes: { received: 1 } });
      expect(filament.running).toBe(true);
    };

    beforeAll(async () => {
      for (const namespace of [here, there]) {
        await ip('netns', 'add', namespace);
        lab.track({ stop: () => ip('netns', 'delete', namespace) });
        await ip('-n', namespace, 'link', 'set', 'lo', 'up');
      }
      await ip('-n', here, 'link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far', 'netns', there);
      await ip('-n', here, 'address', 'add', `${OURS}/24`, 'dev', 'near');
      await ip('-n', there, 'address', 'add', `${FAR}/24`, 'dev', 'far');
      await ip('-n', here, 'link', 'set', 'near', 'up');
      await ip('-n', there, 'link', 'set', 'far', 'up');
      const families = ['ipv4-unicast'];
      const common = { peerAs: AS, families, holdTime: HOLD_TIME, connectRetryTime: 2 };
      const configuration = {
        routerId: '10.255.0.1',
        autonomousSystem: AS,
        bgp: {
          listen: [OURS, '127.0.0.1'].map((address) => ({ address, port: 179 })),
          neighbors: [
            { address: FAR, localAddress: OURS, ...common },
            { address: BYSTANDER, localAddress: '127.0.0.1', ...common },
          ],
        },
        agents: {
          listen: [OURS, '127.0.0.1'].map((address) => ({ address, port: 5269 })),
          holdTime: HOLD_TIME,
          gracefulRestart: { enabled: true, restartTime: 300 },
        },
        vrfs: [BLUE],
      };
      const file = `${lab.directory}/filament.json`;
      writeFileSync(file, JSON.stringify(configuration));
      filament = start('filament', here, process.execPath, MAIN, 'run', '--config', file);
      start('forwarder', here, process.execPath, '-e', forwarder);
      startBird('far', there, FAR, OURS, '10.255.0.2');
      startBird('bystander', here, BYSTANDER, '127.0.0.1', '10.255.0.3');
      await becomes('up', 0);
      await eventually('the bystander is there', async () => (await neighbor(BYSTANDER)).state === 'established');
      startAgent('far', there, FAR, OURS);
      startAgent('bystander', here, BYSTANDER, '127.0.0.1');
      await agentIs('established', 0, 1);
      await eventually('the other agent is there', async () => (await agents())['bystander']?.routes.received === 1);
      invariants = await Invariants.watch(product);
    });

    afterAll(() => lab.close());

    test('A03, C21: the neighbor and the agent vanish without a word: the hold timers end both sessions, the routes of the agent stay, and both come back with the link (RFC 4271 §6.5)', async () => {
      await ip('-n', there, 'link', 'set', 'far', 'down');
      const { lastReset, messages } = await becomes('down', 1);
      expect(lastReset?.reason).toMatch(/^sent Hold Timer Expired/);
      expect(messages.sent.notification).toBe(1);
      expect(await agentIs('restarting', 1, 1)).toMatchObject({ lastError: 'hold-time-expired' });
      await bystanderIsWell();
      await ip('-n', there, 'link', 'set', 'far', 'up');
      await becomes('up', 1);
      await agentIs('established', 1, 1);
      await bystanderIsWell();
      await invariants.hold({ touched: [FAR, 'far'] });
    }, 120_000);

    test('I10 the own address goes and comes back with its interface: sessions and listener recover by themselves', async () => {
      await ip('-n', here, 'address', 'delete', `${OURS}/24`, 'dev', 'near');
      await becomes('down', 2);
      await bystanderIsWell();
      await ip('-n', here, 'address', 'add', `${OURS}/24`, 'dev', 'near');
      await becomes('up', 2);
      await bystanderIsWell();
      await invariants.hold({ touched: [FAR, 'far'] });
    }, 120_000);
  });
});
