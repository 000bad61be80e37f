import * as tls from 'node:tls';

import { TlsMaterialError } from './errors.js';

/** PEM texts of one end; a client may have none. */
export interface TlsMaterial {
  readonly certificate?: string | Buffer;
  readonly key?: string | Buffer;
  /** Certificates to judge the peer's by; without them it is not judged. */
  readonly ca?: string | Buffer;
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

/**
 * Parses key material. TLS 1.2 is the oldest version accepted.
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
    });
  } catch (cause) {
    throw new TlsMaterialError(cause);
  }
  return { role, context, ...options };
}
