/**
 * `--start`: how long the command takes that mounts in the background, and until the mount answers.
 * Layer: benchmark.
 *
 * Invariant: the command is started as a user does, with nothing of an earlier mount; the service is on this
 * machine. What Node keeps of compiled sources is kept between the starts, and there from the second one on.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { unmount } from './mount-points.ts'
import type { Party } from './party.ts'
import { digits, median, table } from './results.ts'
import type { Roster } from './roster.ts'

export interface StartOptions {
  readonly directory: string
  readonly roster: Roster
  readonly rounds: number
  readonly onProgress: (line: string) => void
}

interface Start {
  readonly returned: number
  readonly answered: number
}

const run = promisify(execFile)

/** Lines of Markdown. */
export async function measureStart(options: StartOptions): Promise<string[]> {
  const { directory, roster, rounds, onProgress } = options
  const starts = new Map<Party, Start[]>()
  for (let round = 0; round <= rounds; round++) {
    onProgress(round === 0 ? 'warming up' : `round ${round} of ${rounds}`)
    for (const party of [...roster.present]) {
      const start = await startOnce(party, join(directory, 'contender')).catch((error: unknown) =>
        roster.exclude(party, error),
      )
      if (start !== undefined && round > 0) starts.set(party, [...(starts.get(party) ?? []), start])
    }
  }
  const rows = [...starts].map(([party, all]) => {
    const cell = (pick: (start: Start) => number): string => {
      const seconds = all.map(pick)
      return `${digits(median(seconds))} (${digits(Math.min(...seconds))} to ${digits(Math.max(...seconds))})`
    }
    return [party.name, cell(({ returned }) => returned), cell(({ answered }) => answered)]
  })
  return [
    ...roster.lines(),
    '- no link; the service on this machine',
    '',
    `Seconds, the median of ${rounds} starts, and the range of them.`,
    '',
    table(['party', 'the command returns', 'ls of the mount has answered'], rows),
  ]
}

async function startOnce(party: Party, directory: string): Promise<Start> {
  mkdirSync(directory)
  const server = await party.startServer(directory)
  const own = join(directory, 'client-1')
  const mountPoint = join(own, 'mount')
  mkdirSync(mountPoint, { recursive: true })
  const { background, env } = party.client(own, server.port, mountPoint)
  if (background === undefined) throw new Error('it cannot go on in the background by itself')
  try {
    const [file, ...args] = background
    const since = performance.now()
    await run(file, args, { env: { ...process.env, ...env }, timeout: 60_000 })
    const returned = (performance.now() - since) / 1000
    await run('ls', [mountPoint], { timeout: 60_000 })
    return { returned, answered: (performance.now() - since) / 1000 }
  } finally {
    await unmount(mountPoint)
    await server.process.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}
