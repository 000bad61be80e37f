/** Reads the HTTP API of a running controller. */
import { CliError, ExitCode } from './cli-error.js';
import { printable } from './output.js';

/** Where the API is, and the token when it needs one. */
export interface ApiAccess {
  /** `http://127.0.0.1:8083` */
  readonly server: string;
  readonly token?: string;
}

const TIMEOUT_MS = 30_000;

const CONNECT_ERRORS: Readonly<Partial<Record<string, string>>> = {
  ECONNREFUSED: 'connection refused; is the controller running?',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the host name cannot be resolved',
  ECONNRESET: 'the connection was closed',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'network unreachable',
};

export class ApiClient {
  readonly #base: URL;
  readonly #token: string | undefined;

  /** @throws CliError when the server is no http or https URL */
  constructor({ server, token }: ApiAccess) {
    if (!URL.canParse(server) || !/^https?:$/.test(new URL(server).protocol)) {
      throw new CliError(`--server ${server} is not a URL such as http://127.0.0.1:8083`, ExitCode.usage);
    }
    this.#base = new URL(server);
    this.#token = token;
  }

  /**
   * The answer to `GET <path>`.
   *
   * @param path  starts with a slash, already percent-encoded
   * @throws CliError when there is no answer, or an error
   */
  async get<T>(path: string): Promise<T> {
    const url = new URL(path, this.#base);
    let response: Response;
    try {
      response = await fetch(url, {
        signal: AbortSignal.timeout(TIMEOUT_MS),
        ...(this.#token === undefined ? {} : { headers: { authorization: `Bearer ${this.#token}` } }),
      });
    } catch (error) {
      throw new CliError(`cannot reach ${this.#base.origin}: ${connectError(error)} (--server names another)`);
    }
    let body: unknown;
    try {
      body = await response.json();
    } catch {
      throw new CliError(`${this.#base.origin} answers, but not as a Filament controller (status ${response.status})`);
    }
    if (!response.ok) throw new CliError(errorMessage(body) ?? `${url.href} answers status ${response.status}`);
    return body as T;
  }
}

/** What a failed `fetch` means; the error says it in a chain of causes. */
function connectError(error: unknown): string {
  const { name, cause } = error as { readonly name?: string; readonly cause?: FetchCause };
  if (name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} s`;
  // When several addresses were tried, each has an error of its own, of the same kind as a rule.
  const code = cause?.errors?.[0]?.code ?? cause?.code;
  return (code === undefined ? undefined : CONNECT_ERRORS[code]) ?? code ?? 'no HTTP answer';
}

interface FetchCause {
  readonly code?: string;
  readonly errors?: readonly { readonly code?: string }[];
}

function errorMessage(body: unknown): string | undefined {
  const message = (body as { error?: { message?: unknown } } | null)?.error?.message;
  return typeof message === 'string' ? printable(message) : undefined;
}
