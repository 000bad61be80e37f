/**
 * Section D of the fault catalogue: this controller restarts, its neighbors have kept its routes (RFC 4724 §4.1). A start is a restart
 * as far as the controller can know: it keeps nothing.
 */
import { describe, expect, test } from '@jest/globals';
import { FABRIC_VRF_NAME } from '../../src/config/fabric-vrf.js';
import { World } from '../controller/world.js';
import { net, RestartPeer, VPN_FAMILIES, type RestartAnnouncement } from './restart-peer.js';

const HELPER: RestartAnnouncement = { restartTimeSec: 0, forwardingPreserved: 'none' };
const END = ['end ipv4-unicast', 'end ipv6-unicast'];

interface Scene {
  readonly world: World;
  readonly peers: readonly RestartPeer[];
}

/** Neighbors 192.0.2.1 to .n, of which those in `off` have graceful restart switched off. */
async function restarted(count: number, off: readonly number[] = [], more = ''): Promise<Scene> {
  const neighbors = Array.from({ length: count }, (_, i) => {
    const enabled = !off.includes(i + 1);
    return `{address: 192.0.2.${i + 1}, peerAs: ${65001 + i}, passive: true, families: [ipv4-unicast, ipv6-unicast], gracefulRestart: {enabled: ${enabled}}}`;
  });
  const world = await World.start(`bgp: {${more}neighbors: [${neighbors.join(', ')}]}`);
  return { world, peers: neighbors.map((_, i) => new RestartPeer(world, `192.0.2.${i + 1}`)) };
}

/** Lets the controller notice that everything has settled. */
function pass(world: World, ms = 100): void {
  world.clock.advance(ms);
  world.settle();
}

/** Stops a controller that listens, with the sessions that it has. */
async function end(world: World, ...peers: readonly RestartPeer[]): Promise<void> {
  const stopped = world.controller.stop();
  for (const peer of peers) peer.lose();
  pass(world, 10_000);
  await stopped;
}

