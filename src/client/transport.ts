/**
 * One attempt of one request over the pool of connections. Layer: client, over undici.
 *
 * Invariant: it knows whether a byte of the request was sent, and a failed change of which one was is
 * `ambiguous`. It never follows a redirect. Timers are the clock's own; every phase has a limit.
 */
import { Readable } from 'node:stream'
import { getCACertificates } from 'node:tls'
import type { Dispatcher, Pool } from 'undici'
import type { Clock } from '../clock.ts'
import { abortedError, ClientClosed, ServiceError } from './errors.ts'
import { ProgressWatch, type Timeouts } from './progress-watch.ts'
import { ReplyBody } from './reply-body.ts'
import type { ReplyHeaders } from './retry.ts'
import type { RequestBody } from './upload-body.ts'

export interface TransportOptions {
  readonly origin: string
  /** Connections at most; undefined is as many as there are requests. */
  readonly connections?: number | undefined
  readonly clock: Clock
  readonly connectMs: number
  /** Certificates (PEM) that are trusted beside the system's. */
  readonly ca?: string | undefined
}

export interface HttpAttempt {
  /** Operation and path, for messages. */
  readonly what: string
  readonly method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE'
  /** Path and query. */
  readonly target: string
  readonly headers: Record<string, string>
  readonly body?: RequestBody | undefined
  readonly timeouts: Timeouts
  readonly signal?: AbortSignal | undefined
  /** Called when nothing has moved for a while, and when it moves again. */
  readonly onRest?: ((isResting: boolean) => void) | undefined
  /** Called with the size of each piece of the request's body that was sent. */
  readonly onSent?: ((bytes: number) => void) | undefined
  /** Called once, when the attempt is over: failed before an answer, or its body has ended in whatever way. */
  readonly onEnd: (end: AttemptEnd) => void
}

export interface AttemptEnd {
  readonly status: number | undefined
  readonly bytesIn: number
  readonly bytesOut: number
  readonly error: ServiceError | undefined
}

export interface HttpReply {
  readonly status: number
  readonly headers: ReplyHeaders
  /** Whether every byte of the request had been handed to the connection when the answer came. */
  readonly isRequestSent: boolean
  readonly body: ReplyBody
}

export class Transport {
  readonly #options: TransportOptions
  #pool: Promise<Pool> | undefined

  constructor(options: TransportOptions) {
    this.#options = options
  }

