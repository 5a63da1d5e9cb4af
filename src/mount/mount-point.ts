/**
 * The directory to mount on: whether it can be, and the dead mount of a killed daemon that is in the way.
 * Layer: mount.
 *
 * Invariant: passes what mounting will accept, and refuses the rest with one line that says what to do. A mount
 * is dead only when the kernel says so; one that is slow to answer is not.
 */
import { access, constants, readdir, realpath, stat, statfs } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { sleep, systemClock } from '../clock.ts'
import { KernelMountError, unmountKernel } from '../fuse/fusermount.ts'
import { mountAt } from '../fuse/mount-table.ts'
import { SessionError, type SessionErrorCode } from '../session/session-error.ts'

/* the root of a live mount answers at once; one that does not is not dead, and not to be mounted on */
const answerWithinMs = 5000

/** The canonical path of a mount point that is ready to be used: a dead mount there is detached. Throws `SessionError`. */
export async function prepareMountPoint(directory: string): Promise<string> {
  const canonical = await canonicalPath(directory)
  await detachDead(canonical).catch((error: unknown) => {
    throw asSessionError(error)
  })
  await checkMountPoint(canonical, directory)
  return canonical
}

/** An empty directory that may be mounted on, or `SessionError`; `name` is what the user calls it. */
export async function checkMountPoint(canonical: string, name = canonical): Promise<void> {
  if (mountAt(canonical)?.type.startsWith('fuse') === true) {
    throw new SessionError(
      'alreadyMounted',
      `${name} is already mounted: "mount-session unmount ${name}" first`,
    )
  }
  const attributes = await stat(canonical).catch((error: unknown) => {
    throw unusable(name, error)
  })
  if (!attributes.isDirectory()) {
    throw new SessionError('notDirectory', `${name} is not a directory`)
  }
  const names = await readdir(canonical).catch((error: unknown) => {
    throw unusable(name, error)
  })
  if (names.length > 0) {
    throw new SessionError('notEmpty', `${name} is not empty: mount on an empty directory`)
  }
  await access(canonical, constants.W_OK).catch((error: unknown) => {
    throw new SessionError('fuse', `${name} is not writable`, { cause: error })
  })
}

/** Without symbolic links; the last part as it is where it cannot be looked at, as on a dead mount. */
export async function canonicalPath(directory: string): Promise<string> {
  try {
    return await realpath(directory)
  } catch {
    const parent = await realpath(dirname(directory)).catch(() => dirname(directory))
    return join(parent, basename(directory))
  }
}

/** Detaches what a dead daemon left at a canonical path; true if there was something. Rejects with `KernelMountError`. */
export async function detachDead(canonical: string): Promise<boolean> {
  const isFuse = mountAt(canonical)?.type.startsWith('fuse') === true
  if (!isFuse || !(await isDeadMount(canonical))) return false
  await unmountKernel(canonical, { lazy: true })
  return true
}

/** Whether the mount there belongs to a daemon that died. One that answers, or is slow to, or none at all, is not dead. */
export async function isDeadMount(canonical: string): Promise<boolean> {
  const answered = new AbortController()
  /* what stat(2) says of a dead one may be what the kernel remembers; this it asks */
  const probe = statfs(canonical)
    .then(
      () => false,
      (error: unknown) => ['ENOTCONN', 'ECONNABORTED'].includes((error as NodeJS.ErrnoException).code ?? ''),
    )
    .finally(() => answered.abort())
  const late = sleep(systemClock, answerWithinMs, answered.signal).then(
    () => false,
    () => probe,
  )
  return Promise.race([probe, late])
}

function unusable(name: string, error: unknown): SessionError {
  const { code } = error as NodeJS.ErrnoException
  switch (code) {
    case 'ENOENT':
      return new SessionError('notDirectory', `${name} does not exist: make it first (mkdir)`, {
        cause: error,
      })
    case 'ENOTDIR':
      return new SessionError('notDirectory', `${name} is not a directory`, { cause: error })
    default:
      return new SessionError('notDirectory', `${name} cannot be used: ${code ?? 'unknown error'}`, {
        cause: error,
      })
  }
}

const mountErrorCodes: Record<KernelMountError['code'], SessionErrorCode> = {
  noDevice: 'noFuse',
  noFusermount: 'noFuse',
  allowOtherNotPermitted: 'badOptions',
  busy: 'busy',
  notMounted: 'fuse',
  failed: 'fuse',
}

/** What the user is told of a failure to mount or unmount; other errors as they are. */
export function asSessionError(error: unknown): unknown {
  if (!(error instanceof KernelMountError)) return error
  return new SessionError(mountErrorCodes[error.code], error.message, { cause: error })
}
