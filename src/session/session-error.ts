/**
 * Why a session cannot be mounted, unmounted or recovered. Layer: session.
 *
 * Invariant: the message is one line that says what and what to do; whoever decides does so by `code`.
 */

/**
 * - `unknownSession` no such agent or session, `unauthorized` 401, `forbidden` 403, `expired` the session was
 *   deleted or has expired, `unreachable` no answer from the endpoint: the first call to the service failed
 * - `insecureEndpoint` http to another machine, `badOptions` options that contradict each other
 * - `notDirectory`, `notEmpty`, `alreadyMounted`: what is at the mount point
 * - `noSuchDirectory` the part of the session that is to be mounted is not there
 * - `noFuse` no /dev/fuse or no fusermount3, `fuse` the kernel or fusermount3 refused
 * - `held` another daemon has this session: the message names its pid and mount point
 * - `closed` the object of a mount is asked after its `close`
 * - `unusableDirectory` the directory for state or cache cannot be written to, or others can
 * - `busy` a process still uses the mount: it stays mounted; `heldElsewhere` it is mounted in another place, too
 */
export type SessionErrorCode =
  | 'unknownSession'
  | 'unauthorized'
  | 'forbidden'
  | 'expired'
  | 'notDirectory'
  | 'notEmpty'
  | 'alreadyMounted'
  | 'noSuchDirectory'
  | 'noFuse'
  | 'unreachable'
  | 'insecureEndpoint'
  | 'held'
  | 'closed'
  /* the mount ends with its daemon */
  | 'notKept'
  | 'unusableDirectory'
  | 'busy'
  | 'heldElsewhere'
  | 'badOptions'
  | 'fuse'

export class SessionError extends Error {
  override readonly name = 'SessionError'
  readonly code: SessionErrorCode

  constructor(code: SessionErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
