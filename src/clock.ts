/**
 * Time as the program sees it. Layer: below everything.
 *
 * Invariant: nothing else reads a clock or sets a timer where the outcome depends on it, so that a test
 * drives the whole program with a clock of its own.
 */

export interface Clock {
  /** Monotonic milliseconds; only differences mean something. */
  now(): number
  /** Milliseconds since the Unix epoch, for what is shown or stored. */
  wallMs(): number
  /** A strictly increasing number, to order events that fall into one millisecond. */
  order(): number
  /** Calls back once after `ms`; the returned function cancels. Timers do not keep the process alive. */
  after(ms: number, callback: () => void): () => void
}

let ordered = 0

export const systemClock: Clock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  order: () => ++ordered,
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** Resolves after `ms`, or rejects with the signal's reason as soon as it is aborted. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error)
      return
    }
    const onAbort = (): void => {
      cancel()
      reject(signal?.reason as Error)
    }
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
