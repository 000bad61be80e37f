/** Row C20 of the fault catalogue: what a route that never rests costs the BGP side. */
import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import type { Announcement } from '../../src/agent/announcement.js';
import { encodePublish, encodeWithdraw } from '../../src/agent/stanzas.js';
import { FaultLab, VRF } from '../support/fault-lab.js';

const TOGGLES = 50_000;
/** Written at a time, as pairs of a publication and a withdrawal. */
const AT_ONCE = 500;
const LIMIT_MS = 60_000;

test(
  'C20 a route published and withdrawn 50,000 times: neighbors see what it is now and then, and what it is in the end',
  async () => {
    const lab = await FaultLab.start();
    lab.faultless('an agent may change its mind as often as it likes');
    const agent = await lab.agent('restless');
    const route = (host: number, label: number): Announcement => ({
      family: 'ipv4-unicast',
      prefix: `10.9.7.${host}/32`,
      nextHop: lab.address,
      label,
      localPreference: label,
    });
    let serial = 2;
    const text = ({ publish, collection }: ReturnType<typeof encodePublish>): string => publish + collection;
    const announced = (host: number, label: number): string =>
      text(encodePublish('restless', serial++, VRF, route(host, label)));
    const withdrawn = (host: number): string => text(encodeWithdraw('restless', serial++, VRF, route(host, 17)));
    /** Its NLRI without the label, whatever the distinguisher. */
    const held = (host: number): string[] =>
      [...lab.observer.routes.keys()].filter((key) => key.endsWith(`0a0907${host.toString(16).padStart(2, '0')}`));

    // The one ends as it began, the other with something that it has not been before.
    const pair = announced(1, 17) + withdrawn(1) + announced(2, 18) + withdrawn(2);
    const some = pair.repeat(AT_ONCE / 2);
    for (let sent = 0; sent < TOGGLES; sent += 2 * AT_ONCE) if (!agent.write(some)) await once(agent, 'drain');
    agent.write(announced(2, 222) + announced(3, 19));
    await lab.observer.until('it has the last one', () => held(3).length === 1);
    expect([held(1).length, held(2).length]).toEqual([0, 1]);
    expect(lab.observer.routes.get(held(2)[0] ?? '')?.get(5)).toBe('000000de');

    const seen = lab.observer.history.filter((change) => /0a09070[12]$/.test(change)).length;
    // 16 KB of stanzas are read at a time, some of which go out together; the bound here is far above that.
    expect(seen).toBeLessThan(TOGGLES / 20);
    expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
    await lab.close();
  },
  LIMIT_MS,
);
