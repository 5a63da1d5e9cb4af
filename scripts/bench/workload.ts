/**
 * What a workload is made of. Layer: benchmark.
 *
 * Invariant: a workload is written once and run on every party alike; it sees a directory, and on the other
 * side the disk of the server.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { filesBelow } from './fixtures.ts'
import type { Need } from './limits.ts'

export interface Step {
  /** For the tables. */
  readonly name: string
  /** On a client that has just been started; else on the one of the step before. */
  readonly cold: boolean
  /** How long nothing is done before it, in milliseconds, untimed. Default 0. */
  readonly pauseMs?: number
  /** A script for `sh`, with `$mount` as the mounted directory. Timed until it returns. */
  readonly script: string
  /** Whether its output is right. */
  readonly isRight?: (output: string) => boolean
  /** Whether the server's disk has all of it; then the time until that is measured too. */
  readonly isDurable?: (files: string) => boolean
  /** undefined: the link need not be used at all. */
  readonly need?: Need | undefined
}

export interface Workload {
  /** As in `--only`. */
  readonly name: string
  readonly isReading: boolean
  /** Fills the server's disk, before any client runs. */
  readonly prepare: (files: string) => void
  readonly steps: readonly Step[]
}

/** Whether every one of these files is below `directory` of the server's disk, with its size where one is given. */
export function hasAll(
  directory: string,
  expected: ReadonlyMap<string, number | undefined>,
): (files: string) => boolean {
  return (files) => {
    const root = join(files, directory)
    if (!existsSync(root)) return false
    const found = filesBelow(root)
    return [...expected].every(([path, size]) => {
      const actual = found.get(path)
      return actual !== undefined && (size === undefined || size === actual)
    })
  }
}
