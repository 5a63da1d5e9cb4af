/**
 * What this machine has of a session: a mount that answers, or changes that wait. Layer: cli.
 *
 * Invariant: found without touching a mounted directory, within seconds whatever a daemon does. Only what belongs to
 * the same session seen by the same identity counts: another endpoint, key or identity has a directory of its own.
 */
import { existsSync } from 'node:fs'
import { ControlError, type StatusReport } from '../control/protocol.ts'
import { listMounts, type MountRecord } from '../control/registry.ts'
import { mountAt, mountWith, ownType } from '../fuse/mount-table.ts'
import type { DataDirectories, SessionAddress } from '../options/mount-options.ts'
import { pathBelow } from '../remote-path.ts'
import { sessionDirectories } from '../session/directories.ts'
import { SessionError } from '../session/session-error.ts'
import { askMount } from './running-mount.ts'
import { dataDirectories } from './session-arguments.ts'

/**
 * - `nothing` was ever mounted, or nothing is left
 * - `mounted` with its changes shown at `mount.directory`, but for `unseen`: those beside the part that is mounted
 * - `apart` changes wait that the directory, if there is one, does not show for us: the mount is read-only, has been
 *   detached and uploads, or its daemon was killed
 * - `silent` its daemon is there and does not answer
 */
export type Here =
  | { readonly is: 'nothing' }
  | { readonly is: 'mounted'; readonly mount: MountRecord; readonly unseen: readonly string[] }
  | { readonly is: 'apart'; readonly paths: readonly string[]; readonly pid: number | undefined }
  | { readonly is: 'silent'; readonly mount: MountRecord | undefined }

/* a command of seconds does not wait longer for a daemon that was stopped */
const answerWithinMs = 3000

export async function hereOf(address: SessionAddress): Promise<Here> {
  const roots = dataRoots()
  if (roots === undefined) return { is: 'nothing' }
  const { state } = sessionDirectories(address, roots)
  if (!existsSync(state)) return { is: 'nothing' }
  const announced = listMounts(roots.stateRoot).find(({ stateDirectory }) => stateDirectory === state)
  let report: StatusReport
  try {
    report = await askMount({ stateDirectory: state }, { method: 'status' }, { answerWithinMs })
  } catch (error) {
    if (!(error instanceof ControlError)) throw error
    return error.code === 'notRunning'
      ? await leftBehind(state, announced)
      : { is: 'silent', mount: announced }
  }
  const mount = announced?.pid === report.pid ? whereItIs(announced) : undefined
  const paths = report.paths.map(({ path }) => path)
  if (mount === undefined || report.readOnly) return apart(paths, report.pid)
  const unseen = paths.filter((path) => pathBelow(mount.subdirectory ?? '', path) === undefined)
  return { is: 'mounted', mount, unseen }
}

/** With the directory where it is now; undefined when nothing shows it here. */
function whereItIs(record: MountRecord): MountRecord | undefined {
  const entry = record.mount === undefined ? mountAt(record.directory) : mountWith(record.mount)
  if (entry?.type !== ownType) return undefined
  /* something else may have been mounted over it */
  return mountAt(entry.directory)?.id === entry.id ? { ...record, directory: entry.directory } : undefined
}

async function leftBehind(state: string, announced: MountRecord | undefined): Promise<Here> {
  const { waitingPaths } = await import('../session/waiting-paths.ts')
  try {
    return apart(waitingPaths(state), undefined)
  } catch (error) {
    /* somebody takes it up this moment */
    if (error instanceof SessionError && error.code === 'held') return { is: 'silent', mount: announced }
    throw error
  }
}

/** Undefined where there is no home, as in containers: then nothing was mounted from there, and nothing has to be. */
function dataRoots(): DataDirectories | undefined {
  try {
    return dataDirectories(process.env)
  } catch (error) {
    if (error instanceof SessionError && error.code === 'unusableDirectory') return undefined
    throw error
  }
}

function apart(paths: readonly string[], pid: number | undefined): Here {
  return paths.length === 0 ? { is: 'nothing' } : { is: 'apart', paths, pid }
}
