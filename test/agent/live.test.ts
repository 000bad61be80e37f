import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Announcement } from '../../src/agent/announcement.js';
import { FABRIC_VRF } from '../../src/agent/fabric.js';
import { ReferenceAgent } from '../../src/agent/reference-agent.js';
import type { ReferenceAgentOptions } from '../../src/agent/reference-agent.js';
import { runAgents } from '../../src/agent/run-agents.js';
import { TcpNetwork } from '../../src/net/tcp-transport.js';
import { tlsParameters } from '../../src/net/tls.js';
import type { TlsParameters } from '../../src/net/tls.js';
import { systemClock } from '../../src/util/clock.js';
import type { Logger } from '../../src/util/logger.js';
import { silentLogger } from '../../src/util/logger.js';
import { SmallController } from './small-controller.js';

// Over real sockets, on a machine that may be busy.
jest.setTimeout(30_000);

const VRF = 'default-domain:demo:blue:blue';
const INET: Announcement = { family: 'ipv4-unicast', prefix: '10.1.1.9/32', nextHop: '192.0.2.11', label: 17 };
const EVPN: Announcement = {
  family: 'l2vpn-evpn',
  mac: '02:5c:0f:7f:2e:8d',
  address: '10.1.1.9/32',
  nextHop: '192.0.2.11',
  label: 21,
};
const INET6: Announcement = { family: 'ipv6-unicast', prefix: '2001:db8::9/128', nextHop: '192.0.2.11', label: 18 };

/** An agent whose owner can wait for what it sees. */
class WatchedAgent {
  readonly agent: ReferenceAgent;
  readonly #waiting = new Set<() => void>();

