/**
 * The time of a model test, which passes only when somebody says so. Layer: tests.
 *
 * Invariant: an answer that waits is waited for by letting time pass, from timer to timer, to a limit.
 */
import type { MemoryFiles } from '../contract/memory-files.ts'
import type { FakeClock } from '../fake-clock.ts'
import { quiet } from '../write-back/rig.ts'

/** Longer than any wait of the write-back, its last look at what is in doubt included. */
export const longestWaitMs = 3_600_000
/** At most this long after it seemed to fail a change is carried out after all. */
const lateCommitMs = 5000

export class PassingTime {
  readonly #clock: FakeClock
  readonly #files: MemoryFiles

  constructor(clock: FakeClock, files: MemoryFiles) {
    this.#clock = clock
    this.#files = files
  }

  /** From timer to timer, so that what one begins takes no time before the next. */
  async pass(ms: number): Promise<void> {
    const end = this.#clock.now() + ms
    do {
      const left = end - this.#clock.now()
      this.#clock.advance(Math.min(left, this.#clock.nextIn ?? left, lateCommitMs))
      await quiet()
      this.#files.commitLate()
    } while (this.#clock.now() < end)
  }

  /** The answer; lets time pass as long as there is none. */
  async soon<T>(answer: T | Promise<T>): Promise<T> {
    if (!(answer instanceof Promise)) return answer
    const state = { isPending: true }
    const ended = answer.finally(() => (state.isPending = false))
    ended.catch(() => undefined)
    const limit = this.#clock.now() + longestWaitMs
    for (;;) {
      await quiet()
      if (!state.isPending) return ended
      const next = this.#clock.nextIn
      if (next === undefined || this.#clock.now() > limit) throw new Error('it never answers')
      await this.pass(next)
    }
  }
}
