/**
 * What a test does to the calls of `MemoryFiles`: faults that befall them, and gates at which they wait.
 *
 * Invariant: a fault is used up by the calls it befalls, oldest fault first; a gate holds every matching
 * call until it is opened, and a call whose signal is aborted never stays in it.
 */
import { ServiceError, type ServiceErrorCode } from '../../src/client/errors.ts'

export type Verb = 'list' | 'download' | 'upload' | 'remove' | 'makeDirectory'

export interface Match {
  /** Default: every verb. */
  readonly verb?: Verb
  /** Default: every path. */
  readonly path?: string
}

export interface Fault extends Match {
  /** A code becomes a `ServiceError` of it. */
  readonly error: ServiceErrorCode | Error
  /** How many calls it befalls; default 1. */
  readonly times?: number
  /**
   * What becomes of the change: `never` carried out (default), carried out `first` and then failed with
   * `ambiguous`, or `late`: failed with `ambiguous` and carried out when the test calls `commitLate()`.
   * `part`: uploads only, the first half of the bytes becomes the file, then it fails with `ambiguous`.
   */
  readonly applied?: 'never' | 'first' | 'late' | 'part'
  /** Downloads only: the call succeeds and the body fails after this many bytes. */
  readonly afterBytes?: number
}

export interface Gate {
  /** Calls that wait at it now. */
  readonly waiting: number
  /** Resolves once `count` calls (default 1) have come to it since it was set up. */
  arrived(count?: number): Promise<void>
  /** Lets one waiting call go on (the first), later ones still wait. */
  releaseOne(): void
  /** Lets all go on and removes the gate. */
  release(): void
}

export interface GateMatch extends Match {
  /** Downloads only: waits inside the body, when this many bytes have been handed out. */
  readonly afterBytes?: number
}

const matches = (match: Match, verb: Verb, path: string): boolean =>
  (match.verb ?? verb) === verb && (match.path ?? path) === path

export class Faults {
  #faults: { fault: Fault; left: number }[] = []

  add(fault: Fault): void {
    this.#faults.push({ fault, left: fault.times ?? 1 })
  }

  clear(): void {
    this.#faults = []
  }

  /** The fault that befalls this call, if any; it is used up by one. */
  take(verb: Verb, path: string): Fault | undefined {
    const found = this.#faults.find(({ fault }) => matches(fault, verb, path))
    if (found === undefined) return undefined
    found.left -= 1
    if (found.left <= 0) this.#faults = this.#faults.filter((other) => other !== found)
    return found.fault
  }
}

/** The error of a fault as the call throws it. */
export function faultError(fault: Fault, verb: Verb, path: string): Error {
  if (fault.error instanceof Error) return fault.error
  const ambiguous = fault.applied !== undefined && fault.applied !== 'never'
  return new ServiceError(fault.error, `${verb} ${path}: injected ${fault.error}`, { ambiguous })
}

export class Gates {
  #gates: OpenableGate[] = []

  add(match: GateMatch): Gate {
    const gate = new OpenableGate(match, () => {
      this.#gates = this.#gates.filter((other) => other !== gate)
    })
    this.#gates.push(gate)
    return gate
  }

  /** Waits at each gate that holds this call; `afterBytes` undefined is the start of the call. */
  async pass(verb: Verb, path: string, signal: AbortSignal | undefined, afterBytes?: number): Promise<void> {
    for (const gate of [...this.#gates]) {
      if (!matches(gate.match, verb, path) || gate.match.afterBytes !== afterBytes) continue
      await gate.wait(signal)
    }
  }

  /** The offsets at which a body has to stop for a gate, ascending. */
  stops(path: string): number[] {
    return this.#gates
      .filter((gate) => matches(gate.match, 'download', path))
      .flatMap((gate) => gate.match.afterBytes ?? [])
      .sort((a, b) => a - b)
  }
}

class OpenableGate implements Gate {
  readonly match: GateMatch
  readonly #remove: () => void
  readonly #waiters: (() => void)[] = []
  #arrivals = 0
  #watchers: { count: number; resolve: () => void }[] = []

  constructor(match: GateMatch, remove: () => void) {
    this.match = match
    this.#remove = remove
  }

  get waiting(): number {
    return this.#waiters.length
  }

  arrived(count = 1): Promise<void> {
    return new Promise((resolve) => {
      this.#watchers.push({ count, resolve })
      this.#notify()
    })
  }

  releaseOne(): void {
    this.#waiters.shift()?.()
  }

  release(): void {
    this.#remove()
    while (this.#waiters.length > 0) this.releaseOne()
  }

  wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (): void => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      const onAbort = (): void => {
        this.#waiters.splice(this.#waiters.indexOf(go), 1)
        reject(signal?.reason as Error)
      }
      this.#waiters.push(go)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#arrivals += 1
      this.#notify()
      if (signal?.aborted) onAbort()
    })
  }

  #notify(): void {
    for (const watcher of this.#watchers) if (watcher.count <= this.#arrivals) watcher.resolve()
    this.#watchers = this.#watchers.filter((watcher) => watcher.count > this.#arrivals)
  }
}
