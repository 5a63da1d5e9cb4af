/**
 * What a bad link adds to the delay: jitter, and packets that are lost and sent again. Layer: benchmark.
 *
 * TCP is not spoken here, so a loss shows as what it does to a connection: what was lost, and all behind it,
 * comes a round trip later when more follows and tells of the gap, and after the retransmission timeout when
 * nothing does. That a sender also slows down is left out, so a real link is rather worse.
 *
 * Invariant: the same seed gives the same chances.
 */
import type { Lateness } from './slow-direction.ts'

const packetBytes = 1448
/* Linux waits no less for the answer to a packet before it sends it again */
const shortestTimeoutMs = 200

export interface BadLink {
  readonly jitterMs: number
  /** Of each packet, 0 to 1. */
  readonly lossRate: number
  readonly oneWayMs: number
  readonly seed: number
}

export function lateness({ jitterMs, lossRate, oneWayMs, seed }: BadLink): Lateness {
  if (jitterMs === 0 && lossRate === 0) return () => 0
  const random = chances(seed)
  const roundTripMs = 2 * oneWayMs + jitterMs
  return (bytes, isLast) => {
    const jitter = random() * jitterMs
    const packets = Math.ceil(bytes / packetBytes)
    const isLost = random() < 1 - (1 - lossRate) ** packets
    if (!isLost) return jitter
    return jitter + (isLast ? Math.max(shortestTimeoutMs, roundTripMs) + roundTripMs / 2 : roundTripMs)
  }
}

/** Even chances from 0 to 1 (Marsaglia's xorshift). */
function chances(seed: number): () => number {
  let state = seed * 0x9e3779b1 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}
