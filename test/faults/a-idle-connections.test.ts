/** Row A13 of the fault catalogue: very many connections that say nothing, against the real port of a whole controller whose clock is turned by hand. */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { World } from '../controller/world.js';
import { eventually } from '../support/eventually.js';
import { freePort, Lab } from '../support/lab.js';
import { RawRouter } from '../support/raw-router.js';

const LONG = process.env['FILAMENT_LONG_TESTS'] === '1';
const LIMIT_MS = LONG ? 300_000 : 30_000;
/** How many there are; both ends are files of this process. */
const SILENT = LONG ? 5000 : 400;
const PER_ADDRESS = 4;
/** At a time: more than the system keeps for a listener would be tried again a second later. */
const AT_ONCE = 200;

/** RFC 4271 §8.2.2: the suggested large hold time, behind our own wait for the neighbor's OPEN. */
const OPEN_TIMEOUT_MS = 241_000;
const FORGET_MS = 300_000;

const cleanUp: Array<() => unknown> = [];

afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

/** Files that this process may open. */
function openFiles(): number {
  return Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1024);
}

test(
  `A13 ${SILENT} connections that say nothing: so many of an address, the others get in, all are closed at the OPEN timeout, nothing is left (RFC 4271 §8.2.2)`,
  async () => {
    expect(openFiles()).toBeGreaterThan(2 * SILENT + 500);
    const lab = new Lab('silence');
    cleanUp.push(() => lab.close());
    const address = lab.nextAddress();
    const port = await freePort(address);
    const net = address.slice(0, address.lastIndexOf('.'));
    const world = await World.start(
      `bgp: {listen: [{address: ${address}, port: ${port}}], acceptLimits: {perAddress: ${PER_ADDRESS}}, ` +
        `peerGroups: [{name: any, families: [ipv4-unicast]}], dynamicNeighbors: [{prefix: 127.0.0.0/8, peerGroup: any}]}`,
    );
    cleanUp.push(() => world.controller.stop());
    const { gate } = world.controller.neighbors.listener;
    const neighbors = (): string[] => Array.from(world.controller.view.neighbors(), (each) => each.address);
    const before = world.clock.pending;
    const opened = new Set<Socket>();
    cleanUp.push(() => opened.forEach((socket) => socket.destroy()));
    let cut = 0;
    /** Connects and stays, or is cut. */
    const silent = (from: string): Promise<void> =>
      new Promise((resolve) => {
        const socket = connect({ host: address, port, localAddress: from, allowHalfOpen: false });
        socket.resume();
        socket.once('connect', () => {
          opened.add(socket);
          resolve();
        });
        socket.on('error', () => {
          cut++;
          resolve();
        });
        socket.once('close', () => opened.delete(socket));
      });

    // One address of this lab's net would not do: they come from the net and those beside it, a few from each address.
    const [a, b, c] = net.split('.').map(Number);
    const from = (index: number): string =>
      `${a}.${b}.${(c! + 1 + Math.floor(index / 200)) % 256}.${(index % 200) + 1}`;
    for (let index = 0; index < SILENT; index += AT_ONCE) {
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, SILENT - index) }, (_, i) => silent(from(index + i))));
    }
    await eventually('each is a neighbor', () => neighbors().length === SILENT);
    expect(cut).toBe(0);
    expect(gate?.open).toBe(SILENT);

    // More of one address: each silent one gives way to the next, and beyond the limit they are cut.
    const flooder = from(0);
    for (let i = 0; i < 20; i++) await silent(flooder);
    await eventually('the last ones are judged', () => (gate?.open ?? 0) <= SILENT + PER_ADDRESS - 1);
    expect(neighbors()).toHaveLength(SILENT);

    const router = await RawRouter.establish({
      server: { address, port },
      address: lab.nextAddress(),
      autonomousSystem: 65001,
    });
    await eventually('it is up', () => world.controller.view.neighbor(router.address)?.state === 'established');

    world.clock.advance(1000);
    world.clock.advance(OPEN_TIMEOUT_MS - 1000);
    // Lingering ends with the clock, too.
    await eventually('they have been told', () => opened.size === 0 || (world.clock.advance(5000), false));
    await eventually('their places are free', () => gate?.open === 1);
    expect(neighbors()).toHaveLength(SILENT + 1);
    world.clock.advance(FORGET_MS);
    expect(neighbors()).toEqual([router.address]);
    expect(world.controller.view.neighbor(router.address)).toMatchObject({ state: 'established', flaps: 0 });

    router.close();
    await eventually('it is gone', () => world.controller.view.neighbor(router.address)?.state !== 'established');
    world.clock.advance(2 * FORGET_MS);
    expect(neighbors()).toEqual([]);
    expect(world.clock.pending).toBe(before);
  },
  LIMIT_MS,
);
