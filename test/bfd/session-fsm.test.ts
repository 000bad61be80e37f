import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ControlPacket } from '../../src/bfd/control-packet.js';
import { BFD_STATES } from '../../src/bfd/iana.js';
import type { BfdState } from '../../src/bfd/iana.js';
import { initialSnapshot, SessionFsm } from '../../src/bfd/session-fsm.js';
import type { FsmAction, SessionSettings } from '../../src/bfd/session-fsm.js';

const SETTINGS: SessionSettings = { minimumIntervalUs: 100_000, detectMultiplier: 3 };
const LOCAL = 7;
const REMOTE = 99;

function packetOf(state: BfdState, more: Partial<ControlPacket> = {}): ControlPacket {
  return {
    diagnostic: 'none',
    state,
    poll: false,
    final: false,
    controlPlaneIndependent: false,
    demand: false,
    detectMultiplier: 4,
    myDiscriminator: REMOTE,
    yourDiscriminator: LOCAL,
    desiredMinTxUs: 50_000,
    requiredMinRxUs: 20_000,
    requiredMinEchoRxUs: 0,
    ...more,
  };
}

function machineIn(state: BfdState): SessionFsm {
  const fsm = new SessionFsm(SETTINGS, initialSnapshot(LOCAL));
  if (state === 'init' || state === 'up') fsm.received(packetOf('down'));
  if (state === 'up') fsm.received(packetOf('up'));
  if (state === 'admin-down') fsm.administrativelyDown();
  expect(fsm.snapshot.state).toBe(state);
  return fsm;
}

describe('what a received state leads to (RFC 5880 §6.2, §6.8.6)', () => {
  const same: readonly FsmAction[] = [];
  const send: readonly FsmAction[] = ['send'];
  test.each<[BfdState, BfdState, BfdState, readonly FsmAction[]]>([
    ['admin-down', 'admin-down', 'admin-down', same],
    ['admin-down', 'down', 'admin-down', same],
    ['admin-down', 'init', 'admin-down', same],
    ['admin-down', 'up', 'admin-down', same],
    ['down', 'admin-down', 'down', same],
    ['down', 'down', 'init', send],
    ['down', 'init', 'up', send],
    ['down', 'up', 'down', same],
    ['init', 'admin-down', 'down', send],
    ['init', 'down', 'init', same],
    ['init', 'init', 'up', send],
    ['init', 'up', 'up', send],
    ['up', 'admin-down', 'down', send],
    ['up', 'down', 'down', send],
    ['up', 'init', 'up', same],
    ['up', 'up', 'up', same],
  ])('in %s, %s received: %s', (state, received, next, actions) => {
    const fsm = machineIn(state);
    expect(fsm.received(packetOf(received))).toEqual(actions);
    expect(fsm.snapshot).toMatchObject({ state: next, remoteState: received, remoteDiscriminator: REMOTE });
    if (next === 'down' && state !== 'down') expect(fsm.snapshot.diagnostic).toBe('neighbor-signaled-session-down');
  });

  test.each<[BfdState, BfdState, readonly FsmAction[]]>([
    ['admin-down', 'admin-down', same],
    ['down', 'down', same],
    ['init', 'down', send],
    ['up', 'down', send],
  ])('in %s, the detection time expires: %s (RFC 5880 §6.8.4)', (state, next, actions) => {
    const fsm = machineIn(state);
    expect(fsm.detectionTimeExpired()).toEqual(actions);
    expect(fsm.snapshot.state).toBe(next);
    if (actions !== same) expect(fsm.snapshot.diagnostic).toBe('control-detection-time-expired');
    // What the other side has said does not hold any longer: it may come back with another discriminator.
    if (next === 'down') {
      expect(fsm.snapshot).toMatchObject({ remoteDiscriminator: 0, remoteState: 'down', remoteMinRxUs: 1 });
      expect(fsm.detectionTimeUs).toBe(0);
    }
  });
});

test('two machines come up from any state that they can be in (RFC 5880 §6.2)', () => {
  const states = fc.constantFrom(...BFD_STATES.filter((state) => state !== 'admin-down'));
  fc.assert(
    fc.property(states, states, fc.array(fc.boolean(), { maxLength: 20 }), (ours, theirs, lost) => {
      const a = machineIn(ours);
      const b = machineIn(theirs);
      const losses = [...lost];
      for (let round = 0; round < 30; round++) {
        for (const [from, to] of [[a, b] as const, [b, a] as const]) {
          if (losses.shift() !== true) to.received({ ...from.packet(false), yourDiscriminator: LOCAL });
        }
      }
      expect([a.snapshot.state, b.snapshot.state]).toEqual(['up', 'up']);
    }),
  );
});

