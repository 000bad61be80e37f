/**
 * Row I01 on the real process: libfaketime shows it a wall clock that jumps, as after a wrong NTP server or a resumed virtual
 * machine, while a BGP session, BFD and an agent with short hold times are up.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { streamHeader } from '../../src/agent/stanzas.js';
import { TestAgent } from '../support/agent.js';
import { eventually, throughout } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { RawClient } from '../support/raw-client.js';
import { describeWithDaemons } from '../support/requirements.js';

const AS = 65000;
const HOLD_TIME_SEC = 3;
const HOUR_MS = 3_600_000;
/** The loader puts its own name of the library directory in. */
const LIBRARY = '/usr/$LIB/faketime/libfaketime.so.1';

describeWithDaemons(['faketime'], 'a wall clock that jumps', () => {
  const lab = new Lab('clock');
  const clockFile = `${lab.directory}/clock`;
  let filament: Filament;
  let neighbor: Filament;
  let agent: TestAgent;
  let invariants: Invariants;

  beforeAll(async () => {
    const [address, far] = [lab.nextAddress(), lab.nextAddress()];
    const session = {
      peerAs: AS,
      holdTime: HOLD_TIME_SEC,
      bfd: { minimumInterval: 300, multiplier: 5, multihop: true },
    };
    writeFileSync(clockFile, '+0');
    filament = await Filament.create(
      lab,
      {
        autonomousSystem: AS,
        routerId: '10.255.0.1',
        neighbors: [{ address: far, passive: true, localAddress: address, ...session }],
        agents: { holdTime: HOLD_TIME_SEC },
        // The file is looked at once a second; the monotonic clock stays that of the system.
        through: [
          'env',
          `LD_PRELOAD=${LIBRARY}`,
          `FAKETIME_TIMESTAMP_FILE=${clockFile}`,
          'FAKETIME_CACHE_DURATION=1',
          'FAKETIME_DONT_FAKE_MONOTONIC=1',
        ],
      },
      address,
    );
    neighbor = await Filament.create(
      lab,
      {
        autonomousSystem: AS,
        routerId: '10.255.0.2',
        neighbors: [{ address, port: filament.bgpPort, localAddress: far, connectRetryTime: 1, ...session }],
      },
      far,
    );
    await Promise.all([filament.start(), neighbor.start()]);
    await filament.established(far);
    agent = new TestAgent(lab, filament, 'bystander', { holdTimeSec: HOLD_TIME_SEC });
    await agent.start();
    await eventually('BFD is up', async () => (await filament.neighbor(far)).bfd?.state === 'up');
    invariants = await Invariants.watch(filament);
  });
  afterAll(() => lab.close());

  /** By how much the process thinks that it is later than it is. */
  async function aheadMs(): Promise<number> {
    const { headers } = await fetch(`${filament.apiUrl}/healthz`);
    return Date.parse(headers.get('date') ?? '') - Date.now();
  }

  async function jump(offset: string, expectedMs: number): Promise<void> {
    writeFileSync(clockFile, offset);
    await eventually(`the process sees ${offset}`, async () => Math.abs((await aheadMs()) - expectedMs) < HOUR_MS / 4, {
      explain: () => filament.logTail(),
    });
  }

  /** Nobody has lost anybody, and nobody was asked to come back. */
  async function isCalm(): Promise<boolean> {
    const [here, there] = [await filament.neighbor(neighbor.address), await neighbor.neighbor(filament.address)];
    const [one] = await filament.agents();
    const flaps = here.flaps + there.flaps + (here.bfd?.flaps ?? 0) + (there.bfd?.flaps ?? 0) + (one?.flaps ?? 0);
    return flaps === 0 && here.state === 'established' && agent.established;
  }

  test.each([
    ['+1h', HOUR_MS],
    ['-1h', -HOUR_MS],
    ['+1d', 24 * HOUR_MS],
    ['+0', 0],
  ])(
    'I01 to %s: no session, agent or BFD session is lost, also not when a whole hold time has passed',
    async (offset, ms) => {
      await jump(offset, ms);
      await throughout('all sessions stay', HOLD_TIME_SEC * 1000, isCalm);
      const { uptimeSeconds } = await filament.neighbor(neighbor.address);
      expect(uptimeSeconds).toBeGreaterThan(0);
      expect(uptimeSeconds).toBeLessThan(HOUR_MS / 1000);
      await invariants.hold();
    },
  );

  test('I01 an hour back: a neighbor and an agent that fall silent are noticed in their time, not an hour late', async () => {
    await jump('-1h', -HOUR_MS);
    const silent = await RawClient.connect(filament.address, filament.agentPort, lab.nextAddress());
    silent.send(streamHeader('silent'));
    neighbor.process.signal('SIGSTOP');
    try {
      await eventually('BFD and the session are down', async () => {
        const { state, bfd } = await filament.neighbor(neighbor.address);
        return state !== 'established' && bfd?.lastDiagnostic === 'control-detection-time-expired';
      });
      await silent.closed;
    } finally {
      neighbor.process.signal('SIGCONT');
    }
    await filament.established(neighbor.address, 60_000);
    expect((await filament.agents()).find(({ name }) => name === 'silent')).toMatchObject({
      state: 'closed',
      lastError: 'hold-time-expired',
    });
    await invariants.hold({ touched: [neighbor.address] });
  });
});
