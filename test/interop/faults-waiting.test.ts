/**
 * Row C16 on the real process, with a small heap: agents of bad will fill what may wait for a VRF, each to its limit and all of them beyond
 * what is kept, with stanzas that parsed take ten times their octets. The process lives, the others notice nothing, and what an agent that
 * behaves has waiting is not lost for them.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Announcement } from '../../src/agent/announcement.js';
import { streamHeader, subscribe } from '../../src/agent/stanzas.js';
import type { AgentView } from '../../src/controller/view.js';
import { DEFAULT_SUBSCRIPTION_LIMITS } from '../../src/xmpp/subscriptions.js';
import { DEFAULT_WAITING_OCTETS } from '../../src/xmpp/waiting-memory.js';
import { TestAgent } from '../support/agent.js';
import { eventually } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { RawClient } from '../support/raw-client.js';
import { describeWithDaemons } from '../support/requirements.js';

const AS = 65000;
const HEAP_MB = 160;
const ROGUES = 19;
/** Nearly the longest that is taken, with nearly as many elements as one may have. */
const STANZA_OCTETS = 1_040_000;
const ELEMENTS = 65_000;
const STANZAS = Math.floor(DEFAULT_SUBSCRIPTION_LIMITS.deferredOctets / STANZA_OCTETS);

const vrf = (color: string, id: number) => ({
  name: `d:p:${color}:${color}`,
  virtualNetwork: { name: `d:p:${color}`, id },
  importTargets: [`target:${AS}:${id}`],
  exportTargets: [`target:${AS}:${id}`],
});
const BLUE = vrf('blue', 1);
const LATER = vrf('later', 2);

describeWithDaemons([], 'publications that wait', () => {
  const lab = new Lab('waiting');
  const rogues: RawClient[] = [];
  let filament: Filament;
  let honest: TestAgent;
  let other: TestAgent;

  beforeAll(async () => {
    filament = await Filament.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.0.1',
      vrfs: [BLUE],
      through: ['env', `NODE_OPTIONS=--max-old-space-size=${HEAP_MB}`],
    });
    await filament.start();
    honest = new TestAgent(lab, filament, 'honest');
    other = new TestAgent(lab, filament, 'other');
    for (const [index, agent] of [honest, other].entries()) {
      await agent.start();
      for (const { name } of [BLUE, LATER]) agent.subscribe(name, index + 1);
    }
  });
  afterAll(async () => {
    for (const rogue of rogues) rogue.close();
    await lab.close();
  });

  const route = (prefix: string): Announcement & { readonly prefix: string } => ({
    family: 'ipv4-unicast',
    prefix,
    nextHop: honest.address,
    label: 17,
  });

  const waitingOctets = async (): Promise<number> => {
    const text = await (await fetch(`${filament.apiUrl}/metrics`)).text();
    return Number(/^filament_agent_waiting_octets (\d+)$/m.exec(text)?.[1]);
  };

  const agentNamed = async (name: string): Promise<AgentView> => filament.get<AgentView>(`/api/v1/agents/${name}`);

  /** A transaction of the largest kind. */
  const transaction = (name: string): Buffer => {
    const iq = (inner: string): string =>
      `<iq type="set" from="${name}" to="network-control@contrailsystems.com/bgp-peer" id="1"><pubsub>${inner}</pubsub></iq>\n`;
    const elements = '<a/>'.repeat(ELEMENTS);
    const item = `<item>${elements}${'x'.repeat(STANZA_OCTETS - elements.length - 300)}</item>`;
    return Buffer.from(
      iq(`<publish node="1/1/x">${item}</publish>`) +
        iq(`<collection node="${LATER.name}"><associate node="1/1/x"/></collection>`),
    );
  };

  test('C16 agents at the limit of what may wait: the process lives, others keep their sessions, their routes and what they have waiting', async () => {
    const invariants = await Invariants.watch(filament);
    const early = route('10.1.0.1/32');
    const waits = route('10.2.0.1/32');
    honest.publish(BLUE.name, early);
    honest.publish(LATER.name, waits);
    await other.receives(BLUE.name, 'ipv4-unicast', early.prefix, [{ address: honest.address, label: 17 }]);

    const names = Array.from({ length: ROGUES }, (_, i) => `rogue-${i}`);
    for (const name of names) {
      const rogue = await RawClient.connect(filament.address, filament.agentPort, lab.nextAddress());
      rogues.push(rogue);
      rogue.send(streamHeader(name));
      rogue.send(Buffer.from([0xc8, 0x80]));
      rogue.send(subscribe(name, 1, LATER.name, { instanceId: 9 }));
    }
    for (const [index, rogue] of rogues.entries()) {
      const name = `rogue-${index}`;
      const bytes = transaction(name);
      for (let i = 0; i < STANZAS; i++) rogue.send(bytes);
      await eventually(
        `${name} is at its limit`,
        async () => {
          const { subscriptions, dropped } = await agentNamed(name);
          return (subscriptions[0]?.pending?.publications ?? 0) + (dropped['deferred-limit'] ?? 0) === STANZAS;
        },
        { deadlineMs: 60_000, explain: () => filament.logTail() },
      );
      expect(await waitingOctets()).toBeLessThanOrEqual(DEFAULT_WAITING_OCTETS);
    }
    // Beyond what is kept: some had to drop what they had, and none of those that behave.
    const lapsed = (await Promise.all(names.map(agentNamed))).filter(({ dropped }) => 'deferred-limit' in dropped);
    expect(lapsed.length).toBeGreaterThan(0);
    expect(await waitingOctets()).toBeGreaterThan(DEFAULT_WAITING_OCTETS / 2);

    const late = route('10.1.0.2/32');
    honest.publish(BLUE.name, late);
    await other.receives(BLUE.name, 'ipv4-unicast', late.prefix, [{ address: honest.address, label: 17 }]);
    expect(await agentNamed('honest')).toMatchObject({ subscriptions: [{}, { pending: { publications: 1 } }] });

    // The VRF comes: all of it is looked at, in slices, and what the honest one has said is a route.
    await filament.reload({ vrfs: [BLUE, LATER] });
    await other.receives(LATER.name, 'ipv4-unicast', waits.prefix, [{ address: honest.address, label: 17 }]);
    await eventually('nothing waits any more', async () => (await waitingOctets()) === 0, {
      deadlineMs: 60_000,
      explain: () => filament.logTail(),
    });
    for (const name of ['honest', 'other']) {
      expect(await agentNamed(name)).toMatchObject({ state: 'established', flaps: 0, dropped: {} });
    }
    expect(other.lost).toEqual([]);
    for (const agent of [honest, other]) agent.expectNoViolations();
    for (const { name } of lapsed) expect((await agentNamed(name)).lastError).toBe('vrf-wait-expired');
    for (const rogue of rogues) rogue.close();
    for (const each of [early, late]) honest.withdraw(BLUE.name, each);
    honest.withdraw(LATER.name, waits);
    await filament.reload({ vrfs: [BLUE] });
    await invariants.hold({ moreMemoryOctets: 2 * DEFAULT_WAITING_OCTETS });
  });
});
