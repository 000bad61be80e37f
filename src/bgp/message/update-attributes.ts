import type { CodecContext } from '../attribute/codec.js';
import { decodeAttributeList } from '../attribute/decode-attributes.js';
import type { DecodedAttributes } from '../attribute/decode-attributes.js';
import { strongerAction, updateFault } from '../attribute/fault.js';
import type { ErrorAction, ProtocolFault } from '../attribute/fault.js';
import { AttributeType, UpdateErrorSubcode } from '../attribute/iana.js';
import { copyOctets } from '../attribute/octets.js';
import type { PathAttributes } from '../attribute/path-attributes.js';
import type { ReachSection, UpdateScan } from './update.js';
import { writeKeyNextHop } from './update.js';

/** Attributes of one section of an UPDATE, and what follows from their faults. */
export type AttributesResult = DecodedAttributes;

/**
 * Decodes the attributes that go with the routes of a section: the slow path, taken when an attribute key is new.
 *
 * @param scan     a scan without a fault
 * @param section  `reach` (needs `scan.reachFamily`) or `ipv4`; `none` in a message that announces nothing, where a fault that is
 *   more than a discarded attribute resets the session, since routes may have been missed (RFC 7606 §5.2)
 * @returns `attributes` without those that were discarded; of no use when `action` is more than `attribute-discard`
 */
export function decodeAttributes(
  scan: UpdateScan,
  section: ReachSection | 'none',
  ctx: CodecContext,
): AttributesResult {
  const list = decodeAttributeList(scan.bytes, scan.attributesStart, scan.attributesEnd, ctx);
  if (section === 'none') return withoutRoutes(list);

  const faults: ProtocolFault[] = [...list.faults];
  const nextHop = decodeNextHop(scan, section, faults);
  const attributes: PathAttributes = nextHop ? { nextHop, ...list.attributes } : list.attributes;
  addMissing(attributes, ctx, faults);

  let action: ErrorAction | 'none' = 'none';
  for (const fault of faults) action = strongerAction(action, fault.action);
  return { attributes, action, faults };
}

function decodeNextHop(scan: UpdateScan, section: ReachSection, faults: ProtocolFault[]): Uint8Array | undefined {
  const w = scan.nextHopScratch;
  w.reset();
  const fault = writeKeyNextHop(scan, section, w);
  if (fault) {
    faults.push(fault);
    return undefined;
  }
  return copyOctets(w.bytes, 1, w.position);
}

/** Mandatory attributes; LOCAL_PREF is one inside an AS (RFC 4271 §5 and §5.1.5). A malformed one was reported already. */
function addMissing(attributes: PathAttributes, ctx: CodecContext, faults: ProtocolFault[]): void {
  if (faults.some((fault) => fault.action !== 'attribute-discard')) return;
  if (attributes.origin === undefined) faults.push(missingFault(AttributeType.origin, 'origin'));
  if (attributes.asPath === undefined) faults.push(missingFault(AttributeType.asPath, 'as-path'));
  if (!ctx.external && attributes.localPreference === undefined) {
    faults.push(missingFault(AttributeType.localPreference, 'local-preference'));
  }
}

function missingFault(type: number, name: string): ProtocolFault {
  const reason = `${name}: missing (RFC 7606 §3 d)`;
  return updateFault('treat-as-withdraw', UpdateErrorSubcode.missingWellKnownAttribute, reason, Uint8Array.of(type));
}

function withoutRoutes({ attributes, action, faults }: DecodedAttributes): AttributesResult {
  if (action === 'none' || action === 'attribute-discard') return { attributes, action, faults };
  return {
    attributes,
    action: 'session-reset',
    faults: faults.map((fault) =>
      fault.action === 'attribute-discard' ? fault : { ...fault, action: 'session-reset' as const },
    ),
  };
}
