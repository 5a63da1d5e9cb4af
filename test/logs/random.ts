/**
 * Random numbers that can be had again from their seed. Layer: tests.
 *
 * Invariant: the same seed gives the same numbers.
 */

/** Integers in [0, `below`). */
export type Random = (below: number) => number

/** mulberry32. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}
