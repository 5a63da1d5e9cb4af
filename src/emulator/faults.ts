/**
 * Scripted faults: which request meets which. Layer: emulator.
 *
 * Invariant: a request meets at most one fault, that of the oldest rule that matches it and is not used up.
 * How a fault is carried out is `fault-effects.ts`.
 */

import type { CountedVerb } from './traffic.ts'

/**
 * - `status`: an error answer before anything is done; `retryAfter` in seconds
 * - `reset`: the connection is reset, before the change is made or after it
 * - `stall`: no answer ever comes, or its body stops after `afterBytes` (default: half of it)
 * - `cut`: the answer announces its full length and ends after `afterBytes`
 * - `late-commit`: the body is taken, the connection is reset, and the change is made `afterMs` later
 * - `partial`: the first `bytes` of an upload become visible under its name, then the connection is reset
 * - `delay`: `ms` before anything is done
 * - `hold`: waits for its release before anything is done, or with the answer ready (`at`, default arrival)
 */
export type Fault =
  | {
      readonly kind: 'status'
      readonly status: number
      readonly code?: string
      readonly retryAfter?: number
    }
  | { readonly kind: 'reset'; readonly when: 'before-commit' | 'after-commit' }
  | { readonly kind: 'stall'; readonly where: 'headers' | 'body'; readonly afterBytes?: number }
  | { readonly kind: 'cut'; readonly afterBytes: number }
  | { readonly kind: 'late-commit'; readonly afterMs: number }
  | { readonly kind: 'partial'; readonly bytes: number }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'hold'; readonly at?: 'arrival' | 'answer' }

export interface FaultMatch {
  /** Default: every verb. */
  readonly verb?: CountedVerb
  /** The normal form of the `path` parameter, or a pattern of it. `mkdir` has none. Default: every path. */
  readonly path?: string | RegExp
  /** How many requests meet it. Default: all until it is removed. */
  readonly times?: number
  /** Of the requests that match, only each so-manyth meets it: 20 is one in twenty. Default 1. */
  readonly every?: number
  /** Of the requests that match, so many pass before any meets it. Default 0. */
  readonly after?: number
}

export type FaultRule = FaultMatch & Fault

/** A rule at work. */
export interface LiveFault {
  readonly id: string
  readonly rule: FaultRule
  /** Requests that met it. */
  readonly met: number
  /** Resolves when the first request meets it; never, when none does. */
  readonly reached: Promise<void>
  /** Resolves when the rule is removed, which is the release of a hold. */
  readonly removed: Promise<void>
  remove(): void
}

interface FaultEntry extends LiveFault {
  met: number
  /** Requests that matched. */
  seen: number
  readonly markReached: () => void
}

export class Faults {
  readonly #entries = new Map<string, FaultEntry>()
  #count = 0

  add(rule: FaultRule): LiveFault {
    const id = String(++this.#count)
    const reached = Promise.withResolvers<undefined>()
    const removed = Promise.withResolvers<undefined>()
    const entry: FaultEntry = {
      id,
      rule,
      met: 0,
      seen: 0,
      reached: reached.promise,
      markReached: () => reached.resolve(undefined),
      removed: removed.promise,
      remove: () => {
        this.#entries.delete(id)
        removed.resolve(undefined)
      },
    }
    this.#entries.set(id, entry)
    return entry
  }

  /** Used up rules are found too, until they are removed. */
  find(id: string): LiveFault | undefined {
    return this.#entries.get(id)
  }

  /** The fault that this request meets, which counts as met. */
  take(verb: CountedVerb, path: string): LiveFault | undefined {
    if (this.#entries.size === 0) return undefined
    for (const entry of this.#entries.values()) {
      if (!matches(entry, verb, path)) continue
      entry.met++
      entry.markReached()
      return entry
    }
    return undefined
  }

  clear(): void {
    for (const entry of [...this.#entries.values()]) entry.remove()
  }
}

/** Whether the request meets the rule; one that could counts as seen. */
function matches(entry: FaultEntry, verb: CountedVerb, path: string): boolean {
  const { rule, met } = entry
  if (met >= (rule.times ?? Infinity)) return false
  if (rule.verb !== undefined && rule.verb !== verb) return false
  if (rule.path !== undefined && !isPath(rule.path, path)) return false
  entry.seen++
  const seen = entry.seen - (rule.after ?? 0)
  return seen > 0 && seen % (rule.every ?? 1) === 0
}

function isPath(wanted: string | RegExp, path: string): boolean {
  return typeof wanted === 'string' ? wanted === path : wanted.test(path)
}
