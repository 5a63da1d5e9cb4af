/**
 * The one family of errors of the service client. Layer: client.
 *
 * Invariant: whoever decides by an error decides by `code`, never by its message. The message says
 * operation, path and what to do; `cause` keeps what was underneath.
 */

/**
 * - `unauthorized` 401, `forbidden` 403, `session_not_found` 404 of the session, `session_not_ready` 424:
 *   states of the session, not of one path
 * - `not_found` 404 of a path, `bad_request` 400 or another refusal, `conflict` 409, `too_large` 413 or over
 *   the limit before anything was sent, `unsupported` 405/501/505, and 404 of an optional operation (mkdir)
 * - `proxy_refused`: the proxy on the way lets nobody through, or not without (other) credentials: as a state of
 *   the session
 * - `throttled` 429, `server_error` 5xx, `timeout` 408 or one of our limits, `network` connect or reset,
 *   `truncated` a body shorter than its Content-Length: worth another try
 * - `protocol` an answer that is not of the service's form, `credential` no token to be had,
 *   `insecure_endpoint` a token over plain http to a far host
 * - `aborted` the caller's signal, or the client was closed meanwhile; `closed` it had been closed before
 * - `local` a file or stream of this machine that failed while it was read: nothing of the service's
 */
export type ServiceErrorCode =
  | 'unauthorized'
  | 'forbidden'
  | 'session_not_found'
  | 'session_not_ready'
  | 'not_found'
  | 'bad_request'
  | 'conflict'
  | 'too_large'
  | 'unsupported'
  | 'throttled'
  | 'server_error'
  | 'timeout'
  | 'network'
  | 'truncated'
  | 'protocol'
  | 'credential'
  | 'insecure_endpoint'
  | 'proxy_refused'
  | 'aborted'
  | 'closed'
  | 'local'

export interface ServiceErrorDetails {
  /** HTTP status, when there was an answer. */
  readonly status?: number | undefined
  /** The service's own `error.code`, for display. */
  readonly serviceCode?: string | undefined
  readonly requestId?: string | undefined
  /** The service's `Retry-After`, in milliseconds. */
  readonly retryAfterMs?: number | undefined
  /** True when the request may have been carried out although it failed for us. */
  readonly ambiguous?: boolean | undefined
  readonly cause?: unknown
}

/** What a failure tells about: this one call, the path that it was for, all calls of the session, or who called. */
export type Concern = 'call' | 'path' | 'session' | 'caller'

/** The one place that says of a code what it means for whoever decides what to do next. */
const meanings: Readonly<
  Record<ServiceErrorCode, { readonly retryable: boolean; readonly concerns: Concern }>
> = {
  unauthorized: { retryable: false, concerns: 'session' },
  forbidden: { retryable: false, concerns: 'session' },
  session_not_found: { retryable: false, concerns: 'session' },
  session_not_ready: { retryable: true, concerns: 'session' },
  credential: { retryable: false, concerns: 'session' },
  insecure_endpoint: { retryable: false, concerns: 'session' },
  proxy_refused: { retryable: false, concerns: 'session' },
  not_found: { retryable: false, concerns: 'path' },
  bad_request: { retryable: false, concerns: 'path' },
  conflict: { retryable: false, concerns: 'path' },
  too_large: { retryable: false, concerns: 'path' },
  unsupported: { retryable: false, concerns: 'path' },
  throttled: { retryable: true, concerns: 'call' },
  server_error: { retryable: true, concerns: 'call' },
  timeout: { retryable: true, concerns: 'call' },
  network: { retryable: true, concerns: 'call' },
  truncated: { retryable: true, concerns: 'call' },
  protocol: { retryable: false, concerns: 'call' },
  aborted: { retryable: false, concerns: 'caller' },
  closed: { retryable: false, concerns: 'caller' },
  local: { retryable: false, concerns: 'call' },
}

/** The reason of a signal that ends what was under way when the client was closed. */
export class ClientClosed extends Error {
  override readonly name = 'ClientClosed'

  constructor() {
    super('the client was closed')
  }
}

/** Of a call that a signal has ended, for the reason `cause`. */
export function abortedError(what: string, cause: unknown, ambiguous = false): ServiceError {
  return cause instanceof ClientClosed
    ? new ServiceError('aborted', `${what}: the client was closed`, { ambiguous, cause })
    : new ServiceError('aborted', `${what}: the caller gave up`, { ambiguous, cause })
}

export class ServiceError extends Error {
  override readonly name = 'ServiceError'
  readonly code: ServiceErrorCode
  readonly status: number | undefined
  readonly serviceCode: string | undefined
  readonly requestId: string | undefined
  readonly retryAfterMs: number | undefined
  readonly ambiguous: boolean

  constructor(code: ServiceErrorCode, message: string, details: ServiceErrorDetails = {}) {
    super(message, { cause: details.cause })
    this.code = code
    this.status = details.status
    this.serviceCode = details.serviceCode
    this.requestId = details.requestId
    this.retryAfterMs = details.retryAfterMs
    this.ambiguous = details.ambiguous ?? false
  }

  /** The same failure, of a request that may have been carried out. */
  asAmbiguous(): ServiceError {
    if (this.ambiguous) return this
    const { code, message, status, serviceCode, requestId, retryAfterMs, cause } = this
    const details = { status, serviceCode, requestId, retryAfterMs, cause, ambiguous: true }
    return new ServiceError(code, message, details)
  }

  /** Whether the same call may succeed later without anybody doing anything. */
  get retryable(): boolean {
    return meanings[this.code].retryable
  }

  /** Of the path and of the session, the same call says the same again until somebody has done something. */
  get concerns(): Concern {
    return meanings[this.code].concerns
  }
}