describe('after a start', () => {
  test('D01 the OPEN says R and F while routes are held back, and then no more R (RFC 4724 §3)', async () => {
    const { world, peers } = await restarted(1);
    const [peer] = peers as [RestartPeer];
    peer.connect(HELPER);
    // R and N, 120 s.
    expect(peer.toldCapability).toBe('c078');
    peer.endOfRib(4);
    peer.endOfRib(6);
    pass(world);
    peer.lose();
    peer.connect(HELPER);
    expect(peer.toldCapability).toBe('4078');
  });

  test('D01 nobody is sent a route before all neighbors have ended theirs, then each gets all and End-of-RIB (RFC 4724 §4.1)', async () => {
    const { world, peers } = await restarted(3);
    const [one, two, three] = peers as [RestartPeer, RestartPeer, RestartPeer];
    for (const peer of peers) peer.connect(HELPER);
    one.announce([1]);
    one.endOfRib(4);
    one.endOfRib(6);
    two.announce([2]);
    two.endOfRib(4);
    two.endOfRib(6);
    three.endOfRib(6);
    pass(world, 1000);
    for (const peer of peers) expect(peer.told()).toEqual([]);
    three.announce([3]);
    three.endOfRib(4);
    pass(world);
    expect(one.told().sort()).toEqual([`+${net(2)}`, `+${net(3)}`, ...END]);
    expect(two.told().sort()).toEqual([`+${net(1)}`, `+${net(3)}`, ...END]);
    expect(three.told().sort()).toEqual([`+${net(1)}`, `+${net(2)}`, ...END]);
  });

  test('D01, D14 routes of agents, too, have time to come back before neighbors are told that this is everything', async () => {
    const neighbor = `{address: 192.0.2.1, peerAs: 65001, passive: true, families: [ipv4-unicast, ipv6-unicast], gracefulRestart: {enabled: true}}`;
    const agents = `agents: {listen: [{address: 127.0.0.1, port: 0}], endOfRibDelay: 30}`;
    const world = await World.start(`bgp: {neighbors: [${neighbor}]}\n${agents}`);
    const peer = new RestartPeer(world, '192.0.2.1').connect(HELPER);
    peer.endOfRib(4);
    peer.endOfRib(6);
    pass(world, 20_000);
    expect(peer.told()).toEqual([]);
    const agent = world.agent('late', '192.0.2.21');
    agent.subscribe(FABRIC_VRF_NAME, 0);
    agent.publish(FABRIC_VRF_NAME, { family: 'ipv4-unicast', prefix: '10.7.0.0/16', nextHop: '192.0.2.21', label: 0 });
    pass(world, 6000);
    expect(peer.told()).toEqual([]);
    pass(world, 1100);
    expect(peer.told()).toEqual([`+${net(7)}`, ...END]);
    await end(world, peer);
  });

  test('D08 one of five neighbors never comes: the others wait for the deferral time, no longer (RFC 4724 §4.1)', async () => {
    const { world, peers } = await restarted(5, [], 'selectionDeferralTime: 40, ');
    const present = peers.slice(0, 4);
    for (const [i, peer] of present.entries()) {
      peer.connect(HELPER).announce([i + 1]);
      peer.endOfRib(4);
      peer.endOfRib(6);
    }
    pass(world, 25_000);
    for (const peer of present) expect(peer.told()).toEqual([]);
    pass(world, 15_000);
    for (const peer of present) expect(peer.told().filter((each) => each.startsWith('+'))).toHaveLength(3);
    // Whoever comes later does not wait at all.
    expect(peers[4]!.connect(HELPER).told()).toEqual(expect.arrayContaining([`+${net(1)}`, ...END]));
  });

  test('D08 a neighbor without graceful restart is not waited for (RFC 4724 §4.1)', async () => {
    const { world, peers } = await restarted(2);
    const [one, two] = peers as [RestartPeer, RestartPeer];
    one.connect(HELPER).announce([1]);
    one.endOfRib(4);
    one.endOfRib(6);
    two.connect();
    pass(world);
    expect(two.told()).toEqual(expect.arrayContaining([`+${net(1)}`, ...END]));
    expect(one.told()).toEqual(END);
  });

  // FRR 8.4 sets R in all of its OPENs for as long as its restart time, while it has routes and sends them.
  test('D08 a neighbor that says that it has restarted itself is waited for a little, and no longer (RFC 4724 §4.1)', async () => {
    for (const ends of [true, false]) {
      const { world, peers } = await restarted(2);
      const [one, two] = peers as [RestartPeer, RestartPeer];
      one.connect(HELPER).announce([1]);
      one.endOfRib(4);
      one.endOfRib(6);
      two.connect({ ...HELPER, restarting: true });
      pass(world, 1000);
      expect(one.told()).toEqual([]);
      two.announce([2]);
      if (ends) for (const family of [4, 6] as const) two.endOfRib(family);
      pass(world, ends ? 100 : 9100);
      expect(two.told()).toEqual(expect.arrayContaining([`+${net(1)}`, ...END]));
      expect(one.told().sort()).toEqual([`+${net(2)}`, ...END]);
    }
  });

  test('D08 a neighbor whose graceful restart is off neither waits nor is waited for', async () => {
    const { world, peers } = await restarted(2, [2]);
    const [one, two] = peers as [RestartPeer, RestartPeer];
    two.connect().announce([2]);
    one.connect(HELPER).announce([1]);
    expect(two.told()).toEqual(expect.arrayContaining([`+${net(1)}`, ...END]));
    expect(one.told()).toEqual([]);
    one.endOfRib(4);
    one.endOfRib(6);
    pass(world);
    expect(one.told().sort()).toEqual([`+${net(2)}`, ...END]);
  });

  // FRR 8.4 sets R in all of its OPENs for as long as its restart time, and keeps routes of a neighbor that goes meanwhile.
  test('D08 a neighbor that has restarted itself may hold routes all the same: it, too, waits for agents', async () => {
    const neighbor = `{address: 192.0.2.1, peerAs: 65001, passive: true, families: [ipv4-unicast, ipv6-unicast], gracefulRestart: {enabled: true}}`;
    const agents = 'agents: {listen: [{address: 127.0.0.1, port: 0}], endOfRibDelay: 30}';
    const world = await World.start(`bgp: {neighbors: [${neighbor}]}\n${agents}`);
    const peer = new RestartPeer(world, '192.0.2.1').connect({ ...HELPER, restarting: true });
    pass(world, 20_000);
    expect(peer.told()).toEqual([]);
    pass(world, 10_000);
    expect(peer.told()).toEqual(END);
    await end(world, peer);
  });

  test('D08 families that a neighbor has not negotiated are not waited for (RFC 4724 §4.1)', async () => {
    const { world, peers } = await restarted(1);
    const [peer] = peers as [RestartPeer];
    peer.open(HELPER, [{ afi: 1, safi: 1 }]);
    pass(world, 3000);
    peer.confirm();
    expect(peer.told()).toEqual([]);
    peer.endOfRib(4);
    pass(world);
    expect(peer.told()).toEqual(['end ipv4-unicast']);
  });

  test('D08 a neighbor that leaves the configuration is not waited for any longer', async () => {
    const { world, peers } = await restarted(2);
    const [one] = peers as [RestartPeer];
    one.connect(HELPER);
    one.endOfRib(4);
    one.endOfRib(6);
    pass(world, 1000);
    expect(one.told()).toEqual([]);
    world.reload(
      'bgp: {neighbors: [{address: 192.0.2.1, peerAs: 65001, passive: true, families: [ipv4-unicast, ipv6-unicast], gracefulRestart: {enabled: true}}]}',
    );
    pass(world);
    expect(one.told()).toEqual(END);
  });
});

