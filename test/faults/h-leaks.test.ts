/** Rows B11–B15 with other settings, and H05–H07: loops, leaks and interest, over sockets. */
import { afterEach, describe, expect, test } from '@jest/globals';
import type { PathView } from '../../src/controller/view.js';
import { eventually } from '../support/eventually.js';
import { CLUSTER_ID, FaultLab, goodAttributes, NEXT_HOP, ORIGIN, OWN_AS } from '../support/fault-lab.js';
import { attribute } from '../support/update-messages.js';
import { withAttributes } from '../support/update-cases.js';

const PREFIX = '18 0a0900';
const ROUTE = '1/1 180a0900';
const OWN = OWN_AS.toString(16).padStart(8, '0');
const FIRST = '0000fde9';
const hex = (address: string): string =>
  address
    .split('.')
    .map((octet) => Number(octet).toString(16).padStart(2, '0'))
    .join('');

/** Why nothing is told of what is done: {@link FaultLab.faultless}. */
const ALLOWED = 'what is done is allowed';
const SHOWN = 'such a route is shown with a flag';

let lab: FaultLab;

function path(prefix = '10.9.0.0/24'): PathView | undefined {
  const result = lab.controller.view.routes({ family: 'ipv4-unicast', prefix, match: 'exact' });
  if (result.kind !== 'routes') throw new Error(result.kind);
  return result.routes[0]?.paths[0];
}

afterEach(async () => {
  expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
  await lab.close();
});

describe('rules of eBGP with other settings', () => {
  const external = (asPath: string): string => ORIGIN + attribute(0x40, 2, asPath) + NEXT_HOP;

  test('B11 allowOwnAs 1: our own AS once is taken, twice is a loop (RFC 4271 §9.1.2)', async () => {
    lab = await FaultLab.start({ session: { eBGP: ', allowOwnAs: 1' } });
    lab.faultless(SHOWN);
    const router = await lab.router('eBGP');
    router.update({ attributes: external(`0202 ${FIRST} ${OWN}`), nlri: PREFIX });
    await lab.observer.has(ROUTE);
    router.update({ attributes: external(`0203 ${FIRST} ${OWN} ${OWN}`), nlri: PREFIX });
    await lab.observer.lacks(ROUTE);
    expect(path()?.flags).toEqual(['as-loop']);
  });

  test('B12 maximumAsPathLength: a longer path is treated as withdrawn, one as long is taken', async () => {
    lab = await FaultLab.start({ session: { eBGP: ', maximumAsPathLength: 3' } });
    const router = await lab.router('eBGP');
    router.update({ attributes: external(`0203 ${FIRST} 0000ea60 0000ea61`), nlri: PREFIX });
    await lab.observer.has(ROUTE);
    router.update({ attributes: external(`0204 ${FIRST} 0000ea60 0000ea61 0000ea62`), nlri: PREFIX });
    await lab.observer.lacks(ROUTE);
    expect(lab.neighbor(router).malformedUpdates['treat-as-withdraw']).toBe(1);
  });

  test('B13 acceptAsSets: an AS_SET is taken and passed on as it is', async () => {
    lab = await FaultLab.start({ session: { eBGP: ', acceptAsSets: true' } });
    lab.faultless(ALLOWED);
    const router = await lab.router('eBGP');
    router.update({ attributes: external(`0201 ${FIRST} 0102 0000ea60 0000ea61`), nlri: PREFIX });
    expect((await lab.observer.has(ROUTE)).get(2)).toBe(`0201${FIRST}01020000ea600000ea61`);
  });

  test.each([
    ['it is said so', ', enforceFirstAs: false'],
    ['the neighbor is a route server', ', role: rs-client'],
  ])('B14 the first AS may be another one when %s (RFC 7947 §2.2.2)', async (_, session) => {
    lab = await FaultLab.start({ session: { eBGP: session } });
    lab.faultless(ALLOWED);
    const router = await lab.router('eBGP');
    router.update({ attributes: external('0201 0000ea60'), nlri: PREFIX });
    expect((await lab.observer.has(ROUTE)).get(2)).toBe('02010000ea60');
  });

  test.each(['eBGP', 'iBGP', 'client'] as const)(
    'B15 our own address as next hop: shown and not used, from %s (RFC 4271 §5.1.3)',
    async (kind) => {
      lab = await FaultLab.start();
      lab.faultless(SHOWN);
      const router = await lab.router(kind);
      router.update({ attributes: withAttributes(kind, attribute(0x40, 3, hex(lab.address))), nlri: PREFIX });
      await lab.sentinel(router, kind);
      expect(lab.observer.routes.has(ROUTE)).toBe(false);
      expect(path()).toMatchObject({ best: false, flags: ['own-next-hop'] });
    },
  );
});

