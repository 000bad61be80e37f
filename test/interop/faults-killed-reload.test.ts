/**
 * The process is killed in the middle of a reload, when some routes of the configuration before are gone and others not, and started again:
 * the file is all that it knows, so a neighbor is told what the new one says and nothing else.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { TestAgent } from '../support/agent.js';
import { eventually } from '../support/eventually.js';
import { Filament, type ConfigPart } from '../support/filament.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { RawRouter } from '../support/raw-router.js';

const AS = 64512;
const VPN = '1/128';
const VRFS = 300;
/** A kill may come too late for its reload, on a machine that has other things to do. */
const ATTEMPTS = 10;
const PREFIX_BITS = 24;
/** Label and route distinguisher in front of the prefix. */
const VPN_BITS = 24 + 64 + PREFIX_BITS;

jest.setTimeout(90_000);

/** What a configuration makes of its n-th VRF; one of each generation has another distinguisher and another prefix. */
interface Generation {
  readonly first: number;
  readonly distinguisher: number;
}

/** Half of the VRFs of one are in the other, changed. */
const GENERATIONS: readonly [Generation, Generation] = [
  { first: 0, distinguisher: 1000 },
  { first: VRFS / 2, distinguisher: 5000 },
];

function vrfs({ first, distinguisher }: Generation): readonly ConfigPart[] {
  return Array.from({ length: VRFS }, (_, i) => {
    const id = first + i + 1;
    const number = distinguisher + id;
    return {
      name: `vrf-${id}`,
      virtualNetwork: { name: `network-${id}`, id },
      routeDistinguisher: `${AS}:${number}`,
      importTargets: [`target:${AS}:${id}`],
      exportTargets: [`target:${AS}:${number}`],
      staticRoutes: [{ prefix: `10.${number >> 8}.${number & 0xff}.0/24`, nextHop: '192.0.2.20', label: 16 }],
    };
  });
}

const hex = (value: number, octets: number): string => value.toString(16).padStart(2 * octets, '0');

/** What a neighbor holds when all is told. */
function routes({ first, distinguisher }: Generation): readonly string[] {
  return Array.from({ length: VRFS }, (_, i) => {
    const number = distinguisher + first + i + 1;
    return `${VPN} ${hex(VPN_BITS, 1)}0000${hex(AS, 2)}${hex(number, 4)}0a${hex(number, 2)}`;
  }).sort();
}

/** How far a reload had come when the process was killed. */
type Moment = 'nothing removed' | 'removed, not all added' | 'done';

describe('D09 killed in the middle of a reload', () => {
  const lab = new Lab('killed-reload');
  const address = lab.nextAddress();
  let filament: Filament;
  let router: RawRouter;
  let generation = 0;
  let agent: TestAgent;
  let invariants: Invariants;

  beforeAll(async () => {
    filament = await Filament.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.8.1',
      vrfs: vrfs(GENERATIONS[0]),
      neighbors: [{ address, peerAs: AS, passive: true, families: ['l3vpn-ipv4-unicast'] }],
    });
    await startAndConnect();
    agent = new TestAgent(lab, filament, 'bystander');
    await agent.start();
    invariants = await Invariants.watch(filament);
  });

  afterAll(async () => {
    router.close();
    await lab.close();
  });

  async function startAndConnect(): Promise<void> {
    await filament.start();
    const server = { address: filament.address, port: filament.bgpPort };
    router = await RawRouter.establish({ server, address, autonomousSystem: AS, families: [[1, 128]] });
    // A session that is up early is told what has got into the table by then, the rest behind End-of-RIB.
    await router.until('it has as many routes as there are', () => {
      return router.endsOfRib.includes(VPN) && router.routes.size >= VRFS;
    });
  }

  const held = (): readonly string[] => [...router.routes.keys()].sort();

  /** Reloads that the log has told as done, since the first start. */
  const reloadsDone = (): number =>
    filament.process.logTail(Number.MAX_SAFE_INTEGER).split('"msg":"reload"').length - 1;

  /**
   * Switches to the other generation and kills the process when the neighbor has been told of so many changes; starts it again.
   * @returns where the kill fell: what the neighbor had been told up to its last octet
   */
  async function killDuringReload(changes: number): Promise<Moment> {
    const from = routes(GENERATIONS[generation]!);
    generation = 1 - generation;
    const to = routes(GENERATIONS[generation]!);
    expect(held()).toEqual(from);
    const [before, doneBefore] = [router.history.length, reloadsDone()];
    filament.hangUp({ vrfs: vrfs(GENERATIONS[generation]!) });
    await router.until(`${changes} changes are told`, () => router.history.length >= before + changes);
    await filament.crash();
    await router.end();
    const isKept = from.every((route) => router.routes.has(route));
    const isThere = to.every((route) => router.routes.has(route));
    const isDone = isThere || reloadsDone() > doneBefore;
    await startAndConnect();
    expect(held()).toEqual(to);
    expect(router.history.filter((each) => each.startsWith('-'))).toEqual([]);
    if (isDone) return 'done';
    return isKept ? 'nothing removed' : 'removed, not all added';
  }

  test.each<[changes: number, wanted: Moment]>([
    [1, 'nothing removed'],
    [VRFS / 2, 'removed, not all added'],
    [VRFS + 10, 'removed, not all added'],
  ])('D09 after %d changes, %s: the new start is as the file says', async (changes, wanted) => {
    for (let attempts = 1; (await killDuringReload(changes)) !== wanted; attempts++) {
      if (attempts === ATTEMPTS) throw new Error(`the kill never fell where it should, ${ATTEMPTS} times`);
    }
  });

  test('D09 before the first change, or at whatever moment it is: the new start is as the file says', async () => {
    await killDuringReload(0);
    // By what the first file said, all is as it was at first.
    while (generation !== 0) await killDuringReload(0);
    await eventually('the agent is back', () => agent.established);
    await invariants.hold({ isRestarted: true });
  });
});
