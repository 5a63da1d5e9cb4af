/**
 * Why a filesystem operation fails, in words. Layer: filesystem; `fuse/errno.ts` alone turns them into numbers.
 *
 * Invariant: a new reason does not compile until it has an errno.
 */

export type Reason =
  | 'missing'
  /* what was found has lost its name before it was opened: look again */
  | 'stale'
  | 'exists'
  | 'notEmpty'
  | 'isDirectory'
  | 'notDirectory'
  | 'accessDenied'
  | 'notPermitted'
  | 'readOnly'
  | 'tooLarge'
  | 'nameTooLong'
  | 'sessionGone'
  | 'diskFull'
  | 'tooManyOpenFiles'
  | 'timedOut'
  | 'crossDevice'
  | 'invalid'
  | 'unsupported'
  | 'badHandle'
  | 'noData'
  | 'interrupted'
  | 'busy'
  | 'serviceFailed'
  | 'internal'

export class FilesystemError extends Error {
  override readonly name = 'FilesystemError'
  readonly reason: Reason

  constructor(reason: Reason, message: string = reason, options?: { cause?: unknown }) {
    super(message, options)
    this.reason = reason
  }
}
