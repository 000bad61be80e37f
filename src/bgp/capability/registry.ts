/** The loops over the capabilities of an OPEN, table-driven by the codecs (RFC 5492 §4). */
import { assert } from '../../util/assert.js';
import { formatHex } from '../../wire/hex.js';
import { TruncatedError } from '../../wire/reader.js';
import type { Reader } from '../../wire/reader.js';
import type { Writer } from '../../wire/writer.js';
import { addPathCodec } from './add-path.js';
import type { Capability, CapabilityCodec } from './capability.js';
import { enhancedRouteRefreshCodec } from './enhanced-route-refresh.js';
import { extendedMessageCodec } from './extended-message.js';
import { extendedNextHopCodec } from './extended-next-hop.js';
import { fourOctetAsCodec } from './four-octet-as.js';
import { fqdnCodec } from './fqdn.js';
import { gracefulRestartCodec } from './graceful-restart.js';
import { OTHER_CAPABILITY_NAMES } from './iana.js';
import { longLivedGracefulRestartCodec } from './long-lived-graceful-restart.js';
import { multiprotocolCodec } from './multiprotocol.js';
import { roleCodec } from './role.js';
import { routeRefreshCodec } from './route-refresh.js';

/** All codecs, ascending by code. */
export const CAPABILITY_CODECS = [
  multiprotocolCodec,
  routeRefreshCodec,
  extendedNextHopCodec,
  extendedMessageCodec,
  roleCodec,
  gracefulRestartCodec,
  fourOctetAsCodec,
  addPathCodec,
  enhancedRouteRefreshCodec,
  longLivedGracefulRestartCodec,
  fqdnCodec,
] as const;

// A codec is only ever given capabilities of its own kind: the two lookups below see to that.
type AnyCodec = CapabilityCodec;
const BY_CODE: ReadonlyMap<number, AnyCodec> = new Map(
  CAPABILITY_CODECS.map((codec) => [codec.code, codec as unknown as AnyCodec]),
);
const BY_KIND: ReadonlyMap<Capability['kind'], AnyCodec> = new Map(
  CAPABILITY_CODECS.map((codec) => [codec.kind, codec as unknown as AnyCodec]),
);

const MAX_VALUE_OCTETS = 255;

/** A capability whose value cannot be what it should be; `code` says which. */
export interface MalformedCapability {
  readonly malformed: number;
}

/**
 * Decodes the capabilities in `r`, appending to `out`:
 *
 *   1 octet    code
 *   1 octet    length of the value
 *   0–255      value
 *
 * @throws TruncatedError  when a length runs past the end of `r`
 * @returns the capability that refuses the session, if one does
 */
export function decodeCapabilities(r: Reader, out: Capability[]): MalformedCapability | undefined {
  while (r.remaining > 0) {
    const code = r.u8();
    const value = r.sub(r.u8());
    const capability = decodeCapability(code, value);
    if (capability === undefined) return { malformed: code };
    out.push(capability);
  }
  return undefined;
}

function decodeCapability(code: number, value: Reader): Capability | undefined {
  const start = value.position;
  const codec = BY_CODE.get(code);
  if (codec) {
    const capability = decodeValue(codec, value);
    if (capability) return capability;
    if (codec.onMalformed === 'refuse') return undefined;
  }
  return { kind: 'opaque', code, value: value.bytes.slice(start, value.end) };
}

function decodeValue(codec: AnyCodec, value: Reader): Capability | undefined {
  try {
    const capability = codec.decode(value);
    return value.remaining === 0 ? capability : undefined;
  } catch (error) {
    if (error instanceof TruncatedError) return undefined;
    throw error;
  }
}

/** Appends one capability: code, length, value. */
export function encodeCapability(w: Writer, capability: Capability): void {
  const codec = BY_KIND.get(capability.kind);
  w.u8(capability.kind === 'opaque' ? capability.code : (codec?.code ?? 0));
  const lengthAt = w.position;
  w.u8(0);
  if (capability.kind === 'opaque') w.raw(capability.value);
  else codec?.encode(w, capability);
  const length = w.position - lengthAt - 1;
  assert(length <= MAX_VALUE_OCTETS, `capability ${capability.kind} has ${length} octets`);
  w.patch8(lengthAt, length);
}

/** The text of the API and the logs, e.g. `multiprotocol:ipv4-unicast`, `four-octet-as:64512`, `capability-77:0102`. */
export function formatCapability(capability: Capability): string {
  if (capability.kind !== 'opaque') return BY_KIND.get(capability.kind)?.format(capability) ?? capability.kind;
  const name = OTHER_CAPABILITY_NAMES[capability.code] ?? `capability-${capability.code}`;
  return capability.value.length === 0 ? name : `${name}:${formatHex(capability.value)}`;
}
