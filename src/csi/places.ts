/**
 * The places where a Pod sees a mount: bind mounts that come and go. Layer: csi.
 *
 * Invariant: nothing of what is mounted there is touched, so that a mount that does not answer can be taken away.
 */
import { mkdirSync, realpathSync, rmdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { bindMount, detachMount } from '../fuse/libc.ts'
import { mountAt, type MountEntry, mountsAt, ownType } from '../fuse/mount-table.ts'
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
  /* what is below it then is a directory of the node */
  if (!isAtAny([mount.directory], mount.device))
    throw new CsiError(
      'failedPrecondition',
      `${mount.directory}: somebody has unmounted it: delete the Pods of this node that use the session, then it is mounted anew`,
    )
  /* those that were lost */
  detachOurs(place)
  makePlace(place)
  bindMount(mount.directory, place, { isReadOnly })
}

/**
 * Takes whatever of ours is mounted away from a place, in use or not, with what somebody has mounted over it, and the
 * place itself. Throws `CsiError` when something else is there.
 */
export function hide(path: string): void {
  detachOurs(canonical(path))
  try {
    rmdirSync(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return
    throw new CsiError('failedPrecondition', `${path}: ${whyStays(code)}`, { cause: error })
  }
}

/** Whether a mount is at one of these places, uppermost. */
export function isAtAny(places: Iterable<string>, device: string | undefined): boolean {
  return device !== undefined && [...places].some((place) => mountAt(canonical(place))?.device === device)
}

function whyStays(code: string | undefined): string {
  if (code === 'ENOTEMPTY') return 'there are files on the node itself, below the volume: move them away'
  if (code === 'EBUSY') return 'something else is mounted there: unmount it'
  return `cannot be removed (${code}): see to it that the driver may remove it`
}

function detachOurs(place: string): void {
  while (mountsAt(place).some(({ type }) => type === ownType) && detachMount(place));
}

/* `recursive` would look at what is there already */
function makePlace(place: string): void {
  try {
    mkdirSync(place, { mode: 0o750 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
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
