import type { CapabilityCodec } from './capability.js';
import { CapabilityCode } from './iana.js';

/** Enhanced Route Refresh (RFC 7313 §3.1); no value. */
export interface EnhancedRouteRefreshCapability {
  readonly kind: 'enhanced-route-refresh';
}

export const enhancedRouteRefreshCodec: CapabilityCodec<EnhancedRouteRefreshCapability> = {
  code: CapabilityCode.enhancedRouteRefresh,
  kind: 'enhanced-route-refresh',
  onMalformed: 'refuse',
  decode: () => ({ kind: 'enhanced-route-refresh' }),
  encode() {},
  format: () => 'enhanced-route-refresh',
};
