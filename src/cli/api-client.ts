/** Reads the HTTP API of a running controller. */
import { CliError, ExitCode } from './cli-error.js';
import { printable } from './output.js';

/** Where the API is, and the token when it needs one. */
export interface ApiAccess {
  /** `http://127.0.0.1:8083` */
  readonly server: string;
  readonly token?: string;
  /** The option of the command line that gave the server, for messages. */
  readonly option?: string;
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
  readonly #option: string;

  /** @throws CliError when the server is no http or https URL */
  constructor({ server, token, option = '--server' }: ApiAccess) {
    if (!URL.canParse(server) || !/^https?:$/.test(new URL(server).protocol)) {
      throw new CliError(`${option} ${server} is not a URL such as http://127.0.0.1:8083`, ExitCode.usage);
    }
    this.#base = new URL(server);
    this.#token = token;
    this.#option = option;
  }

  /**
   * The answer to `GET <path>`.
   *
   * @param path  starts with a slash, already percent-encoded
   * @throws CliError when there is no answer, or an error
   */
  async get<T>(path: string): Promise<T> {
    const { ok, status, body } = await this.#request(path, {});
    if (!ok) throw this.#refused(path, status, body);
    return body as T;
  }

  /**
   * The answer to `POST <path>` with a text as body.
   *
   * @param expected  statuses beside 200 that are answers and no errors
   * @throws CliError when there is no answer, or an error
   */
  async post(path: string, contentType: string, text: string, expected: readonly number[]): Promise<Answer> {
    const answer = await this.#request(path, { method: 'POST', body: text, contentType });
    if (answer.ok || expected.includes(answer.status)) return answer;
    throw this.#refused(path, answer.status, answer.body);
  }

  async #request(
    path: string,
    { method = 'GET', body, contentType }: { method?: string; body?: string; contentType?: string },
  ): Promise<Answer & { readonly ok: boolean }> {
    const headers = {
      ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
      ...(contentType === undefined ? {} : { 'content-type': contentType }),
    };
    let response: Response;
    try {
      response = await fetch(new URL(path, this.#base), {
        method,
        headers,
        signal: AbortSignal.timeout(TIMEOUT_MS),
        ...(body === undefined ? {} : { body }),
      });
    } catch (error) {
      throw new CliError(`cannot reach ${this.#base.origin}: ${connectError(error)} (${this.#option} names another)`);
    }
    const { ok, status } = response;
    try {
      return { ok, status, body: await response.json() };
    } catch {
      throw new CliError(`${this.#base.origin} answers, but not as a Filament controller (status ${status})`);
    }
  }

  #refused(path: string, status: number, body: unknown): CliError {
    return new CliError(errorMessage(body) ?? `${new URL(path, this.#base).href} answers status ${status}`);
  }
}

/** What the controller said. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
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
