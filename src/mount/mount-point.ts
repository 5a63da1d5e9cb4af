/**
 * Whether a directory can be mounted on. Layer: cli.
 *
 * Invariant: passes what mounting will accept, and refuses the rest with one line that says what to do. The
 * dead mount of a killed daemon passes: it is detached when the session is mounted again.
 */
import { readdir, realpath, stat, statfs } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { sleep, systemClock } from '../clock.ts'
import { SessionError } from '../session/session-error.ts'
import { mountAt } from '../fuse/mount-table.ts'

/* the root of a live mount answers at once; one that does not is not dead, and not to be mounted on */
const answerWithinMs = 5000

/** The canonical path of a usable mount point; throws `SessionError`. */
export async function checkMountPoint(directory: string): Promise<string> {
  const canonical = await canonicalPath(directory)
  const mounted = mountAt(canonical)
  if (mounted?.type.startsWith('fuse') === true) {
    if (await isDead(canonical)) {
      return canonical
    }
    throw new SessionError(
      'alreadyMounted',
      `${directory} is already mounted: "mount-session unmount ${directory}" first`,
    )
  }
  const attributes = await stat(canonical).catch((error: unknown) => {
    throw unusable(directory, error)
  })
  if (!attributes.isDirectory()) {
    throw new SessionError('notDirectory', `${directory} is not a directory`)
  }
  const names = await readdir(canonical).catch((error: unknown) => {
    throw unusable(directory, error)
  })
  if (names.length > 0) {
    throw new SessionError('notEmpty', `${directory} is not empty: mount on an empty directory`)
  }
  return canonical
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

async function isDead(directory: string): Promise<boolean> {
  const answered = new AbortController()
  /* what stat(2) says of a dead one may be what the kernel remembers; this it asks */
  const probe = statfs(directory)
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

function unusable(directory: string, error: unknown): SessionError {
  const { code } = error as NodeJS.ErrnoException
  switch (code) {
    case 'ENOENT':
      return new SessionError('notDirectory', `${directory} does not exist: make it first (mkdir)`, {
        cause: error,
      })
    case 'ENOTDIR':
      return new SessionError('notDirectory', `${directory} is not a directory`, { cause: error })
    default:
      return new SessionError('notDirectory', `${directory} cannot be used: ${code ?? 'unknown error'}`, {
        cause: error,
      })
  }
}
