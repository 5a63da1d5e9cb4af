/**
 * How many attempts of one kind are under way at once. Layer: client, over p-queue.
 *
 * Invariant: an attempt holds a slot from before it is sent until its body has ended; a call that backs
 * off holds none, and one that rests (nothing has moved for a while) lets another run beside it, as long as
 * the service bears the whole number. Too many requests (429), and changes that time out, halve the number at
 * once, once for all attempts that were under way together; successes bring it back by one at a time, at most one in `growMs`.
 */
import PQueue from 'p-queue'
import type { Clock } from '../clock.ts'

export interface LaneOptions {
  readonly limit: number
  /** So many that rest do not count, at most. Default 0. */
  readonly maxResting?: number
  readonly clock: Clock
  /** Least time between two steps of recovery, in milliseconds. Default 1000. */
  readonly growMs?: number
}

export interface Slot {
  /** The service took the request. */
  succeeded(): void
  /** The service answered 429, or a change timed out. */
  throttled(): void
  /** Nothing moves, or it does again. */
  rest(isResting: boolean): void
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
  readonly #maxResting: number
  #limit: number
  #resting = 0
  readonly #clock: Clock
  readonly #growMs: number
  /** Grows with each halving: an attempt begun before it says nothing of the new number. */
  #generation = 0
  #successes = 0
  #changedAt = -Infinity

  constructor(options: LaneOptions) {
    this.#queue = new PQueue({ concurrency: options.limit })
    this.#most = options.limit
    this.#limit = options.limit
    this.#maxResting = options.maxResting ?? 0
    this.#clock = options.clock
    this.#growMs = options.growMs ?? 1000
  }

  get load(): LaneLoad {
    return { running: this.#queue.pending, waiting: this.#queue.size, limit: this.#limit }
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
    let resting = false
    const rest = (isResting: boolean): void => {
      if (isResting === resting) return
      resting = isResting
      this.#resting += isResting ? 1 : -1
      this.#apply()
    }
    return {
      succeeded: () => this.#succeeded(generation),
      throttled: () => this.#throttled(generation),
      rest,
      release: () => {
        rest(false)
        release()
      },
    }
  }

  #throttled(generation: number): void {
    if (generation !== this.#generation) return
    this.#generation += 1
    this.#set(Math.max(1, Math.floor(this.#limit / 2)))
  }

  #succeeded(generation: number): void {
    if (generation !== this.#generation || this.#limit >= this.#most) return
    this.#successes += 1
    if (this.#successes < this.#limit) return
    if (this.#clock.now() - this.#changedAt < this.#growMs) return
    this.#set(this.#limit + 1)
  }

  #set(limit: number): void {
    this.#successes = 0
    this.#changedAt = this.#clock.now()
    this.#limit = limit
    this.#apply()
  }

  #apply(): void {
    const beside = this.#limit < this.#most ? 0 : Math.min(this.#resting, this.#maxResting)
    this.#queue.concurrency = this.#limit + beside
  }
}
