/**
 * `path-filesystem.ts` over `fuse-napi`, at the mount point and with the number of workers given.
 * Layer: benchmark.
 *
 * Invariant: nothing is remembered by the kernel, and no call has a timer, as with us.
 */
import { createRequire } from 'node:module'
import { pathFilesystem, serveBinding, type Binding } from '../path-filesystem.ts'

const Fuse = createRequire(import.meta.url)('fuse-napi') as Binding
const [mountPoint = '', workers = ''] = process.argv.slice(2)

function now(): { seconds: number; nanoseconds: number } {
  const ms = Date.now()
  const seconds = Math.floor(ms / 1000)
  return { seconds, nanoseconds: (ms - seconds * 1000) * 1_000_000 }
}

serveBinding(Fuse, mountPoint, pathFilesystem(now, Fuse.ENOENT), {
  maxConcurrency: Number(workers),
  entryTimeout: 0,
  attrTimeout: 0,
  timeout: { default: false, init: 15_000 },
})
