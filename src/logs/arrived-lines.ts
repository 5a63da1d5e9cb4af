/**
 * Lines on their way from the follower to whoever reads them one by one. Layer: logs.
 *
 * Invariant: in order, each once; a reader that is slow makes the connection wait, so that no more than
 * `mostHeld` characters and what one chunk brings are kept.
 */
import type { LineStore } from './log-connection.ts'
import { RecentLines } from './recent-lines.ts'

const mostHeld = 4 * 1024 * 1024

export class ArrivedLines implements LineStore {
  readonly recent = new RecentLines()
  readonly #onArrival: (lines: readonly string[]) => void
  #lines: string[] = []
  #held = 0
  #isFull = false
  #isOver = false
  #failure: { readonly error: unknown } | undefined
  #room = Promise.resolve<undefined>(undefined)
  #makeRoom = (): void => undefined
  #wake = (): void => undefined

  constructor(onArrival: (lines: readonly string[]) => void = () => undefined) {
    this.#onArrival = onArrival
    /* the console is older than the first line that comes: a longer replay later on may begin before that */
    this.recent.forgetOlder()
  }

  append(lines: readonly string[]): void {
    for (const line of lines) {
      this.recent.add(line)
      this.#lines.push(line)
      this.#held += line.length
    }
    if (this.#held > mostHeld && !this.#isFull) {
      this.#isFull = true
      const { promise, resolve } = Promise.withResolvers<undefined>()
      this.#room = promise
      this.#makeRoom = () => resolve(undefined)
    }
    this.#onArrival(lines)
    this.#wake()
  }

  room(): Promise<undefined> | undefined {
    return this.#isFull ? this.#room : undefined
  }

  /** Nothing more is waited for. */
  get isOver(): boolean {
    return this.#isOver || this.#failure !== undefined
  }

  /** All that have come since the last call. */
  take(): readonly string[] {
    this.#held = 0
    this.#isFull = false
    this.#makeRoom()
    return this.#lines.splice(0)
  }

  /** Resolves with true when there are lines, or after `nudge`, with false when there will be none; rejects after `fail`. */
  async more(): Promise<boolean> {
    if (this.#lines.length > 0) return true
    if (this.#failure === undefined && !this.#isOver) {
      const woken = Promise.withResolvers<undefined>()
      this.#wake = () => woken.resolve(undefined)
      await woken.promise
    }
    if (this.#lines.length > 0) return true
    if (this.#failure !== undefined) throw this.#failure.error
    return !this.#isOver
  }

  /** Whoever waits for `more` is to look again. */
  nudge(): void {
    this.#wake()
  }

  /** What has come is all. */
  end(): void {
    this.#isOver = true
    this.#wake()
  }

  /** There is nothing to be had any more, for this reason. What has come can still be taken. */
  fail(error: unknown): void {
    this.#failure ??= { error }
    this.#wake()
  }
}
