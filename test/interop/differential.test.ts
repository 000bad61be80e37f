/**
 * The same damaged UPDATE to Filament, FRR, BIRD and GoBGP, each between a neighbor that sends it and one that watches. After
 * it comes a good route, the sentinel: when that has arrived the damaged one has been dealt with, and its prefix, announced
 * well before, is still there, is gone, or the session has ended. Verdicts that differ must be explained below; docs/interop.md
 * tells the same in prose.
 *
 *   FILAMENT_DIFFERENTIAL=400:7 npm test -- --phase=interop test/interop/differential     400 cases with seed 7
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeUpdate } from '../../src/bgp/message/update-decode.js';
import { Random } from '../fuzz/random.js';
import { mutateAttribute } from '../fuzz/update-mutations.js';
import { Bird } from '../support/bird.js';
import type { DaemonDescription } from '../support/bgp-daemon.js';
import { eventually } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Frr } from '../support/frr.js';
import { Gobgp } from '../support/gobgp.js';
import { Lab } from '../support/lab.js';
import { RawSpeaker } from '../support/raw-speaker.js';
import { describeWithDaemons } from '../support/requirements.js';
import { attribute, octets, updateBody } from '../support/update-messages.js';

const AS = 65000;
const SENDER_AS = 64512;
const [CASES = 25, SEED = 7606] = (process.env['FILAMENT_DIFFERENTIAL'] ?? '').split(':').filter(Boolean).map(Number);
/** Neighbors that send: one that was thrown out is held off, longer each time, so there are others to go on with. */
const SENDERS = Math.min(30, Math.max(6, Math.ceil(CASES / 15)));

/** What became of the route; with `reset` comes the NOTIFICATION that said so. */
type Verdict = 'kept' | 'withdrawn' | `reset ${string}`;

/** A good external route with every attribute that all four know. */
const GOOD = [
  attribute(0x40, 1, '00'),
  attribute(0x40, 2, '0202 0000fc00 0000fde9'),
  attribute(0x40, 3, 'c0000201'),
  attribute(0x80, 4, '00000064'),
  attribute(0x40, 6, ''),
  attribute(0xc0, 7, '0000fde9 c0000209'),
  attribute(0xc0, 8, 'fc000001 fc000002'),
  attribute(0xc0, 16, '0002fc0000000064'),
  attribute(0xc0, 32, '0000fc00 00000001 00000002'),
].map(octets);

