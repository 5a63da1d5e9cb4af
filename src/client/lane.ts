/**
 * How many attempts of one kind are under way at once. Layer: client.
 *
 * How many the service and the link bear is found out. While some wait for others, the number grows by half as long as
 * answers do not take much longer, or more come in the same time; a step after which neither holds is taken back, and
 * tried again a while later. Once the service has refused (429, 503, or a change that timed out), the number grows by one at
 * a time.
 *
 * Invariant: an attempt holds a slot from before it is sent until its body has ended; a call that backs off holds
 * none, and one that rests (nothing has moved for a while) lets another run beside it, as long as the service bears
 * the whole number. A refusal halves the number at once, once for all attempts that were under way together. What
 * nobody waits for (a priority below 0) leaves some slots to others.
 */
import type { Clock } from '../clock.ts'
import type { EndSignal } from './ending.ts'
import { Slots } from './slots.ts'

export interface LaneOptions {
  /** The most at once. */
  readonly limit: number
  /** How many at first, if that is fewer. Default: the limit. */
  readonly start?: number | undefined
  /** So many that rest do not count, at most. Default 0. */
  readonly maxResting?: number
  readonly clock: Clock
  /** Least time between two steps of recovery, in milliseconds. Default 1000. */
  readonly growMs?: number
}

export interface Slot {
  /** The service took the request. */
  succeeded(): void
  /** The service refused for now, or a change timed out. */
  throttled(): void
  /** Nothing moves, or it does again. */
  rest(isResting: boolean): void
  /** Gives the slot back; calling it again does nothing. */
  release(): void
}

export interface LaneLoad {
  readonly running: number
  readonly waiting: number
  readonly limit: number
}

/** A step up is good when answers take no more than so many times as long as they did at best, */
const tolerable = 1.5
/** or when so many times as many come as before it. */
const worthwhile = 1.1
const stepUp = 1.5
/** A step that brought nothing is tried again after so long. */
const steadyMs = 10_000
/** An eighth of the slots, and four at most, are left to those who wait. */
const reservedShare = 8
const mostReserved = 4

/** What is counted from a change of the number on: of attempts that began after it alone. */
interface Trial {
  readonly since: number
  successes: number
  /** Of all of them together. */
  waitedMs: number
}

export class Lane {
  readonly #slots: Slots
  /** Before the other one, for what nobody waits for. */
  readonly #ahead: Slots
  readonly #most: number
  readonly #maxResting: number
  #limit: number
  #resting = 0
  #waiting = 0
  readonly #clock: Clock
  readonly #growMs: number
  /** Grows with each halving: an attempt begun before it says nothing of the new number. */
  #generation = 0
  #successes = 0
  #changedAt = -Infinity
  #wasRefused = false
  #trial: Trial
  /** The number before the step that is being tried, and how many a millisecond it let through. */
  #before: { readonly limit: number; readonly rate: number } | undefined
  #steadyUntil = -Infinity
  /** How long answers took on the average when they were fastest. */
  #bestMs = Infinity

  constructor(options: LaneOptions) {
    this.#most = options.limit
    this.#limit = Math.min(options.limit, Math.max(1, options.start ?? options.limit))
    this.#slots = new Slots(this.#limit)
    this.#ahead = new Slots(this.#limit)
    this.#maxResting = options.maxResting ?? 0
    this.#clock = options.clock
    this.#growMs = options.growMs ?? 1000
    this.#trial = this.#newTrial()
    this.#apply()
  }