describe('how often packets are sent', () => {
  test('at most once a second while not up (RFC 5880 §6.8.3)', () => {
    for (const state of ['down', 'init', 'admin-down'] as const) {
      const fsm = machineIn(state);
      expect(fsm.transmitIntervalUs).toBe(1_000_000);
      expect(fsm.packet(false)).toMatchObject({
        state,
        desiredMinTxUs: 1_000_000,
        requiredMinRxUs: 100_000,
        poll: false,
      });
    }
  });

  test('as fast as both sides want once up, and a Poll Sequence says so (RFC 5880 §6.5, §6.8.7)', () => {
    const fsm = machineIn('up');
    expect(fsm.transmitIntervalUs).toBe(100_000);
    expect(fsm.packet(false)).toMatchObject({ state: 'up', desiredMinTxUs: 100_000, poll: true, final: false });
    fsm.received(packetOf('up', { final: true }));
    expect(fsm.packet(false).poll).toBe(false);
    fsm.received(packetOf('up', { requiredMinRxUs: 250_000 }));
    expect(fsm.transmitIntervalUs).toBe(250_000);
  });

  test('never when the other side wants none (RFC 5880 §6.8.1, §6.8.7)', () => {
    const fsm = machineIn('up');
    fsm.received(packetOf('up', { requiredMinRxUs: 0 }));
    expect(fsm.transmitIntervalUs).toBe(0);
    // Otherwise nobody could ever come up again.
    fsm.detectionTimeExpired();
    expect(fsm.transmitIntervalUs).toBe(1_000_000);
  });

  test('not in demand mode of the other side, unless to poll (RFC 5880 §6.6)', () => {
    const fsm = machineIn('up');
    fsm.received(packetOf('up', { demand: true }));
    expect(fsm.transmitIntervalUs).toBe(100_000);
    fsm.received(packetOf('up', { demand: true, final: true }));
    expect(fsm.transmitIntervalUs).toBe(0);
  });

  test('a Poll is answered with a Final at once, in any state but admin-down (RFC 5880 §6.8.6)', () => {
    for (const state of ['down', 'init', 'up'] as const) {
      const fsm = machineIn(state);
      expect(fsm.received(packetOf('up', { poll: true }))).toContain('send-final');
      expect(fsm.packet(true)).toMatchObject({ poll: false, final: true });
    }
    expect(machineIn('admin-down').received(packetOf('up', { poll: true }))).toEqual([]);
  });
});

describe('the detection time (RFC 5880 §6.8.4)', () => {
  test("is the other side's multiplier times the slower of what we take and what it sends", () => {
    const fsm = machineIn('up');
    expect(fsm.detectionTimeUs).toBe(400_000);
    fsm.received(packetOf('up', { desiredMinTxUs: 300_000, detectMultiplier: 2 }));
    expect(fsm.detectionTimeUs).toBe(600_000);
  });
});

describe('other settings while up (RFC 5880 §6.8.3)', () => {
  function upAndConfirmed(): SessionFsm {
    const fsm = machineIn('up');
    fsm.received(packetOf('up', { final: true }));
    return fsm;
  }

  test('a slower pace of ours holds after the Final, a slower one of the other side at once', () => {
    const fsm = upAndConfirmed();
    expect(fsm.reconfigure({ minimumIntervalUs: 500_000, detectMultiplier: 5 })).toEqual(['send']);
    expect(fsm.packet(false)).toMatchObject({ poll: true, desiredMinTxUs: 500_000, detectMultiplier: 5 });
    expect([fsm.transmitIntervalUs, fsm.detectionTimeUs]).toEqual([100_000, 2_000_000]);
    fsm.received(packetOf('up', { final: true }));
    expect([fsm.transmitIntervalUs, fsm.detectionTimeUs]).toEqual([500_000, 2_000_000]);
  });

  test('a faster pace of ours holds at once, a faster one of the other side after the Final', () => {
    const fsm = upAndConfirmed();
    fsm.reconfigure({ minimumIntervalUs: 60_000, detectMultiplier: 3 });
    expect([fsm.transmitIntervalUs, fsm.detectionTimeUs]).toEqual([60_000, 400_000]);
    fsm.received(packetOf('up', { final: true }));
    expect([fsm.transmitIntervalUs, fsm.detectionTimeUs]).toEqual([60_000, 240_000]);
    expect(fsm.snapshot.state).toBe('up');
  });

  test('a change during a Poll Sequence is polled for anew', () => {
    const fsm = upAndConfirmed();
    fsm.reconfigure({ minimumIntervalUs: 500_000, detectMultiplier: 3 });
    fsm.reconfigure({ minimumIntervalUs: 600_000, detectMultiplier: 3 });
    fsm.received(packetOf('up', { final: true }));
    expect(fsm.packet(false)).toMatchObject({ poll: true, desiredMinTxUs: 600_000 });
    fsm.received(packetOf('up', { final: true }));
    expect(fsm.packet(false).poll).toBe(false);
  });
});

test('echo is refused, demand mode and a life of its own are not claimed', () => {
  expect(machineIn('up').packet(false)).toMatchObject({
    requiredMinEchoRxUs: 0,
    demand: false,
    controlPlaneIndependent: false,
    myDiscriminator: LOCAL,
    yourDiscriminator: REMOTE,
  });
});

test('a session that goes on from a snapshot is as up as before', () => {
  const before = machineIn('up');
  before.received(packetOf('up', { final: true }));
  const after = new SessionFsm(SETTINGS, before.snapshot);
  expect(after.packet(false)).toEqual(before.packet(false));
  expect([after.transmitIntervalUs, after.detectionTimeUs]).toEqual([100_000, 400_000]);
});
