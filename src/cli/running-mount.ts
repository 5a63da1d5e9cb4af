/**
 * The mount that a command is about. Layer: cli.
 *
 * Invariant: found without touching the mounted directory; a failure says whose mount it is, or that there
 * is none.
 */
import { resolve } from 'node:path'
import { ask, type AskOptions } from '../control/control-client.ts'
import { ControlError, type ControlRequest, type ControlResults } from '../control/protocol.ts'
import { findMount, type FoundMount, type MountRecord } from '../control/registry.ts'
import { mountAt, mountWith, ownType } from '../fuse/mount-table.ts'
import { sleep, systemClock } from '../clock.ts'
import { hasKernelState } from '../mount/kernel-state.ts'
import { canonicalPath, isDeadMount } from '../mount/mount-point.ts'
import { CommandFailure } from './report-error.ts'
import { dataDirectories } from './session-arguments.ts'

/** A live daemon answers within a turn of its event loop, with progress at least. */
export const answerWithinMs = 10_000

/* the next daemon serves within a second or two of the end of the one before */
const comesBackWithinMs = 5_000
const lookAgainMs = 50

/** The mount that `path` is, or is in; throws `CommandFailure` when there is none of this user. */
export async function runningMount(path: string): Promise<FoundMount> {
  const found = await mountOf(path)
  if (found !== undefined) {
    return found
  }
  const entry = mountAt(await canonicalPath(resolve(path)))
  if (entry?.type === ownType) {
    throw new CommandFailure(
      `${path} was mounted by another user, or with another XDG_STATE_HOME: ask as that one`,
    )
  }
  throw new CommandFailure(`${path} is not a mounted session`)
}

/** The same, or undefined. */
export function mountOf(path: string): Promise<FoundMount | undefined> {
  return findMount(dataDirectories(process.env).stateRoot, path, placeOf)
}

/* a directory above it may have been renamed since */
function placeOf({ directory, mount }: MountRecord): string {
  return (mount && mountWith(mount)?.directory) ?? directory
}

/** With the directory where it is now; undefined when nothing shows it here. */
export function whereItIs(record: MountRecord): MountRecord | undefined {
  const entry = record.mount === undefined ? mountAt(record.directory) : mountWith(record.mount)
  if (entry?.type !== ownType) return undefined
  /* something else may have been mounted over it */
  return mountAt(entry.directory)?.id === entry.id ? { ...record, directory: entry.directory } : undefined
}

type Asked = Pick<MountRecord, 'stateDirectory'> & Partial<Pick<MountRecord, 'directory'>>

/**
 * As `ask`. Where the mount outlives its daemon the next one is waited for, and asked the same. A daemon that does not
 * answer, and has its session's lock, lives: `silent`, not `notRunning`; it may be out of descriptors, or its socket was
 * taken away.
 */
export async function askMount<Method extends ControlRequest['method']>(
  record: Asked,
  request: Extract<ControlRequest, { readonly method: Method }>,
  options: AskOptions,
): Promise<ControlResults[Method]> {
  const until = systemClock.now() + comesBackWithinMs
  for (;;) {
    try {
      return await ask(record.stateDirectory, request, options)
    } catch (error) {
      if (!(error instanceof ControlError) || error.code !== 'notRunning') throw error
      if (systemClock.now() > until || !(await isKept(record))) {
        const { isSessionHeld } = await import('../session/session-lock.ts')
        if (!isSessionHeld(record.stateDirectory)) throw error
        throw new ControlError('silent', 'the mount does not answer', { cause: error })
      }
    }
    await sleep(systemClock, lookAgainMs, options.signal)
  }
}

/** Whether somebody starts the next daemon: whoever does holds the kernel's side, without whom it is dead. */
async function isKept({ stateDirectory, directory }: Asked): Promise<boolean> {
  if (directory === undefined || !hasKernelState(stateDirectory)) return false
  return mountAt(directory)?.type === ownType && !(await isDeadMount(directory))
}

/** What to say of a daemon that is there and does not answer. */
export function notAnswering({ directory, pid }: MountRecord): CommandFailure {
  return new CommandFailure(`the daemon of ${directory} (pid ${pid}) does not answer`)
}