/** Differences that have an explanation, by what Filament finds wrong with the attributes. docs/interop.md has the same list. */
const EXPLAINED: ReadonlyArray<{
  readonly daemon: RegExp;
  readonly theirs: RegExp;
  readonly ours: RegExp;
  readonly reason: RegExp;
}> = [
  // 8.4.4 withdraws and then reads on at the wrong octet, where it finds an impossible prefix; RFC 7606 §2 keeps the session.
  { daemon: /frr/, theirs: /^reset 3\/10$/, ours: /^(withdrawn|reset 3\/2)$/, reason: /./ },
  // It resets the session as RFC 4271 §6.3 had it; RFC 7606 §4 asks for a withdrawal.
  { daemon: /frr|gobgp/, theirs: /^reset 3\/[15]$/, ours: /^withdrawn$/, reason: /runs past the end/ },
  // The same for an attribute that is there twice: RFC 7606 §3 g keeps the first. Where one has become another, a mandatory one
  // is missing, too.
  { daemon: /frr/, theirs: /^reset 3\/[14]$/, ours: /^(kept|withdrawn)$/, reason: /appears twice|missing|^nothing$/ },
  { daemon: /gobgp/, theirs: /^withdrawn$/, ours: /^kept$/, reason: /appears twice/ },
  // RFC 4271 §6.3, which RFC 7606 does not revise: 3/2. Others withdraw, or take it for an optional one and pass it on.
  { daemon: /./, theirs: /^(kept|withdrawn|reset 3\/1)$/, ours: /^reset 3\/2$/, reason: /not recognised/ },
  // RFC 7606 §3 f discards these two whatever is wrong with them; §3 c by itself would withdraw.
  { daemon: /bird|gobgp/, theirs: /^withdrawn$/, ours: /^kept$/, reason: /^(aggregator|atomic-aggregate): flags/ },
  // The wrong flags made one that is there twice: it resets the session for that (RFC 7606 §3 g keeps the first).
  { daemon: /frr/, theirs: /^reset 3\/1$/, ours: /^kept$/, reason: /^(aggregator|atomic-aggregate): flags/ },
  // With the flags of a well-known attribute it is one that others do not know. RFC 8669 §6 discards Prefix-SID for any error; RFC 7606 §3 c
  // withdraws for the flags of the rest.
  { daemon: /./, theirs: /^(withdrawn|reset)/, ours: /^kept$/, reason: /^prefix-sid: flags/ },
  { daemon: /frr|gobgp/, theirs: /^reset 3\/[12]$/, ours: /^withdrawn$/, reason: /^attr-set: flags/ },
  // Discarded unread in a session with 4-octet AS numbers (RFC 6793 §6).
  { daemon: /gobgp/, theirs: /^reset 3\/1$/, ours: /^kept$/, reason: /^as4-(path|aggregator): sent by a 4-octet/ },
  // RFC 7311 §3.2 discards an AIGP attribute, and does not say that its flags are different.
  { daemon: /gobgp/, theirs: /^withdrawn$/, ours: /^kept$/, reason: /^aigp: flags/ },
  // The lower four bits of the flags are to be ignored (RFC 4271 §4.3).
  { daemon: /gobgp/, theirs: /^withdrawn$/, ours: /^kept$/, reason: /^nothing$/ },
  // Flags that contradict the type make a withdrawal (RFC 7606 §3 c); it looks at those of a few attributes only.
  { daemon: /gobgp/, theirs: /^kept$/, ours: /^withdrawn$/, reason: /flags/ },
  // It takes what is left of the attributes; RFC 7606 §4 and §3 d ask for a withdrawal.
  { daemon: /gobgp/, theirs: /^kept$/, ours: /^withdrawn$/, reason: /runs past the end|missing/ },
  // One octet is left behind the last attribute, too few for a header: RFC 7606 §4 again.
  { daemon: /frr/, theirs: /^kept$/, ours: /^withdrawn$/, reason: /runs past the end/ },
  // A tunnel longer than the attribute (RFC 9012 §13).
  { daemon: /gobgp/, theirs: /^kept$/, ours: /^withdrawn$/, reason: /^tunnel-encapsulation: malformed/ },
  // A segment without AS numbers (RFC 7606 §7.2).
  { daemon: /gobgp/, theirs: /^kept$/, ours: /^withdrawn$/, reason: /^as-path: malformed/ },
  // Whether a path begins with the neighbor's AS is asked here unless the configuration says otherwise (RFC 4271 §6.3), there if it does.
  { daemon: /./, theirs: /^kept$/, ours: /^withdrawn$/, reason: /^first AS/ },
  // A next hop of class E is no reason to end the session (RFC 7606 §7.3).
  { daemon: /frr/, theirs: /^reset 3\/8$/, ours: /^withdrawn$/, reason: /^next-hop/ },
  // These two are discarded by their own RFCs (RFC 8669 §6, RFC 6793 §6).
  { daemon: /frr|gobgp/, theirs: /./, ours: /^kept$/, reason: /^(prefix-sid|as4-path|as4-aggregator): malformed/ },
  // RFC 6793 §6 has a 4-octet speaker drop AS4_AGGREGATOR of another one; RFC 7606 §3 c looks at flags first, and §3 h takes the
  // stronger of both. FRR's own table of outcomes says so of AS4_PATH.
  { daemon: /./, theirs: /^kept$/, ours: /^withdrawn$/, reason: /^as4-(path|aggregator): flags/ },
  // It does not know the attribute, which as an optional non-transitive one is dropped (RFC 4271 §5).
  { daemon: /bird/, theirs: /^kept$/, ours: /^withdrawn$/, reason: /^ipv6-extended-communities/ },
  // Partial set on a well-known attribute: RFC 4271 §4.3 forbids it, RFC 7606 §3 c names the other two bits only.
  { daemon: /bird/, theirs: /^kept$/, ours: /^withdrawn$/, reason: /^next-hop: flags 96/ },
];

interface Target {
  readonly name: 'filament' | 'frr' | 'bird' | 'gobgp';
  readonly senders: readonly RawSpeaker[];
  readonly observer: RawSpeaker;
}

