/**
 * What was asked of the emulator: counts by verb and status, and the latest calls. Layer: emulator.
 *
 * Invariant: a request counts when it arrives, whatever becomes of it; one that got no answer has status 0.
 */

import type { Clock } from '../clock.ts'

export const verbs = [
  'list',
  'download',
  'upload',
  'delete',
  'mkdir',
  'stat',
  'createSession',
  'getSession',
  'listSessions',
  'stopSession',
  'deleteSession',
  'patchAgent',
  'getAgent',
  'listAgents',
  'createVersion',
  'getVersion',
  'listVersions',
  'logStream',
] as const

export type CountedVerb = (typeof verbs)[number]

export interface Call {
  readonly verb: CountedVerb
  /** The path of a file operation in its normal form, otherwise empty. */
  readonly path: string
  /** HTTP status; 0 while unanswered and for ever when the connection was cut before an answer. */
  status: number
  /** Unix milliseconds of the arrival. */
  readonly at: number
}

const keptCalls = 20_000

export class Traffic {
  readonly #clock: Clock
  #counts = zeroes()
  #statuses: Record<string, number> = {}
  #calls: Call[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  arrived(verb: CountedVerb, path: string): Call {
    this.#counts[verb]++
    const call = { verb, path, status: 0, at: this.#clock.wallMs() }
    this.#calls.push(call)
    if (this.#calls.length > 2 * keptCalls) this.#calls = this.#calls.slice(-keptCalls)
    return call
  }

  answered(call: Call, status: number): void {
    call.status = status
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1
  }

  counts(): Record<CountedVerb, number> {
    return { ...this.#counts }
  }

  statuses(): Record<string, number> {
    return { ...this.#statuses }
  }

  /** The latest calls, oldest first; the oldest of a long run are forgotten. */
  calls(): readonly Readonly<Call>[] {
    return this.#calls.map((call) => ({ ...call }))
  }

  reset(): void {
    this.#counts = zeroes()
    this.#statuses = {}
    this.#calls = []
  }
}

function zeroes(): Record<CountedVerb, number> {
  return Object.fromEntries(verbs.map((verb) => [verb, 0])) as Record<CountedVerb, number>
}
