/**
 * The failures of the layers below, as reasons. Layer: filesystem; the one place that knows those families.
 *
 * Invariant: total over the codes of `ServiceError` and the reasons of `WriteBackError`: a new one does not
 * compile until it has a reason here. Decided by code, never by message.
 */
import { CacheDiskError } from '../cache/contents.ts'
import type { Listings } from '../cache/listings.ts'
import { ServiceError, type ServiceErrorCode } from '../client/errors.ts'
import { WriteBackError, type WriteBackReason } from '../write-back/local-changes.ts'
import { nameOf, parentOf } from '../remote-path.ts'
import { FilesystemError, type Reason } from './errors.ts'

const byServiceCode: Readonly<Record<ServiceErrorCode, Reason>> = {
  unauthorized: 'accessDenied',
  forbidden: 'accessDenied',
  credential: 'accessDenied',
  proxy_refused: 'accessDenied',
  session_not_found: 'sessionGone',
  not_found: 'missing',
  too_large: 'tooLarge',
  timeout: 'timedOut',
  aborted: 'interrupted',
  closed: 'interrupted',
  session_not_ready: 'serviceFailed',
  bad_request: 'serviceFailed',
  conflict: 'serviceFailed',
  unsupported: 'serviceFailed',
  throttled: 'serviceFailed',
  server_error: 'serviceFailed',
  network: 'serviceFailed',
  truncated: 'serviceFailed',
  protocol: 'serviceFailed',
  insecure_endpoint: 'serviceFailed',
  local: 'serviceFailed',
}

const byWriteBackReason: Readonly<Record<WriteBackReason, Reason>> = {
  tooLarge: 'tooLarge',
  diskFull: 'diskFull',
  localDisk: 'serviceFailed',
  parked: 'serviceFailed',
  session: 'serviceFailed',
  timedOut: 'timedOut',
  conflict: 'notEmpty',
  interrupted: 'interrupted',
}

export function toFilesystemError(error: unknown): FilesystemError {
  if (error instanceof FilesystemError) return error
  const reason = isOutOfDescriptors(error) ? 'tooManyOpenFiles' : reasonOf(error)
  const message = error instanceof Error ? error.message : String(error)
  return new FilesystemError(reason, message, { cause: error })
}

function reasonOf(error: unknown): Reason {
  if (error instanceof ServiceError) return byServiceCode[error.code]
  if (error instanceof WriteBackError) {
    const reason = byWriteBackReason[error.reason]
    /* what the service said of the path or the session is more telling than that it said no */
    if (reason === 'serviceFailed' && error.cause instanceof ServiceError)
      return parkedReason(byServiceCode[error.cause.code])
    return reason
  }
  if (error instanceof CacheDiskError) return byWriteBackReason[error.reason]
  if (error instanceof Error && error.name === 'AbortError') return 'interrupted'
  if (error instanceof Error && 'syscall' in error) return ofLocalDisk(error)
  return 'internal'
}

/** The disk under the spool or the cache, where no layer below has a name for what it said. */
function ofLocalDisk(error: Error): Reason {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOSPC' || code === 'EDQUOT' ? 'diskFull' : byWriteBackReason.localDisk
}

/** This process, or the machine, may not open more: whatever layer met it. */
function isOutOfDescriptors(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'EMFILE' || code === 'ENFILE') return true
  }
  return false
}

/** A local file that the service refuses is not missing, nor was the caller interrupted. */
function parkedReason(reason: Reason): Reason {
  return reason === 'missing' || reason === 'interrupted' ? 'serviceFailed' : reason
}

/** An operation that has failed to its caller changes nothing afterwards: asked after each wait, before acting. */
export function stopIfInterrupted(signal: AbortSignal): void {
  if (signal.aborted) throw new FilesystemError('interrupted')
}

/** The service refuses the download of what has become a directory, too, and does not say so. */
export async function orDirectory(
  listings: Listings,
  path: string | undefined,
  error: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  const isRefused =
    error instanceof ServiceError && (error.code === 'bad_request' || error.code === 'conflict')
  if (!isRefused || path === undefined) return error
  try {
    const { entry } = await listings.lookup(parentOf(path), nameOf(path), { maxAgeMs: 0, signal })
    if (entry?.isDirectory !== true) return error
  } catch {
    return error
  }
  return new FilesystemError('isDirectory', `${path}: is a directory now`, { cause: error })
}
