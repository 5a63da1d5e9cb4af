/**
 * Which calls share a bound on how many are under way. Layer: client.
 *
 * Invariant: neither what is downloaded nor what is uploaded can keep a short question (a listing, the state
 * of the session) waiting.
 */
import type { Clock } from '../clock.ts'
import { defaultValues } from '../options/table.ts'
import type { ServiceCall } from './call.ts'
import { Lane, type LaneLoad } from './lane.ts'

/** How many at first, where nothing is known of the endpoint: at 40 ms, with half as many `rm -r` took 1.3 times as long. */
export const startCalls = 64
/** Downloads that nothing comes of leave room beside each that may run for so many. */
const restingPerRead = 4

export interface LaneLimits {
  /** Downloads at once at most, and as many questions; default that of `--downloads`. */
  readonly reads?: number | undefined
  /** Changes at once at most; default that of `--uploads`. */
  readonly writes?: number | undefined
  /** How many at first: what was found good for the same endpoint before. */
  readonly start?: Partial<LaneLevels> | undefined
}

/** How many at once were found good. */
export interface LaneLevels {
  readonly reads: number
  readonly questions: number
  readonly writes: number
}

export interface LaneLoads {
  readonly reads: LaneLoad
  readonly questions: LaneLoad
  readonly writes: LaneLoad
}

export class Lanes {
  readonly #reads: Lane
  readonly #questions: Lane
  readonly #writes: Lane

  constructor(limits: LaneLimits, clock: Clock) {
    const { downloads, uploads } = defaultValues()
    const { reads = downloads, writes = uploads, start = {} } = limits
    const lane = (limit: number, first: number, maxResting = 0): Lane =>
      new Lane({ limit, start: first, clock, maxResting })
    this.#reads = lane(reads, start.reads ?? startCalls, restingPerRead * reads)
    this.#questions = lane(reads, start.questions ?? startCalls)
    this.#writes = lane(writes, start.writes ?? startCalls)
  }

  get levels(): LaneLevels {
    return { reads: this.#reads.level, questions: this.#questions.level, writes: this.#writes.level }
  }

  get load(): LaneLoads {
    return { reads: this.#reads.load, questions: this.#questions.load, writes: this.#writes.load }
  }

  of({ verb, method }: Pick<ServiceCall<unknown>, 'verb' | 'method'>): Lane {
    if (method !== 'GET') return this.#writes
    return verb === 'download' ? this.#reads : this.#questions
  }
}
