/**
 * One direction of a slow link, shared by all its connections. Layer: benchmark.
 *
 *   offer ─▶ a queue per connection ─▶ the line: a piece of each in turn, at so many bits a second
 *         ─▶ in flight: a fixed delay, and for each piece what chance adds ─▶ deliver
 *
 * Invariant: what a connection offers is delivered in order, never sooner than the delay, and all
 * connections together are never faster than the line.
 */

/** What travels: the wish to connect, bytes, the end of a connection's writing, or its reset. */
export type Cargo = 'open' | Buffer | 'end' | 'reset'

export interface Lane {
  /** Called when cargo arrives at the far end. */
  readonly deliver: (cargo: Cargo) => void
  /** Brackets the deliveries of one moment, so that they become one write. */
  readonly gather: (isGathering: boolean) => void
  readonly waiting: Cargo[]
  /** When the last of what is in flight is due: nothing overtakes it. */
  lastDueAt: number
}

/** What a piece of so many bytes comes later than the delay, in milliseconds; `isLast`: nothing waits behind it. */
export type Lateness = (bytes: number, isLast: boolean) => number

interface InFlight {
  readonly lane: Lane
  readonly cargo: Cargo
  readonly dueAt: number
}

/* one connection's share of the line before the next has its turn */
const quantumBytes = 16 * 1024
/* timers are no finer than this: so much may be sent ahead of time */
const slackMs = 1

export class SlowDirection {
  readonly #delayMs: number
  readonly #bitsPerMs: number
  readonly #lateness: Lateness
  /* lanes with something waiting, in the order of their turns */
  readonly #turns = new Set<Lane>()
  readonly #inFlight: InFlight[] = []
  #firstInFlight = 0
  /* when the line has sent what it was given */
  #freeAt = 0
  #isDown = false
  #lineTimer: NodeJS.Timeout | undefined
  #arrivalTimer: NodeJS.Timeout | undefined
  #bytes = 0

  constructor(delayMs: number, bitsPerSecond: number, lateness: Lateness = () => 0) {
    this.#lateness = lateness
    this.#delayMs = delayMs
    this.#bitsPerMs = bitsPerSecond / 1000
  }

  /** Bytes delivered so far. */
  get bytes(): number {
    return this.#bytes
  }

  offer(lane: Lane, cargo: Cargo): void {
    /* an idle line begins now; a busy one goes on where it was, however late its timer comes */
    if (this.#turns.size === 0) this.#freeAt = Math.max(this.#freeAt, performance.now())
    lane.waiting.push(cargo)
    this.#turns.add(lane)
    this.#send()
  }

  /** Down: what waits and what is in flight stays where it is. */
  setDown(isDown: boolean): void {
    this.#isDown = isDown
    this.#freeAt = Math.max(this.#freeAt, performance.now())
    this.#send()
    this.#arrive()
  }

  /** Nothing is delivered any more. */
  close(): void {
    clearTimeout(this.#lineTimer)
    clearTimeout(this.#arrivalTimer)
    this.#turns.clear()
    this.#inFlight.length = 0
    this.#firstInFlight = 0
  }

  /** Puts on the line what it can take now. */
  #send(): void {
    if (this.#isDown || this.#lineTimer !== undefined) return
    const now = performance.now()
    for (const lane of this.#turns) {
      const aheadMs = this.#freeAt - now
      if (aheadMs > slackMs) {
        this.#lineTimer = setTimeout(() => {
          this.#lineTimer = undefined
          this.#send()
        }, aheadMs)
        return
      }
      const cargo = takePiece(lane.waiting)
      this.#turns.delete(lane)
      if (lane.waiting.length > 0) this.#turns.add(lane) /* behind the others */
      this.#freeAt += (lengthOf(cargo) * 8) / this.#bitsPerMs
      const lateMs = this.#lateness(lengthOf(cargo), lane.waiting.length === 0)
      lane.lastDueAt = Math.max(lane.lastDueAt, this.#freeAt + this.#delayMs + lateMs)
      this.#fly({ lane, cargo, dueAt: lane.lastDueAt })
    }
    if (this.#arrivalTimer === undefined) this.#arrive()
  }

  /** Keeps what is in flight in the order in which it is due. */
  #fly(piece: InFlight): void {
    let place = this.#inFlight.length
    while (place > this.#firstInFlight && (this.#inFlight[place - 1]?.dueAt ?? 0) > piece.dueAt) place -= 1
    this.#inFlight.splice(place, 0, piece)
    if (place === this.#firstInFlight && this.#arrivalTimer !== undefined) {
      clearTimeout(this.#arrivalTimer)
      this.#arrivalTimer = undefined
    }
  }

  /** Delivers what has been in flight for long enough. */
  #arrive(): void {
    clearTimeout(this.#arrivalTimer)
    this.#arrivalTimer = undefined
    if (this.#isDown) return
    const now = performance.now()
    const gathering = new Set<Lane>()
    let next = this.#inFlight[this.#firstInFlight]
    while (next !== undefined && next.dueAt <= now) {
      const { lane, cargo } = next
      if (!gathering.has(lane)) lane.gather(true)
      gathering.add(lane)
      this.#bytes += lengthOf(cargo)
      lane.deliver(cargo)
      next = this.#inFlight[++this.#firstInFlight]
    }
    for (const lane of gathering) lane.gather(false)
    if (this.#firstInFlight > 256) {
      this.#inFlight.splice(0, this.#firstInFlight)
      this.#firstInFlight = 0
    }
    if (next !== undefined) {
      this.#arrivalTimer = setTimeout(() => this.#arrive(), Math.floor(next.dueAt - now))
    }
  }
}

/** The next piece of at most a quantum; what is left of it stays first. */
function takePiece(waiting: Cargo[]): Cargo {
  const [first] = waiting
  if (first === undefined) throw new Error('a lane without cargo has no turn')
  if (typeof first === 'string' || first.length <= quantumBytes) {
    waiting.shift()
    return first
  }
  waiting[0] = first.subarray(quantumBytes)
  return first.subarray(0, quantumBytes)
}

function lengthOf(cargo: Cargo): number {
  return typeof cargo === 'string' ? 0 : cargo.length
}