  get load(): LaneLoad {
    return { running: this.#slots.running, waiting: this.#waiting, limit: this.#limit }
  }

  /** How many at once were found good so far. */
  get level(): number {
    return this.#before?.limit ?? this.#limit
  }

  /** Waits for a slot, higher `priority` first; rejects with the signal's reason when it is aborted before. */
  async acquire(
    options: { priority?: number | undefined; signal?: EndSignal | undefined } = {},
  ): Promise<Slot> {
    if (this.#slots.running === 0 && this.#waiting === 0) this.#tryAnew()
    const isAhead = (options.priority ?? 0) < 0
    this.#waiting += 1
    let hasLeftAhead = true
    try {
      if (isAhead) {
        await enter(this.#ahead, options)
        hasLeftAhead = false
      }
      await enter(this.#slots, options)
      return this.#slot(isAhead)
    } catch (error) {
      if (!hasLeftAhead) this.#ahead.leave()
      throw error
    } finally {
      this.#waiting -= 1
    }
  }

  #slot(isAhead: boolean): Slot {
    const generation = this.#generation
    const trial = this.#trial
    const begunAt = this.#clock.now()
    let resting = false
    let hasLeft = false
    const rest = (isResting: boolean): void => {
      if (isResting === resting) return
      resting = isResting
      this.#resting += isResting ? 1 : -1
      this.#apply()
    }
    return {
      succeeded: () => {
        if (generation === this.#generation) this.#succeeded(trial, this.#clock.now() - begunAt)
      },
      throttled: () => this.#throttled(generation),
      rest,
      release: () => {
        if (hasLeft) return
        rest(false)
        hasLeft = true
        this.#slots.leave()
        if (isAhead) this.#ahead.leave()
      },
    }
  }

  #throttled(generation: number): void {
    if (generation !== this.#generation) return
    this.#generation += 1
    this.#wasRefused = true
    this.#before = undefined
    this.#set(Math.max(1, Math.floor(this.#limit / 2)))
  }

  #succeeded(trial: Trial, tookMs: number): void {
    if (this.#wasRefused) this.#recover()
    else if (trial === this.#trial) this.#judge(trial, tookMs)
  }

  #recover(): void {
    if (this.#limit >= this.#most) return
    this.#successes += 1
    if (this.#successes < this.#limit) return
    if (this.#clock.now() - this.#changedAt < this.#growMs) return
    this.#set(this.#limit + 1)
  }

  #judge(trial: Trial, tookMs: number): void {
    // with nobody waiting it is not the number that holds things up
    if (this.#waiting === 0) {
      this.#tryAnew()
      return
    }
    trial.successes += 1
    trial.waitedMs += tookMs
    if (trial.successes < this.#limit) return
    const now = this.#clock.now()
    const rate = trial.successes / (now - trial.since)
    const meanMs = trial.waitedMs / trial.successes
    this.#bestMs = Math.min(this.#bestMs, meanMs)
    const before = this.#before
    this.#before = undefined
    const isGood = meanMs <= this.#bestMs * tolerable
    if (before !== undefined && !isGood && rate < before.rate * worthwhile) {
      this.#steadyUntil = now + steadyMs
      this.#set(before.limit)
    } else if (now >= this.#steadyUntil && now > trial.since && this.#limit < this.#most) {
      this.#before = { limit: this.#limit, rate }
      this.#set(Math.min(this.#most, Math.ceil(this.#limit * stepUp)))
    } else this.#tryAnew()
  }

  #set(limit: number): void {
    this.#successes = 0
    this.#changedAt = this.#clock.now()
    this.#limit = limit
    this.#tryAnew()
    this.#apply()
  }

  #tryAnew(): void {
    this.#trial = this.#newTrial()
  }

  #newTrial(): Trial {
    return { since: this.#clock.now(), successes: 0, waitedMs: 0 }
  }

  #apply(): void {
    const beside =
      this.#wasRefused && this.#limit < this.#most ? 0 : Math.min(this.#resting, this.#maxResting)
    this.#slots.limit = this.#limit + beside
    const reserved = Math.min(mostReserved, Math.floor(this.#limit / reservedShare))
    this.#ahead.limit = this.#limit + beside - reserved
  }
}

/** Rejects with the signal's reason. */
async function enter(
  slots: Slots,
  { priority = 0, signal }: { priority?: number | undefined; signal?: EndSignal | undefined },
): Promise<void> {
  signal?.throwIfAborted()
  if (slots.tryEnter()) return
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      slots.withdraw(ticket)
      reject(signal?.reason as Error)
    }
    const ticket = slots.enter(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, priority)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
