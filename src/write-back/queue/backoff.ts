/**
 * How long the background waits before it tries a call again. Layer: write-back.
 *
 * Doubling from one second to a minute, the later half of each step at random, so that many paths that
 * failed together do not come back together; never sooner than the service asked for, but a minute apart at most.
 */

const firstMs = 1000
const longestMs = 60_000

/** `failures` in a row, 1 or more; `random` in [0, 1). */
export function backoffMs(failures: number, retryAfterMs: number | undefined, random: number): number {
  const step = Math.min(longestMs, firstMs * 2 ** (failures - 1))
  return Math.min(longestMs, Math.max(step * (0.5 + random / 2), retryAfterMs ?? 0))
}
