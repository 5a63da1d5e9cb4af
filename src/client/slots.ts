/**
 * Room for so many at once. Who finds none waits: higher priority first, else in the order of coming.
 * Layer: client, below all that sends.
 *
 * Invariant: `begin` is called once, at once or as soon as there is room, unless it was withdrawn before; each that
 * has begun leaves once.
 */

/** One that waits, or has begun. */
export interface Ticket {
  readonly begin: () => void
  readonly priority: number
}

export class Slots {
  #limit: number
  #running = 0
  #isPaused = false
  #waiting: Ticket[] = []
  #whenIdle: (() => void)[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  /** How many have begun and not left. */
  get running(): number {
    return this.#running
  }

  set limit(limit: number) {
    this.#limit = limit
    this.#fill()
  }

  /** Whether there was room at once: then it has begun. */
  tryEnter(): boolean {
    if (this.#isPaused || this.#running >= this.#limit || this.#waiting.length > 0) return false
    this.#running += 1
    return true
  }

  enter(begin: () => void, priority = 0): Ticket {
    const ticket = { begin, priority }
    this.#insert(ticket)
    this.#fill()
    return ticket
  }

  /** What it is called from now on; nothing changes for one that has begun. */
  raise(ticket: Ticket, priority: number): Ticket {
    if (!this.withdraw(ticket)) return ticket
    return this.enter(ticket.begin, priority)
  }

  /** False for one that has begun. */
  withdraw(ticket: Ticket): boolean {
    const index = this.#waiting.indexOf(ticket)
    if (index !== -1) this.#waiting.splice(index, 1)
    return index !== -1
  }

  leave(): void {
    this.#running -= 1
    this.#fill()
    if (this.#running > 0 || this.#waiting.length > 0) return
    for (const resolve of this.#whenIdle.splice(0)) resolve()
  }

  /** Nobody begins until `start`. */
  pause(): void {
    this.#isPaused = true
  }

  start(): void {
    this.#isPaused = false
    this.#fill()
  }

  /** Nobody waits any more; who has begun goes on. */
  clear(): void {
    this.#waiting = []
  }

  /** Resolves when nobody is in it and nobody waits. */
  onIdle(): Promise<void> {
    if (this.#running === 0 && this.#waiting.length === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenIdle.push(resolve))
  }

  #insert(ticket: Ticket): void {
    const waiting = this.#waiting
    let index = waiting.length
    while (index > 0 && (waiting[index - 1]?.priority ?? 0) < ticket.priority) index--
    if (index === waiting.length) waiting.push(ticket)
    else waiting.splice(index, 0, ticket)
  }

  #fill(): void {
    while (!this.#isPaused && this.#running < this.#limit) {
      const ticket = this.#waiting.shift()
      if (ticket === undefined) return
      this.#running += 1
      ticket.begin()
    }
  }
}
