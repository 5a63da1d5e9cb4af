/**
 * `mount-session sync DIR [PATH]`. Layer: cli.
 *
 * Invariant: returns 0 only when the service has confirmed everything at and below PATH as it was when asked.
 */
import { resolve } from 'node:path'
import { ControlError } from '../control/protocol.ts'
import type { FoundMount } from '../control/registry.ts'
import { readCommand } from './command-line.ts'
import { InterruptedError, interruption } from './interruption.ts'
import { showProgress } from './progress.ts'
import { CommandFailure } from './report-error.ts'
import { answerWithinMs, askMount, mountOf, notAnswering, runningMount } from './running-mount.ts'
import { UsageError } from './usage-error.ts'

export async function run(argv: readonly string[]): Promise<number> {
  const {
    words: [directory = '', below = ''],
  } = readCommand('sync', argv)
  const found = await runningMount(directory)
  const path = await pathInMount('sync', found, below)
  const display = showProgress(process.stderr, 'uploading')
  using interrupted = interruption()
  try {
    await askMount(
      found.record,
      { method: 'sync', path },
      { signal: interrupted.signal, onProgress: display.show, answerWithinMs },
    )
    return 0
  } catch (error) {
    if (error instanceof ControlError && error.code === 'silent') throw notAnswering(found.record)
    throw error instanceof InterruptedError ? new CommandFailure('sync: interrupted') : error
  } finally {
    display.end()
  }
}

/**
 * What the service calls `below`, written relative to DIR or absolute, perhaps through symbolic links; throws
 * `UsageError` of `command` outside the mount.
 */
export async function pathInMount(command: string, mount: FoundMount, below: string): Promise<string> {
  const { directory } = mount.record
  const path = resolve(directory, mount.path, below)
  const found = await mountOf(path)
  if (found?.record.directory !== directory) {
    throw new UsageError(`${below} is not in ${directory}`, command)
  }
  return found.path
}
