/**
 * One request and its answer on one connection. Layer: client, over undici.
 *
 * Invariant: it knows whether a byte of the request was sent, and a failed change of which one was is
 * `ambiguous`. It never follows a redirect. Timers are the clock's own; every phase has a limit. The
 * connection is free or gone when `onEnd` is called, and nothing of an upload that failed is sent after it.
 */
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Clock } from '../clock.ts'
import { connectionFailure } from './connection-failure.ts'
import type { OpenConnection } from './connections.ts'
import { abortedError, ServiceError } from './errors.ts'
import { ProgressWatch, type Timeouts } from './progress-watch.ts'
import { ReplyBody } from './reply-body.ts'
import type { ReplyHeaders } from './retry.ts'
import type { RequestBody } from './upload-body.ts'
import type { Uplink } from './uplink.ts'

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

export interface ExchangeOptions {
  readonly clock: Clock
  readonly uplink: Uplink
  /** In place of the attempt's own, which may have two exchanges. */
  readonly onEnd: (end: AttemptEnd) => void
}

export class Exchange {
  readonly connection: OpenConnection
  readonly #attempt: HttpAttempt
  readonly #options: ExchangeOptions
  readonly #ending = new AbortController()
  readonly #watch: ProgressWatch
  readonly #total: ProgressWatch
  readonly #onAbort: () => void
  #sent = false
  #bytesOut = 0
  /** Of these the uplink knows. */
  #onTheWay = 0
  #status: number | undefined
  #movedAt: number

  constructor(attempt: HttpAttempt, connection: OpenConnection, options: ExchangeOptions) {
    this.#attempt = attempt
    this.connection = connection
    this.#options = options
    const { clock } = options
    this.#movedAt = clock.now()
    const late = (message: string): void => this.end(new ServiceError('timeout', message))
    this.#watch = new ProgressWatch(clock, (message) => late(`no progress: ${message}`), attempt.onRest)
    this.#total = new ProgressWatch(clock, late)
    this.#onAbort = () => this.end(abortedError(attempt.what, attempt.signal?.reason))
    attempt.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** When something of it last moved, by the clock. */
  get movedAt(): number {
    return this.#movedAt
  }

  end(error: ServiceError): void {
    // what the kernel still holds of an upload would be sent beside the next attempt
    if (this.#onTheWay > 0) this.connection.reset()
    this.#ending.abort(error)
  }

  /** Once. Rejects with `ServiceError`. */
  async start(): Promise<HttpReply> {
    const { what, method, target, signal, timeouts, body } = this.#attempt
    const { uplink } = this.#options
    try {
      if (signal?.aborted) this.#onAbort()
      this.#ending.signal.throwIfAborted()
      this.#total.expect(timeouts.totalMs, `${what}: it was not done`)
      this.#watch.expect(timeouts.connectMs, `${what}: no connection`)
      const answer = await this.connection.client.compose(noteProgress(this.#notes())).request({
        method,
        path: target,
        headers: withLength(this.#attempt),
        body: sendable(body),
        signal: this.#ending.signal,
        headersTimeout: 0,
        bodyTimeout: 0,
      })
      this.#status = answer.statusCode
      this.#moved()
      this.connection.answered()
      const isRequestSent = this.#bytesOut >= (body?.size ?? 0)
      if (isRequestSent) uplink.arrived(this.#onTheWay)
      else uplink.lost(this.#onTheWay)
      this.#onTheWay = 0
      const { headers } = answer
      const reply = new ReplyBody(answer.body, {
        what,
        length: contentLength(headers),
        watch: this.#watch,
        timeouts,
        fail: (cause) => this.#failure(cause),
        onBytes: () => this.#moved(),
        onEnd: (bytes, error) => this.#finish(bytes, error),
      })
      return { status: answer.statusCode, headers, isRequestSent, body: reply }
    } catch (cause) {
      const error = this.#failure(cause)
      if (error.code === 'timeout') uplink.timedOut()
      uplink.lost(this.#onTheWay)
      this.#onTheWay = 0
      this.#finish(0, error)
      throw error
    }
  }

  #notes(): ProgressNotes {
    const { what, timeouts, onSent } = this.#attempt
    const { uplink } = this.#options
    // what was handed over may lie in buffers on the way for long
    const more = (): number => (this.#onTheWay === 0 ? 0 : uplink.allowanceMs)
    const expectByte = (): void => this.#watch.expect(timeouts.stallMs, `${what}: no byte was sent`, more)
    return {
      onStart: () => {
        this.#sent = true
        this.#moved()
        expectByte()
      },
      onBytes: (count) => {
        this.#bytesOut += count
        this.#onTheWay += count
        uplink.handedOver(count)
        this.#moved()
        onSent?.(count)
        expectByte()
      },
      onSent: () => this.#watch.expect(timeouts.firstByteMs, `${what}: no answer`, more),
    }
  }

  #moved(): void {
    this.#movedAt = this.#options.clock.now()
  }

  #failure(cause: unknown): ServiceError {
    const { what, method } = this.#attempt
    const ambiguous = this.#sent && method !== 'GET'
    return connectionFailure({ what, cause, ambiguous, answered: this.#status !== undefined })
  }

  #finish(bytesIn: number, error: ServiceError | undefined): void {
    this.#watch.stop()
    this.#total.stop()
    this.#attempt.signal?.removeEventListener('abort', this.#onAbort)
    this.#options.onEnd({ status: this.#status, bytesIn, bytesOut: this.#bytesOut, error })
  }
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
