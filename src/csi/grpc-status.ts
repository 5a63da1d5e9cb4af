/**
 * What a failure is for whoever called: the status of gRPC and one line. Layer: csi.
 *
 * Invariant: a failure that was not foreseen says nothing of itself to the caller, for nobody knows what its message
 * holds; every code of the errors below has its place here, or it does not compile.
 */
import { status } from '@grpc/grpc-js'
import { ServiceError, type ServiceErrorCode } from '../client/errors.ts'
import { SessionError, type SessionErrorCode } from '../session/session-error.ts'
import { type CsiCode, CsiError } from './csi-error.ts'

export interface Refusal {
  readonly code: status
  /** One line, well-formed, of a length that every header bears. */
  readonly details: string
  /** False: nobody foresaw it, the log has to say where it comes from. */
  readonly isForeseen: boolean
}

const statusOf: Readonly<Record<CsiCode, status>> = {
  invalidArgument: status.INVALID_ARGUMENT,
  notFound: status.NOT_FOUND,
  alreadyExists: status.ALREADY_EXISTS,
  permissionDenied: status.PERMISSION_DENIED,
  unauthenticated: status.UNAUTHENTICATED,
  failedPrecondition: status.FAILED_PRECONDITION,
  aborted: status.ABORTED,
  unimplemented: status.UNIMPLEMENTED,
  deadlineExceeded: status.DEADLINE_EXCEEDED,
  unavailable: status.UNAVAILABLE,
  internal: status.INTERNAL,
}

const ofSession: Readonly<Record<SessionErrorCode, CsiCode>> = {
  unknownSession: 'notFound',
  noSuchDirectory: 'notFound',
  unauthorized: 'unauthenticated',
  forbidden: 'permissionDenied',
  expired: 'failedPrecondition',
  notDirectory: 'failedPrecondition',
  notEmpty: 'failedPrecondition',
  alreadyMounted: 'failedPrecondition',
  noFuse: 'failedPrecondition',
  held: 'failedPrecondition',
  heldElsewhere: 'failedPrecondition',
  notKept: 'failedPrecondition',
  unusableDirectory: 'failedPrecondition',
  busy: 'failedPrecondition',
  closed: 'aborted',
  unreachable: 'unavailable',
  insecureEndpoint: 'invalidArgument',
  badOptions: 'invalidArgument',
  fuse: 'internal',
}

const ofService: Readonly<Record<ServiceErrorCode, CsiCode>> = {
  unauthorized: 'unauthenticated',
  credential: 'unauthenticated',
  forbidden: 'permissionDenied',
  session_not_found: 'notFound',
  not_found: 'notFound',
  bad_request: 'invalidArgument',
  too_large: 'invalidArgument',
  insecure_endpoint: 'invalidArgument',
  conflict: 'failedPrecondition',
  unsupported: 'unimplemented',
  session_not_ready: 'unavailable',
  throttled: 'unavailable',
  server_error: 'unavailable',
  timeout: 'unavailable',
  network: 'unavailable',
  truncated: 'unavailable',
  protocol: 'unavailable',
  proxy_refused: 'unavailable',
  closed: 'unavailable',
  aborted: 'aborted',
  local: 'internal',
}

export function refusalOf(error: unknown): Refusal {
  const code = codeOf(error)
  if (code === undefined || !(error instanceof Error))
    return { code: status.INTERNAL, details: 'the driver failed: its log says where', isForeseen: false }
  return { code: statusOf[code], details: oneLine(error.message), isForeseen: true }
}

/** What a failure of the service is in the words of the interface; undefined for what nobody foresaw. */
export function codeOf(error: unknown): CsiCode | undefined {
  if (error instanceof CsiError) return error.code
  if (error instanceof SessionError) return ofSession[error.code]
  if (!(error instanceof ServiceError)) return undefined
  /* final for the caller is only what is known not to have been done */
  return error.ambiguous ? 'unavailable' : ofService[error.code]
}

const maxLength = 2048

/* lone surrogates would be no header */
function oneLine(message: string): string {
  const line = message.toWellFormed().replaceAll(/\s+/g, ' ').trim()
  return line.length <= maxLength ? line : `${line.slice(0, maxLength - 1).toWellFormed()}…`
}
