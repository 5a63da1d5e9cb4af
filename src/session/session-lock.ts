/**
 * One process per session: the lock in its state directory. Layer: session.
 *
 * Invariant: whoever holds it is alive. It is the kernel's lock on a file (taken through SQLite, which Node
 * brings along), gone with the process however that ends; so nothing stale is ever cleaned up on a guess, and
 * only the holder touches the socket and the journal beside it.
 */
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { ControlError } from '../control/protocol.ts'
import type { SessionHolder } from '../control/protocol.ts'
import { keepPrivate } from '../write-back/disk/private-file.ts'
import { SessionError } from './session-error.ts'

export interface SessionLock {
  /** False once somebody has removed the file: then another process could take the session as well. */
  isThere(): boolean
  /** Takes it again in a file made anew; throws `ControlError` `held` where another process was faster. */
  renew(): void
  release(): void
}

const sqliteBusy = 5

/**
 * Takes the lock of the session whose state is in `stateDirectory` (which exists), or throws `ControlError`
 * `held` with the holder's pid and mount point.
 */
export function acquireSessionLock(stateDirectory: string, holder: SessionHolder): SessionLock {
  const file = join(stateDirectory, 'lock')
  const holderFile = join(stateDirectory, 'holder.json')
  let database = lockedDatabase(file, holderFile)
  let inode = statSync(file).ino
  tellHolder(holderFile, holder)
  return {
    isThere: () => statSync(file, { throwIfNoEntry: false })?.ino === inode,
    renew() {
      const renewed = lockedDatabase(file, holderFile)
      database.close()
      database = renewed
      inode = statSync(file).ino
      tellHolder(holderFile, holder)
    },
    release() {
      rmSync(holderFile, { force: true })
      database.close()
    },
  }
}

function lockedDatabase(file: string, holderFile: string): DatabaseSync {
  keepPrivate(file)
  const database = new DatabaseSync(file)
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    return database
  } catch (error) {
    database.close()
    if ((error as { errcode?: unknown }).errcode === sqliteBusy) {
      throw heldBy(readHolder(holderFile), error)
    }
    throw error
  }
}

/** Takes the lock of a session's state. Throws `SessionError` `held`. */
export function takeLock(stateDirectory: string, directory: string | undefined): SessionLock {
  try {
    return acquireSessionLock(stateDirectory, { pid: process.pid, directory })
  } catch (error) {
    if (!(error instanceof ControlError)) throw error
    throw new SessionError('held', error.message, { cause: error })
  }
}

/** Whether a process that lives has the session whose state is in `stateDirectory`. */
export function isSessionHeld(stateDirectory: string): boolean {
  const file = join(stateDirectory, 'lock')
  if (!existsSync(file)) return false
  const database = new DatabaseSync(file)
  try {
    database.exec('BEGIN EXCLUSIVE')
    return false
  } catch (error) {
    if ((error as { errcode?: unknown }).errcode === sqliteBusy) return true
    throw error
  } finally {
    database.close()
  }
}

/* only for display: a full disk does not keep anybody from what would empty it */
function tellHolder(file: string, holder: SessionHolder): void {
  try {
    writeFileSync(`${file}.new`, JSON.stringify(holder), { mode: 0o600 })
    renameSync(`${file}.new`, file)
  } catch {
    rmSync(file, { force: true })
  }
}

function heldBy(holder: SessionHolder | undefined, cause: unknown): ControlError {
  const who = holder === undefined ? 'another process' : `pid ${holder.pid}`
  const where = holder?.directory === undefined ? '' : `, mounted at ${holder.directory}`
  return new ControlError('held', `this session is held by ${who}${where}`, { holder, cause })
}

function readHolder(file: string): SessionHolder | undefined {
  try {
    const { pid, directory } = JSON.parse(readFileSync(file, 'utf8')) as Partial<SessionHolder>
    return typeof pid === 'number' ? { pid, directory } : undefined
  } catch {
    /* taken this moment and not written yet, or just given up: the lock itself is what counts */
    return undefined
  }
}
