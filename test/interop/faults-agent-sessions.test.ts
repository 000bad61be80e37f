/**
 * Rows C17, C22, C27 and C28 on a process with a neighbor and an agent that must not notice: agents that say octet by octet what the test wants
 * them to, or take nothing. Each leaves the process as it was.
 */
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Announcement } from '../../src/agent/announcement.js';
import {
  encodePublish,
  encodeWithdraw,
  endOfRibTransaction,
  KEEPALIVE,
  streamHeader,
  subscribe,
  unsubscribe,
} from '../../src/agent/stanzas.js';
import type { AgentView } from '../../src/controller/view.js';
import { Bystanders, BYSTANDERS_VRF, BYSTANDERS_VRF_NAME as VRF } from '../support/bystanders.js';
import { eventually, eventuallyEqual } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Lab } from '../support/lab.js';
import { RawClient } from '../support/raw-client.js';

jest.setTimeout(120_000);

const OTHER_VRF = 'other';
/** The shortest that there is: an agent that takes nothing is given up after twice as long. */
const HOLD_TIME = 3;
const AGENTS = { holdTime: HOLD_TIME, gracefulRestart: { enabled: true, restartTime: 300 } };
const KEEPALIVE_MS = 500;
const RESET = 'connection-failed: connection reset by the peer';
/** Of some 3 KB each, as they are pushed: together more than the system keeps for an agent that does not read. */
const ROUTES = 5000;
const SECURITY_GROUPS = Array.from({ length: 60 }, (_, i) => 8_000_000 + i);

