import { hasCommunity, WellKnownCommunity } from '../bgp/attribute/communities.js';
import type { PathAttributes } from '../bgp/attribute/path-attributes.js';

/** RFC 8326 §4.2. */
const LOWEST_LOCAL_PREFERENCE = 0;

/** Attributes received over eBGP: with GRACEFUL_SHUTDOWN they are the last resort in this AS (RFC 8326 §4.2). */
export function gracefulShutdown(attributes: PathAttributes): PathAttributes {
  return hasCommunity(attributes.communities, WellKnownCommunity.gracefulShutdown)
    ? { ...attributes, localPreference: LOWEST_LOCAL_PREFERENCE }
    : attributes;
}
