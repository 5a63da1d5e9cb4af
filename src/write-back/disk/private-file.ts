/**
 * Databases that nobody else may read: SQLite makes its files readable for everybody. Layer: write-back/disk.
 *
 * Invariant: a file that is there is not opened: closing it would drop the locks that this process has on it.
 */
import { chmodSync, closeSync, existsSync, openSync, statSync } from 'node:fs'

/** To be called before SQLite opens `file`; what it puts beside it gets the same mode. */
export function keepPrivate(file: string): void {
  if (!existsSync(file)) {
    closeSync(openSync(file, 'wx', 0o600))
    return
  }
  for (const path of [file, `${file}-wal`, `${file}-shm`]) {
    const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0o600
    if ((mode & 0o777) !== 0o600) chmodSync(path, 0o600)
  }
}
