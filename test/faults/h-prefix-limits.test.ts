/** Rows H01 and B45: how many routes a neighbor may announce (`prefixLimit`, RFC 4486 §4), over sockets. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { FaultLab, goodAttributes } from '../support/fault-lab.js';
import { BGP_UPDATE, bgpMessage } from '../support/raw-client.js';
import { RawRouter, type RouterOptions } from '../support/raw-router.js';
import { attribute, updateBody } from '../support/update-messages.js';

/** A million in the long form, as row B45 has it. */
const MEMBERSHIPS = process.env['FILAMENT_LONG_TESTS'] === '1' ? 1_000_000 : 100_000;
const LIMIT_MS = 120_000;
const MAXIMUM = 'family: ipv4-unicast, maximum: 4';
const limited = (more: string): string => `, prefixLimit: [{ ${MAXIMUM}${more} }]`;

const hex = (value: number): string => value.toString(16).padStart(8, '0');

/** An UPDATE with memberships for the targets 64512:from and so on (RFC 4684 §4). */
function memberships(from: number, count: number): Buffer {
  let nlri = '';
  for (let n = from; n < from + count; n++) nlri += `60 0000fde9 0002fc00 ${hex(n)}`;
  const reach = attribute(0x90, 14, `0001 84 04 c0000201 00 ${nlri}`);
  return bgpMessage(BGP_UPDATE, updateBody({ attributes: reach + goodAttributes('eBGP').join('') }));
}

