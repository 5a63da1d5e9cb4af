/**
 * What is mounted, and the end of it. Layer: benchmark.
 *
 * Invariant: asks the kernel's table, never the mount itself, which would count as a use of it.
 */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'

const run = promisify(execFile)

export function isMounted(mountPoint: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[4] === mountPoint)
}

/** Unmounts in good order; lazily if it stays busy for five seconds. */
export async function unmount(mountPoint: string): Promise<void> {
  for (let attempt = 0; isMounted(mountPoint); attempt++) {
    try {
      await run('fusermount3', attempt < 50 ? ['-u', mountPoint] : ['-uz', mountPoint])
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    if (attempt > 60) throw new Error(`${mountPoint} cannot be unmounted`)
  }
}
