/**
 * The journals of the mounts of a test, looked at from outside. Layer: tests.
 */
import * as fs from 'node:fs'
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
  for (const file of journalsIn(root)) {
    const database = new DatabaseSync(file, { readOnly: true })
    try {
      const row = database.prepare('SELECT crc32 FROM paths WHERE path = ?').get(path)
      if (typeof row?.['crc32'] === 'number') return true
    } finally {
      database.close()
    }
  }
  return false
}
