/**
 * A clock that a test moves by hand. Layer: tests.
 *
 * Invariant: time passes in `advance` only; timers run inside it, in the order in which they fall due, and
 * a timer that a callback sets is run by the same `advance` if it falls due within it.
 */
import type { Clock } from '../src/clock.ts'

interface Timer {
  readonly due: number
  readonly callback: () => void
}

export class FakeClock implements Clock {
  #now: number
  #wallAtZero: number
  #ordered = 0
  readonly #timers = new Set<Timer>()
  readonly #watchers = new Set<() => void>()

  /** Starts at `now() === 0`; `wallMs` is what the wall clock shows then. */
  constructor(options: { readonly wallMs?: number } = {}) {
    this.#now = 0
    this.#wallAtZero = options.wallMs ?? Date.UTC(2026, 0, 2, 3, 4, 5)
  }

  now(): number {
    return this.#now
  }

  wallMs(): number {
    return this.#wallAtZero + this.#now
  }

  /** Sets the wall clock forward or, by a negative number of milliseconds, back. */
  setWall(byMs: number): void {
    this.#wallAtZero += byMs
  }

  order(): number {
    return ++this.#ordered
  }

  after(ms: number, callback: () => void): () => void {
    const timer: Timer = { due: this.#now + Math.max(0, ms), callback }
    this.#timers.add(timer)
    for (const watcher of this.#watchers) watcher()
    return () => {
      this.#timers.delete(timer)
      for (const watcher of this.#watchers) watcher()
    }
  }

  /** How many timers are set. */
  get waiting(): number {
    return this.#timers.size
  }

  /** In how many milliseconds the next timer falls due; undefined when none is set. */
  get nextIn(): number | undefined {
    const next = this.#next()
    return next === undefined ? undefined : next.due - this.#now
  }

  /** Lets `ms` pass. Promises that the timers resolved go on after the caller has awaited something. */
  advance(ms: number): void {
    const until = this.#now + ms
    for (let timer = this.#next(); timer !== undefined && timer.due <= until; timer = this.#next()) {
      this.#timers.delete(timer)
      this.#now = Math.max(this.#now, timer.due)
      timer.callback()
    }
    this.#now = until
    for (const watcher of this.#watchers) watcher()
  }

  /** Resolves once exactly `count` timers are set. */
  untilWaiting(count: number): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (this.#timers.size !== count) return
        this.#watchers.delete(check)
        resolve()
      }
      this.#watchers.add(check)
      check()
    })
  }

  #next(): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) if (next === undefined || timer.due < next.due) next = timer
    return next
  }
}
