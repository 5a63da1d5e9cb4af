/**
 * What this machine has of a session: a mount that answers, its own or one of all sessions of the agent, or changes
 * that wait. Layer: cli.
 *
 * Invariant: found without touching a mounted directory, within seconds whatever a daemon does. Only what belongs to
 * the same session seen by the same identity counts: another endpoint, key or identity has a directory of its own.
 */
import { existsSync } from 'node:fs'
import { ControlError, type StatusReport } from '../control/protocol.ts'
import { listMounts, type MountRecord } from '../control/registry.ts'
import type { DataDirectories, SessionAddress } from '../options/mount-options.ts'
import { pathBelow } from '../remote-path.ts'
import { sessionDirectories } from '../session/directories.ts'
import { SessionError } from '../session/session-error.ts'
import { agentMountOf } from './agent-mount.ts'
import { askMount, whereItIs } from './running-mount.ts'
import { dataDirectories } from './session-arguments.ts'

/**
 * - `nothing` was ever mounted, or nothing is left
 * - `mounted` with its changes shown at `within` of `mount.directory` (the session's name in a mount of all sessions of
 *   the agent, if that shows this one; else ''), but for `unseen`: those beside the part that is mounted
 * - `apart` changes wait that the directory, if there is one, does not show for us: the mount is read-only, has been
 *   detached and uploads, or its daemon was killed
 * - `silent` its daemon is there and does not answer
 */
export type Here =
  | { readonly is: 'nothing' }
  | {
      readonly is: 'mounted'
      readonly mount: MountRecord
      readonly within: string
      readonly unseen: readonly string[]
    }
  | { readonly is: 'apart'; readonly paths: readonly string[]; readonly pid: number | undefined }
  | { readonly is: 'silent'; readonly mount: MountRecord | undefined }

/* a command of seconds does not wait longer for a daemon that was stopped */
const answerWithinMs = 3000

export async function hereOf(address: SessionAddress): Promise<Here> {
  const roots = dataRoots()
  if (roots === undefined) return { is: 'nothing' }
  const { state } = sessionDirectories(address, roots)
  const announced = listMounts(roots.stateRoot).find(({ stateDirectory }) => stateDirectory === state)
  let isHeld = false
  if (existsSync(state)) {
    try {
      const report = await askMount({ stateDirectory: state }, { method: 'status' }, { answerWithinMs })
      return inItsOwn(report, announced)
    } catch (error) {
      if (!(error instanceof ControlError)) throw error
      isHeld = error.code !== 'notRunning'
    }
  }
  const here = await inOneOfAll(address, roots, isHeld)
  if (here !== undefined) return here
  return isHeld ? { is: 'silent', mount: announced } : leftBehind(state, announced)
}

/** Changes that wait for a session that no mount shows. */
export function leftOf(address: SessionAddress): Promise<Here> {
  return leftBehind(sessionDirectories(address, dataDirectories(process.env)).state, undefined)
}

function inItsOwn(report: StatusReport, announced: MountRecord | undefined): Here {
  const mount = announced?.pid === report.pid ? whereItIs(announced) : undefined
  const paths = report.paths.map(({ path }) => path)
  if (mount === undefined || report.readOnly) return apart(paths, report.pid)
  const unseen = paths.filter((path) => pathBelow(mount.subdirectory ?? '', path) === undefined)
  return { is: 'mounted', mount, within: '', unseen }
}

/** In a mount of all sessions of the agent; undefined when that has nothing to do with this one. */
async function inOneOfAll(
  address: SessionAddress,
  roots: DataDirectories,
  isHeld: boolean,
): Promise<Here | undefined> {
  const found = await agentMountOf(address, roots, answerWithinMs)
  if (found === undefined) return undefined
  const { mount, report, session } = found
  if (report === undefined) return isHeld ? { is: 'silent', mount } : undefined
  /* another process has it, or the service refuses it */
  if (session === undefined ? isHeld : session.state === 'refused') return undefined
  if (mount !== undefined && !report.readOnly)
    return { is: 'mounted', mount, within: address.session, unseen: [] }
  if (session === undefined) return undefined
  const paths = report.paths.map(({ path }) => pathBelow(address.session, path))
  return apart(
    paths.filter((path) => path !== undefined),
    report.pid,
  )
}

async function leftBehind(state: string, announced: MountRecord | undefined): Promise<Here> {
  if (!existsSync(state)) return { is: 'nothing' }
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