describe('what neighbors are asked for after a start (RFC 4684)', () => {
  const neighbor = (n: number): string =>
    `{address: 192.0.2.${n}, peerAs: ${65000 + n}, passive: true, families: [l3vpn-ipv4-unicast, rtc], gracefulRestart: {enabled: true}}`;
  const vrf = (name: string, id: number): string =>
    `{name: ${name}, virtualNetwork: {name: n-${name}, id: ${id}}, importTargets: ['target:64512:${id}'], exportTargets: ['target:64512:${id}']}`;
  const membership = (n: number, asn = 64512): string => `${asn}:target:64512:${n}`;

  test.each([
    ['is shut down', 'adminDown: true, gracefulRestart: {enabled: true}'],
    ['no longer keeps routes', 'gracefulRestart: {enabled: helper}'],
  ])('D08 a neighbor that %s by a new configuration is not waited for any longer', async (_what, second) => {
    const text = (more: string): string => {
      const common = 'passive: true, families: [ipv4-unicast, ipv6-unicast]';
      const one = `{address: 192.0.2.1, peerAs: 65001, ${common}, gracefulRestart: {enabled: true}}`;
      return `bgp: {neighbors: [${one}, {address: 192.0.2.2, peerAs: 65002, ${common}, ${more}}]}`;
    };
    const world = await World.start(text('gracefulRestart: {enabled: true}'));
    const peer = new RestartPeer(world, '192.0.2.1').connect(HELPER);
    peer.endOfRib(4);
    peer.endOfRib(6);
    pass(world, 1000);
    expect(peer.told()).toEqual([]);
    world.reload(text(second));
    pass(world);
    expect(peer.told()).toEqual(END);
  });

  test('D01 memberships go out at once, their End-of-RIB only behind those of all neighbors: nobody sends less meanwhile', async () => {
    const world = await World.start(`bgp: {neighbors: [${neighbor(1)}, ${neighbor(2)}, ${neighbor(3)}]}`);
    const [one, two, three] = [1, 2, 3].map((n) => new RestartPeer(world, `192.0.2.${n}`));
    one!.connect(HELPER, VPN_FAMILIES).endOfRib('rtc');
    two!.connect(HELPER, VPN_FAMILIES).wants(7);
    pass(world);
    expect(one!.told()).toEqual([`+${membership(7, 65002)}`]);
    two!.endOfRib('rtc');
    pass(world, 5000);
    expect(one!.told()).toEqual([]);
    three!.connect(HELPER, VPN_FAMILIES).wants(8);
    three!.endOfRib('rtc');
    expect(one!.told()).toEqual([`+${membership(8, 65003)}`]);
    pass(world);
    expect(one!.told()).toEqual(['end rtc']);
    expect(three!.told()).toEqual([`+${membership(7, 65002)}`, 'end rtc']);
    // Their routes are waited for, as ever.
    for (const peer of [one!, two!, three!]) peer.endOfRib('vpn');
    pass(world);
    expect(one!.told()).toEqual(['end l3vpn-ipv4-unicast']);
  });

  test('D01 a neighbor that has never sent its memberships delays those of others for the deferral time at most', async () => {
    const world = await World.start(`bgp: {selectionDeferralTime: 40, neighbors: [${neighbor(1)}, ${neighbor(2)}]}`);
    const one = new RestartPeer(world, '192.0.2.1').connect(HELPER, VPN_FAMILIES);
    one.endOfRib('rtc');
    one.endOfRib('vpn');
    pass(world, 30_000);
    expect(one.told()).toEqual([]);
    pass(world, 10_000);
    expect(one.told().sort()).toEqual(['end l3vpn-ipv4-unicast', 'end rtc']);
  });

  test('D01 while agents may still come back, the routes of all VRFs are asked for, then those that agents have come for', async () => {
    const world = await World.start(
      `bgp: {neighbors: [${neighbor(1)}]}\nagents: {listen: [{address: 127.0.0.1, port: 0}], endOfRibDelay: 30}\nvrfs: [${vrf('blue', 1)}, ${vrf('red', 2)}]`,
    );
    const peer = new RestartPeer(world, '192.0.2.1').connect(HELPER, VPN_FAMILIES);
    expect(peer.told()).toEqual([`+${membership(1)}`, `+${membership(2)}`]);
    peer.endOfRib('rtc');
    pass(world);
    expect(peer.told()).toEqual(['end rtc']);
    const agent = world.agent('back', '192.0.2.21');
    agent.subscribe('blue');
    pass(world, 20_000);
    expect(peer.told()).toEqual([]);
    pass(world, 10_000);
    expect(peer.told()).toEqual([`-${membership(2)}`]);
    expect(world.wanted()).toEqual([membership(1)]);
    await end(world, peer);
  });

  test('a VRF that goes while all are asked for leaves nothing behind', async () => {
    const config = (vrfs: string): string =>
      `bgp: {neighbors: [${neighbor(1)}]}\nagents: {listen: [{address: 127.0.0.1, port: 0}], endOfRibDelay: 30}\nvrfs: [${vrfs}]`;
    const world = await World.start(config(`${vrf('blue', 1)}, ${vrf('red', 2)}`));
    world.reload(config(vrf('blue', 1)));
    expect(world.wanted()).toEqual([membership(1)]);
    pass(world, 30_000);
    expect(world.wanted()).toEqual([]);
    expect(world.leftovers.draining).toBe(0);
    await world.controller.stop();
  });
});
