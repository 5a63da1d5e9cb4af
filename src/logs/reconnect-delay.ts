/**
 * How long to wait before the next connection, as a pure function. Layer: logs.
 *
 * Invariant: never at once and never sooner the oftener it fails, so that a server that ends every stream
 * immediately is not asked in a loop.
 */

/**
 * - `ended`: the server closed a stream, as it does after 30 minutes or 2 minutes of silence
 * - `failed`: no connection, a reset, silence: worth another try soon
 * - `waking`: the sandbox is not there yet: soon at first, and at last as slowly as what is refused
 * - `refused`: the session or the caller's rights are in the way; somebody has to do something first
 */
export type ConnectionEnd = 'ended' | 'failed' | 'waking' | 'refused'

const baseMs: Record<ConnectionEnd, number> = { ended: 500, failed: 1_000, waking: 2_000, refused: 30_000 }
const capMs: Record<ConnectionEnd, number> = {
  ended: 60_000,
  failed: 60_000,
  waking: 300_000,
  refused: 300_000,
}

/**
 * Milliseconds to wait after the `attempt`-th fruitless connection in a row (from 0). Doubles up to a cap;
 * `random` in [0, 1) spreads it over the upper half, so that many mounts do not return in step.
 */
export function reconnectDelayMs(end: ConnectionEnd, attempt: number, random: number): number {
  const full = Math.min(capMs[end], baseMs[end] * 2 ** Math.min(attempt, 20))
  return full / 2 + (full / 2) * random
}
