/**
 * `--memory`: what a mount holds when it has just begun, after unpacking 2,000 files, after more work, and at rest.
 * Layer: benchmark.
 *
 * Invariant: read from the kernel's own account (`smaps_rollup`), of all processes of the client.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Contender } from './contender.ts'
import { makeTree, noise } from './fixtures.ts'
import { measureWorkload } from './measure.ts'
import type { Memory } from './processes.ts'
import { table } from './results.ts'
import type { Roster } from './roster.ts'
import type { Step, Workload } from './workload.ts'

export interface MemoryOptions {
  readonly directory: string
  readonly roster: Roster
  readonly onProgress: (line: string) => void
}

/** Lines of Markdown. */
export async function measureMemory({ directory, roster, onProgress }: MemoryOptions): Promise<string[]> {
  const fixtures = join(directory, 'fixtures')
  mkdirSync(fixtures)
  const workload = work(fixtures)
  const rows: string[][] = []
  for (const party of [...roster.present]) {
    const contender = await Contender.start(party, join(directory, 'contender'), undefined).catch(
      (error: unknown) => roster.exclude(party, error),
    )
    if (contender === undefined) continue
    /* what a first start compiles, and takes memory for, is kept for the one that is measured */
    await contender.remount()
    await measureWorkload(workload, contender, (step, outcome) => {
      onProgress(`${party.name}: ${step.name}`)
      const cells =
        'failed' in outcome ? [`failed: ${outcome.failed.slice(0, 100)}`] : cellsOf(contender.memory())
      rows.push([party.name, step.name, ...cells])
    })
    await contender.stop()
  }
  return [
    ...roster.lines(),
    '- no link; the service on this machine',
    '',
    'MB of all processes of the mount: resident; proportional, with the share of what others use, too; the most so far.',
    '',
    table(['party', 'after', 'resident', 'proportional', 'peak'], rows),
  ]
}

function cellsOf({ residentBytes, proportionalBytes, peakBytes }: Memory): string[] {
  return [residentBytes, proportionalBytes, peakBytes].map((bytes) => (bytes / 1e6).toFixed(0))
}

function work(fixtures: string): Workload {
  const tree = join(fixtures, 'tree')
  makeTree(tree, { files: 2000, directories: 50, bytes: 4096 })
  const archive = `${tree}.tar`
  execFileSync('tar', ['-C', tree, '-cf', archive, '.'])
  const big = join(fixtures, 'big')
  writeFileSync(big, noise(40_000_000))
  const step = (name: string, script: string): Step => ({ name, cold: false, script })
  return {
    name: 'memory',
    isReading: false,
    prepare: () => undefined,
    steps: [
      { ...step('the start', 'ls "$mount"'), cold: true },
      step('tar x of 2000 files', `mkdir "$mount/tree" && tar -C "$mount/tree" -xf '${archive}'`),
      step('grep -r of them', 'grep -rc nothing-of-the-kind "$mount/tree" >/dev/null || true'),
      step('40 MB written and read', `cp '${big}' "$mount/big" && cmp '${big}' "$mount/big"`),
      step('a rest of 15 seconds', 'sleep 15'),
      step('rm -r of all', 'rm -r "$mount/tree" "$mount/big"'),
    ],
  }
}
