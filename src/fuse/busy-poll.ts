/**
 * Waits a moment for the kernel's next request without going to sleep, where that pays. Layer: fuse.
 *
 *   answered ──▶ polled ──in time──▶ answered
 *                  └─three times in vain─▶ not polled, but after every 32nd answer
 *
 * A program that works alone asks again some 20 µs after its answer. To sleep until then takes more of the processor
 * than to look, and the program waits three times as long where an idle processor has to be woken first, as in
 * a virtual machine. So this polls for as long as sleeping and waking would cost.
 *
 * Invariant: whoever waits for this processor gets it before each look. On a machine with more work than
 * processors others have it for longer then than a poll lasts: that is in vain as well.
 */
import type { Clock } from '../clock.ts'
import { Errno } from './errno.ts'

export interface BusyPollOptions {
  /** Bytes of a request, or a negative errno: EAGAIN for none. Does not block. */
  readonly read: () => number
  /** Whoever waits for this processor has it first. */
  readonly yieldProcessor: () => void
  readonly clock: Clock
}

/** What several programs have asked for meanwhile is there at once. */
const firstLooks = 2
const longestPollMs = 0.05
/** For a clock that stands still. */
const mostLooks = 100
const tries = 3
const triesAgainAfter = 32

export class BusyPoll {
  readonly #options: BusyPollOptions
  /** Polls without a request in time since the last one with it, and answers since that were not polled after. */
  #inVain = 0

  constructor(options: BusyPollOptions) {
    this.#options = options
  }

  /**
   * The next request as `read` has it, or the EAGAIN of the last look. Polls only where the last request has been
   * answered: nobody asks on before, and what will answer it waits for this turn to end.
   */
  next(isAnswered: boolean): number {
    const { read, clock } = this.#options
    for (let looks = 0; looks < firstLooks; looks++) {
      const length = read()
      if (length !== -Errno.EAGAIN) return length
    }
    if (!isAnswered) return -Errno.EAGAIN
    if (this.#inVain >= tries && ++this.#inVain % triesAgainAfter !== 0) return -Errno.EAGAIN
    const endsAt = clock.now() + longestPollMs
    const length = this.#poll(endsAt)
    const isInTime = length !== -Errno.EAGAIN && clock.now() <= endsAt
    this.#inVain = isInTime ? 0 : this.#inVain + 1
    return length
  }

  #poll(endsAt: number): number {
    const { read, yieldProcessor, clock } = this.#options
    for (let looks = 0; looks < mostLooks && clock.now() <= endsAt; looks++) {
      yieldProcessor()
      const length = read()
      if (length !== -Errno.EAGAIN) return length
    }
    return -Errno.EAGAIN
  }
}
