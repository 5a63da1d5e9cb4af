/**
 * `--local`: what the user waits for when the link does not matter: the service is on this machine, without a
 * link. Layer: benchmark.
 *
 * Invariant: what a local disk takes for the same stands beside it.
 */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Contender, noTraffic, nothing } from './contender.ts'
import { filesBelow, makeTree, type TreeShape } from './fixtures.ts'
import { measureWorkload, type Measured, type Measurement, type Outcome } from './measure.ts'
import { findProgram } from './party.ts'
import { digits, median, table } from './results.ts'
import type { Roster } from './roster.ts'
import { hasAll, type Workload } from './workload.ts'

export interface LocalCostOptions {
  readonly directory: string
  readonly roster: Roster
  readonly rounds: number
  readonly tls: boolean
  readonly onProgress: (line: string) => void
}

const shape: TreeShape = { files: 2000, directories: 50, bytes: 4096 }
const localDisk = 'local disk'
const dbenchClients = 2
const dbenchSeconds = 10

const run = promisify(execFile)

/** Lines of Markdown. */
export async function measureLocalCost(options: LocalCostOptions): Promise<string[]> {
  const { directory, roster, rounds, tls, onProgress } = options
  const fixtures = join(directory, 'fixtures')
  mkdirSync(fixtures)
  const workload = unpackAndRemove(fixtures)
  const names = [...roster.present.map(({ name }) => name), localDisk]
  const outcomes = new Map<string, Outcome[]>()
  const rates = new Map<string, number[]>()
  for (let round = 1; round <= rounds; round++) {
    for (const name of names) {
      await onEach(name, join(directory, 'contender'), roster, async (measured) => {
        await measureWorkload(workload, measured, (step, outcome) => {
          const key = `${step.name}, ${name}`
          outcomes.set(key, [...(outcomes.get(key) ?? []), outcome])
          onProgress(`round ${round} of ${rounds}: ${key}: ${'failed' in outcome ? outcome.failed : 'done'}`)
        })
        const rate = await dbench(measured)
        if (rate !== undefined) rates.set(name, [...(rates.get(name) ?? []), rate])
      })
    }
  }
  const rows = workload.steps.flatMap((step) =>
    names.map((name) => row(step.name, name, outcomes.get(`${step.name}, ${name}`) ?? [])),
  )
  return [
    ...roster.lines(),
    `- no link; the service and rclone's server on this machine, ${tls ? 'over TLS' : 'without TLS'}`,
    '',
    `Medians of ${rounds} rounds; CPU time of the mount's processes for each of ${shape.files} files.`,
    '',
    table(['', 'party', 'returned, s', 'durable, s', 'CPU for each file, µs'], rows),
    '',
    ...dbenchLines(names, rates),
  ]
}

function row(step: string, party: string, outcomes: readonly Outcome[]): string[] {
  const good = outcomes.filter((outcome): outcome is Measurement => !('failed' in outcome))
  if (good.length === 0) return [step, party, outcomes.length === 0 ? '' : 'failed', '', '']
  const of = (pick: (one: Measurement) => number): number => median(good.map(pick))
  const microseconds = of(({ cpuSeconds }) => (cpuSeconds.client * 1e6) / shape.files)
  return [
    step,
    party,
    digits(of((one) => one.returnedSeconds)),
    party === localDisk ? '' : digits(of((one) => one.durableSeconds ?? NaN)),
    party === localDisk ? '' : microseconds.toFixed(0),
  ]
}

function unpackAndRemove(fixtures: string): Workload {
  const source = join(fixtures, 'tree')
  makeTree(source, shape)
  const archive = `${source}.tar`
  execFileSync('tar', ['-C', source, '-cf', archive, '.'])
  return {
    name: 'local',
    isReading: false,
    prepare: () => undefined,
    steps: [
      {
        name: `tar x of ${shape.files} files in ${shape.directories} directories`,
        cold: true,
        script: `mkdir "$mount/tree" && tar -C "$mount/tree" -xf '${archive}'`,
        isDurable: hasAll('tree', filesBelow(source)),
      },
      {
        name: 'rm -r of them',
        cold: false,
        script: 'rm -r "$mount/tree"',
        isDurable: (files) => !existsSync(join(files, 'tree')) || filesBelow(join(files, 'tree')).size === 0,
      },
    ],
  }
}

async function onEach(
  name: string,
  directory: string,
  roster: Roster,
  work: (measured: Measured) => Promise<void>,
): Promise<void> {
  if (name === localDisk) {
    mkdirSync(directory)
    await work(diskAt(directory))
    rmSync(directory, { recursive: true })
    return
  }
  const party = roster.present.find((each) => each.name === name)
  if (party === undefined) return
  const contender = await Contender.start(party, directory, undefined).catch((error: unknown) =>
    roster.exclude(party, error),
  )
  if (contender === undefined) return
  try {
    await work(contender)
  } finally {
    await contender.stop()
  }
}

function diskAt(directory: string): Measured {
  return {
    files: directory,
    mountPoint: directory,
    clientOutput: '',
    remount: () => Promise.resolve(),
    readings: () => Promise.resolve({ client: nothing, server: nothing, link: nothing, counters: noTraffic }),
  }
}

/** MB a second; undefined where dbench is not installed. */
async function dbench({ mountPoint }: Measured): Promise<number | undefined> {
  const program = findProgram('dbench')
  if (program === undefined) return undefined
  const { stdout } = await run(program, [
    ...['-D', mountPoint, '-t', String(dbenchSeconds)],
    ...['-c', '/usr/share/dbench/client.txt', String(dbenchClients)],
  ])
  return Number(/^Throughput ([\d.]+) MB\/sec/m.exec(stdout)?.[1])
}

function dbenchLines(names: readonly string[], rates: ReadonlyMap<string, readonly number[]>): string[] {
  if (rates.size === 0) return ['dbench does not take part: not installed (Debian: apt-get install dbench)']
  return [
    `dbench with ${dbenchClients} clients, ${dbenchSeconds} s:`,
    '',
    table(['', ...names], [['MB/s', ...names.map((name) => digits(median(rates.get(name) ?? [])))]]),
  ]
}
