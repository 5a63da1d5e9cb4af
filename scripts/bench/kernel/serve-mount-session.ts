/**
 * Our kernel layer with a filesystem in memory behind it, at the mount point given. Layer: benchmark.
 *
 * Invariant: nothing is remembered by the kernel (all timeouts 0), so that each use comes to us.
 */
import { MemoryFrontEnd } from '../../../test/fuse/memory-front-end.ts'
import { serve } from '../../../src/fuse/connection.ts'
import { mountKernel } from '../../../src/fuse/kernel-mount.ts'
import { silentLogger } from '../../../src/log.ts'
import { treeFiles } from './tree.ts'

const [mountPoint = ''] = process.argv.slice(2)
const frontEnd = new MemoryFrontEnd()
for (const { name, content } of treeFiles()) frontEnd.put(name, content)

const say = (fields: object, message: string): void => console.error(message, fields)
const mount = await mountKernel(mountPoint, { source: 'memory', defaultPermissions: false })
const served = serve({
  descriptor: mount.descriptor,
  frontEnd,
  logger: { ...silentLogger, warn: say, error: say },
})
await served.done
