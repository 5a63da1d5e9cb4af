/**
 * The middle of some measurements. Layer: cli.
 *
 * Invariant: of none it is 0.
 */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
