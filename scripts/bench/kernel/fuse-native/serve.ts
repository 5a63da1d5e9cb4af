/**
 * `path-filesystem.ts` over `fuse-native`, at the mount point given. Layer: benchmark.
 *
 * Invariant: nothing is remembered by the kernel, and no call has a timer, as with us.
 */
import { createRequire } from 'node:module'
import { pathFilesystem, serveBinding, type Binding } from '../path-filesystem.ts'

const Fuse = createRequire(import.meta.url)('fuse-native') as Binding
const [mountPoint = ''] = process.argv.slice(2)

serveBinding(
  Fuse,
  mountPoint,
  pathFilesystem(() => new Date(), Fuse.ENOENT),
  {
    /* as words: it takes the number 0 for "as libfuse has it", which is a second */
    entryTimeout: '0',
    attrTimeout: '0',
    autoCache: true,
    timeout: false,
  },
)
