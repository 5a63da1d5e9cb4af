/**
 * Which of the lines that arrive on a new connection we have already. Layer: logs.
 *
 * On a reconnect the server sends again all lines, the last few, or none, without saying which, and the same
 * line may rightly occur twice. Lines are compared whole and never interpreted:
 *
 *   recorded    a b c d e f                the lines we have, oldest first
 *   arriving          d e f g h            the overlap is the longest end of `recorded` that is also the
 *               start ┘     └ new          beginning of what arrives; what follows it is new
 *
 * Arriving lines are held while they agree with a run of recorded lines that does not reach the end of
 * `recorded` yet, and given out or dropped by the line that settles it. `settle` ends the holding when the
 * opening burst is over: only an overlap that is complete counts then, what was held without one is new.
 * `abandon` ends it when the connection broke: what agreed so far is the beginning of a replay, which the
 * next connection brings again.
 *
 * If older lines than `recorded` have been forgotten, a replay may begin with those, and `recorded` lies
 * somewhere inside what arrives (`start` below 0). All of it must be found there for the lines before it to
 * count as old; this is decided by `settle` only.
 *
 * Frames about the connection itself (the session's state, "connected") differ from one to the next and do
 * not take part; one that was recorded word for word is still dropped.
 *
 * Invariant: lines that are distinct, as lines with a time in them are, come out once and in order, for
 * every length of replay and wherever a connection breaks.
 */
import type { RecentLines } from './recent-lines.ts'
import { isConnectionFrame } from './connection-frame.ts'
import { RunSearch } from './run-search.ts'

interface Held {
  readonly line: string
  /** undefined for a frame about the connection. */
  readonly key: number | undefined
}

export class ReplayOverlap {
  readonly #recent: RecentLines
  /* as it was when the connection began: lines given out since then are not matched against */
  readonly #recorded: readonly number[]
  readonly #maxHeldLength: number
  #held: Held[] = []
  #heldLength = 0
  /* of the held lines that take part: the first place in `recorded` from which it agrees with them as far as both go */
  #search: RunSearch
  #decided: boolean
  /* a new console line has come: nothing is a replay any more, frames included */
  #live = false

  /** `maxHeldLength`, in UTF-16 units, bounds what is held; default 16 Mi. */
  constructor(recent: RecentLines, maxHeldLength = 16 * 1024 * 1024) {
    this.#recent = recent
    this.#recorded = recent.keys()
    this.#search = new RunSearch(this.#recorded)
    this.#decided = this.#recorded.length === 0
    this.#maxHeldLength = maxHeldLength
  }

  /**
   * - `decided`: every further line is new
   * - `waiting`: no line has been held yet
   * - `agreeing`: what is held is the beginning of a replay as far as it goes
   * - `searching`: what is held agrees with nothing, and may be older than what is remembered
   */
  get phase(): 'decided' | 'waiting' | 'agreeing' | 'searching' {
    if (this.#decided) return 'decided'
    if (this.#search.length === 0) return 'waiting'
    return this.#search.start < this.#recorded.length ? 'agreeing' : 'searching'
  }

  /** Takes the next line; answers those now known to be new, in order. */
  push(line: string): string[] {
    if (this.#live) return [line]
    if (isConnectionFrame(line)) return this.#pushFrame(line)
    if (this.#decided) {
      this.#live = true
      return [line]
    }
    const key = this.#recent.keyOf(line)
    this.#held.push({ line, key })
    this.#search.push(key)
    this.#heldLength += line.length
    if (this.#heldLength > this.#maxHeldLength) this.#dropOldest()
    const overlap = this.#recorded.length - this.#search.start
    const incomplete = overlap > this.#search.length
    if (incomplete || (overlap === 0 && this.#recent.forgotten)) return []
    return this.#decide(overlap)
  }

  /** The opening burst is over: answers what was held and is new. */
  settle(): string[] {
    if (this.#decided) return []
    const before = this.#recent.forgotten ? this.#linesBefore() : 0
    if (before > 0) return this.#decide(this.#recorded.length + before)
    this.#search.moveTo(Math.max(0, this.#recorded.length - this.#search.length))
    return this.#decide(this.#recorded.length - this.#search.start)
  }

  /** How many held lines there are before the last place at which all of `recorded` is among them. */
  #linesBefore(): number {
    return new RunSearch(keysOf(this.#held), this.#recorded).moveToLast() ?? 0
  }

  /** The connection is gone: answers what was held and is no beginning of a replay. */
  abandon(): string[] {
    return this.phase === 'agreeing' ? this.#decide(this.#search.length) : this.settle()
  }

  #pushFrame(line: string): string[] {
    if (this.#recent.hasFrame(line)) return []
    if (this.#held.length === 0) return [line]
    this.#held.push({ line, key: undefined })
    return []
  }

  /** The first `overlap` of the held lines that take part are old, the others are new. */
  #decide(overlap: number): string[] {
    let old = overlap
    const fresh: string[] = []
    for (const { line, key } of this.#held) {
      if (key !== undefined && old > 0) old--
      else fresh.push(line)
    }
    this.#decided = true
    this.#held = []
    this.#search = new RunSearch(this.#recorded)
    return fresh
  }

  /** So long a replay began before what is remembered; a recording would have been cut as well. */
  #dropOldest(): void {
    this.#held = this.#held.slice(this.#held.length >> 1)
    this.#heldLength = this.#held.reduce((length, held) => length + held.line.length, 0)
    this.#search = new RunSearch(this.#recorded, keysOf(this.#held))
  }
}

/** Of those that take part. */
function keysOf(held: readonly Held[]): number[] {
  return held.flatMap(({ key }) => (key === undefined ? [] : [key]))
}
