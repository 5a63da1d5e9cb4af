/**
 * Directories in memory, for what is not measured: the disk of a server, which a real one would have for itself, and
 * which takes from this machine's two cores up to a millisecond for each file that is made. Layer: benchmark.
 *
 * Invariant: below one directory of the run, which `scripts/bench/run` takes away however it ends.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { basename, join, relative } from 'node:path'

const memory = '/dev/shm'

/** The directory of this run. */
export function runInMemory(runDirectory: string): string {
  return join(memory, basename(runDirectory))
}

/** Of a server whose other files are in `directory`; it need not be there yet. */
export function servedDirectory(directory: string): string {
  const run = process.env['BENCH_DIRECTORY'] ?? ''
  return join(runInMemory(run), relative(run, directory), 'served')
}

/** As `servedDirectory`, there and empty. */
export function emptyServedDirectory(directory: string): string {
  const served = servedDirectory(directory)
  rmSync(served, { recursive: true, force: true })
  mkdirSync(served, { recursive: true })
  return served
}
