/**
 * How many attempts of one kind are under way at once. Layer: client, over p-queue.
 *
 * Invariant: an attempt holds a slot from before it is sent until its body has ended; a call that backs
 * off holds none. Too many requests (429) halve the number at once, once for all attempts that were under
 * way together; successes bring it back by one at a time, at most one in `growMs`.
 */
import PQueue from 'p-queue'
import type { Clock } from '../clock.ts'

export interface LaneOptions {
  readonly limit: number
  readonly clock: Clock
  /** Least time between two steps of recovery, in milliseconds. Default 1000. */
  readonly growMs?: number
}

export interface Slot {
  /** The service took the request. */
  succeeded(): void
  /** The service answered 429. */
  throttled(): void
  /** Gives the slot back; calling it again does nothing. */
  release(): void
}

export interface LaneLoad {
  readonly running: number
  readonly waiting: number
  readonly limit: number
}

export class Lane {
  readonly #queue: PQueue
  readonly #most: number
  readonly #clock: Clock
  readonly #growMs: number
  /** Grows with each halving: an attempt begun before it says nothing of the new number. */
  #generation = 0
  #successes = 0
  #changedAt = -Infinity

  constructor(options: LaneOptions) {
    this.#queue = new PQueue({ concurrency: options.limit })
    this.#most = options.limit
    this.#clock = options.clock
    this.#growMs = options.growMs ?? 1000
  }

  get load(): LaneLoad {
    return { running: this.#queue.pending, waiting: this.#queue.size, limit: this.#queue.concurrency }
  }

  /** Waits for a slot, higher `priority` first; rejects with the signal's reason when it is aborted before. */
  acquire(options: { priority?: number | undefined; signal?: AbortSignal | undefined } = {}): Promise<Slot> {
    return new Promise((resolve, reject) => {
      const hold = (): Promise<void> =>
        new Promise((release) => {
          resolve(this.#slot(release))
        })
      this.#queue.add(hold, { priority: options.priority ?? 0, signal: options.signal }).catch(reject)
    })
  }

  #slot(release: () => void): Slot {
    const generation = this.#generation
    return {
      succeeded: () => this.#succeeded(generation),
      throttled: () => this.#throttled(generation),
      release,
    }
  }

  #throttled(generation: number): void {
    if (generation !== this.#generation) return
    this.#generation += 1
    this.#set(Math.max(1, Math.floor(this.#queue.concurrency / 2)))
  }

  #succeeded(generation: number): void {
    if (generation !== this.#generation || this.#queue.concurrency >= this.#most) return
    this.#successes += 1
    if (this.#successes < this.#queue.concurrency) return
    if (this.#clock.now() - this.#changedAt < this.#growMs) return
    this.#set(this.#queue.concurrency + 1)
  }

  #set(concurrency: number): void {
    this.#successes = 0
    this.#changedAt = this.#clock.now()
    this.#queue.concurrency = concurrency
  }
}
