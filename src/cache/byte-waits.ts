/**
 * Those who wait for bytes of a content that arrives. Layer: cache.
 *
 * Invariant: each wait ends once, by its bytes, by the end of the content, by a failure, or by its own
 * signal, which ends no other.
 */
import type { Clock } from '../clock.ts'
import { abortedError } from './abortable.ts'

interface Wait {
  readonly end: number
  readonly since: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class ByteWaits {
  readonly #clock: Clock
  readonly #waits = new Set<Wait>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#waits.size
  }

  /** Resolves when the bytes before `end` are there or nothing more will come; `what` begins a message. */
  add(end: number, signal: AbortSignal | undefined, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(abortedError(what, signal))
        return
      }
      const leave = (): void => {
        this.#waits.delete(wait)
        signal?.removeEventListener('abort', onAbort)
      }
      const wait: Wait = {
        end,
        since: this.#clock.now(),
        resolve: () => {
          leave()
          resolve()
        },
        reject: (error) => {
          leave()
          reject(error)
        },
      }
      const onAbort = (): void => {
        if (signal !== undefined) wait.reject(abortedError(what, signal))
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waits.add(wait)
    })
  }

  /** The bytes before `received` are there. */
  progress(received: number): void {
    for (const wait of this.#waits) if (wait.end <= received) wait.resolve()
  }

  /** Nothing more will come. */
  end(): void {
    for (const wait of this.#waits) wait.resolve()
  }

  /** Fails those who have waited since `now() - forMs` or longer; default all. */
  fail(error: Error, forMs = 0): void {
    const latest = this.#clock.now() - forMs
    for (const wait of this.#waits) if (wait.since <= latest) wait.reject(error)
  }
}
