/**
 * The places where a Pod sees a mount: bind mounts that come and go. Layer: csi.
 *
 * Invariant: nothing of what is mounted there is touched, so that a mount that does not answer can be taken away.
 */
import { mkdirSync, realpathSync, rmdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { bindMount, detachMount } from '../fuse/libc.ts'
import { mountAt, type MountEntry, ownType } from '../fuse/mount-table.ts'
import { CsiError } from './csi-error.ts'
import type { Target } from './volume-files.ts'

/** Shows `mount` at a place, made where it is missing; there already: done. Throws `CsiError` when something else is there. */
export function show({ path, isReadOnly }: Target, mount: Pick<MountEntry, 'directory' | 'device'>): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 })
  const place = canonical(path)
  const there = mountAt(place)
  if (there !== undefined && there.device === mount.device) return
  if (there !== undefined && there.type !== ownType)
    throw new CsiError('failedPrecondition', `${path}: ${there.type} is mounted there: unmount it first`)
  /* one that was lost */
  if (there !== undefined) detachMount(place)
  mkdirSync(place, { recursive: true, mode: 0o750 })
  bindMount(mount.directory, place, { isReadOnly })
}

/** Takes whatever of ours is mounted away from a place, in use or not, and the place itself. */
export function hide(path: string): void {
  const place = canonical(path)
  while (mountAt(place)?.type === ownType && detachMount(place));
  try {
    rmdirSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

/** As the mount table has it; the last part may be a mount that does not answer, which is not looked at. */
function canonical(path: string): string {
  try {
    return join(realpathSync(dirname(path)), basename(path))
  } catch {
    return path
  }
}
