import { type AtollError, asAtollError, type ErrorReason } from '@atoll/errors';
import { httpStatusOf } from '@atoll/errors/http';

/** Error codes of the OCI distribution specification, and the status each goes with. */
const STATUS = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 400,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  PAGINATION_NUMBER_INVALID: 400,
  SIZE_INVALID: 413,
  TAG_INVALID: 400,
  UNAUTHORIZED: 401,
  DENIED: 403,
  UNSUPPORTED: 405,
  TOOMANYREQUESTS: 429,
  UNKNOWN: 500,
} as const;

export type OciCode = keyof typeof STATUS;

export interface OciFailure {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A refusal with a status of its own, such as 416. */
export class OciError extends Error {
  override readonly name = 'OciError';
  readonly code: OciCode;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: OciCode, message: string, options: { status?: number; headers?: Record<string, string> } = {}) {
    super(message);
    this.code = code;
    this.status = options.status ?? STATUS[code];
    this.headers = options.headers ?? {};
  }
}

const BY_REASON: Partial<Record<ErrorReason, OciCode>> = {
  unauthenticated: 'UNAUTHORIZED',
  'permission-denied': 'DENIED',
  'resource-exhausted': 'TOOMANYREQUESTS',
  unimplemented: 'UNSUPPORTED',
};

/** Anything thrown as the specification wants it. `fallback` is the code of invalid arguments without one. */
export function toFailure(error: unknown, fallback: OciCode): OciFailure {
  if (error instanceof OciError) return failure(error.status, error.code, error.message, error.headers);
  const known = asAtollError(error);
  const { code, status } = codeOf(known, fallback);
  const message = known.reason === 'internal' ? 'the registry failed; its log says why' : known.message;
  return failure(status, code, message, status === 503 ? { 'Retry-After': '1' } : {});
}

function codeOf(error: AtollError, fallback: OciCode): { code: OciCode; status: number } {
  if (error.details['disk'] === 'full') return { code: 'UNKNOWN', status: 507 };
  const named = error.details['oci'];
  if (named !== undefined && Object.hasOwn(STATUS, named)) {
    const code = named as OciCode;
    return { code, status: STATUS[code] };
  }
  if (error.reason === 'invalid-argument') return { code: fallback, status: STATUS[fallback] };
  return { code: BY_REASON[error.reason] ?? 'UNKNOWN', status: httpStatusOf(error.reason) };
}

function failure(
  status: number,
  code: OciCode,
  message: string,
  headers: Readonly<Record<string, string>>,
): OciFailure {
  const body = JSON.stringify({ errors: [{ code, message, detail: null }] });
  return { status, body, headers: { ...headers, 'Content-Type': 'application/json' } };
}
