/**
 * Whether time and memory per file stay the same from a thousand files to a hundred thousand.
 * Layer: benchmark.
 *
 * Invariant: the directories grow in number, not in size.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Contender } from './contender.ts'
import type { LinkSpeed } from './link.ts'
import { measureWorkload } from './measure.ts'
import type { Party } from './party.ts'
import { digits, table } from './results.ts'
import { copyTree, grepTree, listTree } from './workloads.ts'

export interface ScaleOptions {
  readonly directory: string
  readonly speed: LinkSpeed
  readonly parties: readonly Party[]
  readonly sizes: readonly number[]
  readonly only: ReadonlySet<string> | undefined
  readonly onProgress: (line: string) => void
}

export async function measureScale(options: ScaleOptions): Promise<string> {
  const { directory, speed, parties, sizes, only, onProgress } = options
  const rows: string[][] = []
  for (const files of sizes) {
    const shape = { files, directories: Math.ceil(files / 100), bytes: 1024 }
    const fixtures = join(directory, 'fixtures')
    mkdirSync(fixtures)
    const makers = {
      ls: () => listTree(shape),
      grep: () => grepTree(shape),
      cp: () => copyTree(fixtures, shape),
    }
    for (const [name, make] of Object.entries(makers)) {
      if (only !== undefined && !only.has(name)) continue
      const workload = make()
      for (const party of parties) {
        const contender = await Contender.start(party, join(directory, 'contender'), speed)
        await measureWorkload(workload, contender, (step, outcome) => {
          onProgress(`${party.name}: ${step.name}`)
          if ('failed' in outcome) {
            rows.push([party.name, step.name, `failed: ${outcome.failed.slice(0, 100)}`])
            return
          }
          const seconds = outcome.durableSeconds ?? outcome.returnedSeconds
          rows.push([
            party.name,
            step.name,
            digits(seconds),
            ((seconds * 1000) / files).toFixed(3),
            (outcome.clientPeakBytes / 1e6).toFixed(0),
            (outcome.clientPeakBytes / 1e3 / files).toFixed(2),
            outcome.cpuSeconds.client.toFixed(2),
          ])
        })
        await contender.stop()
      }
    }
    rmSync(fixtures, { recursive: true })
  }
  return table(['party', 'step', 'seconds', 'ms per file', 'peak MB', 'kB per file', 'client CPU s'], rows)
}
