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

/** Downloads that nothing comes of leave room beside each that may run for so many. */
const restingPerRead = 4

export interface LaneLimits {
  /** Downloads at once, and as many questions; default that of `--downloads`. */
  readonly reads?: number | undefined
  /** Changes at once; default that of `--uploads`. */
  readonly writes?: number | undefined
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
    const { reads = downloads, writes = uploads } = limits
    this.#reads = new Lane({ limit: reads, clock, maxResting: restingPerRead * reads })
    this.#questions = new Lane({ limit: reads, clock })
    this.#writes = new Lane({ limit: writes, clock })
  }

  get load(): LaneLoads {
    return { reads: this.#reads.load, questions: this.#questions.load, writes: this.#writes.load }
  }

  of({ verb, method }: Pick<ServiceCall<unknown>, 'verb' | 'method'>): Lane {
    if (method !== 'GET') return this.#writes
    return verb === 'download' ? this.#reads : this.#questions
  }
}