  async send(attempt: HttpAttempt): Promise<HttpReply> {
    const { what, timeouts } = attempt
    const changes = attempt.method !== 'GET'
    const ending = new AbortController()
    const end = (error: ServiceError): void => ending.abort(error)
    const watch = new ProgressWatch(
      this.#options.clock,
      (message) => end(new ServiceError('timeout', `no progress: ${message}`)),
      attempt.onRest,
    )
    const total = new ProgressWatch(this.#options.clock, (message) =>
      end(new ServiceError('timeout', message)),
    )
    let sent = false
    let bytesOut = 0
    let status: number | undefined
    const fail = (cause: unknown): ServiceError =>
      toServiceError(what, cause, sent && changes, status !== undefined)

    const onAbort = (): void => end(abortedError(what, attempt.signal?.reason))
    attempt.signal?.addEventListener('abort', onAbort, { once: true })
    const finish = (bytesIn: number, error: ServiceError | undefined): void => {
      watch.stop()
      total.stop()
      attempt.signal?.removeEventListener('abort', onAbort)
      attempt.onEnd({ status, bytesIn, bytesOut, error })
    }

    try {
      if (attempt.signal?.aborted) onAbort()
      total.expect(timeouts.totalMs, `${what}: it was not done`)
      watch.expect(timeouts.connectMs, `${what}: no connection`)
      const pool = await (this.#pool ??= openPool(this.#options))
      ending.signal.throwIfAborted()
      const noting = noteProgress({
        onStart: () => {
          sent = true
          watch.expect(timeouts.stallMs, `${what}: no byte was sent`)
        },
        onBytes: (count) => {
          bytesOut += count
          attempt.onSent?.(count)
          watch.expect(timeouts.stallMs, `${what}: no byte was sent`)
        },
        onSent: () => watch.expect(timeouts.firstByteMs, `${what}: no answer`),
      })
      const answer = await pool.compose(noting).request({
        method: attempt.method,
        path: attempt.target,
        headers: withLength(attempt),
        body: sendable(attempt.body),
        signal: ending.signal,
        headersTimeout: 0,
        bodyTimeout: 0,
      })
      status = answer.statusCode
      const length = contentLength(answer.headers)
      const body = new ReplyBody(answer.body, { what, length, watch, timeouts, fail, onEnd: finish })
      const isRequestSent = bytesOut >= (attempt.body?.size ?? 0)
      return { status, headers: answer.headers, isRequestSent, body }
    } catch (cause) {
      const error = fail(cause)
      finish(0, error)
      throw error
    }
  }

  /** Ends all attempts and closes all connections. */
  async destroy(): Promise<void> {
    await (await this.#pool)?.destroy()
  }
}

/* undici is loaded with the first request: a command that sends none does not pay for it. */
async function openPool(options: TransportOptions): Promise<Pool> {
  const { Pool } = await import('undici')
  return new Pool(options.origin, {
    connections: options.connections ?? null,
    // One request a connection: ending a transfer ends nothing else.
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: 30_000,
    connect: {
      timeout: options.connectMs,
      ...(options.ca === undefined ? {} : { ca: [...getCACertificates('default'), options.ca] }),
    },
  })
}

interface ProgressNotes {
  readonly onStart: () => void
  readonly onBytes: (count: number) => void
  readonly onSent: () => void
}

/** Tells how far a request has come: `request` itself does not say whether anything was sent. */
function noteProgress(notes: ProgressNotes): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) =>
    dispatch(options, {
      onRequestStart: (controller, context) => {
        notes.onStart()
        handler.onRequestStart?.(controller, context)
      },
      onBodySent: (piece) => notes.onBytes(piece.length),
      onRequestSent: () => notes.onSent(),
      onResponseStart: (controller, status, headers, message) =>
        handler.onResponseStart?.(controller, status, headers, message),
      onResponseData: (controller, piece) => handler.onResponseData?.(controller, piece),
      onResponseEnd: (controller, trailers) => handler.onResponseEnd?.(controller, trailers),
      onResponseError: (controller, error) => handler.onResponseError?.(controller, error),
    })
}

function withLength(attempt: HttpAttempt): Record<string, string> {
  if (attempt.body === undefined) return attempt.headers
  const { contentType, size } = attempt.body
  return { ...attempt.headers, 'content-type': contentType, 'content-length': String(size) }
}

function sendable(body: RequestBody | undefined): Readable | Uint8Array | null {
  if (body === undefined || body.size === 0) return null
  return body.whole ?? Readable.from(body.pieces())
}

function contentLength(headers: ReplyHeaders): number | undefined {
  const value = headers['content-length']
  return typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : undefined
}

const timeoutCodes: ReadonlySet<string> = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
])

/** By the code of what was underneath; an unknown one is the network's. */
function toServiceError(what: string, cause: unknown, ambiguous: boolean, answered: boolean): ServiceError {
  if (cause instanceof ServiceError) return ambiguous ? cause.asAmbiguous() : cause
  const code = errorCode(cause)
  if (timeoutCodes.has(code)) return new ServiceError('timeout', `${what}: ${code}`, { ambiguous, cause })
  // Within a body the parser fails for a connection that was cut, and does not tell that from nonsense.
  if (code === 'UND_ERR_HEADERS_OVERFLOW' || (!answered && isParserError(cause)))
    return new ServiceError('protocol', `${what}: the answer is no HTTP`, { ambiguous, cause })
  if (/CERT|^UNABLE_TO_|^ERR_TLS_/.test(code))
    return new ServiceError('protocol', `${what}: the server's certificate is not trusted (${code})`, {
      cause,
    })
  if (code === 'UND_ERR_INVALID_ARG')
    return new ServiceError('bad_request', `${what}: it cannot be sent like this`, { cause })
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED')
    return abortedError(what, new ClientClosed(), ambiguous)
  return new ServiceError('network', `${what}: the connection failed${code === '' ? '' : ` (${code})`}`, {
    ambiguous,
    cause,
  })
}

/* undici's class for it has no code that is always set, and is loaded only with undici. */
function isParserError(cause: unknown): boolean {
  return cause instanceof Error && cause.name === 'HTTPParserError'
}

function errorCode(cause: unknown): string {
  const code: unknown = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return typeof code === 'string' ? code : ''
}
