/** BGP roles in OPENs (RFC 9234 §4). */
import type { ProtocolFault } from '../attribute/fault.js';
import { ROLE_NAMES, type RoleName } from '../capability/iana.js';
import type { RoleCapability } from '../capability/role.js';
import { OpenErrorSubcode } from '../message/iana.js';
import { openFault, type OpenMessage } from '../message/open.js';

/** The role that each role must meet (RFC 9234 §4.2). */
const COUNTERPART: Readonly<Record<RoleName, RoleName>> = {
  provider: 'customer',
  customer: 'provider',
  rs: 'rs-client',
  'rs-client': 'rs',
  peer: 'peer',
};

/** What our OPEN says of our role; nothing without one. */
export function roleCapabilities(role: RoleName | undefined): RoleCapability[] {
  return role === undefined ? [] : [{ kind: 'role', role: ROLE_NAMES.indexOf(role) }];
}

/**
 * Judges the roles that an external peer's OPEN announces.
 *
 * @param role    ours; without one, whatever the peer says is well
 * @param strict  the peer must announce one
 */
export function roleFault(role: RoleName | undefined, strict: boolean, remote: OpenMessage): ProtocolFault | undefined {
  if (role === undefined) return undefined;
  const announced = remote.capabilities.filter((capability) => capability.kind === 'role').map((each) => each.role);
  const expected = COUNTERPART[role];
  if (announced.length === 0) {
    return strict ? mismatch(`no role, expected is ${expected} for our ${role}`) : undefined;
  }
  const wrong = announced.find((each) => ROLE_NAMES[each] !== expected);
  if (wrong === undefined) return undefined;
  return mismatch(`role ${ROLE_NAMES[wrong] ?? wrong}, expected is ${expected} for our ${role}`);
}

function mismatch(what: string): ProtocolFault {
  return openFault(OpenErrorSubcode.roleMismatch, `${what} (RFC 9234 §4.2)`);
}
