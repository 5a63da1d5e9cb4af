/**
 * One limit that starts anew with each sign of progress. Layer: client.
 *
 * Invariant: at most one timer is set; what is awaited at the moment is what the message names.
 */
import type { Clock } from '../clock.ts'

/** All in milliseconds; 0 is no limit. */
export interface Timeouts {
  /** Until the connection is there. Default 10,000. */
  readonly connectMs: number
  /** From the end of the request to the answer's first line; a sleeping sandbox wakes within it. Default 60,000. */
  readonly firstByteMs: number
  /**
   * A request that changes nothing, on a connection that was used before, is sent on a new one as well after so
   * long without an answer. Default 3,000.
   */
  readonly companyMs: number
  /** Without a byte sent, or received while one is being waited for. Default 20,000. */
  readonly stallMs: number
  /** A body that nobody reads on is given up after this. Default 120,000. */
  readonly unreadMs: number
  /** One attempt as a whole, its body included. Default 0. */
  readonly totalMs: number
}

export const defaultTimeouts: Timeouts = {
  connectMs: 10_000,
  firstByteMs: 60_000,
  companyMs: 3_000,
  stallMs: 20_000,
  unreadMs: 120_000,
  totalMs: 0,
}

/** What has not moved for so long rests. */
export const restMs = 1_000

export class ProgressWatch {
  readonly #clock: Clock
  readonly #expire: (message: string) => void
  readonly #onRest: ((isResting: boolean) => void) | undefined
  /** What is awaited: within how long since when; undefined: nothing. */
  #awaited: { readonly what: string; readonly ms: number; readonly moreMs: () => number } | undefined
  #since = 0
  /** The timer that is set, and for how long; it may have been set a while ago, and is set anew when it comes. */
  #cancel: (() => void) | undefined
  #timerMs = 0
  #isResting = false

  /** `expire` is called with what did not happen in time; `onRest` when nothing moves, and when it does again. */
  constructor(clock: Clock, expire: (message: string) => void, onRest?: (isResting: boolean) => void) {
    this.#clock = clock
    this.#expire = expire
    this.#onRest = onRest
  }

  /**
   * From now on `what` must happen within `ms`, in place of what was awaited before. `moreMs` is asked when that
   * is over: how much longer it may take, counted from now as well.
   */
  expect(ms: number, what: string, moreMs: () => number = noMore): void {
    this.#rest(false)
    this.#awaited = { what, ms, moreMs }
    this.#since = this.#clock.now()
    const dueMs = this.#restsFirst(ms) ? restMs : ms
    // a timer for each sign of progress would cost more than all else that is done for it
    if (dueMs !== this.#timerMs) this.#wakeIn(dueMs)
  }

  stop(): void {
    this.#awaited = undefined
    this.#unset()
    this.#rest(false)
  }

  #restsFirst(ms: number): boolean {
    return this.#onRest !== undefined && !this.#isResting && (ms === 0 || ms > restMs)
  }

  #wakeIn(ms: number): void {
    this.#unset()
    if (ms === 0) return
    this.#timerMs = ms
    this.#cancel = this.#clock.after(ms, () => {
      this.#unset()
      this.#look()
    })
  }

  #unset(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#timerMs = 0
  }

  #look(): void {
    if (this.#awaited === undefined) return
    const { ms, what, moreMs } = this.#awaited
    const waitedMs = this.#clock.now() - this.#since
    if (this.#restsFirst(ms)) {
      if (waitedMs < restMs) {
        this.#wakeIn(restMs - waitedMs)
        return
      }
      this.#rest(true)
    }
    if (ms === 0) return
    const leftMs = waitedMs < ms ? ms - waitedMs : ms + moreMs() - Math.round(waitedMs)
    if (leftMs > 0) this.#wakeIn(leftMs)
    else this.#expire(`${what} within ${Math.max(ms, Math.round(waitedMs))} ms`)
  }

  #rest(isResting: boolean): void {
    if (this.#isResting === isResting) return
    this.#isResting = isResting
    this.#onRest?.(isResting)
  }
}

const noMore = (): number => 0
