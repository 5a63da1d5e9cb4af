/**
 * What is done while the service does not answer: with what was listed before. Layer: cache.
 *
 *   answering ──a question without an answer for `patienceMs`──▶ silent ──any answer──▶ answering
 *
 * Invariant: only who has said that an older listing will do gets one, and only when there is one; what the
 * service refuses is told as it is. While it is silent one of those who come asks again now and then and waits
 * a moment; the others do not wait.
 */
import type { Clock } from '../clock.ts'
import { ServiceError } from '../client/errors.ts'
import type { Logger } from '../log.ts'
import { abortedError } from './abortable.ts'
import type { Listing } from './listings.ts'

/** Without a page of an answer, where there is an older listing: as long as a read waits without a byte. */
const patienceMs = 20_000
/** The same where there is none: a sandbox wakes within it. */
const hopeMs = 60_000
/** While the service is silent a question goes out so often, for whoever comes by. */
const probeMs = 10_000
/** So long is that one waited for, where there is an older listing. */
const probeWaitMs = 2_000

export interface Question<T> {
  readonly directory: string
  /** What is known. */
  readonly older: Listing | undefined
  readonly signal: AbortSignal | undefined
  /** Asks, until the signal; `once`: without repeating what fails. */
  readonly ask: (signal: AbortSignal, once: boolean) => Promise<T>
  /** `Clock.now()` at which a page of the answer last came. */
  readonly movedAt: () => number
  /** The answer of the older listing. */
  readonly answerOlder: (older: Listing) => T
}

export class Silence {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #wider: Silence | undefined
  #heardAt = -Infinity
  #probedAt = -Infinity
  /** `Clock.now()` */
  #beganAt: number | undefined

  /** `wider`: of something on the same link: while that is not answered nobody waits for long here either. */
  constructor(clock: Clock, logger: Logger, wider?: Silence) {
    this.#clock = clock
    this.#logger = logger
    this.#wider = wider
  }

  /** For how long the service has not answered, in milliseconds; undefined: it does, as far as is known. */
  get lastsMs(): number | undefined {
    return this.#beganAt === undefined ? undefined : this.#clock.now() - this.#beganAt
  }

  /** A part of an answer has come. */
  heard(): void {
    const silentMs = this.lastsMs
    this.#heardAt = this.#clock.now()
    this.#beganAt = undefined
    this.#wider?.heard()
    if (silentMs !== undefined)
      this.#logger.info({ silentMs: Math.round(silentMs) }, 'the service answers again')
  }

  /** A question has come to nothing; what the service itself refuses for good is an answer. */
  failed(error: unknown): void {
    if (error instanceof ServiceError && error.status !== undefined && !error.retryable) this.heard()
  }

  /** The answer; that of the older listing when none comes. Rejects with a `ServiceError`. */
  async answer<T>(question: Question<T>): Promise<T> {
    const { directory, older, signal, ask, movedAt, answerOlder } = question
    const waitMs = this.#waitMs(older !== undefined)
    const isHopeless = new ServiceError('timeout', `list ${directory}: the service does not answer`)
    if (waitMs <= 0) {
      if (older === undefined) throw isHopeless
      return answerOlder(older)
    }
    const once = this.lastsMs !== undefined && (older !== undefined || this.lastsMs >= hopeMs)
    const beganAt = this.#clock.now()
    const ending = new AbortController()
    const onAbort = (): void => ending.abort(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    const look = (): (() => void) => {
      const leftMs = (): number => waitMs - (this.#clock.now() - Math.max(beganAt, movedAt()))
      return this.#clock.after(leftMs(), () => {
        if (leftMs() > 0) cancel = look()
        else ending.abort()
      })
    }
    let cancel = look()
    try {
      return await ask(ending.signal, once)
    } catch (error) {
      if (signal?.aborted === true) throw abortedError(`list ${directory}`, signal)
      const failure = ending.signal.aborted ? isHopeless : error
      if (!(failure instanceof ServiceError) || !failure.retryable) throw failure
      this.#unanswered(question, beganAt, failure)
      if (older === undefined) throw failure
      return answerOlder(older)
    } finally {
      cancel()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** How long somebody who comes now waits for a part of an answer; who waits at all asks. */
  #waitMs(hasOlder: boolean): number {
    const isSilent = this.lastsMs !== undefined || (hasOlder && this.#wider?.lastsMs !== undefined)
    if (!isSilent) return hasOlder ? patienceMs : hopeMs
    if (!hasOlder && this.lastsMs !== undefined && this.lastsMs < hopeMs) return hopeMs - this.lastsMs
    const now = this.#clock.now()
    if (now - this.#probedAt < probeMs) return 0
    this.#probedAt = now
    return hasOlder ? probeWaitMs : probeMs
  }

  #unanswered({ directory, older }: Question<unknown>, askedAt: number, error: ServiceError): void {
    const now = this.#clock.now()
    const listedMs = older === undefined ? undefined : Math.round(now - older.endedAt)
    const fields = { directory, listedMs, code: error.code, status: error.status }
    if (this.#heardAt >= askedAt || error.status !== undefined) {
      // others are answered, or this is an answer
      if (older !== undefined)
        this.#logger.warn(fields, 'a directory cannot be listed: it is shown as it was listed before')
      return
    }
    if (this.#beganAt !== undefined) return
    this.#probedAt = now
    this.#beganAt = askedAt
    this.#logger.warn(fields, 'the service does not answer: names are shown as they were listed before')
  }
}
