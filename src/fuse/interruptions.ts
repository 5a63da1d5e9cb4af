/**
 * What becomes of the kernel's INTERRUPTs. Layer: fuse.
 *
 *   waiting ──INTERRUPT──▶ ended (EINTR)        a signal that may end waits is pending, or nothing can be known
 *                    └───▶ looked after ──────▶ ended (EINTR)   such a signal has come meanwhile
 *                                   └─────────▶ answered
 *
 * Invariant: the kernel sends INTERRUPT for any signal, also one that the program handles and goes on after, or a
 * debugger that attaches; and once a request: so what is pending is looked at then, and again for as long as the
 * request waits. Nothing is looked at for requests that nobody interrupts.
 */

import type { Clock } from '../clock.ts'
import { isDeepAsleep, mayEndWait, type StatusOf } from './pending-signals.ts'
import type { Request } from './request.ts'

/** Short enough for whoever presses Ctrl-C. */
const lookAgainMs = 100

export class Interruptions {
  readonly #clock: Clock
  readonly #statusOf: StatusOf
  readonly #lookedAfter = new Set<Request>()
  #cancelLook: (() => void) | undefined

  constructor(clock: Clock, statusOf: StatusOf) {
    this.#clock = clock
    this.#statusOf = statusOf
  }

  /** The kernel wants this request interrupted, which is not answered yet. */
  asked(request: Request): void {
    const status = this.#find(request)
    if (status === undefined || mayEndWait(status)) {
      request.interrupt()
      return
    }
    this.#lookedAfter.add(request)
    this.#cancelLook ??= this.#clock.after(lookAgainMs, () => this.#lookAgain())
  }

  answered(request: Request): void {
    this.#lookedAfter.delete(request)
  }

  close(): void {
    this.#lookedAfter.clear()
    this.#cancelLook?.()
  }

  /** undefined for a thread that cannot be seen: in a container beside or around ours (number 0), or hidden. */
  #find({ pid }: Request): string | undefined {
    return pid === 0 ? undefined : this.#statusOf(pid)
  }

  #lookAgain(): void {
    this.#cancelLook = undefined
    for (const request of this.#lookedAfter) {
      const status = this.#find(request)
      /* one that is awake is not the one who waits: numbers of another namespace */
      if (status !== undefined && isDeepAsleep(status) && !mayEndWait(status)) continue
      this.#lookedAfter.delete(request)
      request.interrupt()
    }
    if (this.#lookedAfter.size > 0) this.#cancelLook = this.#clock.after(lookAgainMs, () => this.#lookAgain())
  }
}
