/**
 * Timers that go off together. Layer: write-back.
 *
 * Invariant: nothing is called later than it is due, nor earlier by as much as `togetherMs`. Programs close many files
 * in short succession: what is due one by one would be sent one by one, each in a round of the event loop, a packet
 * and an answer of its own.
 */
import type { Clock } from '../../clock.ts'

/** In milliseconds. */
export const togetherMs = 25

interface Batch {
  /** When it goes off. */
  readonly at: number
  readonly callbacks: Set<() => void>
  readonly cancel: () => void
}

export class DueTogether {
  readonly #clock: Clock
  readonly #batches = new Map<number, Batch>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `at`: by `clock.now()`. Answers what takes it back. */
  at(at: number, callback: () => void): () => void {
    const key = Math.floor(at / togetherMs)
    const known = this.#batches.get(key)
    const batch = known !== undefined && known.at <= at ? known : this.#begin(key, at)
    batch.callbacks.add(callback)
    return () => {
      batch.callbacks.delete(callback)
      if (batch.callbacks.size > 0) return
      batch.cancel()
      this.#end(key, batch)
    }
  }

  #begin(key: number, at: number): Batch {
    const callbacks = new Set<() => void>()
    const cancel = this.#clock.after(at - this.#clock.now(), () => {
      this.#end(key, batch)
      for (const callback of callbacks) callback()
    })
    const batch = { at, callbacks, cancel }
    this.#batches.set(key, batch)
    return batch
  }

  /** Nothing joins it any more. */
  #end(key: number, batch: Batch): void {
    if (this.#batches.get(key) === batch) this.#batches.delete(key)
  }
}
