/**
 * Ctrl-C while a command waits for a running mount. Layer: cli.
 *
 * Invariant: takes the request back and ends the command; the mount itself goes on.
 */

export interface Interruption extends Disposable {
  readonly signal: AbortSignal
}

/** Aborted by SIGINT or SIGTERM, or after `limitMs` with the reason `message`. Dispose of it when the wait is over. */
export function interruption(limitMs?: number, message = 'took too long'): Interruption {
  const controller = new AbortController()
  const onSignal = (): void => controller.abort(new InterruptedError('interrupted'))
  const timer =
    limitMs === undefined
      ? undefined
      : setTimeout(() => controller.abort(new InterruptedError(message)), limitMs)
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      clearTimeout(timer)
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
    },
  }
}

export class InterruptedError extends Error {
  override readonly name = 'InterruptedError'
}
