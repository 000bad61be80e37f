/** What a configured session is to the session room. */
import type { FamilyId } from '../bgp/nlri/family.js';
import { familyByName } from '../bgp/nlri/registry.js';
import type { NeighborConfig } from '../bgp/session/neighbor-config.js';
import type { ResolvedSession } from '../config/resolved.js';
import type { ConfigFamily } from '../config/session-schema.js';
import { MAXIMUM_TTL } from '../net/segment-protection.js';
import type { SegmentProtection } from '../net/segment-protection.js';
import { defined } from '../util/assert.js';

/** @param routerId  our own identifier */
export function sessionConfig(
  config: ResolvedSession,
  address: string,
  routerId: number,
  dynamic: boolean,
): NeighborConfig {
  const { enabled, restartTime, longLivedTime } = config.gracefulRestart;
  return {
    address,
    port: config.port,
    ...(config.localAddress === undefined ? {} : { localAddress: config.localAddress }),
    peerAs: config.peerAs ?? 'any',
    localAs: config.localAs,
    routerId,
    families: familyIds(config.families),
    requiredFamilies: familyIds(config.requiredFamilies),
    addPath: familyIds(config.addPath.receive),
    passive: config.passive || dynamic,
    adminDown: config.adminDown,
    holdTimeSec: config.holdTime,
    minimumHoldTimeSec: config.minimumHoldTime,
    connectRetryTimeSec: config.connectRetryTime,
    sendHoldTimeSec: config.sendHoldTime,
    ...withProtection(config),
    ...(enabled !== false && {
      gracefulRestart: {
        ownRestarts: enabled === true,
        restartTimeSec: restartTime,
        longLivedTimeSec: longLivedTime,
      },
    }),
    ...(config.role === undefined ? {} : { role: config.role }),
    roleStrict: config.roleStrict,
  };
}

function familyIds(names: readonly ConfigFamily[]): FamilyId[] {
  return names.map((name) => defined(familyByName(name), name).id);
}

/** What connections of a session must satisfy (RFC 2385; RFC 5082 §3: send the largest TTL, take what lost one per hop at most). */
export function withProtection(config: ResolvedSession): { readonly protection?: SegmentProtection } {
  const { md5Password, ttlSecurity, ebgpMultihop } = config;
  if (md5Password === undefined && ttlSecurity === undefined && ebgpMultihop === undefined) return {};
  return {
    protection: {
      ...(md5Password === undefined ? {} : { md5Key: md5Password }),
      ...(ebgpMultihop === undefined ? {} : { sendTtl: ebgpMultihop.ttl }),
      ...(ttlSecurity === undefined ? {} : { sendTtl: MAXIMUM_TTL, minimumTtl: MAXIMUM_TTL + 1 - ttlSecurity.hops }),
    },
  };
}
