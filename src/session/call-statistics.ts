/**
 * Counts the calls of the client, for the status. Layer: beside the composition root.
 */
import type { FinishedCall } from '../client/call.ts'
import type { StatusReport } from '../control/protocol.ts'

/** Durations of a verb that are remembered: enough for a steady percentile, small for ever. */
const remembered = 512

interface VerbStatistics {
  readonly byOutcome: Map<string, number>
  readonly durationsMs: number[]
  next: number
}

export class CallStatistics {
  readonly #verbs = new Map<string, VerbStatistics>()
  #uploaded = 0
  #downloaded = 0

  /** To be told of every call when it is over. */
  record = ({ verb, status, code, durationMs, bytesIn, bytesOut }: FinishedCall): void => {
    let verbStatistics = this.#verbs.get(verb)
    if (!verbStatistics) {
      verbStatistics = { byOutcome: new Map(), durationsMs: [], next: 0 }
      this.#verbs.set(verb, verbStatistics)
    }
    const outcome = code ?? String(status ?? 'unknown')
    verbStatistics.byOutcome.set(outcome, (verbStatistics.byOutcome.get(outcome) ?? 0) + 1)
    verbStatistics.durationsMs[verbStatistics.next++ % remembered] = durationMs
    if (verb === 'upload') this.#uploaded += bytesOut
    if (verb === 'download') this.#downloaded += bytesIn
  }

  get calls(): StatusReport['calls'] {
    return Object.fromEntries(
      [...this.#verbs].map(([verb, { byOutcome }]) => [verb, Object.fromEntries(byOutcome)]),
    )
  }

  get latencies(): StatusReport['latencies'] {
    return Object.fromEntries(
      [...this.#verbs].map(([verb, { durationsMs }]) => {
        const sorted = durationsMs.toSorted((a, b) => a - b)
        const at = (share: number): number =>
          Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
        return [verb, { median: at(0.5), p95: at(0.95), max: at(1) }]
      }),
    )
  }

  get bytes(): StatusReport['bytes'] {
    return { uploaded: this.#uploaded, downloaded: this.#downloaded }
  }
}