describeWithDaemons(['frr', 'bird', 'gobgp'], 'the same damaged UPDATE', () => {
  const lab = new Lab('differential');
  let targets: readonly Target[];

  beforeAll(async () => {
    const addresses = (): string[] => Array.from({ length: SENDERS + 1 }, () => lab.nextAddress());
    const describing = (routerId: string, [observer = '', ...senders]: readonly string[]): DaemonDescription => ({
      autonomousSystem: AS,
      routerId,
      sessions: [observer, ...senders].map((address) => ({
        address,
        port: 179,
        autonomousSystem: address === observer ? AS : SENDER_AS,
        families: ['ipv4-unicast'],
        passive: true,
      })),
    });
    const of = addresses();
    const filament = await Filament.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.0.1',
      neighbors: of.map((address, i) => ({
        address,
        peerAs: i === 0 ? AS : SENDER_AS,
        passive: true,
        families: ['ipv4-unicast'],
      })),
    });
    const neighbors = [addresses(), addresses(), addresses()] as const;
    const frr = await Frr.create(lab, describing('10.255.0.2', neighbors[0]));
    const bird = await Bird.create(lab, describing('10.255.0.3', neighbors[1]));
    const gobgp = await Gobgp.create(lab, describing('10.255.0.4', neighbors[2]));
    const target = (
      name: Target['name'],
      to: { readonly address: string; readonly port: number },
      [observer = '', ...senders]: readonly string[],
    ): Target => {
      const speaker = (address: string, autonomousSystem: number, n: number): RawSpeaker =>
        new RawSpeaker({
          to,
          address,
          autonomousSystem,
          routerId: [10, 254, 0, n],
          external: autonomousSystem !== AS,
        });
      return {
        name,
        observer: speaker(observer, AS, 1),
        senders: senders.map((address, i) => speaker(address, SENDER_AS, i + 2)),
      };
    };
    targets = [
      target('filament', { address: filament.address, port: filament.bgpPort }, of),
      target('frr', frr, neighbors[0]),
      target('bird', bird, neighbors[1]),
      target('gobgp', gobgp, neighbors[2]),
    ];
    await Promise.all([filament.start(), frr.start(), bird.start(), gobgp.start()]);
    await Promise.all(targets.flatMap(({ observer, senders }) => [observer, ...senders].map((each) => each.connect())));
  }, 120_000);

  afterAll(async () => {
    for (const { observer, senders } of targets) for (const each of [observer, ...senders]) each.close();
    await lab.close();
  });

  /** Sends a good route, the damaged one for the same prefix, and the sentinel. */
  async function verdictOf({ name, observer, senders }: Target, damaged: string, n: number): Promise<Verdict> {
    const sender = senders.find((each) => !each.isDown) ?? senders[n % senders.length]!;
    if (sender.isDown) await sender.connect();
    const [prefix, sentinel] = [`18${hexOfPrefix(1, n)}`, `18${hexOfPrefix(2, n)}`];
    const good = Buffer.concat(GOOD).toString('hex');
    sender.update(updateBody({ attributes: good, nlri: prefix }));
    await eventually(`${name} hands on the good route of case ${n}`, () => observer.held.has(textOfPrefix(1, n)), {
      intervalMs: 10,
      explain: () =>
        `sender: ${sender.isDown} ${sender.notification}, observer: ${observer.isDown} ${observer.notification}`,
    });
    sender.update(updateBody({ attributes: damaged, nlri: prefix }));
    sender.update(updateBody({ attributes: good, nlri: sentinel }));
    await eventually(
      `${name} has dealt with case ${n}, ${damaged}`,
      () => sender.isDown || observer.held.has(textOfPrefix(2, n)),
      { intervalMs: 10 },
    );
    if (sender.isDown) return `reset ${sender.notification}`;
    return observer.held.has(textOfPrefix(1, n)) ? 'kept' : 'withdrawn';
  }

  test(
    `${CASES} cases of seed ${SEED}: every verdict that differs from ours is explained (RFC 7606)`,
    async () => {
      const unexplained: string[] = [];
      const counts = new Map<string, number>();
      for (let n = 0; n < CASES; n++) {
        const damaged = Buffer.concat(mutateAttribute(GOOD, new Random(SEED, n))).toString('hex');
        const verdicts = await Promise.all(targets.map((target) => verdictOf(target, damaged, n)));
        const ours = verdicts[0]!;
        const reason = reasonOf(damaged);
        for (const [i, { name }] of targets.entries()) {
          const theirs = verdicts[i]!;
          const same = theirs === ours;
          const summary = `${name}: ${same ? 'same' : `${theirs}, we ${ours}: ${reason.replace(/[0-9a-f]{6,}.*/, '')}`}`;
          counts.set(summary, (counts.get(summary) ?? 0) + 1);
          if (same) continue;
          const explained = EXPLAINED.some(
            (each) =>
              each.daemon.test(name) && each.theirs.test(theirs) && each.ours.test(ours) && each.reason.test(reason),
          );
          if (!explained) unexplained.push(`case ${n}, ${name} ${theirs}, we ${ours}: ${reason} | ${damaged}`);
        }
      }
      if (process.env['FILAMENT_DIFFERENTIAL'] !== undefined) {
        const lines = [...counts].map(([summary, count]) => `${count} ${summary}`);
        process.stderr.write(`${lines.sort().join('\n')}\n`);
      }
      expect(unexplained).toEqual([]);
    },
    60_000 + CASES * 5_000,
  );
});

/** What Filament's decoder finds wrong with the attributes, the worst first. */
function reasonOf(attributes: string): string {
  const body = updateBody({ attributes, nlri: '180a0000' });
  const { action, faults, announced } = decodeUpdate(body, 0, body.length, { fourOctetAs: true, external: true });
  const worst = faults.find((fault) => fault.action === action);
  if (worst !== undefined) return worst.reason;
  const first = announced[0]?.attributes.asPath?.[0]?.asns[0];
  return first === SENDER_AS ? 'nothing' : `first AS ${String(first)}`;
}

const hexOfPrefix = (net: number, n: number): string => Buffer.of(10 * net, n >>> 8, n & 0xff).toString('hex');
const textOfPrefix = (net: number, n: number): string => `${10 * net}.${n >>> 8}.${n & 0xff}.0/24`;