describe('sessions of agents', () => {
  const lab = new Lab('agent-sessions');
  const neighbor = lab.nextAddress();
  let filament: Filament;
  let bystanders: Bystanders;
  const agents: RawAgent[] = [];

  beforeAll(async () => {
    filament = await Filament.create(lab, {
      autonomousSystem: 64512,
      routerId: '10.255.0.1',
      neighbors: [Bystanders.neighbor(neighbor)],
      vrfs: [BYSTANDERS_VRF, { name: OTHER_VRF, virtualNetwork: { name: OTHER_VRF, id: 2 } }],
      agents: AGENTS,
    });
    await filament.start();
    bystanders = await Bystanders.join(lab, filament, neighbor, { holdTimeSec: HOLD_TIME });
  });

  afterAll(() => lab.close());

  afterEach(async () => {
    for (const agent of agents.splice(0)) agent.client.close();
    await bystanders.hold();
  });

  const viewOf = async (name: string): Promise<AgentView | undefined> =>
    (await filament.agents()).find((each) => each.name === name);

  /** Says what the test wants it to, and signs of life. */
  class RawAgent {
    readonly name: string;
    readonly address: string;
    readonly client: RawClient;
    #serial = 0;

    private constructor(name: string, address: string, client: RawClient) {
      this.name = name;
      this.address = address;
      this.client = client;
    }

    /** Is in the VRF of the bystanders. */
    static async start(name: string, address = lab.nextAddress()): Promise<RawAgent> {
      const client = await RawClient.connect(filament.address, filament.agentPort, address);
      const agent = new RawAgent(name, address, client);
      agents.push(agent);
      client.send(streamHeader(name));
      await eventually('it is answered', () => client.received.length > 0, { intervalMs: 5 });
      const timer = setInterval(() => client.send(KEEPALIVE), KEEPALIVE_MS);
      void client.closed.then(() => clearInterval(timer));
      client.send(KEEPALIVE);
      agent.subscribe(VRF);
      await eventually(`${name} is subscribed`, async () => (await viewOf(name))?.state === 'established');
      return agent;
    }

    subscribe(vrf: string): void {
      this.client.send(subscribe(this.name, this.#serial++, vrf, { instanceId: 1 }));
    }

    unsubscribe(vrf: string): void {
      this.client.send(unsubscribe(this.name, this.#serial++, vrf, { instanceId: 1 }));
    }

    publish(route: Announcement): void {
      const { publish, collection } = encodePublish(this.name, this.#serial++, VRF, route);
      this.client.send(publish + collection);
    }

    withdraw(route: Announcement): void {
      const { publish, collection } = encodeWithdraw(this.name, this.#serial++, VRF, route);
      this.client.send(publish + collection);
    }

    endOfRib(): void {
      this.client.send(endOfRibTransaction(this.name, this.#serial++));
    }

    /** Resolves when the process has lost it for this reason. */
    async isLost(reason: string): Promise<void> {
      await eventually(
        `${this.name} is lost: ${reason}`,
        async () => {
          const view = await viewOf(this.name);
          return view?.state === 'restarting' && view.lastError === reason;
        },
        { deadlineMs: 60_000, explain: async () => JSON.stringify(await viewOf(this.name)) },
      );
    }
  }

  const pod = (host: number, nextHop: string, more: object = {}): Announcement & { readonly prefix: string } => ({
    family: 'ipv4-unicast',
    prefix: `10.9.${host >> 8}.${host & 0xff}/32`,
    nextHop,
    label: 17,
    ...more,
  });

  /** What the agent among the bystanders holds now: prefixes and labels. */
  const held = (): readonly string[] =>
    bystanders.agent
      .held(VRF)
      .map((key) => key.split(' ')[1]!)
      .map(
        (id) =>
          `${id} ${bystanders.agent
            .route(VRF, 'ipv4-unicast', id)
            ?.nextHops.map(({ label }) => label)
            .join()}`,
      );

  /** It says that there are none of its routes left, and goes. */
  async function leaves(agent: RawAgent): Promise<void> {
    agent.unsubscribe(VRF);
    await eventuallyEqual(held, []);
  }

  test('C17 subscriptions repeated, and ended that never were: an agent that is back may, one that is not loses its session', async () => {
    const first = await RawAgent.start('repeating');
    first.publish(pod(1, first.address));
    await eventuallyEqual(held, ['10.9.0.1/32 17']);
    first.client.reset();
    await first.isLost(RESET);
    const back = await RawAgent.start('repeating', first.address);
    back.subscribe(VRF);
    back.unsubscribe(OTHER_VRF);
    back.publish(pod(1, first.address));
    back.endOfRib();
    await eventually('it has said everything', async () => {
      const view = await viewOf('repeating');
      return view?.ignored['subscribe-repeated'] === 1 && view.ignored['unsubscribe-unknown'] === 1;
    });
    await bystanders.passOn();
    expect(held()).toEqual(['10.9.0.1/32 17']);
    back.subscribe(VRF);
    await back.client.closed;
    await back.isLost('duplicate-subscribe');
    const last = await RawAgent.start('repeating', first.address);
    await leaves(last);
    expect(bystanders.agent.lost.filter((each) => each.includes('10.9.'))).toHaveLength(1);
  });

  test('C22 an agent reads nothing: little waits for it, others wait for nothing, it is closed by the send watch, and its routes stay', async () => {
    const stuck = await RawAgent.start('stuck');
    stuck.publish(pod(1, stuck.address));
    await eventuallyEqual(held, ['10.9.0.1/32 17']);
    const socket = stuck.client.takeSocket();
    socket.pause();
    const { agent } = bystanders;
    const many = Array.from({ length: ROUTES }, (_, i) =>
      pod(256 + i, agent.address, { securityGroups: SECURITY_GROUPS }),
    );
    for (const route of many) agent.publish(VRF, route);
    await eventually('it is owed routes', async () => ((await viewOf('stuck'))?.output?.owedRoutes ?? 0) > 0);
    await bystanders.passOn();
    await stuck.isLost('send-time-expired');
    expect(held()).toContain('10.9.0.1/32 17');
    for (const route of many) agent.withdraw(VRF, route);
    const back = await RawAgent.start('stuck', stuck.address);
    await leaves(back);
  });

  test('C27 two agents announce the same address: the withdrawal of one leaves the other in place', async () => {
    const first = await RawAgent.start('first');
    const second = await RawAgent.start('second');
    first.publish(pod(1, first.address, { label: 101 }));
    await eventuallyEqual(held, ['10.9.0.1/32 101']);
    second.publish(pod(1, second.address, { label: 102, sequence: 5 }));
    await eventuallyEqual(held, ['10.9.0.1/32 102']);
    const lost = bystanders.agent.lost.length;
    first.withdraw(pod(1, first.address));
    first.client.close();
    await bystanders.passOn();
    expect(held()).toEqual(['10.9.0.1/32 102']);
    expect(bystanders.agent.lost.slice(lost).filter((each) => each.includes('10.9.'))).toEqual([]);
    await leaves(second);
  });

  test('C28 an agent is back and never ends its restart: what it has not repeated goes by timer', async () => {
    const first = await RawAgent.start('endless');
    for (const host of [1, 2]) first.publish(pod(host, first.address));
    await eventuallyEqual(held, ['10.9.0.1/32 17', '10.9.0.2/32 17']);
    await filament.reload({ agents: { ...AGENTS, endOfRibTimeout: 1 } });
    first.client.reset();
    await first.isLost(RESET);
    expect(held()).toEqual(['10.9.0.1/32 17', '10.9.0.2/32 17']);
    const back = await RawAgent.start('endless', first.address);
    back.publish(pod(1, first.address));
    await eventuallyEqual(held, ['10.9.0.1/32 17']);
    await filament.reload({ agents: AGENTS });
    await leaves(back);
  });
});
