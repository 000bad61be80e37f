import { describe, expect, test } from '@jest/globals';

import type { ProtocolFault } from '../../../src/bgp/attribute/fault.js';
import type { Capability } from '../../../src/bgp/capability/capability.js';
import type { OpenMessage } from '../../../src/bgp/message/open.js';
import { FamilyId } from '../../../src/bgp/nlri/family.js';
import { localOpen, negotiate } from '../../../src/bgp/session/negotiation.js';
import type { Negotiated, NegotiationConfig } from '../../../src/bgp/session/negotiation.js';

const CONFIG: NegotiationConfig = {
  localAs: 64512,
  peerAs: 64513,
  routerId: 0x0a000001,
  families: [FamilyId.ipv4Unicast, FamilyId.l3vpnIpv4Unicast, FamilyId.ipv6Unicast, FamilyId.rtc],
  holdTimeSec: 90,
};
const REMOTE: OpenMessage = { asField: 64513, holdTimeSec: 30, identifier: 0x0a000002, capabilities: [] };

const mp = (afi: number, safi: number): Capability => ({ kind: 'multiprotocol', afi, safi });
const as4 = (asn: number): Capability => ({ kind: 'four-octet-as', asn });

function agreed(remote: Partial<OpenMessage>, config: Partial<NegotiationConfig> = {}): Negotiated {
  const result = negotiate({ ...CONFIG, ...config }, { ...REMOTE, ...remote });
  if ('action' in result) throw new Error(result.reason);
  return result;
}

function refused(remote: Partial<OpenMessage>, config: Partial<NegotiationConfig> = {}): ProtocolFault {
  const result = negotiate({ ...CONFIG, ...config }, { ...REMOTE, ...remote });
  if (!('action' in result)) throw new Error('was accepted');
  return result;
}

describe('what we announce', () => {
  test('families, refresh, extended next hop for IPv4 families, extended messages, graceful restart without families, 4-octet AS', () => {
    const open = localOpen({ ...CONFIG, localAs: 4_200_000_000 });
    expect(open).toEqual({
      asField: 23456,
      holdTimeSec: 90,
      identifier: 0x0a000001,
      capabilities: [
        mp(1, 1),
        mp(1, 128),
        mp(2, 1),
        mp(1, 132),
        { kind: 'route-refresh' },
        {
          kind: 'extended-next-hop',
          families: [
            { afi: 1, safi: 1, nextHopAfi: 2 },
            { afi: 1, safi: 128, nextHopAfi: 2 },
          ],
        },
        { kind: 'extended-message' },
        { kind: 'graceful-restart', restarting: false, notification: false, restartTimeSec: 0, families: [] },
        as4(4_200_000_000),
        { kind: 'enhanced-route-refresh' },
      ],
    });
    expect(localOpen({ ...CONFIG, families: [FamilyId.l2vpnEvpn] }).capabilities.map(({ kind }) => kind)).not.toContain(
      'extended-next-hop',
    );
  });
});

describe('several paths of a route (RFC 7911)', () => {
  const addPath = [FamilyId.ipv4Unicast, FamilyId.l3vpnIpv4Unicast];
  const sends = (...families: ReadonlyArray<readonly [afi: number, safi: number, mode: number]>): Capability => ({
    kind: 'add-path',
    families: families.map(([afi, safi, mode]) => ({ afi, safi, mode })),
  });
  const families = [mp(1, 1), mp(1, 128), mp(2, 1)];

  test('we announce that we receive them where that is configured, and nothing otherwise (RFC 7911 §4)', () => {
    expect(localOpen({ ...CONFIG, addPath }).capabilities).toContainEqual(sends([1, 1, 1], [1, 128, 1]));
    for (const none of [{}, { addPath: [] }]) {
      expect(localOpen({ ...CONFIG, ...none }).capabilities.map(({ kind }) => kind)).not.toContain('add-path');
    }
  });

  test('they come in families that the neighbor sends so and that we take so, both negotiated (RFC 7911 §4)', () => {
    const received = (config: Partial<NegotiationConfig>, ...capabilities: Capability[]): readonly FamilyId[] =>
      agreed({ capabilities: [...families, ...capabilities] }, config).addPath;
    expect(received({ addPath }, sends([1, 1, 2], [1, 128, 3], [2, 1, 3]))).toEqual(addPath);
    expect(received({ addPath }, sends([1, 1, 1], [1, 128, 0]), sends([1, 128, 4]))).toEqual([]);
    expect(received({ addPath })).toEqual([]);
    expect(received({}, sends([1, 1, 3]))).toEqual([]);
    expect(received({ addPath: [FamilyId.l2vpnEvpn] }, sends([25, 70, 3]))).toEqual([]);
  });
});

