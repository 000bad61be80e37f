/** What the system's error codes mean to somebody who reads one line of a log. */
const EXPLANATIONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is already in use',
  EADDRNOTAVAIL: 'this host does not have the address',
  EACCES: 'not permitted (ports below 1024 need CAP_NET_BIND_SERVICE)',
  EAFNOSUPPORT: 'the address family is not supported here',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by the peer',
  EPIPE: 'connection closed by the peer',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'network unreachable',
  ETIMEDOUT: 'connection timed out',
  EMFILE: 'too many open files',
};

/** One short clause for an error of a socket, e.g. `connection refused`. */
export function describeSocketError(error: Error & { readonly code?: string }): string {
  const explanation = error.code === undefined ? undefined : EXPLANATIONS[error.code];
  return explanation ?? error.message;
}

/** `127.0.0.1:1790`, `[::1]:1790`. */
export function formatEndpoint(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** A listener could not be opened; the message names the endpoint and the option that changes it. */
export class ListenError extends Error {
  readonly code = 'ERR_LISTEN';
  override readonly cause: Error & { readonly code?: string };

  constructor(address: string, port: number, option: string, cause: Error & { readonly code?: string }) {
    super(`cannot listen on ${formatEndpoint(address, port)}: ${describeSocketError(cause)}; change ${option}`);
    this.cause = cause;
  }
}

/** Certificate, key or CA cannot be used. */
export class TlsMaterialError extends Error {
  readonly code = 'ERR_TLS_MATERIAL';

  constructor(cause: unknown) {
    const text = cause instanceof Error ? cause.message : String(cause);
    super(`TLS certificate, key or CA cannot be used: ${text}`, { cause });
  }
}
