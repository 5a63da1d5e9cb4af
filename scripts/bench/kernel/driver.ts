/**
 * The program that uses the mounts: `driver.c`, compiled for this run. Layer: benchmark.
 *
 * Invariant: nothing but the driver touches a file of a mount.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { missingPrograms } from '../party.ts'
import { bigBytes, fileCount, smallBytes } from './tree.ts'

export interface KernelWorkload {
  readonly name: string
  readonly does: 'stat' | 'open' | 'read' | 'write'
  readonly fileBytes: number
  readonly threads: number
  /** What one figure of the tables stands for: so many uses of a file. */
  readonly unit: number
  /** What that figure counts. */
  readonly time: 'µs' | 'ms'
  /** Units in one run: enough for CPU time that is counted in hundredths of a second. */
  readonly units: number
}

/** From one thread, and from as many as there are files. */
export const kernelWorkloads: readonly KernelWorkload[] = [1, fileCount].flatMap((threads) => {
  const from = threads === 1 ? '1 thread' : `${threads} threads`
  const small = { fileBytes: smallBytes, threads, unit: 1, time: 'µs' as const }
  const big = { fileBytes: bigBytes, threads, unit: fileCount, units: 4, time: 'ms' as const }
  return [
    { ...small, name: `stat, ${from}`, does: 'stat', units: 8000 },
    { ...small, name: `open, read 4 KiB, close, ${from}`, does: 'open', units: 3200 },
    { ...big, name: `read 64 MiB, ${from}`, does: 'read' },
    { ...big, name: `write 64 MiB, ${from}`, does: 'write' },
  ] as const
})

const run = promisify(execFile)
const limitMs = 120_000

export class Driver {
  readonly #program: string

  private constructor(program: string) {
    this.#program = program
  }

  static async compile(directory: string): Promise<Driver> {
    const missing = missingPrograms({ gcc: 'gcc libc6-dev' })
    if (missing !== undefined) throw new Error(missing)
    const program = join(directory, 'driver')
    await run('gcc', ['-O2', '-pthread', join(import.meta.dirname, 'driver.c'), '-o', program])
    return new Driver(program)
  }

  /** Seconds for all units. */
  async measure(
    { does, fileBytes, threads, unit, units }: KernelWorkload,
    mountPoint: string,
  ): Promise<number> {
    const numbers = [fileCount, fileBytes, threads, unit * units].map(String)
    const { stdout } = await run(this.#program, [mountPoint, does, ...numbers], { timeout: limitMs })
    return Number(stdout) / 1e9
  }
}
