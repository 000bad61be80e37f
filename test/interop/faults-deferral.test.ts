/**
 * Row D08 on a process with a neighbor and an agent as bystanders: it is killed and started again, and of those that it waits for one never
 * returns. When the deferral time is over the others are told everything, and all is as before.
 */
import { afterAll, expect, jest, test } from '@jest/globals';
import { Bystanders, BYSTANDERS_VRF } from '../support/bystanders.js';
import { Filament } from '../support/filament.js';
import { Lab } from '../support/lab.js';
import { RawRouter } from '../support/raw-router.js';

jest.setTimeout(120_000);

const AS = 64512;
const VPN = '1/128';
const DEFERRAL_S = 3;
/** Capability 64 (RFC 4724 §3): has restarted or not, ten minutes, VPN routes with the F bit. */
const GRACEFUL_RESTART = '40 06 0258 0001 80 80';

const lab = new Lab('deferral');
afterAll(() => lab.close());

test('D08 of those that are waited for one never returns: the others are told everything when the deferral time is over', async () => {
  const [bystander, returning, lost] = [lab.nextAddress(), lab.nextAddress(), lab.nextAddress()];
  const filament = await Filament.create(lab, {
    autonomousSystem: AS,
    routerId: '10.255.0.1',
    bgp: { selectionDeferralTime: DEFERRAL_S },
    neighbors: [
      Bystanders.neighbor(bystander),
      ...[returning, lost].map((address) => ({ ...Bystanders.neighbor(address), gracefulRestart: { enabled: true } })),
    ],
    vrfs: [
      {
        ...BYSTANDERS_VRF,
        staticRoutes: [{ prefix: '10.1.0.0/24', nextHop: '192.0.2.20', label: 16 }],
      },
    ],
    agents: { endOfRibDelay: 0, gracefulRestart: { enabled: true, restartTime: 300 } },
  });
  const comes = (address: string): Promise<RawRouter> =>
    RawRouter.establish({
      server: { address: filament.address, port: filament.bgpPort },
      address,
      autonomousSystem: AS,
      families: [[1, 128]],
      capabilities: GRACEFUL_RESTART,
    });
  const endOfRib = (router: RawRouter): void => router.update({ attributes: '800f03 0001 80' });
  await filament.start();
  for (const router of [await comes(returning), await comes(lost)]) endOfRib(router);
  const bystanders = await Bystanders.join(lab, filament, bystander);
  await filament.crash();
  await filament.start();
  const back = await comes(returning);
  endOfRib(back);
  await filament.established(returning);
  await bystanders.connect();
  // It has said that it is done, the other one has not come: not before the deferral time is over (d-restarting.test.ts) …
  await back.until('it is told everything', () => back.endsOfRib.includes(VPN) && back.routes.size === 1);
  expect(await filament.neighbor(lost)).toMatchObject({ flaps: 0 });
  const again = await comes(lost);
  endOfRib(again);
  await again.until('the late one is told as well', () => again.endsOfRib.includes(VPN) && again.routes.size === 1);
  await bystanders.hold({ isRestarted: true });
  expect(back.history.filter((change) => change.startsWith('-') && !change.includes('0afa'))).toEqual([]);
  for (const router of [back, again]) router.close();
});
