/**
 * What a session that nobody has open left in its journal. Layer: session.
 *
 * Invariant: looks under the session's lock, asks the service for nothing, and changes nothing.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Journal, JournalDamaged } from '../write-back/disk/journal.ts'
import type { JournalRow } from '../write-back/disk/journal-rows.ts'
import { takeLock } from './session-lock.ts'

/** As `waitingRows`. */
export function waitingPaths(stateDirectory: string): readonly string[] {
  return waitingRows(stateDirectory).map(({ path }) => path)
}

/** The changes that are to travel and are not confirmed; throws `SessionError` `held` while somebody has the session. */
export function waitingRows(stateDirectory: string): readonly JournalRow[] {
  return unconfirmedRows(stateDirectory).filter(({ staysHere }) => !staysHere)
}

/** Whether there is something that is to stay on this machine (`--ignore`, `--local-names`); throws likewise. */
export function hasLocalFiles(stateDirectory: string): boolean {
  return unconfirmedRows(stateDirectory).some(({ staysHere }) => staysHere)
}

function unconfirmedRows(stateDirectory: string): readonly JournalRow[] {
  const file = join(stateDirectory, 'journal', 'journal.db')
  if (!existsSync(file)) return []
  const lock = takeLock(stateDirectory, undefined)
  try {
    const journal = new Journal({ file, boot: '' })
    try {
      return journal.rows().filter((row) => !isConfirmed(row))
    } finally {
      journal.close()
    }
  } catch (error) {
    /* said when it is mounted */
    if (error instanceof JournalDamaged) return []
    throw error
  } finally {
    lock.release()
  }
}

/** Its row stays until a listing has shown what the service was given. */
function isConfirmed({ desired, generation, remote }: JournalRow): boolean {
  if (desired !== 'file') return remote.is === desired
  return remote.is === 'file' && generation !== undefined && remote.generation === generation
}
