/**
 * A mount of an earlier driver, as its daemon hands it on. Layer: csi.
 *
 * Invariant: nothing is taken of a mount that is not there any more.
 */
import { join } from 'node:path'
import { type NothingTaken, type Taken, takeDescriptor } from '../fuse/descriptor-passing.ts'
import { closeQuietly } from '../fuse/libc.ts'
import { mountAt, ownType } from '../fuse/mount-table.ts'
import { daemonSocket, type VolumeFiles } from './volume-files.ts'

export interface Adopted extends Taken {
  /** As the mount table has it. */
  readonly device: string
}

/** Or why that cannot be, in words. */
export async function takeFromDaemon(files: VolumeFiles, signal: AbortSignal): Promise<Adopted | string> {
  const taken = await takeDescriptor(join(files.run, daemonSocket), { signal })
  if (typeof taken === 'string') return whyNot[taken]
  const entry = mountAt(files.mountPoint)
  if (entry?.type === ownType) return { ...taken, device: entry.device }
  taken.socket.destroy()
  closeQuietly(taken.descriptor)
  return 'it was unmounted while no driver ran'
}

const whyNot: Readonly<Record<NothingTaken, string>> = {
  nobody: 'the driver and its daemon ended at once',
  ended: 'the driver and its daemon ended at once',
  silent: 'its daemon does not answer the driver that followed',
  noRoom: 'the driver may not open more files',
}
