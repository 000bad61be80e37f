/** Certificates and keys of the agent channel: read when the controller starts and again at each reload. */
import { createHash, X509Certificate } from 'node:crypto';
import { MAXIMUM_PEM_OCTETS } from '../config/config-file.js';
import type { ResolvedTls } from '../config/resolved.js';
import { TlsMaterialError } from '../net/errors.js';
import { tlsParameters, type TlsParameters } from '../net/tls.js';
import { readLimitedFile } from '../util/limited-file.js';

/** What the files of a configuration hold. */
export interface AgentTls {
  readonly parameters: TlsParameters;
  readonly verifyAgentName: boolean;
  /** Differs when a file or a setting does; tells nothing about the key. */
  readonly fingerprint: string;
}

/**
 * Reads all files anew.
 * @throws TlsMaterialError  when one cannot be read or used, or key and certificate do not belong together
 */
export function readAgentTls(tls: ResolvedTls): AgentTls {
  const read = (file: string): Buffer => {
    try {
      return readLimitedFile(file, MAXIMUM_PEM_OCTETS);
    } catch (cause) {
      throw new TlsMaterialError(cause);
    }
  };
  const certificate = read(tls.certificate);
  const key = read(tls.key);
  const ca = tls.ca === undefined ? undefined : read(tls.ca);
  const revocationList = tls.revocationList === undefined ? undefined : read(tls.revocationList);
  const parameters = tlsParameters(
    'server',
    { certificate, key, ...(ca && { ca }), ...(revocationList && { revocationList }) },
    { verifyPeer: ca !== undefined, requireCertificate: tls.requireClientCertificate },
  );
  if (ca !== undefined) checkCertificate(ca);
  const hash = createHash('sha256').update(JSON.stringify(tls));
  for (const content of [certificate, key, ca, revocationList]) {
    hash.update(`${content?.length ?? -1} `).update(content ?? '');
  }
  return { parameters, verifyAgentName: tls.verifyAgentName, fingerprint: hash.digest('hex') };
}

/** A file without certificates would make a context that trusts nobody, without an error. */
function checkCertificate(pem: Buffer): void {
  try {
    new X509Certificate(pem);
  } catch (cause) {
    throw new TlsMaterialError(cause);
  }
}
