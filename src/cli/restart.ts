/**
 * `mount-session restart DIR`. Layer: cli.
 *
 * Invariant: returns 0 only when a daemon of this very program serves the mount; when it could not take over, the one
 * that was there still does.
 */
import { join, extname } from 'node:path'
import { sleep, systemClock } from '../clock.ts'
import { ControlError, type StatusReport } from '../control/protocol.ts'
import type { MountRecord } from '../control/registry.ts'
import { readCommand } from './command-line.ts'
import { daemonFlags } from './daemon.ts'
import { CommandFailure } from './report-error.ts'
import { answerWithinMs, askMount, notAnswering, runningMount } from './running-mount.ts'

const servesWithinMs = 30_000
const lookAgainMs = 20

export async function run(argv: readonly string[]): Promise<number> {
  const {
    words: [directory = ''],
  } = readCommand('restart', argv)
  const { record } = await runningMount(directory)
  const entry = join(import.meta.dirname, `main${extname(import.meta.filename)}`)
  const command = [process.execPath, ...daemonFlags, ...process.execArgv, entry]
  const pid = await askMount(record, { method: 'restart', command }, { answerWithinMs }).catch(
    (error: unknown) => {
      if (error instanceof ControlError && error.code === 'silent') throw notAnswering(record)
      throw error
    },
  )
  const { version } = await served(record, pid)
  process.stdout.write(`${record.directory} is served by version ${version} now, pid ${pid}\n`)
  return 0
}

/** What the new daemon says of itself, once it serves. */
async function served(record: MountRecord, pid: number): Promise<StatusReport> {
  const until = systemClock.now() + servesWithinMs
  while (systemClock.now() < until) {
    const status = await askMount(record, { method: 'status' }, { answerWithinMs }).catch(
      (error: unknown) => {
        /* between the two nobody answers */
        if (error instanceof ControlError) return undefined
        throw error
      },
    )
    if (status?.pid === pid) return status
    await sleep(systemClock, lookAgainMs)
  }
  throw new CommandFailure(`${record.directory}: the new daemon, pid ${pid}, does not answer: see its log`)
}
