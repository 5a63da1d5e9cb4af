/**
 * The mount that a command is about. Layer: cli.
 *
 * Invariant: found without touching the mounted directory; a failure says whose mount it is, or that there
 * is none.
 */
import { resolve } from 'node:path'
import { findMount } from '../control/registry.ts'
import type { FoundMount } from '../control/registry.ts'
import { dataDirectories } from './session-arguments.ts'
import { canonicalPath } from '../mount/mount-point.ts'
import { mountAt, ownType } from '../fuse/mount-table.ts'
import { CommandFailure } from './report-error.ts'

/** The mount that `path` is, or is in; throws `CommandFailure` when there is none of this user. */
export async function runningMount(path: string): Promise<FoundMount> {
  const found = await findMount(dataDirectories(process.env).stateRoot, path)
  if (found !== undefined) {
    return found
  }
  const entry = mountAt(await canonicalPath(resolve(path)))
  if (entry?.type === ownType) {
    throw new CommandFailure(
      `${path} was mounted by another user, or with another XDG_STATE_HOME: ask as that one`,
    )
  }
  throw new CommandFailure(`${path} is not a mounted session`)
}
