/**
 * One request and its answer on one connection. Layer: client.
 *
 * Invariant: it knows whether a byte of the request was sent, and a failed change of which one was is
 * `ambiguous`, unless the other side says that it has not looked at it. It never follows a redirect. Timers are the
 * clock's own; every phase has a limit. The connection is free or gone when `onEnd` is called.
 */
import type { Clock } from '../clock.ts'
import { type Connection, type ProgressNotes, Unprocessed } from './connection.ts'
import { connectionFailure } from './connection-failure.ts'
import { Ending, type EndSignal } from './ending.ts'
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
  /** Bytes of content that it or its answer brings, as far as is known: `Infinity` where it is not. Default 0. */
  readonly contentBytes?: number | undefined
  readonly body?: RequestBody | undefined
  readonly timeouts: Timeouts
  readonly signal?: EndSignal | undefined
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
  readonly take: () => Connection | Promise<Connection>
  /** It has a connection, and its request goes out. */
  readonly onTaken: (connection: Connection) => void
  readonly uplink: Uplink
  /** In place of the attempt's own, which may have two exchanges. */
  readonly onEnd: (end: AttemptEnd) => void
}

export class Exchange {
  readonly #attempt: HttpAttempt
  readonly #options: ExchangeOptions
  readonly #ending = new Ending()
  readonly #watch: ProgressWatch
  readonly #total: ProgressWatch
  readonly #onAbort: () => void
  #connection: Connection | undefined
  #wasReused = false
  #sent = false
  #isUnprocessed = false
  #bytesOut = 0
  /** Of these the uplink knows. */
  #onTheWay = 0
  #status: number | undefined
  #movedAt: number

  constructor(attempt: HttpAttempt, options: ExchangeOptions) {
    this.#attempt = attempt
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

  /**
   * Whether the same request may go out again at once: its connection was closed by the other side before anything of
   * an answer came, and it changes nothing, was not sent, or was not looked at.
   */
  get canGoAgain(): boolean {
    if (this.#status !== undefined || this.#ending.aborted) return false
    if (this.#attempt.body?.canBegin() === false) return false
    return this.#isUnprocessed || (this.#wasReused && (this.#attempt.method === 'GET' || !this.#sent))
  }

  /** The other side has said that it did not look at it: it may go over the same connection. */
  get isUnprocessed(): boolean {
    return this.#isUnprocessed
  }

  end(error: ServiceError): void {
    this.#ending.abort(error)
  }

  /** See `Connection.distrust`. */
  distrust(sinceMs: number): void {
    this.#connection?.distrust(sinceMs)
  }

  /** Once. Rejects with `ServiceError`. */
  async start(): Promise<HttpReply> {
    const { what, method, target, signal, timeouts, body } = this.#attempt
    const { uplink } = this.#options
    try {
      if (signal?.aborted) this.#onAbort()
      this.#ending.throwIfAborted()
      this.#total.expect(timeouts.totalMs, `${what}: it was not done`)
      this.#watch.expect(timeouts.connectMs, `${what}: no connection`)
      const connection = await this.#take()
      const head = { method, target, headers: withLength(this.#attempt), body, signal: this.#ending }
      const answer = await connection.request(head, this.#notes())
      this.#status = answer.status
      this.#moved()
      connection.heard()
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
      return { status: answer.status, headers, isRequestSent, body: reply }
    } catch (cause) {
      const error = this.#failure(cause)
      if (error.code === 'timeout') uplink.timedOut()
      uplink.lost(this.#onTheWay)
      this.#onTheWay = 0
      this.#finish(0, error)
      throw error
    }
  }

  /** A connection that comes too late goes back. */
  async #take(): Promise<Connection> {
    const taken = this.#options.take()
    this.#connection = taken instanceof Promise ? await this.#untilTaken(taken) : taken
    this.#wasReused = this.#connection.isReused
    this.#options.onTaken(this.#connection)
    return this.#connection
  }

  async #untilTaken(taken: Promise<Connection>): Promise<Connection> {
    const signal = this.#ending
    const given = Promise.withResolvers<never>()
    const giveUp = (): void => given.reject(signal.reason)
    signal.addEventListener('abort', giveUp)
    try {
      return await Promise.race([taken, given.promise])
    } catch (error) {
      if (signal.aborted)
        taken.then(
          (connection) => connection.release(),
          () => undefined,
        )
      throw error
    } finally {
      signal.removeEventListener('abort', giveUp)
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
    this.#isUnprocessed = cause instanceof Unprocessed
    const ambiguous = this.#sent && method !== 'GET' && !this.#isUnprocessed
    return connectionFailure({ what, cause, ambiguous, answered: this.#status !== undefined })
  }

  #finish(bytesIn: number, error: ServiceError | undefined): void {
    this.#watch.stop()
    this.#total.stop()
    this.#attempt.signal?.removeEventListener('abort', this.#onAbort)
    this.#connection?.release()
    this.#options.onEnd({ status: this.#status, bytesIn, bytesOut: this.#bytesOut, error })
  }
}

function withLength(attempt: HttpAttempt): Record<string, string> {
  if (attempt.body === undefined) return attempt.headers
  const { contentType, size } = attempt.body
  return { ...attempt.headers, 'content-type': contentType, 'content-length': String(size) }
}

function contentLength(headers: ReplyHeaders): number | undefined {
  const value = headers['content-length']
  return typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : undefined
}
