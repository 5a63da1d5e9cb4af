/**
 * Whether a failed call is worth another try, and when. Layer: client.
 *
 * Invariant: pure functions; who waits, and on which clock, is the caller's business.
 */
import type { ServiceError } from './errors.ts'

export interface RetryPolicy {
  /** Attempts of one call, the first among them. Default 10. */
  readonly attempts: number
  /** The first delay's upper bound, doubled with each attempt, in milliseconds. Default 1000. */
  readonly baseMs: number
  /** The upper bound of every delay, in milliseconds; `Retry-After` may exceed it. Default 60,000. */
  readonly capMs: number
  /** No attempt starts later than this after the first one, in milliseconds. Default 60,000. */
  readonly elapsedMs: number
}

export const defaultRetryPolicy: RetryPolicy = {
  attempts: 10,
  baseMs: 1000,
  capMs: 60_000,
  elapsedMs: 60_000,
}

export interface FailedAttempt {
  /** 1 for the first. */
  readonly attempt: number
  readonly error: ServiceError
  /** 0 to 1. */
  readonly random: number
  /** Since the first attempt began. */
  readonly elapsedMs: number
}

/**
 * The delay in milliseconds before the next attempt; undefined: give up. Exponential with full jitter, so
 * that callers that failed together do not come back together, and never before the service asked for; the
 * last attempt comes at the end of the time at the latest.
 */
export function retryDelay(policy: RetryPolicy, failed: FailedAttempt): number | undefined {
  const { attempt, error, random, elapsedMs } = failed
  if (!error.retryable || attempt >= policy.attempts) return undefined
  const bound = Math.min(policy.capMs, policy.baseMs * 2 ** (attempt - 1))
  const leftMs = policy.elapsedMs - elapsedMs
  // the time is not given up before it is over: a sandbox wakes in the second half of it
  const delay = Math.max(Math.min(random * bound, leftMs), error.retryAfterMs ?? 0)
  return leftMs <= 0 || delay > leftMs ? undefined : delay
}

/** Headers as undici gives them: names in lower case. */
export type ReplyHeaders = Readonly<Record<string, string | string[] | undefined>>

/**
 * The wait that an answer asks for, in milliseconds: `Retry-After` in seconds or as a date, or Azure's two in
 * milliseconds. A date is of the service's clock: it is compared with the answer's own, with `wallMs` only
 * where it has none.
 */
export function retryAfterMs(headers: ReplyHeaders, wallMs: number): number | undefined {
  for (const name of ['retry-after-ms', 'x-ms-retry-after-ms']) {
    const ms = digits(headers[name])
    if (ms !== undefined) return ms
  }
  const after = headers['retry-after']
  const seconds = digits(after)
  if (seconds !== undefined) return seconds * 1000
  const until = dateMs(after)
  return until === undefined ? undefined : Math.max(0, until - (dateMs(headers['date']) ?? wallMs))
}

/** A header's date, Unix milliseconds; undefined for what is none. */
export function dateMs(value: string | string[] | undefined): number | undefined {
  const ms = typeof value === 'string' ? Date.parse(value) : NaN
  return Number.isNaN(ms) ? undefined : ms
}

function digits(value: string | string[] | undefined): number | undefined {
  return typeof value === 'string' && /^\s*\d+(\.\d+)?\s*$/.test(value) ? Number(value) : undefined
}
