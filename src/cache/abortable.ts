/**
 * One caller's wait for work that others share. Layer: cache.
 *
 * Invariant: a caller's signal ends that caller's wait and nothing else.
 */
import { ServiceError } from '../client/errors.ts'

/** What a wait rejects with when its caller's signal is aborted. */
export function abortedError(what: string, signal: AbortSignal): ServiceError {
  return new ServiceError('aborted', `${what}: interrupted`, { cause: signal.reason })
}

/** `promise`, or `aborted` as soon as the signal is. `what` begins the message. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined, what: string): Promise<T> {
  if (signal === undefined) return promise
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => {
      reject(abortedError(what, signal))
    }
    if (signal.aborted) {
      onAbort()
      return
    }
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', onAbort)
    })
  })
}