describe('prefixLimit', () => {
  let lab: FaultLab;
  let options: RouterOptions;
  let router: RawRouter;

  async function start(more: string): Promise<void> {
    lab = await FaultLab.start({ session: { eBGP: limited(more) } });
    options = lab.describe('eBGP', { families: [[1, 1]] });
    router = await RawRouter.establish(options);
  }

  /** Announces 10.9.<from>.0/24 and so on. */
  function announce(from: number, to: number): void {
    for (let n = from; n <= to; n++) {
      router.update({ attributes: goodAttributes('eBGP').join(''), nlri: `18 0a09${String(n).padStart(2, '0')}` });
    }
  }

  const limit = () => lab.neighbor(router).families[0]!.prefixLimit;
  const logged = (message: string) => lab.warnings.filter((record) => record.message === message).length;

  beforeEach(() => {
    router = undefined!;
  });

  afterEach(async () => {
    expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
    router.close();
    await lab.close();
  });

  test('H01 warning level: one log record when it is passed, and the session goes on', async () => {
    await start(', warningThreshold: 50, action: warn');
    announce(1, 2);
    await lab.observer.has('1/1 180a0902');
    expect(limit()).toEqual({ maximum: 4, action: 'warn', state: 'below' });
    announce(3, 4);
    await lab.observer.has('1/1 180a0904');
    expect(limit()?.state).toBe('warning');
    expect(logged('prefix limit near')).toBe(1);
    announce(5, 6);
    await lab.observer.has('1/1 180a0906');
    expect(limit()?.state).toBe('reached');
    expect(logged('prefix limit reached')).toBe(1);
    expect(lab.neighbor(router)).toMatchObject({ state: 'established', flaps: 0 });
  });

  test('H01 limit: Cease/Maximum Number of Prefixes with AFI, SAFI and bound; all its routes go, and it is kept out (RFC 4486 §4)', async () => {
    await start('');
    announce(1, 4);
    await lab.observer.has('1/1 180a0904');
    announce(2, 3);
    router.update({ withdrawn: '18 0a0904' });
    announce(4, 4);
    announce(5, 5);
    expect(await router.end()).toEqual({ code: 6, subcode: 1, data: '00010100000004' });
    await lab.observer.lacks('1/1 180a0901');
    await eventually('it is held', () => limit()?.state === 'shutdown');
    expect(limit()?.restartInSeconds).toBeUndefined();
    expect(lab.neighbor(router)).toMatchObject({ state: 'idle', flaps: 1 });
    expect(lab.neighbor(router).lastError).toContain('Maximum Number of Prefixes Reached');
    expect(lab.neighbor(router).malformedUpdates['session-reset']).toBe(0);
    // It may not come back by itself …
    const refused = await RawRouter.connect(options);
    expect(await refused.end()).toMatchObject({ code: 6, subcode: 1 });
    // … until the operator says so.
    lab.controller.view.resetNeighbor(router.address, 'hard');
    router = await RawRouter.establish(options);
    announce(1, 4);
    await lab.observer.has('1/1 180a0904');
  });

  test('H01 A25 limit with a neighbor that keeps routes over a NOTIFICATION: Hard Reset, and its routes go all the same (RFC 8538 §3.1)', async () => {
    lab = await FaultLab.start({ session: { eBGP: limited('') } });
    // Graceful restart with the N bit, 120 s, IPv4 unicast with forwarding state.
    router = await RawRouter.establish(
      lab.describe('eBGP', { families: [[1, 1]], capabilities: '40 06 4078 0001 01 80' }),
    );
    announce(1, 4);
    await lab.observer.has('1/1 180a0904');
    announce(5, 5);
    expect(await router.end()).toEqual({ code: 6, subcode: 9, data: '060100010100000004' });
    await lab.observer.lacks('1/1 180a0901');
    await eventually('it is held', () => limit()?.state === 'shutdown');
    expect(lab.neighbor(router).lastError).toContain('Maximum Number of Prefixes Reached');
    expect(lab.neighbor(router).families[0]).toMatchObject({ received: 0 });
  });

  test('H01 limit with idle time: the session may begin anew after it', async () => {
    await start(', idleTime: 1');
    announce(1, 5);
    expect(await router.end()).toMatchObject({ code: 6, subcode: 1 });
    await eventually('it is held', () => limit()?.state === 'shutdown');
    await eventually('the idle time is over', () => limit()?.state !== 'shutdown');
    router = await RawRouter.establish(options);
    announce(1, 3);
    await lab.observer.has('1/1 180a0903');
  });

  test('H01 limit with discard: routes beyond it are left out, those that are there may change', async () => {
    await start(', action: discard');
    announce(1, 6);
    await eventually('two are left out', () => limit()?.discarded === 2);
    expect(limit()).toMatchObject({ state: 'reached' });
    expect([...lab.observer.routes.keys()].filter((key) => key.startsWith('1/1 180a09'))).toHaveLength(4);
    router.update({ withdrawn: '18 0a0901' });
    await lab.observer.lacks('1/1 180a0901');
    announce(7, 7);
    await lab.observer.has('1/1 180a0907');
    expect(lab.neighbor(router)).toMatchObject({ state: 'established', flaps: 0 });
  });

  test(
    `B45 H01 ${MEMBERSHIPS} memberships are taken and count as other routes do: one more, and it is Cease/Maximum Number of Prefixes (RFC 4486 §4)`,
    async () => {
      lab = await FaultLab.start({ session: { eBGP: `, prefixLimit: [{ family: rtc, maximum: ${MEMBERSHIPS} }]` } });
      const families = [
        [1, 1],
        [1, 132],
      ] as const;
      router = await RawRouter.establish(lab.describe('eBGP', { families }));
      const { rib } = lab.controller;
      const before = rib.routeCount;
      for (let from = 0; from < MEMBERSHIPS; from += 250 * 100) {
        const messages = Array.from({ length: 100 }, (_, i) => memberships(from + 250 * i, 250));
        await router.sendAll(Buffer.concat(messages));
      }
      // The view would walk all of them each time that it is asked.
      await eventually('they are taken', () => rib.routeCount === before + MEMBERSHIPS, { deadlineMs: LIMIT_MS });
      const { families: counts } = lab.neighbor(router);
      expect(counts.find(({ family }) => family === 'rtc')?.received).toBe(MEMBERSHIPS);
      expect(router.closed).toBe(false);
      await lab.sentinel(router, 'eBGP');
      router.send(memberships(MEMBERSHIPS, 1));
      expect(await router.end()).toEqual({ code: 6, subcode: 1, data: `000184${hex(MEMBERSHIPS)}` });
      await eventually('nothing of them is left', () => rib.routeCount === before);
    },
    LIMIT_MS,
  );

  test('H01 lower limit by a reload: at once, and only for the session that has too many', async () => {
    await start('');
    announce(1, 4);
    await lab.observer.has('1/1 180a0904');
    const other = await lab.router('eBGP');
    expect(lab.reload(MAXIMUM, 'family: ipv4-unicast, maximum: 3')).toMatchObject({ applied: true });
    expect(await router.end()).toEqual({ code: 6, subcode: 1, data: '00010100000003' });
    expect(lab.neighbor(other)).toMatchObject({ state: 'established', flaps: 0 });
  });
});
