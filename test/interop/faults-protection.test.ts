/** TCP MD5 signatures and TTL security between the product and BIRD, and between two products: A27, A28, and E11 on the way. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Bird } from '../support/bird.js';
import { eventually } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import type { ConfigPart } from '../support/filament.js';
import { Invariants } from '../support/invariants.js';
import { freePort, Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';
import { arrives } from '../support/speaker-suite.js';

const AS = 65000;
const FAMILY = 'ipv4-unicast';
const KEY = 'Right-Key-1';
const OTHER_KEY = 'Other-Key-2';
const WRONG_KEY = 'Wrong-Key-3';

describeWithDaemons(['bird'], 'protected sessions', () => {
  const lab = new Lab('protection');
  /** A network of its own for a range with a key: everything in it must have the key. */
  const otherLab = new Lab('protection-range');
  let filament: Filament;
  let bystander: Bird;
  let invariants: Invariants;
  let dynamicNeighbors: ConfigPart[] = [];
  /** More fields of the peer group of dynamic neighbors, or others in place of its own. */
  let keyedGroup: ConfigPart = {};

  async function bird(
    protection: { readonly password?: string; readonly ttlSecurity?: boolean },
    address = lab.nextAddress(),
    port?: number,
  ): Promise<Bird> {
    const session = {
      address: filament.address,
      port: filament.bgpPort,
      autonomousSystem: AS,
      families: [FAMILY],
      ...protection,
    } as const;
    const routerId = `10.255.0.${address.split('.')[3]}`;
    const description = { autonomousSystem: AS, routerId, sessions: [session] };
    return Bird.create(lab, description, { address, port: port ?? (await freePort(address)) });
  }

  const neighbor = ({ address, port }: { address: string; port: number }, more: ConfigPart = {}): ConfigPart => ({
    address,
    port,
    localAddress: filament.address,
    peerAs: AS,
    families: [FAMILY],
    routeReflectorClient: true,
    connectRetryTime: 2,
    ...more,
  });

  /** Loads these neighbors beside the bystander. @returns what the answer calls changed */
  async function configure(...neighbors: ConfigPart[]): Promise<readonly string[]> {
    return filament.reload({
      bgp: {
        peerGroups: [{ name: 'keyed', peerAs: AS, families: [FAMILY], md5Password: KEY, ...keyedGroup }],
        dynamicNeighbors,
      },
      neighbors: [neighbor(bystander), ...neighbors],
    });
  }

  async function metric(line: string): Promise<number> {
    const body = await (await fetch(`${filament.apiUrl}/metrics`)).text();
    return Number(
      body
        .split('\n')
        .find((text) => text.startsWith(`${line} `))
        ?.split(' ')[1] ?? 0,
    );
  }
  const refusedSegments = (reason: string): Promise<number> =>
    metric(`filament_kernel_refused_segments_total{reason="${reason}"}`);

  /** A route of one BIRD arrives at the bystander: the session carries, and nothing has happened to that one's. */
  async function carries(from: Bird, prefix: string): Promise<void> {
    const route = { family: FAMILY, prefix, nextHop: '192.0.2.3' } as const;
    await from.announce(route);
    await arrives(bystander, route);
    expect(await filament.neighbor(bystander.address)).toMatchObject({ state: 'established', flaps: 0 });
  }

  /** The key of a session with a hold time of 9 seconds is changed here, then there: what is signed with the old one is refused. */
  async function isRolled(
    second: Filament,
    here: () => Promise<unknown>,
    there: () => Promise<unknown>,
  ): Promise<void> {
    const refused = await refusedSegments('md5-wrong');
    await here();
    // Keepalives come every three seconds.
    await eventually('a keepalive is refused', async () => (await refusedSegments('md5-wrong')) > refused);
    await there();
    const { messages } = await filament.neighbor(second.address);
    await eventually('keepalives come again', async () => {
      const now = await filament.neighbor(second.address);
      return now.messages.received.keepalive > messages.received.keepalive + 1;
    });
    for (const view of [await filament.neighbor(second.address), await second.neighbor(filament.address)]) {
      expect(view).toMatchObject({ state: 'established', flaps: 0 });
    }
  }

  beforeAll(async () => {
    filament = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.0.254' });
    bystander = await bird({});
    filament.describe({ neighbors: [neighbor(bystander)] });
    await Promise.all([filament.start(), bystander.start()]);
    await filament.established(bystander.address);
  });

  beforeEach(async () => {
    await configure();
    invariants = await Invariants.watch(filament);
  });

  afterEach(async () => {
    await configure();
    await invariants.hold();
  });

  afterAll(async () => {
    await lab.close();
    await otherLab.close();
  });

  test('A27 wrong TCP MD5 key: no session, counted and explained; with the right one BIRD connects', async () => {
    const peer = await bird({ password: KEY });
    await peer.start();
    const before = await refusedSegments('md5-wrong');
    await configure(neighbor(peer, { md5Password: WRONG_KEY }));
    await eventually(
      'the reason is told',
      async () => (await filament.neighbor(peer.address)).lastError === 'no answer; is the key the same on both sides?',
    );
    await eventually('it is counted', async () => (await refusedSegments('md5-wrong')) > before);
    expect((await filament.neighbor(peer.address)).flaps).toBe(0);
    expect(await peer.isEstablished(filament.address)).toBe(false);
    await configure(neighbor(peer, { md5Password: KEY }));
    await filament.established(peer.address);
    await carries(peer, '10.1.1.0/24');
  });

  test('A27 a key on one side only: no session, in either direction', async () => {
    const [keyed, plain] = [await bird({ password: KEY }), await bird({})];
    await Promise.all([keyed.start(), plain.start()]);
    const [unexpected, missing] = [await refusedSegments('md5-unexpected'), await refusedSegments('md5-missing')];
    await configure(neighbor(keyed), neighbor(plain, { md5Password: KEY }));
    await eventually(
      'both are refused',
      async () =>
        (await refusedSegments('md5-unexpected')) > unexpected && (await refusedSegments('md5-missing')) > missing,
    );
    for (const { address } of [keyed, plain]) {
      expect(await filament.neighbor(address)).toMatchObject({ flaps: 0, uptimeSeconds: 0 });
    }
  });

  test('A27 neighbors of a dynamic range have the key of its peer group', async () => {
    const peer = await bird({ password: KEY });
    await peer.start();
    dynamicNeighbors = [{ prefix: `${peer.address}/32`, peerGroup: 'keyed' }];
    await configure();
    await filament.established(peer.address);
    expect(await filament.neighbor(peer.address)).toMatchObject({ dynamic: true });
    await peer.stop();
    dynamicNeighbors = [];
    await configure();
  });

  test('A27 a dynamic neighbor that is dropped by a reload comes back: the key of a range of one address outlives it', async () => {
    const peer = await bird({ password: KEY });
    await peer.start();
    dynamicNeighbors = [{ prefix: `${peer.address}/32`, peerGroup: 'keyed' }];
    await configure();
    await filament.established(peer.address);
    expect(await filament.neighbor(peer.address)).toMatchObject({ dynamic: true, holdTime: 30 });
    keyedGroup = { holdTime: 21 };
    await configure();
    await eventually('it is back, with the new hold time', async () => {
      const { state, holdTime } = await filament.neighbor(peer.address);
      return state === 'established' && holdTime === 21;
    });
    await peer.stop();
    dynamicNeighbors = [];
    keyedGroup = {};
    await configure();
  });

  test('A27 the key of a range is rolled on both sides while a session is up: it does not flap', async () => {
    const second = await Filament.create(
      lab,
      { autonomousSystem: AS, routerId: '10.255.0.252' },
      otherLab.nextAddress(),
    );
    const back = (md5Password: string): ConfigPart => ({
      ...neighbor({ address: filament.address, port: filament.bgpPort }, { md5Password, holdTime: 9 }),
      localAddress: second.address,
      routeReflectorClient: false,
    });
    second.describe({ neighbors: [back(KEY)] });
    await second.start();
    // A range of a whole network in which the others, without keys, are not.
    dynamicNeighbors = [{ prefix: otherLab.prefix, peerGroup: 'keyed' }];
    await configure();
    await filament.established(second.address);
    await isRolled(
      second,
      async () => {
        keyedGroup = { md5Password: OTHER_KEY };
        await configure();
      },
      () => second.reload({ neighbors: [back(OTHER_KEY)] }),
    );
    expect(await filament.neighbor(second.address)).toMatchObject({ dynamic: true });
    // One that comes now needs the new key, too.
    await second.stop();
    await eventually('it is gone', async () => (await filament.neighbor(second.address)).state !== 'established');
    await second.start();
    await filament.established(second.address);
    await second.stop();
    dynamicNeighbors = [];
    keyedGroup = {};
    await configure();
  });

  test('A27 the key is rolled on both sides while the session is up: it does not flap', async () => {
    const second = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.0.253' });
    const towards = (md5Password: string): ConfigPart =>
      neighbor({ address: second.address, port: second.bgpPort }, { md5Password, holdTime: 9 });
    const back = (md5Password: string): ConfigPart => ({
      ...neighbor({ address: filament.address, port: filament.bgpPort }, { md5Password, holdTime: 9 }),
      localAddress: second.address,
      routeReflectorClient: false,
    });
    second.describe({ neighbors: [back(KEY)] });
    await second.start();
    await configure(towards(KEY));
    await filament.established(second.address);
    await isRolled(
      second,
      () => configure(towards(OTHER_KEY)),
      () => second.reload({ neighbors: [back(OTHER_KEY)] }),
    );
    await second.stop();
  });

  test('A27 the key is rolled, and the other side takes it over by beginning anew: its new connection replaces the old one', async () => {
    const peer = await bird({ password: KEY });
    await peer.start();
    await configure(neighbor(peer, { md5Password: KEY }));
    await filament.established(peer.address);
    await configure(neighbor(peer, { md5Password: OTHER_KEY }));
    // What it says when it ends is signed with the old key: we do not hear it.
    await peer.stop();
    expect(await filament.neighbor(peer.address)).toMatchObject({ state: 'established', flaps: 0 });
    const anew = await bird({ password: OTHER_KEY }, peer.address, peer.port);
    await anew.start();
    await eventually('the session is a new one', async () => {
      const { state, flaps } = await filament.neighbor(peer.address);
      return state === 'established' && flaps === 1;
    });
    await carries(anew, '10.1.3.0/24');
    // Not because the hold time was over.
    expect((await filament.neighbor(peer.address)).lastReset?.reason).toMatch(/Cease.*[Cc]onfiguration/);
  });

  test('A28 TTL security: BIRD that sends 255 connects, one that does not is dropped before the session', async () => {
    const [near, far, calling] = [await bird({ ttlSecurity: true }), await bird({}), await bird({})];
    await Promise.all([near.start(), far.start(), calling.start()]);
    const ttlSecurity = { hops: 1 };
    const dropped = await refusedSegments('ttl-too-small');
    await configure(
      neighbor(near, { ttlSecurity }),
      neighbor(far, { ttlSecurity }),
      neighbor(calling, { ttlSecurity, passive: true }),
    );
    await filament.established(near.address);
    await carries(near, '10.1.2.0/24');
    // BIRD's listening socket answers with 255, what it sends then has 64.
    await eventually('what it sends is dropped', async () => (await refusedSegments('ttl-too-small')) > dropped);
    await eventually('its connections to us are cut', async () => {
      const { lastError } = await filament.neighbor(calling.address);
      return lastError === 'its connection was cut: TTL 64 is below 255';
    });
    for (const { address } of [far, calling]) {
      const { flaps, uptimeSeconds, messages } = await filament.neighbor(address);
      expect({ flaps, uptimeSeconds, opens: messages.received.open }).toEqual({ flaps: 0, uptimeSeconds: 0, opens: 0 });
    }
  });

  test('E11 the keys are in no log, answer or metric', async () => {
    const texts: string[] = [];
    // By itself too, without the tests above: each key is taken, and each is replaced.
    const place = { address: lab.nextAddress(), port: await freePort(filament.address) };
    for (const md5Password of [KEY, OTHER_KEY, WRONG_KEY, KEY]) {
      texts.push(...(await configure(neighbor(place, { md5Password }))));
    }
    expect(texts.filter((change) => change.includes('md5Password'))).toHaveLength(3);
    const log = filament.process.logTail(Number.MAX_SAFE_INTEGER);
    // All of it, from the start on.
    expect(log).toContain('"msg":"listening"');
    texts.push(log);
    for (const path of ['/api/v1/neighbors', '/metrics']) {
      texts.push(await (await fetch(filament.apiUrl + path)).text());
    }
    expect(texts.join('\n')).toContain('neighbor');
    for (const key of [KEY, OTHER_KEY, WRONG_KEY]) expect(texts.join('\n')).not.toContain(key);
  });
});
