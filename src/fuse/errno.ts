/**
 * Reasons and numbers. Layer: fuse; the only place where an errno is chosen for a reason.
 *
 * Invariant: the table is total, so that a new `Reason` does not compile until it has an errno. Whatever is
 * not a `FilesystemError` is our own bug: EIO, and the connection logs it with its stack.
 */

import { constants } from 'node:os'
import { FilesystemError, type Reason } from '../filesystem/errors.ts'

export const Errno = constants.errno

/* some numbers have two names: the first in the alphabet stays */
const names = new Map<number, string>(
  Object.entries(Errno)
    .reverse()
    .map(([name, errno]) => [errno, name]),
)

/** For log lines: `ENOENT`. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? String(errno)
}

export const errnoByReason: Readonly<Record<Reason, number>> = {
  missing: Errno.ENOENT,
  // The kernel then walks the path again, once, and finds what has the name now, or ENOENT.
  stale: Errno.ESTALE,
  exists: Errno.EEXIST,
  notEmpty: Errno.ENOTEMPTY,
  isDirectory: Errno.EISDIR,
  notDirectory: Errno.ENOTDIR,
  accessDenied: Errno.EACCES,
  notPermitted: Errno.EPERM,
  readOnly: Errno.EROFS,
  tooLarge: Errno.EFBIG,
  nameTooLong: Errno.ENAMETOOLONG,
  sessionGone: Errno.ESTALE,
  diskFull: Errno.ENOSPC,
  tooManyOpenFiles: Errno.EMFILE,
  timedOut: Errno.ETIMEDOUT,
  crossDevice: Errno.EXDEV,
  invalid: Errno.EINVAL,
  unsupported: Errno.EOPNOTSUPP,
  badHandle: Errno.EBADF,
  noData: Errno.ENXIO,
  interrupted: Errno.EINTR,
  busy: Errno.EBUSY,
  serviceFailed: Errno.EIO,
  internal: Errno.EIO,
}

/** A request that the protocol layer itself refuses, with the number the kernel expects. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
  readonly errno: number

  constructor(errno: number) {
    super(`refused with errno ${errno}`)
    this.errno = errno
  }
}

/** The errno of an expected failure; undefined for anything that should not have been thrown. */
export function errnoOf(error: unknown): number | undefined {
  if (error instanceof FilesystemError) {
    return error.reason === 'internal' ? undefined : errnoByReason[error.reason]
  }
  return error instanceof RefusedError ? error.errno : undefined
}
