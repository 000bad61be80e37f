/** Paths with identifiers (RFC 7911) in the RIB, against a map: as few or as many of a route as a neighbor likes. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { familyById } from '../../src/bgp/nlri/registry.js';
import { SourceKind } from '../../src/rib/source.js';
import { SourceSweep } from '../../src/rib/source-sweep.js';
import { UpdateReceiver } from '../../src/rib/update-receiver.js';
import { AS_PATH, attribute, LOCAL_PREF, NEXT_HOP, ORIGIN, updateBody } from '../support/update-messages.js';
import { HandScheduler, newRib, pathsOf, routeAtKey, runs, same } from './world.js';

const u32 = (value: number): string => value.toString(16).padStart(8, '0');
const PREFIXES = ['18 0a0000', '18 0a0001', '20 0a000001'];

interface Said {
  readonly prefix: number;
  readonly id: number;
  /** Absent: a withdrawal. */
  readonly med?: number | undefined;
}

const said = fc.record({
  prefix: fc.nat(PREFIXES.length - 1),
  // Beyond 64 paths an index takes over (rib/chain-index.ts); 0 and the largest are identifiers as others are.
  id: fc.oneof(fc.nat(3), fc.nat(150), fc.constant(0xffff_ffff)),
  med: fc.option(fc.nat(3), { nil: undefined }),
});

test('whatever is announced and withdrawn with identifiers, the RIB has the last of each, best first (RFC 7911 §3)', () => {
  fc.assert(
    fc.property(fc.array(fc.array(said, { maxLength: 120 }), { maxLength: 6 }), (turns) => {
      const rib = newRib();
      const hand = new HandScheduler();
      const table = rib.createTable({
        name: 'inet.0',
        family: familyById(FamilyId.ipv4Unicast),
        scheduler: hand.scheduler,
      });
      const source = rib.createSource({
        kind: SourceKind.bgp,
        text: 'n',
        routerId: 1,
        address: Uint8Array.of(1, 2, 3, 4),
      });
      const receiver = new UpdateReceiver({
        rib,
        source,
        sweep: new SourceSweep(rib, source, hand.scheduler),
        context: { fourOctetAs: true, external: false, addPath: [FamilyId.ipv4Unicast] },
        ownAses: [],
        allowOwnAs: 0,
        routerId: 1,
        clusterId: 1,
        tableOf: () => table,
        endOfRib: () => undefined,
      });
      const model = PREFIXES.map(() => new Map<number, number>());
      const tell = ({ prefix, id, med }: Said): void => {
        const nlri = `${u32(id)} ${PREFIXES[prefix]!}`;
        const attributes = ORIGIN + AS_PATH + NEXT_HOP + attribute(0x80, 4, u32(med ?? 0)) + LOCAL_PREF;
        const body = updateBody(med === undefined ? { withdrawn: nlri } : { attributes, nlri });
        same(receiver.receive(body, 0, body.length), undefined);
        if (med === undefined) model[prefix]!.delete(id);
        else model[prefix]!.set(id, med);
      };
      for (const turn of turns) {
        for (const each of turn) tell(each);
        hand.settle();
        for (const [prefix, paths] of model.entries()) {
          const key = Buffer.from(PREFIXES[prefix]!.replace(' ', ''), 'hex');
          const route = routeAtKey(rib, table, key);
          const held = pathsOf(rib, route).map((path) => [
            rib.discriminatorOf(path),
            rib.attributes.med[rib.setOf(path)],
          ]);
          same(
            held,
            [...paths].sort(([a, medA], [b, medB]) => medA - medB || a - b),
          );
        }
      }
      while (!rib.removePathsOf(source, 10));
      hand.settle();
      same([rib.pathCount, rib.routeCount, rib.attributes.size], [0, 0, 0]);
    }),
    runs(60),
  );
  expect.assertions(0);
});
