import { constants, type X509Certificate } from 'node:crypto';
import * as tls from 'node:tls';

import { TlsMaterialError } from './errors.js';

/** PEM texts of one end; a client may have none. */
export interface TlsMaterial {
  readonly certificate?: string | Buffer;
  readonly key?: string | Buffer;
  /** Certificates to judge the peer's by; without them it is not judged. */
  readonly ca?: string | Buffer;
  /** Certificates that their issuers have revoked (RFC 5280 §5): one list for every CA of the chain. */
  readonly revocationList?: string | Buffer;
}

/** Which end of a TLS handshake we are, with key material parsed once ({@link tlsParameters}) and shared by all connections. */
export interface TlsParameters {
  readonly role: 'server' | 'client';
  readonly context: tls.SecureContext;
  /** Server: ask for the client's certificate and verify it when there is one. Client: verify the server's. */
  readonly verifyPeer: boolean;
  /** Server, with `verifyPeer`: a client without a certificate is refused. */
  readonly requireCertificate?: boolean;
  /** Client: the name that the server's certificate must carry when `verifyPeer`. */
  readonly serverName?: string;
}

/** What RFC 9325 §4.2 recommends: forward secrecy and authenticated encryption, nothing else. */
const SERVER_CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

const MAX_SHOWN_SUBJECT = 200;

/** Tickets are of this service alone; OpenSSL refuses to resume a session with a verified peer when it has none. */
const SESSION_CONTEXT = 'filament';

/**
 * Whether a verified certificate is that of `name` (RFC 6125 §6.4): one of its DNS names, or its common name when it has none.
 * Wildcards do not count: an agent is one node. Nor does another case, in which a DNS name would be the same: `allowed` and limits
 * know agents by their names as they are written, and one certificate must not be good for many of them.
 */
export function isCertificateOf(certificate: X509Certificate, name: string): boolean {
  // To OpenSSL a name with a leading dot means every name below it; a wildcard is nobody's name, though certificates have them.
  if (name.startsWith('.') || name.includes('*')) return false;
  // What comes back is the name as the certificate has it.
  return certificate.checkHost(name, { subject: 'default', wildcards: false }) === name;
}

/** The subject of a certificate on one line, for logs. */
export function describeSubject(certificate: X509Certificate): string {
  return certificate.subject.replaceAll('\n', ', ').slice(0, MAX_SHOWN_SUBJECT);
}

/**
 * Parses key material. TLS 1.2 is the oldest version accepted, and a server refuses to renegotiate (RFC 9325 §3.1.1, §3.5).
 * @throws TlsMaterialError  when certificate, key or CA cannot be used, also when key and certificate do not belong together
 */
export function tlsParameters(
  role: 'server' | 'client',
  material: TlsMaterial,
  options: Omit<TlsParameters, 'role' | 'context'>,
): TlsParameters {
  let context: tls.SecureContext;
  try {
    context = tls.createSecureContext({
      minVersion: 'TLSv1.2',
      ...(material.certificate !== undefined && { cert: material.certificate }),
      ...(material.key !== undefined && { key: material.key }),
      ...(material.ca !== undefined && { ca: material.ca }),
      ...(material.revocationList !== undefined && { crl: material.revocationList }),
      ...(role === 'server' && {
        ciphers: SERVER_CIPHERS,
        honorCipherOrder: true,
        sessionIdContext: SESSION_CONTEXT,
        secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      }),
    });
  } catch (cause) {
    throw new TlsMaterialError(cause);
  }
  return { role, context, ...options };
}
