/** Errors of the HTTP API: `{"error": {"code": "unknown-neighbor", "message": "…"}}`. */

/** Status and stable code of everything the API refuses. */
const API_ERRORS = {
  'invalid-request': 400,
  'invalid-prefix': 400,
  'invalid-cursor': 400,
  unauthorized: 401,
  'foreign-origin': 403,
  'foreign-host': 403,
  'not-found': 404,
  'unknown-neighbor': 404,
  'unknown-agent': 404,
  'unknown-vrf': 404,
  'no-such-table': 404,
  'not-established': 409,
  'no-route-refresh': 409,
  'nothing-to-confirm': 409,
  'request-too-large': 413,
  'unsupported-media-type': 415,
  internal: 500,
  busy: 503,
} as const;
export type ApiErrorCode = keyof typeof API_ERRORS;

/** Thrown by a request handler; becomes the answer. */
export class ApiError extends Error {
  readonly code: ApiErrorCode;

  constructor(code: ApiErrorCode, message: string) {
    super(message);
    this.code = code;
  }

  get status(): number {
    return API_ERRORS[this.code];
  }

  toJson(): { readonly error: { readonly code: ApiErrorCode; readonly message: string } } {
    return { error: { code: this.code, message: this.message } };
  }
}
