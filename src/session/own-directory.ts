/**
 * Directories for this user's data: made where they are missing, for their owner alone. Layer: session.
 *
 * Invariant: nothing is kept where somebody else could put something in its place, and what is in the way is
 * said with the path and the variable that moves it elsewhere.
 */
import { accessSync, constants, mkdirSync, statSync, type Stats } from 'node:fs'
import { dirname } from 'node:path'
import { SessionError } from './session-error.ts'

const othersMayWrite = 0o022

/** `variable` names what moves it. Throws `SessionError` `unusableDirectory`. */
export function makeOwnDirectory(directory: string, variable: string): void {
  const refuse = (why: string, cause?: unknown): SessionError =>
    new SessionError(
      'unusableDirectory',
      `${directory} ${why}: set ${variable} to a directory of your own that can be written to`,
      { cause },
    )
  try {
    makeDirectory(directory)
    accessSync(directory, constants.W_OK | constants.X_OK)
  } catch (error) {
    throw refuse(`cannot be written to (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`, error)
  }
  const why = whyNotOwn(statSync(directory))
  if (why !== undefined) throw refuse(why)
}

/** Why a directory that is there is not to be trusted with anything; undefined when it is. */
export function whyNotOwn({ uid, mode }: Pick<Stats, 'uid' | 'mode'>): string | undefined {
  if (uid !== process.getuid?.()) return `belongs to another user (uid ${uid})`
  return (mode & othersMayWrite) === 0 ? undefined : 'can be written to by other users'
}

/**
 * With those above it. Throws the error of mkdir(2) for the one that cannot be made: Node's own `recursive` says
 * ENOENT where a disk is read-only, and never ends below /proc.
 */
export function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && dirname(directory) !== directory) {
      makeDirectory(dirname(directory))
      mkdirSync(directory, { mode: 0o700 })
    } else if (!isDirectory(directory)) throw error
  }
}

/* it may be there already: EEXIST, and on some disks EROFS */
function isDirectory(directory: string): boolean {
  return statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true
}
