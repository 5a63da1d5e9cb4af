/**
 * Every workload on every party, some rounds of it, over one link. Layer: benchmark.
 *
 * Invariant: one party works at a time; the rounds go around all of them, so that what else the machine does
 * meets all alike.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Contender } from './contender.ts'
import type { LinkSpeed } from './link.ts'
import type { Line } from './limits.ts'
import { measureWorkload } from './measure.ts'
import type { Roster } from './roster.ts'
import { digits, Results } from './results.ts'
import { workloadsOf } from './workloads.ts'

export interface ComparisonOptions {
  /** For files of this run alone. */
  readonly directory: string
  readonly speed: LinkSpeed
  readonly line: Line
  /** Who cannot be started is taken out of it. */
  readonly roster: Roster
  readonly rounds: number
  /** Names of workloads; undefined: all that do not take long. */
  readonly only: ReadonlySet<string> | undefined
  readonly onProgress: (line: string) => void
}

export async function compare(options: ComparisonOptions): Promise<Results> {
  const { directory, speed, line, roster, rounds, only, onProgress } = options
  const fixtures = join(directory, 'fixtures')
  mkdirSync(fixtures)
  const workloads = workloadsOf(fixtures, only)
  const results = new Results(
    roster.present.map(({ name }) => name),
    line,
  )
  for (let round = 1; round <= rounds; round++) {
    for (const workload of workloads) {
      for (const party of [...roster.present]) {
        if (party.readsOnly === true && !workload.isReading) continue
        const contender = await Contender.start(party, join(directory, 'contender'), speed).catch(
          (error: unknown) => roster.exclude(party, error),
        )
        if (contender === undefined) continue
        await measureWorkload(workload, contender, (step, outcome) => {
          results.add(party.name, step, outcome)
          const how = 'failed' in outcome ? `failed: ${outcome.failed}` : secondsOf(outcome)
          onProgress(`round ${round} of ${rounds}: ${party.name}: ${step.name}: ${how}`)
        })
        await contender.stop()
      }
    }
  }
  rmSync(fixtures, { recursive: true })
  return results
}

function secondsOf({
  returnedSeconds,
  durableSeconds,
}: {
  readonly returnedSeconds: number
  readonly durableSeconds: number | undefined
}): string {
  return durableSeconds === undefined
    ? `${digits(returnedSeconds)} s`
    : `${digits(returnedSeconds)} s, durable ${digits(durableSeconds)} s`
}