describe('reflection and interest', () => {
  test('H07 two reflectors: what we have reflected does not come back in a circle (RFC 4456 §8)', async () => {
    lab = await FaultLab.start();
    lab.faultless(SHOWN);
    const source = await lab.router('client');
    const reflector = await lab.router('client');
    source.update({ attributes: goodAttributes('client').join(''), nlri: PREFIX });
    const seen = await reflector.has(ROUTE);
    expect(seen.get(9)).toBe(hex(source.address));
    expect(seen.get(10)).toBe(hex(CLUSTER_ID));
    // The other reflector puts its cluster id in front and sends it back to us, and then to a third one, who does the same.
    const circle = attribute(0x80, 9, seen.get(9)!) + attribute(0x80, 10, `0a0a0a0a${seen.get(10)!}`);
    reflector.update({ attributes: withAttributes('client', circle), nlri: PREFIX });
    await lab.sentinel(reflector, 'client');
    const announced = lab.observer.history.filter((event) => event === `+${ROUTE}`).length;
    source.update({ withdrawn: PREFIX });
    // With the original gone what circles must not live on.
    await lab.observer.lacks(ROUTE);
    await lab.sentinel(source, 'client');
    expect(path()).toMatchObject({ best: false, flags: ['cluster-loop'] });
    expect(lab.observer.history.filter((event) => event === `+${ROUTE}`)).toHaveLength(announced);
  });

  test('H06 a neighbor takes back its interest: its routes are withdrawn, towards it alone (RFC 4684 §6)', async () => {
    lab = await FaultLab.start();
    lab.faultless(ALLOWED);
    const families = [
      [1, 1],
      [1, 128],
      [1, 132],
    ] as const;
    const [leaving, staying, source] = [
      await lab.router('client', { families }),
      await lab.router('client', { families }),
      await lab.router('client'),
    ];
    const membership = `60 ${OWN} 0002fc00 00000007`;
    for (const router of [leaving, staying]) {
      router.update({
        attributes: attribute(0x90, 14, `0001 84 04 c0000201 00 ${membership}`) + withAttributes('client'),
      });
      router.update({ attributes: attribute(0x80, 15, '000184') });
    }
    const rd = '0000fc0000000001';
    const vpn = (n: string): string =>
      attribute(0x90, 14, `0001 80 0c 0000000000000000 c0000201 00 78 000641 ${rd} 0a0b0c${n}`);
    const target = (n: string): string => attribute(0xc0, 16, `0002fc00000000${n}`);
    const key = (n: string): string => `1/128 78${rd}0a0b0c${n}`;
    source.update({ attributes: vpn('01') + withAttributes('client', target('07')) });
    source.update({ attributes: vpn('02') + withAttributes('client', target('08')) });
    await leaving.has(key('01'));
    await staying.has(key('01'));
    leaving.update({ attributes: attribute(0x80, 15, `0001 84 ${membership}`) });
    await leaving.lacks(key('01'));
    source.update({ attributes: vpn('03') + withAttributes('client', target('07')) });
    await staying.has(key('03'));
    await lab.observer.has(key('03'));
    expect(staying.routes.has(key('01'))).toBe(true);
    expect(staying.history.filter((event) => event.startsWith('-1/128'))).toEqual([]);
    for (const router of [leaving, staying]) expect(router.routes.has(key('02'))).toBe(false);
    expect(leaving.routes.has(key('03'))).toBe(false);
  });

  test('H05 red exports to teal, teal to green, green to red: what was imported is not exported again (RFC 4364 §4.3)', async () => {
    lab = await FaultLab.start({
      vrfs: [
        ['red', [1], [1, 2]],
        ['teal', [2], [2, 3]],
        ['green', [3], [3, 1]],
      ].map(([name, imports, exports], n) => vrf(String(name), 10 + n, imports as number[], exports as number[])),
    });
    lab.faultless(ALLOWED);
    const source = await lab.router('client');
    const reach = attribute(0x90, 14, '0001 80 0c 0000000000000000 c0000201 00 78 000641 0000fc0000000063 0a0b0c00');
    source.update({ attributes: reach + withAttributes('client', attribute(0xc0, 16, '0002fc0000000002')) });
    await lab.observer.has('1/128 780000fc00000000630a0b0c00');
    const inVrf = (name: string): number => {
      const result = lab.controller.view.routes({ family: 'ipv4-unicast', vrf: `default-domain:demo:${name}:${name}` });
      return result.kind === 'routes' ? result.routes.length : -1;
    };
    await eventually('teal has it', () => inVrf('teal') === 1);
    await lab.sentinel(source, 'client');
    expect([inVrf('red'), inVrf('teal'), inVrf('green')]).toEqual([0, 1, 0]);
    expect([...lab.observer.routes.keys()].filter((route) => route.startsWith('1/128'))).toHaveLength(1);
    source.update({ attributes: attribute(0x80, 15, '0001 80 78 000000 0000fc0000000063 0a0b0c00') });
    await eventually('teal has lost it', () => inVrf('teal') === 0);
  });
});

function vrf(name: string, id: number, imports: readonly number[], exports: readonly number[]): string {
  const targets = (list: readonly number[]): string => list.map((n) => `target:64512:${n}`).join(', ');
  const network = `virtualNetwork: { name: 'default-domain:demo:${name}', id: ${id} }`;
  return `  - { name: 'default-domain:demo:${name}:${name}', ${network}, importTargets: [${targets(imports)}], exportTargets: [${targets(exports)}], alwaysImport: true }`;
}
