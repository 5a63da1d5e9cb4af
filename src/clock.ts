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
  /**
   * Calls back once after `ms`, however many (`Infinity`: never); the returned function cancels. A timer
   * that somebody's promise waits for (`isAwaited`) keeps the process alive, others do not.
   */
  after(ms: number, callback: () => void, options?: { readonly isAwaited?: boolean }): () => void
}

/** What Node's timers take at most; with more they fire at once. */
const longestTimerMs = 2 ** 31 - 1

let ordered = 0

export const systemClock: Clock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  order: () => ++ordered,
  after(ms, callback, { isAwaited = false } = {}) {
    let timer: NodeJS.Timeout
    const wait = (leftMs: number): void => {
      const stepMs = Math.min(leftMs, longestTimerMs)
      timer = setTimeout(() => (leftMs > stepMs ? wait(leftMs - stepMs) : callback()), stepMs)
      if (!isAwaited) timer.unref()
    }
    wait(ms)
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
    const end = (): void => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }
    const cancel = clock.after(ms, end, { isAwaited: true })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
