/**
 * One call: its attempts, the slot each of them holds, the token each of them carries, and the waits
 * between them. Layer: client.
 *
 *   slot → token → send → 2xx → the answer          (the slot is held until its body has ended)
 *                       → 401 → another token, once → again
 *                       → worth another try → slot given back → wait → again
 *
 * Invariant: a call that waits for its next attempt holds no slot. A failure is `ambiguous` when any
 * attempt of the call may have been carried out, not only the last.
 */
import { randomUUID } from 'node:crypto'
import { type Clock, sleep } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { ServiceCall, FinishedCall } from './call.ts'
import { checkConfirming } from './confirmation.ts'
import type { TokenSource } from './credential.ts'
import { abortSignalOf, Ending, type EndSignal } from './ending.ts'
import { queryString } from './endpoint.ts'
import { abortedError, ClientClosed, ServiceError } from './errors.ts'
import type { Slot } from './lane.ts'
import { refusalError } from './refusal.ts'
import { readJson } from './reply-json.ts'
import { dateMs, retryDelay, type RetryPolicy } from './retry.ts'
import type { CallOptions } from './session-files.ts'
import type { HttpReply } from './exchange.ts'
import { parseRefusal } from './wire.ts'

export interface CallRunnerOptions {
  readonly tokens: TokenSource
  readonly clock: Clock
  readonly logger: Logger
  readonly retry: RetryPolicy
  /** 0 to 1, for the jitter. */
  readonly random: () => number
  readonly onCall: (call: FinishedCall) => void
  readonly onServerDate?: ((ms: number) => void) | undefined
}

/** A signal that follows others until it is let go. */
interface Follower {
  readonly signal: EndSignal
  readonly letGo: () => void
}

interface Sending {
  /** 1 for the first. */
  readonly attempt: number
  readonly follower: Follower
  readonly slot: Slot | undefined
  readonly onSent: CallOptions['onProgress']
}

export class CallRunner {
  readonly #options: CallRunnerOptions
  /** What is under way, to be ended by `close`. */
  readonly #open = new Set<Ending>()
  #closed = false

  constructor(options: CallRunnerOptions) {
    this.#options = options
  }

