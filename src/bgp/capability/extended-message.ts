import type { CapabilityCodec } from './capability.js';
import { CapabilityCode } from './iana.js';

/** Extended Message (RFC 8654 §3); no value. */
export interface ExtendedMessageCapability {
  readonly kind: 'extended-message';
}

export const extendedMessageCodec: CapabilityCodec<ExtendedMessageCapability> = {
  code: CapabilityCode.extendedMessage,
  kind: 'extended-message',
  onMalformed: 'refuse',
  decode: () => ({ kind: 'extended-message' }),
  encode() {},
  format: () => 'extended-message',
};