describe('graceful restart', () => {
  const GRACEFUL = { ownRestarts: true, restartTimeSec: 120, longLivedTimeSec: 0 } as const;
  const two = [FamilyId.ipv4Unicast, FamilyId.rtc];
  const told = (config: Partial<NegotiationConfig>, restarting = false): Capability[] =>
    localOpen({ ...CONFIG, families: two, ...config }, restarting).capabilities.filter(({ kind }) =>
      kind.endsWith('graceful-restart'),
    );
  const preserved = [
    { afi: 1, safi: 1, forwardingPreserved: true },
    { afi: 1, safi: 132, forwardingPreserved: true },
  ];

  test('own restarts are announced with every family, forwarding preserved, and R only after a start (RFC 4724 §3)', () => {
    const capability = { kind: 'graceful-restart', notification: true, restartTimeSec: 120, families: preserved };
    expect(told({ gracefulRestart: GRACEFUL })).toEqual([{ ...capability, restarting: false }]);
    expect(told({ gracefulRestart: GRACEFUL }, true)).toEqual([{ ...capability, restarting: true }]);
  });

  test('a helper announces no family, and that NOTIFICATIONs are graceful (RFC 4724 §3, RFC 8538 §2)', () => {
    expect(told({ gracefulRestart: { ...GRACEFUL, ownRestarts: false, longLivedTimeSec: 9 } }, true)).toEqual([
      { kind: 'graceful-restart', restarting: false, notification: true, restartTimeSec: 0, families: [] },
    ]);
  });

  test('of several capabilities the last counts (RFC 4724 §3)', () => {
    const one = { kind: 'graceful-restart', restarting: false, notification: true } as const;
    const first: Capability = { ...one, restartTimeSec: 4095, families: preserved };
    const last: Capability = { ...one, restartTimeSec: 7, families: [] };
    expect(agreed({ capabilities: [mp(1, 1), first, last] }).gracefulRestart).toMatchObject({
      restartTimeSec: 7,
      families: [],
    });
  });

  test('long-lived graceful restart counts when both announce it, beside graceful restart (RFC 9494 §3.1)', () => {
    const gracefulRestart = { ...GRACEFUL, longLivedTimeSec: 3600 };
    expect(told({ gracefulRestart })[1]).toEqual({
      kind: 'long-lived-graceful-restart',
      families: preserved.map((family) => ({ ...family, staleTimeSec: 3600 })),
    });
    const longLived: Capability = {
      kind: 'long-lived-graceful-restart',
      families: [{ afi: 1, safi: 1, forwardingPreserved: true, staleTimeSec: 60 }],
    };
    const plain: Capability = {
      kind: 'graceful-restart',
      restarting: false,
      notification: true,
      restartTimeSec: 1,
      families: [],
    };
    const families = [{ family: FamilyId.ipv4Unicast, forwardingPreserved: true, staleTimeSec: 60 }];
    expect(agreed({ capabilities: [plain, longLived] }, { gracefulRestart }).longLivedRestart).toEqual(families);
    expect(agreed({ capabilities: [longLived] }, { gracefulRestart }).longLivedRestart).toBeUndefined();
    expect(
      agreed({ capabilities: [plain, longLived] }, { gracefulRestart: GRACEFUL }).longLivedRestart,
    ).toBeUndefined();
    expect(agreed({ capabilities: [plain] }, { gracefulRestart }).gracefulNotification).toBe(true);
    expect(agreed({ capabilities: [plain] }).gracefulNotification).toBe(false);
  });
});

describe('the AS number', () => {
  test('without the capability it is the 2-octet field (RFC 6793 §4.1)', () => {
    expect(agreed({})).toMatchObject({ peerAs: 64513, fourOctetAs: false, external: true });
  });

  test('with the capability it is that of the capability', () => {
    const negotiated = agreed({ asField: 23456, capabilities: [as4(4_200_000_000)] }, { peerAs: 4_200_000_000 });
    expect(negotiated).toMatchObject({ peerAs: 4_200_000_000, fourOctetAs: true });
  });

  test('external, internal and any', () => {
    expect(agreed({}, { peerAs: 'external' }).external).toBe(true);
    expect(agreed({ asField: 64512 }, { peerAs: 'internal' }).external).toBe(false);
    expect(agreed({ asField: 65000 }, { peerAs: 'any' }).peerAs).toBe(65000);
    expect(refused({ asField: 64512 }, { peerAs: 'external' }).subcode).toBe(2);
    expect(refused({}, { peerAs: 'internal' }).subcode).toBe(2);
  });
});

