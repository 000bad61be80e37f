import type { PathAttributes } from '../bgp/attribute/path-attributes.js';

/** GRACEFUL_SHUTDOWN (RFC 8326 §4.1). */
const GRACEFUL_SHUTDOWN = 0xffff0000;
/** RFC 8326 §4.2. */
const LOWEST_LOCAL_PREFERENCE = 0;

/** Attributes received over eBGP: with GRACEFUL_SHUTDOWN they are the last resort in this AS (RFC 8326 §4.2). */
export function gracefulShutdown(attributes: PathAttributes): PathAttributes {
  const { communities } = attributes;
  if (communities === undefined) return attributes;
  const view = new DataView(communities.buffer, communities.byteOffset, communities.length);
  for (let at = 0; at < communities.length; at += 4) {
    if (view.getUint32(at) === GRACEFUL_SHUTDOWN) return { ...attributes, localPreference: LOWEST_LOCAL_PREFERENCE };
  }
  return attributes;
}
