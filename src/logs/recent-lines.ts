/**
 * The newest lines that were recorded, as fingerprints, for the comparison after a reconnect. Layer: logs.
 *
 * Invariant: holds the newest `limit` console lines in the order in which they were recorded, and knows
 * whether there were older ones.
 */
import { hash } from 'node:crypto'
import { isConnectionFrame } from './connection-frame.ts'

const maxFrames = 1024

export class RecentLines {
  readonly #limit: number
  /* up to twice the limit, cut back in one go */
  #keys: number[] = []
  #forgotten = false
  readonly #frames = new Set<number>()

  /** `limit`: how many console lines are remembered; default 16,384; a replay is a few hundred. */
  constructor(limit = 16_384) {
    this.#limit = limit
  }

  /** Lines older than these were recorded once and are no longer known. */
  get forgotten(): boolean {
    return this.#forgotten || this.#keys.length > this.#limit
  }

  /** States that there were older lines than any that will be added. */
  forgetOlder(): void {
    this.#forgotten = true
  }

  add(line: string): void {
    const key = this.keyOf(line)
    if (isConnectionFrame(line)) {
      this.#frames.add(key)
      const [oldest] = this.#frames
      if (this.#frames.size > maxFrames && oldest !== undefined) this.#frames.delete(oldest)
      return
    }
    this.#keys.push(key)
    if (this.#keys.length < 2 * this.#limit) return
    this.#keys = this.#keys.slice(-this.#limit)
    this.#forgotten = true
  }

  /** A copy, oldest first. */
  keys(): number[] {
    return this.#keys.slice(-this.#limit)
  }

  /** Whether this very frame about a connection was recorded. */
  hasFrame(line: string): boolean {
    return this.#frames.has(this.keyOf(line))
  }

  /** 48 bits of a digest: what is compared is a run of lines, so a chance equality does no harm. */
  keyOf(line: string): number {
    return hash('sha1', line, 'buffer').readUIntBE(0, 6)
  }
}
