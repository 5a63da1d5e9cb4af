/**
 * What a workload is made of. Layer: benchmark.
 *
 * Invariant: a workload is written once and run on every party alike; it sees a directory, and on the other
 * side the disk of the server.
 */

/** What the link alone would allow: so many round trips one after the other, and so many bytes one way. */
export interface Limit {
  readonly roundTrips: number
  readonly bytes: number
}

export interface Step {
  /** For the tables. */
  readonly name: string
  /** On a client that has just been started; else on the one of the step before. */
  readonly cold: boolean
  /** A script for `sh`, with `$mount` as the mounted directory. Timed until it returns. */
  readonly script: string
  /** Whether its output is right. */
  readonly isRight?: (output: string) => boolean
  /** Whether the server's disk has all of it; then the time until that is measured too. */
  readonly isDurable?: (files: string) => boolean
  /** undefined: the link need not be used at all. */
  readonly limit?: Limit | undefined
}

export interface Workload {
  /** As in `--only`. */
  readonly name: string
  readonly isReading: boolean
  /** Fills the server's disk, before any client runs. */
  readonly prepare: (files: string) => void
  readonly steps: readonly Step[]
}
