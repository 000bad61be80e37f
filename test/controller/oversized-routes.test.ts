import { expect, test } from '@jest/globals';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { familyById } from '../../src/bgp/nlri/registry.js';
import { ExportGroups } from '../../src/controller/export-groups.js';
import { OversizedRoutes } from '../../src/controller/oversized-routes.js';
import type { BgpExportOptions } from '../../src/rib/bgp-exporter.js';
import { NO_PATH } from '../../src/rib/handles.js';
import { SourceKind, type Source } from '../../src/rib/source.js';
import { ManualClock } from '../../src/util/clock.js';
import { silentLogger } from '../../src/util/logger.js';
import { FakeNeighbor } from '../rib/fake-neighbor.js';
import { HandScheduler, newRib } from '../rib/world.js';

const family = familyById(FamilyId.ipv4Unicast);
const OPTIONS: BgpExportOptions = {
  family,
  kind: 'client',
  localAs: 64512,
  routerId: 1,
  clusterId: 1,
  fourOctetAs: true,
  maxMessageLength: 4096,
  routeServerClient: false,
  asOverride: 0,
  removePrivateAs: 'none',
  withheldTypes: [],
  vrf: false,
  extendedNextHop: false,
  longLivedStale: false,
};

test('B41 the log names the first ten routes that do not fit, how many there are, and each once (RFC 4271 §9.2)', () => {
  const rib = newRib();
  const hand = new HandScheduler();
  const clock = new ManualClock();
  const table = rib.createTable({ name: 'inet', family, scheduler: hand.scheduler });
  const groups = new ExportGroups(rib, hand.scheduler);
  const source = (index: number): Source =>
    rib.createSource({
      kind: SourceKind.bgp,
      text: '',
      routerId: index,
      address: Uint8Array.of(192, 0, 2, index),
      external: false,
      client: true,
    });
  const sender = source(1);
  const neighbor = new FakeNeighbor(OPTIONS, source(2).id, OPTIONS.localAs, undefined);
  groups.joinBgp(table, OPTIONS, neighbor);
  const records: unknown[] = [];
  const oversized = new OversizedRoutes(clock, { ...silentLogger, warn: (fields) => records.push(fields) }, groups);
  oversized.start();

  const announce = (from: number, to: number, octets: number): void => {
    const unknown = [{ flags: 0xc0, type: 253, value: new Uint8Array(octets) }];
    const nextHop = Uint8Array.of(192, 0, 2, 1);
    const set = rib.attributes.intern({ nextHop, origin: 0, asPath: [], localPreference: 100, unknown });
    const payload = rib.payloads.intern(new Uint8Array(0), 0);
    for (let i = from; i < to; i++) {
      const key = Uint8Array.of(24, 10, 0, i);
      rib.announce(table, sender, key, 0, key.length, set, payload, 0, NO_PATH);
    }
    hand.settle();
  };
  const prefixes = (from: number, to: number): string[] =>
    Array.from({ length: to - from }, (_, i) => `10.0.${from + i}.0/24`);

  announce(0, 30, 100);
  expect(neighbor.held.size).toBe(30);
  announce(0, 12, 4080);
  expect(neighbor.held.size).toBe(18);
  announce(12, 15, 4081);
  clock.advance(10_000);
  const where = { table: 'inet', family: 'ipv4-unicast' };
  expect(records).toEqual([{ ...where, routes: 15, prefixes: prefixes(0, 10) }]);
  clock.advance(10_000);
  expect(records).toHaveLength(1);

  announce(20, 22, 4082);
  clock.advance(10_000);
  expect(records.slice(1)).toEqual([{ ...where, routes: 2, prefixes: prefixes(20, 22) }]);
  expect(neighbor.held.size).toBe(13);
  expect(neighbor.faults).toEqual([]);
  oversized.stop();
  expect(clock.pending).toBe(0);
});
