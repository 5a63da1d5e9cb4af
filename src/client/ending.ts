/**
 * The end of a call before its time, as its parts hear of it. Layer: client, below all that sends.
 *
 * Invariant: to those who hear of it it is as an `AbortSignal`, which costs some ten times as much: each call has two
 * of them, and hardly any is ever aborted. Whoever listens hears of it once.
 */

/** What an `AbortSignal` is to those who hear of it. */
export interface EndSignal {
  readonly aborted: boolean
  readonly reason: AbortSignal['reason']
  throwIfAborted(): void
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void
  removeEventListener(type: 'abort', listener: () => void): void
}

export class Ending implements EndSignal {
  aborted = false
  reason: unknown
  #listeners: (() => void)[] = []

  abort(reason: unknown): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    for (const listener of this.#listeners.splice(0)) listener()
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason as Error
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.push(listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const index = this.#listeners.indexOf(listener)
    if (index !== -1) this.#listeners.splice(index, 1)
  }
}

/** For who takes nothing else. */
export function abortSignalOf(signal: EndSignal): AbortSignal {
  const controller = new AbortController()
  const onAbort = (): void => controller.abort(signal.reason)
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  return controller.signal
}
