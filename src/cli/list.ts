/**
 * `mount-session list`: every mount of this user. Layer: cli.
 *
 * Invariant: touches no mounted directory, and asks all daemons at once: one that does not answer holds up nobody's
 * line but its own, and that for seconds.
 */
import { ControlError } from '../control/protocol.ts'
import { listMounts, type MountRecord } from '../control/registry.ts'
import { mountWith } from '../fuse/mount-table.ts'
import { showMounted } from '../options/show-address.ts'
import { sessionDirectories } from '../session/directories.ts'
import { knownSessionsOf, readAgent } from '../session/known-addresses.ts'
import { showBytes, showDuration } from './amounts.ts'
import { readCommand } from './command-line.ts'
import { printable, styled, table, writeJson } from './output.ts'
import { askMount } from './running-mount.ts'
import { dataDirectories } from './session-arguments.ts'

const answerWithinMs = 3000

/**
 * - `ready`, `paused`: the session takes calls, or does not for `reason`
 * - `detached`: unmounted, and still uploading what is left
 * - `ended`: the daemon was killed; what waits is kept
 * - `silent`: the daemon is there and does not answer
 */
type State = 'ready' | 'paused' | 'detached' | 'ended' | 'silent'

interface Line {
  readonly record: MountRecord
  readonly state: State
  readonly reason: string | undefined
  readonly pausedMs: number | undefined
  /** Undefined where nobody can be asked. */
  readonly pending: { readonly paths: number; readonly bytes: number | undefined } | undefined
}

export async function run(argv: readonly string[]): Promise<number> {
  const { flags } = readCommand('list', argv)
  const lines = await Promise.all(listMounts(dataDirectories(process.env).stateRoot).map(lineOf))
  lines.sort((a, b) => (a.record.directory < b.record.directory ? -1 : 1))
  if (flags.json) writeJson(lines.map(asJson))
  else if (lines.length === 0) process.stderr.write('nothing is mounted by this user\n')
  else process.stdout.write(table(['SESSION', 'DIRECTORY', 'PENDING', 'STATE'], lines.map(cells)))
  return 0
}

async function lineOf(announced: MountRecord): Promise<Line> {
  const entry = announced.mount && mountWith(announced.mount)
  const record = { ...announced, directory: entry?.directory ?? announced.directory }
  const bare = { record, reason: undefined, pausedMs: undefined }
  try {
    const report = await askMount(record, { method: 'status' }, { answerWithinMs })
    /* another mount of the session, elsewhere, has taken up what this one left; here it is the next daemon */
    if (report.pid !== record.pid && report.directory !== record.directory)
      return { ...bare, state: 'ended', pending: undefined }
    const { service } = report
    const bytes = report.paths.reduce((sum, path) => sum + path.bytes, 0)
    const pending = { paths: report.paths.length, bytes }
    if (announced.mount !== undefined && entry === undefined) return { ...bare, state: 'detached', pending }
    return service.state === 'ready'
      ? { ...bare, state: 'ready', pending }
      : { record, state: 'paused', reason: service.reason, pausedMs: service.sinceMs, pending }
  } catch (error) {
    if (!(error instanceof ControlError)) throw error
    if (error.code !== 'notRunning') return { ...bare, state: 'silent', pending: undefined }
    return { ...bare, state: 'ended', pending: await pendingOfDead(record) }
  }
}

async function pendingOfDead({ session, stateDirectory }: MountRecord): Promise<Line['pending']> {
  const { waitingPaths } = await import('../session/waiting-paths.ts')
  try {
    const states = session === undefined ? await statesLeftBy(stateDirectory) : [stateDirectory]
    return { paths: states.reduce((sum, state) => sum + waitingPaths(state).length, 0), bytes: undefined }
  } catch {
    /* somebody takes it up this moment */
    return undefined
  }
}

/** Of the sessions of an agent that was mounted; what another process has by now is its business. */
async function statesLeftBy(stateDirectory: string): Promise<readonly string[]> {
  const { isSessionHeld } = await import('../session/session-lock.ts')
  const roots = dataDirectories(process.env)
  const agent = readAgent(stateDirectory)
  const sessions = agent === undefined ? [] : knownSessionsOf(agent, roots.stateRoot)
  return sessions
    .map((address) => sessionDirectories(address, roots).state)
    .filter((state) => !isSessionHeld(state))
}

function cells({ record, state, reason, pausedMs, pending }: Line): readonly string[] {
  const { paths, bytes } = pending ?? {}
  const amount = paths === undefined ? '-' : String(paths)
  const size = bytes === undefined || paths === 0 ? '' : ` (${showBytes(bytes)})`
  return [
    printable(showMounted(record)),
    printable(record.directory),
    `${amount}${size}`,
    describeState(record, state, reason, pausedMs),
  ]
}

function describeState(record: MountRecord, state: State, reason = '', pausedMs = 0): string {
  const { pid } = record
  switch (state) {
    case 'ready':
      return styled('green', 'ready')
    case 'paused':
      return `${styled('yellow', 'paused')} for ${showDuration(pausedMs)}: ${printable(reason)}`
    case 'detached':
      return `${styled('yellow', 'detached')}: pid ${pid} uploads what is left`
    case 'ended':
      return `${styled('red', 'ended')}: its daemon was killed: mount ${showMounted(record)} again`
    case 'silent':
      return `${styled('red', 'silent')}: its daemon (pid ${pid}) does not answer`
    default:
      return state satisfies never
  }
}

function asJson({ record, state, reason, pausedMs, pending }: Line): object {
  const { agent, session, subdirectory, directory, pid } = record
  return {
    ...{ agent, session: session ?? null, subdirectory: subdirectory ?? null },
    ...{ directory, pid, state, reason: reason ?? null },
    pausedSeconds: pausedMs === undefined ? null : Math.round(pausedMs / 1000),
    pending: pending?.paths ?? null,
    pendingBytes: pending?.bytes ?? null,
  }
}