  async run<T>(call: ServiceCall<T>, options: CallOptions): Promise<T> {
    const { clock, logger } = this.#options
    if (this.#closed) throw new ServiceError('closed', `${call.what}: the client is closed: make a new one`)
    const beganAt = clock.now()
    let ambiguous = false
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(call, options, { attempt })
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error
        ambiguous ||= error.ambiguous
        const delay = this.#delay(call, options, { attempt, error, ambiguous, beganAt })
        if (delay === undefined) throw ambiguous ? error.asAmbiguous() : error
        const { code, status } = error
        logger.debug({ verb: call.verb, code, status, attempt, delayMs: delay }, 'a call will be repeated')
        await this.#pause(call, options, delay, ambiguous)
      }
    }
  }

  /** Ends every call under way with `aborted`, and every later one with `closed`. */
  close(): void {
    this.#closed = true
    for (const ending of this.#open) ending.abort(new ClientClosed())
  }

  #delay<T>(
    call: ServiceCall<T>,
    options: CallOptions,
    failed: { attempt: number; error: ServiceError; ambiguous: boolean; beganAt: number },
  ): number | undefined {
    if (options.retry === false || call.body?.canBegin() === false) return undefined
    if (failed.ambiguous && call.idempotent === false) return undefined
    const elapsedMs = this.#options.clock.now() - failed.beganAt
    return retryDelay(this.#options.retry, { ...failed, elapsedMs, random: this.#options.random() })
  }

  async #pause<T>(
    call: ServiceCall<T>,
    options: CallOptions,
    delayMs: number,
    ambiguous: boolean,
  ): Promise<void> {
    const { signal, letGo } = this.#follow(options.signal)
    try {
      await sleep(this.#options.clock, delayMs, abortSignalOf(signal))
    } catch (cause) {
      throw abortedError(call.what, cause, ambiguous)
    } finally {
      letGo()
    }
  }

  /** `refusedToken`: what the attempt before this one was answered 401 for. */
  async #attempt<T>(
    call: ServiceCall<T>,
    options: CallOptions,
    { attempt, refusedToken }: { readonly attempt: number; readonly refusedToken?: string },
  ): Promise<T> {
    const follower = this.#follow(options.signal)
    let slot: Slot | undefined
    let token: string
    try {
      slot = await call.lane?.acquire({ priority: options.priority, signal: follower.signal })
      token = await this.#options.tokens.get({ signal: follower.signal, rejected: refusedToken })
    } catch (cause) {
      slot?.release()
      follower.letGo()
      throw follower.signal.aborted ? abortedError(call.what, cause, false) : cause
    }
    const reply = await this.#send(call, token, { attempt, follower, slot, onSent: options.onProgress })
    const { onServerDate } = this.#options
    if (onServerDate !== undefined) onServerDate(dateMs(reply.headers['date']) ?? NaN)
    if (reply.status >= 200 && reply.status <= 299) {
      slot?.succeeded()
      return await receiveOrDrop(call, reply)
    }
    const isTooMuch = reply.status === 429 || reply.status === 503
    if (isTooMuch || (reply.status === 408 && call.method !== 'GET')) slot?.throttled()
    const error = await this.#refused(call, reply)
    const last = refusedToken !== undefined || call.body?.canBegin() === false
    if (error.code !== 'unauthorized' || last || !(await this.#hasOtherToken(token, options))) throw error
    return await this.#attempt(call, options, { attempt, refusedToken: token })
  }

  #send<T>(call: ServiceCall<T>, token: string, sending: Sending): Promise<HttpReply> {
    const { clock, logger, onCall } = this.#options
    const { attempt, follower, slot, onSent } = sending
    const beganAt = clock.now()
    const requestId = randomUUID()
    return call.transport.send({
      what: call.what,
      method: call.method,
      target: `${call.path}?${queryString(call.query)}`,
      headers: { ...call.headers, authorization: `Bearer ${token}`, 'x-ms-client-request-id': requestId },
      body: call.body,
      contentBytes: call.contentBytes,
      timeouts: call.timeouts,
      signal: follower.signal,
      onRest: (isResting) => slot?.rest(isResting),
      onSent,
      onEnd: ({ status, bytesIn, bytesOut, error }) => {
        // the link or the service does not bear so many changes at once
        if (error?.code === 'timeout' && call.method !== 'GET') slot?.throttled()
        slot?.release()
        follower.letGo()
        const durationMs = clock.now() - beganAt
        const { verb, query } = call
        const code = error?.code
        onCall({ verb, status, durationMs, bytesIn, bytesOut, code })
        if (!logger.isLevelEnabled('trace')) return
        const { path } = query
        logger.trace(
          { verb, path, status, code, bytesIn, bytesOut, durationMs, attempt, requestId },
          'a call of the service',
        )
      },
    })
  }

  async #refused<T>(call: ServiceCall<T>, reply: HttpReply): Promise<ServiceError> {
    const answer = await readJson(call.what, reply).catch(() => undefined /* the status says enough */)
    const refused = { what: call.what, subject: call.subject, changes: call.method !== 'GET' }
    const wallMs = this.#options.clock.wallMs()
    return refusalError(refused, reply.status, reply.headers, parseRefusal(answer), wallMs)
  }

  /** Whether there is another token than the refused one to try; the 401 says more than that there is none. */
  async #hasOtherToken(refused: string, { signal }: CallOptions): Promise<boolean> {
    const other = await this.#options.tokens.get({ rejected: refused, signal }).catch(() => refused)
    return other !== refused
  }

  /* `AbortSignal.any` would keep something of every call for as long as the client lives. */
  #follow(signal: AbortSignal | undefined): Follower {
    const ending = new Ending()
    const onAbort = (): void => ending.abort(signal?.reason)
    if (signal?.aborted) onAbort()
    else if (this.#closed) ending.abort(new ClientClosed())
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#open.add(ending)
    const letGo = (): void => {
      signal?.removeEventListener('abort', onAbort)
      this.#open.delete(ending)
    }
    return { signal: ending, letGo }
  }
}

/** An answer that is of no use ends its transfer; a change that it was the answer to may be done. */
async function receiveOrDrop<T>(call: ServiceCall<T>, reply: HttpReply): Promise<T> {
  try {
    checkConfirming(call, reply)
    return await call.receive(reply)
  } catch (thrown) {
    await reply.body.return()
    throw call.method !== 'GET' && thrown instanceof ServiceError ? thrown.asAmbiguous() : thrown
  }
}
