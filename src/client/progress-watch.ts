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
  #cancel: (() => void) | undefined
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
  expect(ms: number, what: string, moreMs: () => number = () => 0): void {
    this.stop()
    const since = this.#clock.now()
    const expire = (): void => {
      const waitedMs = Math.round(this.#clock.now() - since)
      const leftMs = ms + moreMs() - waitedMs
      if (leftMs > 0) this.#cancel = this.#clock.after(leftMs, expire)
      else this.#expire(`${what} within ${Math.max(ms, waitedMs)} ms`)
    }
    if (this.#onRest !== undefined && (ms === 0 || ms > restMs)) {
      this.#cancel = this.#clock.after(restMs, () => {
        this.#rest(true)
        this.#cancel = ms === 0 ? undefined : this.#clock.after(ms - restMs, expire)
      })
    } else if (ms > 0) this.#cancel = this.#clock.after(ms, expire)
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#rest(false)
  }

  #rest(isResting: boolean): void {
    if (this.#isResting === isResting) return
    this.#isResting = isResting
    this.#onRest?.(isResting)
  }
}
