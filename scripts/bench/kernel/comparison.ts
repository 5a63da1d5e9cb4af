/**
 * `scripts/bench/run --kernel`: what a layer under a filesystem costs by itself, ours and others.
 * Layer: benchmark.
 *
 * Invariant: one party works at a time, the others are mounted and idle; every round goes around all of them,
 * each time from another one on, so that what else the machine does meets all alike.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runInMemory } from '../served-directory.ts'
import { isMounted, unmount } from '../mount-points.ts'
import { Background } from '../processes.ts'
import { digits, median, table } from '../results.ts'
import { Driver, kernelWorkloads, type KernelWorkload } from './driver.ts'
import { kernelParties, type KernelParty } from './parties.ts'
import { treeFiles } from './tree.ts'

export interface KernelComparison {
  /** For files of this run alone; where things are mounted. */
  readonly directory: string
  readonly rounds: number
  readonly onProgress: (line: string) => void
}

/** What one unit of a workload took. */
interface Cost {
  readonly seconds: number
  readonly cpuSeconds: number
}

interface Contender {
  readonly party: KernelParty
  readonly mountPoint: string
  readonly server: Background
  readonly costs: Map<KernelWorkload, Cost[]>
}

/** Lines of Markdown. */
export async function compareKernelLayers(options: KernelComparison): Promise<string[]> {
  const { directory, rounds, onProgress } = options
  const files = runInMemory(directory)
  mkdirSync(files)
  for (const { name, content } of treeFiles()) writeFileSync(join(files, name), content)
  const driver = await Driver.compile(directory)
  const contenders: Contender[] = []
  const absent: string[] = []
  try {
    for (const party of kernelParties) {
      try {
        const reason = party.missing()
        if (reason !== undefined) throw new Error(reason)
        contenders.push(await start(party, directory, files))
      } catch (error) {
        if (party === kernelParties[0]) throw error // ours, which the others are compared with
        absent.push(
          `${party.name} does not take part: ${error instanceof Error ? error.message : String(error)}`,
        )
      }
    }
    absent.forEach(onProgress)
    for (let round = 0; round <= rounds; round++) {
      onProgress(round === 0 ? 'warming up' : `round ${round} of ${rounds}`)
      for (const workload of kernelWorkloads) {
        for (let i = 0; i < contenders.length; i++) {
          const contender = contenders[(round + i) % contenders.length]
          if (contender === undefined) continue
          const cost = await measure(driver, contender, workload)
          if (round > 0) contender.costs.get(workload)?.push(cost)
        }
      }
    }
    return [
      ...contenders.map(({ party }) => `- ${party.name}: ${party.what}`),
      ...absent.map((line) => `- ${line}`),
      '',
      `Medians of ${rounds} rounds, of one operation or of 64 MiB in 8 files; with 8 threads the whole time divided by`,
      'the number of operations. In brackets: how many times as much as ours. The kernel remembers nothing: a stat is a',
      'LOOKUP and a GETATTR. Times depend on what else the machine does, CPU time much less.',
      '',
      costTable('time', contenders, ({ seconds }) => seconds),
      '',
      costTable('CPU time of the serving process', contenders, ({ cpuSeconds }) => cpuSeconds),
    ]
  } finally {
    for (const { mountPoint, server } of contenders) {
      await unmount(mountPoint)
      await server.stop()
    }
    rmSync(files, { recursive: true })
  }
}

async function start(party: KernelParty, directory: string, files: string): Promise<Contender> {
  await party.prepare(directory)
  const name = party.name.replaceAll(/\W+/g, '-')
  const mountPoint = join(directory, name)
  mkdirSync(mountPoint)
  const command = party.command(directory, files, mountPoint)
  const server = new Background({ directory, name: `${name}-server`, command })
  await server.until('mounted', () => isMounted(mountPoint))
  return { party, mountPoint, server, costs: new Map(kernelWorkloads.map((workload) => [workload, []])) }
}

async function measure(driver: Driver, contender: Contender, workload: KernelWorkload): Promise<Cost> {
  const { server, mountPoint, party } = contender
  try {
    const before = server.usage().cpuSeconds
    const seconds = await driver.measure(workload, mountPoint)
    const cpuSeconds = server.usage().cpuSeconds - before
    return {
      seconds: seconds / workload.units,
      cpuSeconds: cpuSeconds / workload.units,
    }
  } catch (error) {
    throw new Error(`${party.name}: ${workload.name}: ${server.output().slice(-1000)}`, { cause: error })
  }
}

function costTable(title: string, contenders: readonly Contender[], pick: (cost: Cost) => number): string {
  const rows = kernelWorkloads.map((workload) => {
    const medians = contenders.map(({ costs }) => median((costs.get(workload) ?? []).map(pick)))
    const [ours = NaN, ...others] = medians
    const cell = (seconds: number): string => digits(seconds * (workload.time === 'µs' ? 1e6 : 1e3))
    return [
      `${workload.name}, ${workload.time}`,
      cell(ours),
      ...others.map((value) => `${cell(value)} (${digits(value / ours)} ×)`),
    ]
  })
  return table([title, ...contenders.map(({ party }) => party.name)], rows)
}
