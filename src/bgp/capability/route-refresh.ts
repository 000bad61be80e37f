import type { CapabilityCodec } from './capability.js';
import { CapabilityCode } from './iana.js';

/** Route Refresh (RFC 2918 §2); no value. */
export interface RouteRefreshCapability {
  readonly kind: 'route-refresh';
}

export const routeRefreshCodec: CapabilityCodec<RouteRefreshCapability> = {
  code: CapabilityCode.routeRefresh,
  kind: 'route-refresh',
  onMalformed: 'refuse',
  decode: () => ({ kind: 'route-refresh' }),
  encode() {},
  format: () => 'route-refresh',
};
