/**
 * Measurements in, tables out. Layer: benchmark.
 *
 * Invariant: every number is a median over the rounds that succeeded; a step without any says why.
 */
import type { Measurement, Outcome } from './measure.ts'
import { physicalSeconds, type Line } from './limits.ts'
import type { Step } from './workload.ts'

/** The party that the others are compared with. */
const ours = 'mount-session'

export class Results {
  readonly #line: Line
  readonly #parties: readonly string[]
  readonly #steps = new Map<string, { readonly step: Step; readonly outcomes: Map<string, Outcome[]> }>()

  constructor(parties: readonly string[], line: Line) {
    this.#parties = parties
    this.#line = line
  }

  add(party: string, step: Step, outcome: Outcome): void {
    let row = this.#steps.get(step.name)
    if (row === undefined) this.#steps.set(step.name, (row = { step, outcomes: new Map() }))
    row.outcomes.set(party, [...(row.outcomes.get(party) ?? []), outcome])
  }

  /** Seconds, with the ratio to the physical limit for us and to us for the others. */
  times(): string {
    const rows: string[][] = []
    for (const { step, outcomes } of this.#steps.values()) {
      const writes = step.isDurable !== undefined
      const { need } = step
      const limit = need && physicalSeconds(need, this.#line)
      if (writes)
        rows.push(this.#timesRow(`${step.name}: returned`, outcomes, undefined, (one) => one.returnedSeconds))
      rows.push(
        this.#timesRow(writes ? `${step.name}: durable` : step.name, outcomes, limit, (one) =>
          writes ? one.durableSeconds : one.returnedSeconds,
        ),
      )
    }
    return table(['seconds', 'physical limit', ...this.#parties], rows)
  }

  /** Requests by verb, as the link saw them in the first round that succeeded. */
  requests(): string {
    const rows = this.#rows((measurements) => {
      const [first] = measurements
      const counts = Object.entries(first?.requests ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
      return counts.map(([verb, count]) => `${count} ${verb}`).join(', ') || '–'
    })
    return table(['requests', ...this.#parties], rows)
  }

  /** CPU seconds of client, server and link. */
  cpu(): string {
    const rows = this.#rows((measurements) =>
      (['client', 'server', 'link'] as const)
        .map((who) => median(measurements.map(({ cpuSeconds }) => cpuSeconds[who])).toFixed(2))
        .join(' + '),
    )
    return table(['CPU seconds: client + server + link', ...this.#parties], rows)
  }

  /** The most memory that the client's processes had up to the end of the step. */
  memory(): string {
    const rows = this.#rows((measurements) =>
      (Math.max(...measurements.map(({ clientPeakBytes }) => clientPeakBytes)) / 1e6).toFixed(0),
    )
    return table(['client peak, MB', ...this.#parties], rows)
  }

  /** In the order in which they were done first. */
  steps(): Step[] {
    return [...this.#steps.values()].map(({ step }) => step)
  }

  /** Median seconds of a party by step: until all is durable where something is written. NaN: it failed. */
  seconds(party: string): Map<string, number> {
    return new Map(
      [...this.#steps.values()].map(({ step, outcomes }) => [
        step.name,
        median(successes(outcomes.get(party)).map((one) => one.durableSeconds ?? one.returnedSeconds)),
      ]),
    )
  }

  /** Why steps failed, one a line. */
  failures(): string[] {
    const lines: string[] = []
    for (const { step, outcomes } of this.#steps.values()) {
      for (const [party, all] of outcomes) {
        const failed = all.flatMap((outcome) => ('failed' in outcome ? [outcome.failed] : []))
        if (failed[0] !== undefined) {
          lines.push(`${party}: ${step.name}: failed ${failed.length} of ${all.length} times: ${failed[0]}`)
        }
      }
    }
    return lines
  }

  #rows(cell: (measurements: readonly Measurement[]) => string): string[][] {
    return [...this.#steps.values()].map(({ step, outcomes }) => [
      step.name,
      ...this.#parties.map((party) => {
        const measurements = successes(outcomes.get(party))
        return measurements.length === 0 ? '' : cell(measurements)
      }),
    ])
  }

  #timesRow(
    name: string,
    outcomes: ReadonlyMap<string, readonly Outcome[]>,
    limit: number | undefined,
    pick: (one: Measurement) => number | undefined,
  ): string[] {
    const secondsOf = (party: string): number =>
      median(successes(outcomes.get(party)).map((one) => pick(one) ?? NaN))
    const base = secondsOf(ours)
    const cells = this.#parties.map((party) => {
      const seconds = secondsOf(party)
      if (Number.isNaN(seconds)) return outcomes.has(party) ? 'failed' : ''
      if (party.startsWith(ours))
        return limit === undefined
          ? digits(seconds)
          : `${digits(seconds)} (${digits(seconds / limit)} × limit)`
      return Number.isNaN(base) ? digits(seconds) : `${digits(seconds)} (${digits(seconds / base)} ×)`
    })
    return [name, limit === undefined ? '' : digits(limit), ...cells]
  }
}

function successes(outcomes: readonly Outcome[] = []): Measurement[] {
  return outcomes.filter((outcome): outcome is Measurement => !('failed' in outcome))
}

/** NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? NaN)) / 2
}

/** Two digits that mean something. */
export function digits(value: number): string {
  return value >= 10 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(2)
}

/** A Markdown table whose columns line up. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => (row[column] ?? '').length)),
  )
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')
}