  constructor(options: ReferenceAgentOptions) {
    const wake = () => {
      for (const check of this.#waiting) check();
    };
    this.agent = new ReferenceAgent(
      { holdTimeSec: 3, ...options },
      { network: new TcpNetwork(systemClock), clock: systemClock, logger: silentLogger, random: Math.random },
      { stateChanged: wake, routeChanged: wake, violation: wake },
    );
  }

  /** Resolves when the condition holds, looking again at each event. */
  async until(condition: () => boolean): Promise<void> {
    await new Promise<void>((resolve) => {
      const check = () => {
        if (!condition()) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }

  nextHops(vrf: string, family: 'ipv4-unicast' | 'ipv6-unicast' | 'ipv4-labelled-unicast' | 'l2vpn-evpn', id: string) {
    return this.agent
      .vrf(vrf)
      ?.route(family, id)
      ?.nextHops.map(({ address, label }) => `${address} ${String(label)}`);
  }
}

describe('reference agents against the channel server, over sockets', () => {
  let controller: SmallController;
  let port: number;
  let agents: WatchedAgent[];

  const start = async (tls?: TlsParameters) => {
    controller = new SmallController([VRF, FABRIC_VRF], '127.0.0.1', tls);
    const [endpoint] = await controller.server.start();
    port = endpoint?.port ?? 0;
  };
  const connect = async (name: string, localAddress: string, options: Partial<ReferenceAgentOptions> = {}) => {
    const watched = new WatchedAgent({ name, server: { address: '127.0.0.1', port }, localAddress, ...options });
    agents.push(watched);
    watched.agent.start();
    await watched.until(() => watched.agent.state === 'established');
    return watched;
  };

  beforeEach(() => {
    agents = [];
  });

  afterEach(async () => {
    for (const { agent } of agents) agent.stop();
    await controller.server.stop();
  });

  test('a route of one reaches both, ECMP forms and shrinks, and a disconnect takes exactly its paths away', async () => {
    await start();
    const one = await connect('compute1', '127.0.0.11');
    const two = await connect('compute2', '127.0.0.12');
    for (const { agent } of [one, two]) {
      agent.subscribe(VRF, { instanceId: 2 });
      for (const route of [INET, EVPN, INET6]) {
        agent.publish(VRF, { ...route, nextHop: agent.name === 'compute1' ? '192.0.2.11' : '192.0.2.12' });
      }
    }
    const both = ['192.0.2.11 17', '192.0.2.12 17'];
    const inet = (watched: WatchedAgent) => watched.nextHops(VRF, 'ipv4-unicast', '10.1.1.9/32');
    await one.until(() => inet(one)?.join() === both.join());
    await two.until(() => inet(two)?.join() === both.join() && two.agent.vrf(VRF)?.routes.size === 3);
    await two.until(() => two.nextHops(VRF, 'ipv6-unicast', '2001:db8::9/128')?.length === 2);
    await two.until(() => two.nextHops(VRF, 'l2vpn-evpn', '02:5c:0f:7f:2e:8d,10.1.1.9/32')?.length === 2);

    one.agent.withdraw(VRF, INET);
    await two.until(() => inet(two)?.join() === '192.0.2.12 17');
    one.agent.stop();
    await two.until(() => two.nextHops(VRF, 'ipv6-unicast', '2001:db8::9/128')?.join() === '192.0.2.12 18');
    two.agent.unsubscribe(VRF);
    two.agent.subscribe(VRF, { instanceId: 2 });
    two.agent.publish(VRF, INET);
    await two.until(() => inet(two)?.join() === '192.0.2.11 17');
    two.agent.checkReflections();
    expect(one.agent.violations).toEqual([]);
    expect(two.agent.violations).toEqual([]);
    expect(controller.drops).toEqual([]);
  });

  test('the fabric: unlabelled inet, labelled inet', async () => {
    await start();
    const watched = await connect('compute1', '127.0.0.11');
    const { agent } = watched;
    agent.subscribe(FABRIC_VRF, { instanceId: 0 });
    agent.publish(FABRIC_VRF, { ...INET, label: 0, encapsulations: [] });
    agent.publish(FABRIC_VRF, {
      family: 'ipv4-labelled-unicast',
      prefix: '192.0.2.11/32',
      nextHop: '192.0.2.11',
      label: 3,
    });
    await watched.until(() => watched.nextHops(FABRIC_VRF, 'ipv4-unicast', '10.1.1.9/32')?.join() === '192.0.2.11 0');
    await watched.until(
      () => watched.nextHops(FABRIC_VRF, 'ipv4-labelled-unicast', '192.0.2.11/32')?.join() === '192.0.2.11 3',
    );
    expect(agent.violations).toEqual([]);
  });

  test('the server waits for the first octet of a slow agent (agent channel §2.3)', async () => {
    await start();
    const first = await connect('compute1', '127.0.0.11');
    first.agent.subscribe(VRF, { instanceId: 1 });
    first.agent.publish(VRF, INET);
    await first.until(() => first.agent.vrf(VRF)?.routes.size === 1);
    const slow = await connect('compute2', '127.0.0.12', { greetingDelayMs: 300 });
    slow.agent.subscribe(VRF, { instanceId: 1 });
    await slow.until(() => slow.agent.vrf(VRF)?.routes.size === 1);
    expect(slow.agent.violations).toEqual([]);
  });

  test('an agent that is cut comes back and is told everything again', async () => {
    await start();
    const one = await connect('compute1', '127.0.0.11');
    one.agent.subscribe(VRF, { instanceId: 1 });
    one.agent.publish(VRF, INET);
    await one.until(() => one.agent.vrf(VRF)?.routes.size === 1);
    one.agent.cut();
    await one.until(() => one.agent.vrf(VRF)?.routes.size === 0);
    await one.until(() => one.agent.vrf(VRF)?.routes.size === 1);
    expect(one.agent.violations).toEqual([]);
  });

  test('TLS (agent channel §2.4)', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'filament-agent-'));
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
    try {
      const request = [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '1',
      ];
      execFileSync('openssl', [...request, '-subj', '/CN=ctl1', '-keyout', key, '-out', certificate], {
        stdio: 'ignore',
      });
      const material = { certificate: readFileSync(certificate), key: readFileSync(key) };
      await start(tlsParameters('server', material, { verifyPeer: false }));
    } finally {
      rmSync(folder, { recursive: true });
    }
    const one = await connect('compute1', '127.0.0.11', { tls: tlsParameters('client', {}, { verifyPeer: false }) });
    one.agent.subscribe(VRF, { instanceId: 1 });
    one.agent.publish(VRF, INET);
    await one.until(() => one.agent.vrf(VRF)?.routes.size === 1);
    expect(one.agent.violations).toEqual([]);
  });

  test('runAgents: a workload of several agents is complete, and ends without leaving a session', async () => {
    await start();
    const options = {
      server: { address: '127.0.0.1', port },
      count: 5,
      name: 'compute',
      firstAddress: '127.0.1.1',
      vrfs: [VRF],
      routes: 4,
      families: ['ipv4-unicast', 'ipv6-unicast', 'l2vpn-evpn'] as const,
      holdTimeSec: 3,
      untilComplete: true,
    };
    const summary = await runAgents(options, { logger: silentLogger, signal: new AbortController().signal });
    expect(summary).toMatchObject({
      agents: 5,
      established: 5,
      routesExpected: 300,
      routesHeld: 300,
      complete: true,
      violations: 0,
      flaps: 0,
    });
    expect(summary.completeAfterMs).toBeGreaterThan(0);
  });

  test('runAgents ends with its signal', async () => {
    await start();
    const abort = new AbortController();
    const logger: Logger = {
      ...silentLogger,
      info: (_fields, message) => {
        if (message === 'workload complete') abort.abort();
      },
    };
    const options = { server: { address: '127.0.0.1', port }, count: 1, name: 'compute1', vrfs: [VRF], routes: 1 };
    const running = runAgents(
      { ...options, families: ['ipv4-unicast'], announcements: [{ ...INET, label: 99 }] },
      {
        logger,
        signal: abort.signal,
      },
    );
    expect(await running).toMatchObject({ agents: 1, routesExpected: 2, routesHeld: 2, complete: true });
    expect(await runAgents({ ...options, families: [] }, { logger: silentLogger, signal: abort.signal })).toMatchObject(
      {
        established: 0,
      },
    );
  });
});