describe('families', () => {
  test('a peer without any multiprotocol capability speaks IPv4 unicast (RFC 4760 §8)', () => {
    expect(agreed({}).families).toEqual([FamilyId.ipv4Unicast]);
  });

  test('a peer with one speaks only what it names', () => {
    expect(agreed({ capabilities: [mp(2, 1), mp(1, 128), mp(25, 65), mp(1, 128)] }).families).toEqual([
      FamilyId.l3vpnIpv4Unicast,
      FamilyId.ipv6Unicast,
    ]);
  });

  test('none in common is unsupported capability with what we miss as data (RFC 5492 §5)', () => {
    const fault = refused({ capabilities: [mp(25, 70)] }, { families: [FamilyId.ipv6Unicast, FamilyId.rtc] });
    expect(fault).toMatchObject({ code: 2, subcode: 7 });
    expect(Buffer.from(fault.data ?? []).toString('hex')).toBe('010400020001' + '010400010084');
    expect(refused({}, { families: [FamilyId.rtc] }).subcode).toBe(7);
  });
});

describe('the rest', () => {
  test('the hold time is the smaller one, 0 wins (RFC 4271 §4.2)', () => {
    expect(agreed({})).toMatchObject({ holdTimeSec: 30, keepaliveSec: 10 });
    expect(agreed({ holdTimeSec: 180 }).holdTimeSec).toBe(90);
    expect(agreed({ holdTimeSec: 0 })).toMatchObject({ holdTimeSec: 0, keepaliveSec: 0 });
  });

  test('a bare peer gets nothing that it did not announce', () => {
    const negotiated = agreed({});
    expect(negotiated).toMatchObject({
      maxMessageLength: 4096,
      routeRefresh: false,
      enhancedRouteRefresh: false,
      extendedNextHopFamilies: [],
      remoteCapabilities: [],
    });
    expect(negotiated).not.toHaveProperty('gracefulRestart');
  });

  test('extended next hop is for the families of both, with an IPv6 next hop (RFC 8950 §4)', () => {
    const capability: Capability = {
      kind: 'extended-next-hop',
      families: [
        { afi: 1, safi: 128, nextHopAfi: 2 },
        { afi: 1, safi: 4, nextHopAfi: 2 },
        { afi: 1, safi: 1, nextHopAfi: 1 },
        { afi: 25, safi: 70, nextHopAfi: 2 },
      ],
    };
    const negotiated = agreed({ capabilities: [mp(1, 1), mp(1, 128), capability] });
    expect(negotiated.extendedNextHopFamilies).toEqual([FamilyId.l3vpnIpv4Unicast]);
  });

  test('graceful restart and the text of all capabilities are kept for those who ask', () => {
    const capabilities: Capability[] = [
      mp(1, 1),
      { kind: 'enhanced-route-refresh' },
      {
        kind: 'graceful-restart',
        restarting: true,
        notification: true,
        restartTimeSec: 120,
        families: [
          { afi: 1, safi: 1, forwardingPreserved: true },
          { afi: 25, safi: 65, forwardingPreserved: false },
        ],
      },
      { kind: 'opaque', code: 128, value: new Uint8Array(0) },
    ];
    const negotiated = agreed({ capabilities });
    // Enhanced refresh without refresh means nothing.
    expect(negotiated.enhancedRouteRefresh).toBe(false);
    expect(negotiated.gracefulRestart).toEqual({
      restartTimeSec: 120,
      restarting: true,
      notification: true,
      families: [{ family: FamilyId.ipv4Unicast, forwardingPreserved: true }],
    });
    expect(negotiated.remoteCapabilities).toEqual([
      'multiprotocol:ipv4-unicast',
      'enhanced-route-refresh',
      'graceful-restart:120s:ipv4-unicast,25/65',
      'route-refresh-cisco',
    ]);
  });

  test('of very many capabilities some are shown, and how many are left out', () => {
    const many = Array.from({ length: 600 }, (_, n) => mp(1000 + n, 1));
    const shown = agreed({ capabilities: [mp(1, 1), ...many] }).remoteCapabilities;
    expect(shown).toHaveLength(129);
    expect(shown[0]).toBe('multiprotocol:ipv4-unicast');
    expect(shown.at(-1)).toBe('more:473');
  });

  test('the reason of a refusal names some of the families that were offered, however many there are', () => {
    const capabilities = Array.from({ length: 600 }, (_, n) => mp(1000 + n, 1));
    expect(refused({ capabilities }).reason).toMatch(/multiprotocol:1015\/1 more:584 /);
  });
});
