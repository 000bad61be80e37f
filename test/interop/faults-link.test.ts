/**
 * Faults of the link between the product and a neighbor, in two network namespaces that the test makes for itself (which
 * takes root): the neighbor vanishes without a word, the own address goes and comes back.
 */
import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { NeighborView } from '../../src/controller/view.js';
import { DaemonProcess, run } from '../support/daemon-process.js';
import { eventually } from '../support/eventually.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const AS = 65000;
const OURS = '10.77.0.1';
const FAR = '10.77.0.2';
/** A neighbor in our own namespace, whose session no link can hurt. */
const BYSTANDER = '127.0.0.2';
const API = 'http://127.0.0.1:8083';

const withRoot = process.getuid?.() === 0 ? describe : describe.skip;

function birdConfiguration(local: string, remote: string, routerId: string): string {
  return `log stderr all;
router id ${routerId};
protocol device { }
protocol bgp {
  local ${local} port 179 as ${AS};
  neighbor ${remote} port 179 as ${AS};
  multihop; strict bind;
  hold time 9; connect delay time 1; connect retry time 2; error wait time 1, 2;
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

    /** The product's API is in the namespace too. */
    async function neighbor(address: string): Promise<NeighborView> {
      const script = `fetch('${API}/api/v1/neighbors/${address}').then((r) => r.text()).then((t) => console.log(t))`;
      return JSON.parse(await ip('netns', 'exec', here, process.execPath, '-e', script)) as NeighborView;
    }

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
      const common = { peerAs: AS, families, holdTime: 9, connectRetryTime: 2 };
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
      };
      const file = `${lab.directory}/filament.json`;
      writeFileSync(file, JSON.stringify(configuration));
      filament = start('filament', here, process.execPath, MAIN, 'run', '--config', file);
      startBird('far', there, FAR, OURS, '10.255.0.2');
      startBird('bystander', here, BYSTANDER, '127.0.0.1', '10.255.0.3');
      await becomes('up', 0);
      await eventually('the bystander is there', async () => (await neighbor(BYSTANDER)).state === 'established');
    });

    afterAll(() => lab.close());

    test('A03 the neighbor vanishes without a word: the hold timer ends the session, and it comes back with the link (RFC 4271 §6.5)', async () => {
      await ip('-n', there, 'link', 'set', 'far', 'down');
      const { lastReset, messages } = await becomes('down', 1);
      expect(lastReset?.reason).toMatch(/^sent Hold Timer Expired/);
      expect(messages.sent.notification).toBe(1);
      await bystanderIsWell();
      await ip('-n', there, 'link', 'set', 'far', 'up');
      await becomes('up', 1);
    }, 120_000);

    test('I10 the own address goes and comes back with its interface: sessions and listener recover by themselves', async () => {
      await ip('-n', here, 'address', 'delete', `${OURS}/24`, 'dev', 'near');
      await becomes('down', 2);
      await bystanderIsWell();
      await ip('-n', here, 'address', 'add', `${OURS}/24`, 'dev', 'near');
      await becomes('up', 2);
      await bystanderIsWell();
    }, 120_000);
  });
});
