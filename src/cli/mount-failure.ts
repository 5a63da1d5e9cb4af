/**
 * What an errno of a mounted directory says in the words of the service. Layer: cli.
 *
 * Invariant: the one table from numbers back to codes. What is not in it comes from this machine: `local`.
 */
import { ServiceError, type ServiceErrorCode } from '../client/errors.ts'
import { ControlError } from '../control/protocol.ts'
import { errnoByReason, errnoName } from '../fuse/errno.ts'

const codes: Readonly<Record<string, ServiceErrorCode>> = {
  ENOENT: 'not_found',
  ENOTDIR: 'conflict',
  EISDIR: 'conflict',
  EEXIST: 'conflict',
  ENOTEMPTY: 'conflict',
  EXDEV: 'conflict',
  EBUSY: 'conflict',
  EFBIG: 'too_large',
  EACCES: 'forbidden',
  EPERM: 'forbidden',
  EROFS: 'unsupported',
  EOPNOTSUPP: 'unsupported',
  ENAMETOOLONG: 'bad_request',
  EINVAL: 'bad_request',
  EILSEQ: 'bad_request',
  ESTALE: 'session_not_found',
  ETIMEDOUT: 'timeout',
  EIO: 'server_error',
  EINTR: 'aborted',
  /* the daemon was killed, or its connection cut */
  ENOTCONN: 'network',
  ECONNABORTED: 'network',
}

/**
 * A failure of a system call on a mount, or of its daemon's answer, as a `ServiceError`; `what` is operation and
 * path. `looking`: for something that must be there, to which a file on the way is the same as nothing.
 */
export function fromMount(what: string, error: unknown, looking = false): ServiceError {
  if (error instanceof ServiceError) return error
  if (error instanceof ControlError) return fromDaemon(what, error)
  const errno = (error as NodeJS.ErrnoException).code ?? ''
  const code = looking && errno === 'ENOTDIR' ? 'not_found' : (codes[errno] ?? 'local')
  /* without the call and its path, which is none that anybody knows */
  const [words] = (error instanceof Error ? error.message : String(error)).split(', ', 1)
  return new ServiceError(code, `${what}, through the mount: ${words ?? errno}`, { cause: error })
}

/** A daemon names the reason of the filesystem, or the code of the client. */
function fromDaemon(what: string, error: ControlError): ServiceError {
  const { code, reason = '' } = error
  const errno = isReason(reason) ? errnoName(errnoByReason[reason]) : ''
  const refused = codes[errno] ?? 'server_error'
  return new ServiceError(
    code === 'refused' ? refused : 'network',
    `${what}, through the mount: ${error.message}: it waits on this machine, \`mount-session status\` says why`,
    { cause: error },
  )
}

function isReason(text: string): text is keyof typeof errnoByReason {
  return Object.hasOwn(errnoByReason, text)
}
