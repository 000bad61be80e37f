import type { CapabilityCodec } from './capability.js';
import { CapabilityCode, ROLE_NAMES } from './iana.js';

/** BGP Role (RFC 9234 §4.1), 1 octet; what follows from it is in session/negotiation.ts. */
export interface RoleCapability {
  readonly kind: 'role';
  readonly role: number;
}

export const roleCodec: CapabilityCodec<RoleCapability> = {
  code: CapabilityCode.role,
  kind: 'role',
  onMalformed: 'opaque',
  decode: (r) => ({ kind: 'role', role: r.u8() }),
  encode(w, { role }) {
    w.u8(role);
  },
  format: ({ role }) => `role:${ROLE_NAMES[role] ?? role}`,
};
