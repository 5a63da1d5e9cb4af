/**
 * The files that every party of the kernel layer's benchmark shows. Layer: benchmark.
 *
 * Invariant: as many of each size as the workloads have threads at most, named by size and number, which is
 * how `driver.c` finds them.
 */

export const fileCount = 8
export const smallBytes = 4 * 1024
/** All together 64 MiB. */
export const bigBytes = 8 * 1024 * 1024

export interface TreeFile {
  readonly name: string
  readonly content: Buffer
}

/** Made when asked for: each caller has buffers of its own. */
export function* treeFiles(): Iterable<TreeFile> {
  for (const bytes of [smallBytes, bigBytes]) {
    for (let i = 0; i < fileCount; i++) yield { name: `${bytes}-${i}`, content: Buffer.alloc(bytes, 'x') }
  }
}
