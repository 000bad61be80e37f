/**
 * The load-balance element (the extended community is bgp/attribute/virtual-network-communities.ts).
 * All five fields with `field-hash` is the default: it has no community, and is printed without fields.
 */
import { LOAD_BALANCE_FIELDS } from '../../bgp/attribute/virtual-network-communities.js';
import type { LoadBalance } from '../../bgp/attribute/virtual-network-communities.js';
import type { XmlElement } from '../element.js';

export const DEFAULT_LOAD_BALANCE: LoadBalance = { fields: LOAD_BALANCE_FIELDS, sourceBias: false };

/** Is it the default, which travels without a community? */
export function isDefaultLoadBalance(value: LoadBalance): boolean {
  return value.fields.length === LOAD_BALANCE_FIELDS.length && !value.sourceBias;
}

/** Reads a `load-balance` element; unknown field names are skipped one by one. */
export function parseLoadBalance(element: XmlElement): LoadBalance {
  const named = new Set<string>();
  let sourceBias = false;
  for (const child of element.children) {
    if (child.name === 'load-balance-decision') sourceBias = child.text === 'source-bias';
    if (child.name !== 'load-balance-fields') continue;
    for (const field of child.children) if (field.name === 'load-balance-field-list') named.add(field.text);
  }
  const fields = LOAD_BALANCE_FIELDS.filter((field) => named.has(field));
  return fields.length === 0 && !sourceBias ? DEFAULT_LOAD_BALANCE : { fields, sourceBias };
}
