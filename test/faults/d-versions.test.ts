/**
 * Versions differ for a while during an upgrade. Nothing is stored that a version could fail to read; what is left is the configuration, and
 * what is said to neighbors (the capabilities that a version does not know are row A21).
 */
import { describe, expect, test } from '@jest/globals';
import { World } from '../controller/world.js';
import { RestartPeer } from './restart-peer.js';

const NEIGHBOR = '{address: 192.0.2.1, peerAs: 65001, passive: true, families: [ipv4-unicast, ipv6-unicast]';
const VRF =
  "{name: blue, virtualNetwork: {name: n, id: 1}, importTargets: ['target:64512:1'], exportTargets: ['target:64512:1']}";

describe('the configuration of another version', () => {
  test('D16 an older one has fewer fields: those that it lacks have their defaults, and to write them out later changes nothing', async () => {
    const world = await World.start(`bgp: {neighbors: [${NEIGHBOR}}]}\nvrfs: [${VRF}]`);
    const peer = new RestartPeer(world, '192.0.2.1').connect();
    const changes = world.reload(
      `bgp: {selectionDeferralTime: 60, neighbors: [${NEIGHBOR}, holdTime: 90, gracefulRestart: {enabled: helper}}]}\nagents: {pendingTime: 600}\nvrfs: [${VRF}]`,
    );
    expect(changes).toEqual([]);
    expect(peer.isClosed).toBe(false);
    expect(world.controller.view.neighbor('192.0.2.1')).toMatchObject({ state: 'established', flaps: 0 });
  });

  test('D16 a newer one has fields that this version does not know: refused by name and line, what runs goes on', async () => {
    const text = `bgp: {neighbors: [${NEIGHBOR}}]}\n`;
    const world = await World.start(text);
    const peer = new RestartPeer(world, '192.0.2.1').connect();
    expect(() => world.reload(`${text}quantumRouting: {entangled: true}\n`)).toThrow(/"line":\d+.*quantumRouting/);
    expect(peer.isClosed).toBe(false);
    expect(world.controller.view.neighbor('192.0.2.1')).toMatchObject({ state: 'established', flaps: 0 });
  });
});

describe('a neighbor of another version', () => {
  test('D16 an upgrade adds capabilities, the way back takes them away: each session is what both ends have', async () => {
    const world = await World.start(
      `bgp: {neighbors: [${NEIGHBOR}, gracefulRestart: {enabled: true, longLivedTime: 60}}]}`,
    );
    const peer = new RestartPeer(world, '192.0.2.1');
    for (const says of [undefined, { restartTimeSec: 60, longLivedSec: 60, notification: true }, undefined]) {
      peer.connect(says).announce([1, 2]);
      peer.endOfRib(4);
      peer.endOfRib(6);
      expect(world.controller.view.neighbor('192.0.2.1')).toMatchObject({
        state: 'established',
        families: [{ family: 'ipv4-unicast', received: 2 }, {}],
      });
      peer.lose();
      expect(world.controller.view.routes({ family: 'ipv4-unicast' })).toMatchObject({
        routes: says === undefined ? [] : [{}, {}],
      });
    }
  });
});
