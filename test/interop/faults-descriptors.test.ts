/** Row I05 on the real process: clients of every port take all they can get, and nobody else is kept out. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { RawClient } from '../support/raw-client.js';
import { RawRouter } from '../support/raw-router.js';
import { describeWithDaemons } from '../support/requirements.js';

const AS = 65000;
const OPEN_FILES = 256;
/** More than there are files, on each port. */
const CONNECTIONS = 300;
const LIMIT_MS = 60_000;

describeWithDaemons([], 'few file descriptors', () => {
  const lab = new Lab('descriptors');
  const [early, late] = [lab.nextAddress(), lab.nextAddress()];
  const greedy: RawClient[] = [];
  let filament: Filament;

  beforeAll(async () => {
    filament = await Filament.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.0.1',
      openFiles: OPEN_FILES,
      neighbors: [early, late].map((address) => ({ address, peerAs: AS, passive: true, families: ['ipv4-unicast'] })),
    });
    await filament.start();
  });

  afterAll(async () => {
    for (const client of greedy) client.close();
    await lab.close();
  });

  const establish = (address: string): Promise<RawRouter> =>
    RawRouter.establish({
      server: { address: filament.address, port: filament.bgpPort },
      address,
      autonomousSystem: AS,
    });

  const uptime = async (): Promise<number> => {
    const answer = await fetch(`${filament.apiUrl}/api/v1/controller`);
    return ((await answer.json()) as { readonly uptimeSeconds: number }).uptimeSeconds;
  };

  test(
    "I05 I12 clients that fill the agents' port and the API at once end nothing and keep nobody out",
    async () => {
      const bystander = await establish(early);
      const invariants = await Invariants.watch(filament);
      const [one, other] = [lab.nextAddress(), lab.nextAddress()];
      const take = async (port: number, from: string): Promise<void> => {
        const client = await RawClient.connect(filament.address, port, from).catch(() => undefined);
        if (client === undefined) return;
        client.send('GET / HTTP/1.1');
        greedy.push(client);
      };
      for (let n = 0; n < CONNECTIONS; n++) {
        await take(filament.agentPort, n % 2 === 0 ? one : other);
        await take(filament.apiPort, one);
      }
      // Memory is looked at every second, for which the system wants a descriptor.
      const before = await uptime();
      await eventually('it has looked a few times', async () => (await uptime()) >= before + 3);
      const newcomer = await establish(late);
      expect(await filament.neighbor(early)).toMatchObject({ state: 'established', flaps: 0 });
      expect([filament.process.running, bystander.closed]).toEqual([true, false]);
      newcomer.close();
      for (const client of greedy) client.close();
      await invariants.hold();
      bystander.close();
    },
    LIMIT_MS,
  );
});
