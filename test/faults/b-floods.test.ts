/**
 * Rows B49 and B50 on real sockets, in the laboratory that looks at the invariants: mutated UPDATEs, and attribute sets made to collide, of neighbors of
 * every kind beside two bystanders. By the million they go to the decoders and the stores themselves (test/fuzz, flooding.test.ts).
 */
import { expect, test } from '@jest/globals';
import { readBgpSeeds } from '../fuzz/bgp-seeds.js';
import { Random } from '../fuzz/random.js';
import { mutateUpdate } from '../fuzz/update-mutations.js';
import { FaultLab, goodAttributes, KINDS, type Kind } from '../support/fault-lab.js';
import { BGP_UPDATE, bgpMessage } from '../support/raw-client.js';
import type { RawRouter } from '../support/raw-router.js';
import { attribute, octets, updateBody } from '../support/update-messages.js';

const LIMIT_MS = 120_000;
const SEED = 7606;
/** Half of the mutations end the session: so many neighbors of each kind are sent some until theirs has ended. */
const NEIGHBORS = 10;
const MUTATIONS_EACH = 40;
/** Orders of the same ten communities. */
const VARIANTS = 2000;
const COMMUNITIES = 10;

test(
  'B49 mutated UPDATEs of neighbors of every kind: others are told what the tables say, and all is as before when they have gone',
  async () => {
    const lab = await FaultLab.start();
    const { updates } = readBgpSeeds(false);
    let index = 0;
    let ended = 0;
    const fuzz = async (kind: Kind): Promise<void> => {
      const router = await lab.router(kind);
      for (let n = 0; n < MUTATIONS_EACH && !router.closed; n++) {
        const random = new Random(SEED, index++);
        const body = mutateUpdate(random.pick(updates), updates, random);
        router.send(bgpMessage(BGP_UPDATE, body));
      }
      await isDealtWith(router, kind);
    };
    /** It has lost its session, or a good route behind all of it has been taken in. */
    const isDealtWith = async (router: RawRouter, kind: Kind): Promise<void> => {
      const passed = lab.sentinel(router, kind).then(() => false);
      const lost = router.end().then(() => true);
      // Whichever does not come gives up in its own time.
      for (const each of [passed, lost]) each.catch(() => undefined);
      if (await Promise.race([passed, lost])) ended++;
    };
    for (let n = 0; n < NEIGHBORS; n++) for (const kind of KINDS) await fuzz(kind);
    expect(ended).toBeGreaterThan(0);
    await lab.close();
  },
  LIMIT_MS,
);

/** The `n`th order of the same communities, in hex. */
function communities(n: number): string {
  const left = Array.from({ length: COMMUNITIES }, (_, i) => (0xfc00_0000 + i + 1).toString(16));
  let order = '';
  for (let rest = n; left.length > 0; rest = Math.floor(rest / (left.length + 1))) {
    order += left.splice(rest % left.length, 1)[0]!;
  }
  return order;
}

test.each(['in the order of the types', 'in another order'])(
  'B50 %s: each order of the same communities is a set of its own, others hear of each, and all of them go with the neighbor',
  async (order) => {
    const lab = await FaultLab.start();
    lab.faultless('the order of communities is the affair of who sends them');
    const router = await lab.router('client');
    const good = goodAttributes('client').join('');
    for (let n = 0; n < VARIANTS; n++) {
      const set = attribute(0xc0, 8, communities(n));
      const attributes = order === 'in another order' ? set + good : good + set;
      const body = updateBody({ attributes, nlri: `20 0a${n.toString(16).padStart(6, '0')}` });
      await router.sendAll(bgpMessage(BGP_UPDATE, body));
    }
    await lab.sentinel(router, 'client');
    const held = new Set([...lab.observer.routes.values()].map((attributes) => attributes.get(8)));
    // Those, and that of the sentinel, which has none.
    expect(held.size).toBe(VARIANTS + 1);
    expect(lab.controller.rib.attributes.size).toBeGreaterThan(VARIANTS);
    for (let n = 0; n < VARIANTS; n += 2) {
      const withdrawn = `20 0a${n.toString(16).padStart(6, '0')}`;
      await router.sendAll(bgpMessage(BGP_UPDATE, octets(`0005 ${withdrawn} 0000`)));
    }
    await lab.sentinel(router, 'client');
    await lab.close();
  },
  LIMIT_MS,
);
