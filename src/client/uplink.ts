/**
 * How long what was handed to the connections may take to arrive. Layer: client.
 *
 * A tunnel, a VPN or the kernel takes megabytes at once and sends them slowly: that a byte was handed over says
 * nothing of its arrival, only an answer does. So whoever waits for one waits the longer the more is on its way,
 * and the slower the link has been seen to be.
 *
 * Invariant: what is on its way is counted once, until it was answered or its connection is gone.
 */
import type { Clock } from '../clock.ts'

/** Of a link of which nothing is known yet: a slow mobile one. */
const assumedBytesPerSecond = 16 * 1024
const leastBytesPerSecond = 2 * 1024
/** A link that has been seen to be fast may be so much slower for a while. */
const patience = 3
/** So much is on its way at any time, and within the usual limits. */
const usualBytes = 64 * 1024
/** Less says more of the round trip than of the link. */
const tellingBytes = 256 * 1024

export class Uplink {
  readonly #clock: Clock
  #onTheWay = 0
  #bytesPerSecond = assumedBytesPerSecond
  /** Since when something has been on its way without a break, and what has arrived since. */
  #busySince = 0
  #arrived = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** What all that is on its way may take to arrive, beyond what every request may, in milliseconds. */
  get allowanceMs(): number {
    return Math.ceil((Math.max(0, this.#onTheWay - usualBytes) / this.#bytesPerSecond) * 1000)
  }

  handedOver(bytes: number): void {
    if (this.#onTheWay === 0) {
      this.#busySince = this.#clock.now()
      this.#arrived = 0
    }
    this.#onTheWay += bytes
  }

  /** A whole request was answered. */
  arrived(bytes: number): void {
    this.#onTheWay -= bytes
    this.#arrived += bytes
    if (this.#arrived < tellingBytes) return
    const seconds = Math.max(1, this.#clock.now() - this.#busySince) / 1000
    this.#bytesPerSecond = Math.max(leastBytesPerSecond, this.#arrived / seconds / patience)
  }

  /** Its connection is gone, with what was on its way over it. */
  lost(bytes: number): void {
    this.#onTheWay -= bytes
  }

  /** The link is slower than it was taken for. */
  timedOut(): void {
    const slower = Math.min(this.#bytesPerSecond, assumedBytesPerSecond) / 2
    this.#bytesPerSecond = Math.max(leastBytesPerSecond, slower)
  }
}
