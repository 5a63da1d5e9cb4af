/**
 * The journals of the mounts of a test, looked at from outside. Layer: tests.
 */
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** `root`: of the workplace. */
export function journalsIn(root: string): string[] {
  const state = join(root, 'state')
  const names = fs.readdirSync(state, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => name.endsWith('journal.db')).map((name) => join(state, name))
}

/** Whether a journal says what the spool must hold of a file. */
export function isSealed(root: string, path: string): boolean {
  return journalsIn(root).some((file) => isSealedIn(file, path))
}

/** Whoever has the journal open has it alone: what is looked at is a copy, as a power cut would leave it. */
function isSealedIn(file: string, path: string): boolean {
  const directory = fs.mkdtempSync(join(tmpdir(), 'journal-'))
  const copy = join(directory, 'journal.db')
  try {
    fs.copyFileSync(`${file}-wal`, `${copy}-wal`)
    fs.copyFileSync(file, copy)
    const database = new DatabaseSync(copy)
    try {
      const row = database.prepare('SELECT crc32 FROM paths WHERE path = ?').get(path)
      return typeof row?.['crc32'] === 'number'
    } finally {
      database.close()
    }
  } catch {
    return false /* it was in the midst of being written */
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
}
