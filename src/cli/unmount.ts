/**
 * `mount-session unmount DIR`. Layer: cli.
 *
 * Invariant: returns 0 only when the service has everything and DIR is unmounted. Otherwise it says what is
 * left or who uses the mount, and nothing is lost.
 */
import { ControlError } from '../control/protocol.ts'
import { forgetMount } from '../control/registry.ts'
import type { MountRecord } from '../control/registry.ts'
import { describeHolders, holdersOf } from '../fuse/mount-holders.ts'
import { mountAt, ownType } from '../fuse/mount-table.ts'
import { showAddress } from '../options/show-address.ts'
import { readCommand } from './command-line.ts'
import { InterruptedError, interruption } from './interruption.ts'
import { describeLeftover } from './leftovers.ts'
import { dataDirectories } from './session-arguments.ts'
import { asSessionError, detachDead } from '../mount/mount-point.ts'
import { occupants } from './open-files.ts'
import { showProgress } from './progress.ts'
import { CommandFailure, complain, describeFailure } from './report-error.ts'
import { answerWithinMs, askMount, notAnswering, runningMount } from './running-mount.ts'

const timeIsUp = 'the time of --timeout is up'

export async function run(argv: readonly string[]): Promise<number> {
  const {
    words: [directory = ''],
    flags: { timeout: limitMs, force },
  } = readCommand('unmount', argv)
  const { record, path } = await runningMount(directory)
  if (path !== '') {
    const where = record.session === undefined ? `the mount of ${showAddress(record)}` : 'that'
    throw new CommandFailure(`${directory} is not a mounted session, but in ${where} at ${record.directory}`)
  }
  const display = showProgress(process.stderr, 'uploading')
  using interrupted = interruption(limitMs, timeIsUp)
  try {
    const left = await askMount(
      record,
      { method: 'unmount', force },
      { signal: interrupted.signal, onProgress: display.show, answerWithinMs },
    )
    display.end()
    if (left.length === 0) {
      return 0
    }
    const how = force
      ? 'unmounted; this is kept here for the next mount'
      : `still mounted: this could not be uploaded ("unmount --force" keeps it here for the next mount)`
    complain([`${record.directory} is ${how}:`, ...left.map(describeLeftover)].join('\n'))
    return 1
  } catch (error) {
    display.end()
    if (error instanceof ControlError && error.reason === 'busy') {
      throw busy(record)
    }
    if (error instanceof ControlError && error.code === 'notRunning') {
      return await detach(record)
    }
    if (error instanceof ControlError && error.code === 'silent') {
      throw notAnswering(record)
    }
    if (error instanceof InterruptedError) {
      throw new CommandFailure(`${whatIsLeft(record)}: ${error.message}`)
    }
    throw error
  }
}

/** What became of it until the wait for it was given up. */
function whatIsLeft({ directory, mount, pid }: MountRecord): string {
  if (mountAt(directory)?.type === ownType) return `${directory} is still mounted`
  const holders = mount === undefined ? [] : holdersOf(mount.device)
  const why = holders.length === 0 ? 'is not done yet' : `goes on at ${describeHolders(holders)}`
  return `${directory} is not mounted any more, but its daemon (pid ${pid}) ${why}`
}

function busy(record: MountRecord): CommandFailure {
  const users = occupants(record.directory)
  const who = users.map(({ pid, command, reason }) => `${command} (pid ${pid}, ${reason})`).join(', ')
  return new CommandFailure(
    `${record.directory} is busy${who === '' ? '' : `: ${who}`}; everything is uploaded. Leave it and try again, or use --force`,
  )
}

/* The daemon was killed. Its mount is in the way of every program that looks there. */
async function detach(record: MountRecord): Promise<number> {
  await detachDead(record.directory).catch((error: unknown) => {
    throw new CommandFailure(
      `${record.directory} could not be detached: ${describeFailure(asSessionError(error))}`,
    )
  })
  forgetMount(dataDirectories(process.env).stateRoot, record)
  const address = showAddress(record)
  throw new CommandFailure(
    `the daemon of ${record.directory} (pid ${record.pid}) had ended; it is unmounted now. ` +
      `What was not uploaded is kept: mount ${address} again, or "mount-session recover ${address}"`,
  )
}
