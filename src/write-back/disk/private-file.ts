/**
 * Databases that nobody else may read, although SQLite makes its files readable for everybody, and what is said
 * when somebody takes them away. Layer: write-back.
 *
 * Invariant: a file that is there is not opened: closing it would drop the locks that this process has on it.
 */
import { chmodSync, closeSync, existsSync, openSync, statSync } from 'node:fs'

/** What is written here would be lost with this process. */
export function takenAway(what: string): Error {
  return Object.assign(new Error(`the ${what} was taken away under the mount`), {
    code: 'ENOENT',
    syscall: 'stat',
  })
}

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
