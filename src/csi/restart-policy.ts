/**
 * When a daemon that has ended is followed by another, and when that is given up. Layer: csi; pure.
 *
 * As the keeper of a mount on the command line does: it may be a program that cannot run, or a machine short of memory.
 */
const unreadyAtMost = 8
const soonAtMost = 30
const soonMs = 2000
const pauseStepMs = 500

export class RestartPolicy {
  #launchedAtMs = 0
  /** Ends in a row before it served. */
  #unready = 0
  /** Ends in a row so soon after its start. */
  #soon = 0

  launched(nowMs: number): void {
    this.#launchedAtMs = nowMs
  }

  served(): void {
    this.#unready = 0
  }

  /** Milliseconds until the next start; undefined: there is to be none. */
  ended(nowMs: number): number | undefined {
    this.#soon = nowMs - this.#launchedAtMs > soonMs ? 0 : this.#soon + 1
    if (this.#unready >= unreadyAtMost || this.#soon >= soonAtMost) return undefined
    const pauseMs = this.#unready < 2 ? 0 : this.#unready * pauseStepMs
    this.#unready += 1
    return pauseMs
  }
}
