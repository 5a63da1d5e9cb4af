/**
 * What this machine has of a session: where it is mounted, and what waits here for it. Layer: cli.
 *
 * Invariant: asks the daemons and journals of this user, never the service; whoever sees it (with which isolation
 * key) does not matter, for it is the same session.
 */
import { join } from 'node:path'
import { ControlError } from '../../control/protocol.ts'
import { listMounts, type MountRecord } from '../../control/registry.ts'
import { mountWith } from '../../fuse/mount-table.ts'
import type { DataDirectories, SessionAddress } from '../../options/mount-options.ts'
import type { OptionValues } from '../../options/table.ts'
import { pathBelow } from '../../remote-path.ts'
import { sessionDirectories } from '../../session/directories.ts'
import { knownSessions } from '../../session/known-addresses.ts'
import { agentMountOf, type AgentMount } from '../agent-mount.ts'
import { askMount } from '../running-mount.ts'
import { dataDirectories, requireEndpoint } from '../session-arguments.ts'

export interface LocalState {
  /** Where it is mounted by a daemon that lives. */
  readonly mounted: readonly string[]
  /** The same where it is one directory of a mount of all sessions of its agent. */
  readonly shown: readonly string[]
  /** Changes that are on this machine only; undefined: a process has the session and does not say, or the journal cannot be read. */
  readonly waiting: number | undefined
}

const patienceMs = 2000

/** Asks whoever has the session: it may still upload what an unmount left, without a directory. */
export async function localState(
  values: OptionValues,
  { agent, session }: Pick<SessionAddress, 'agent' | 'session'>,
): Promise<LocalState> {
  const roots = dataDirectories(process.env)
  const endpoint = requireEndpoint(values.endpoint)
  const addresses = knownSessions(roots.stateRoot).filter(
    (known) => known.endpoint === endpoint && known.agent === agent && known.session === session,
  )
  const mounts = listMounts(roots.stateRoot)
  const found = await Promise.all(
    addresses.map((address) => {
      const { state } = sessionDirectories(address, roots)
      return stateOf(
        address,
        mounts.filter(({ stateDirectory }) => stateDirectory === state),
        roots,
      )
    }),
  )
  const counts = found.map(({ waiting }) => waiting)
  return {
    mounted: found.flatMap(({ mounted }) => mounted),
    shown: found.flatMap(({ shown }) => shown),
    waiting: counts.reduce((sum, one) => (sum === undefined || one === undefined ? undefined : sum + one), 0),
  }
}

function placeOf({ directory, mount }: MountRecord): string {
  return (mount && mountWith(mount)?.directory) ?? directory
}

async function stateOf(
  address: SessionAddress,
  records: readonly MountRecord[],
  roots: DataDirectories,
): Promise<LocalState> {
  const { state } = sessionDirectories(address, roots)
  let isGone = false
  try {
    const request = { method: 'status' } as const
    const report = await askMount({ stateDirectory: state }, request, { answerWithinMs: patienceMs })
    return {
      mounted: records.filter(({ pid }) => pid === report.pid).map(placeOf),
      shown: [],
      waiting: report.paths.length + report.setAside.length,
    }
  } catch (error) {
    isGone = error instanceof ControlError && error.code === 'notRunning'
  }
  const agent = await agentMountOf(address, roots, patienceMs)
  const shown = placeIn(agent, address, isGone)
  if (!isGone) {
    const waiting = waitingIn(agent)
    return { mounted: waiting === undefined ? records.map(placeOf) : [], shown, waiting }
  }
  const { countKept } = await import('../../session/recover.ts')
  /* what cannot be found out here does not keep the service from being asked */
  const waiting = await countKept(address, roots).catch(() => undefined)
  return { mounted: [], shown, waiting }
}

/** Where a mount of all sessions has gone into this one; one that does not answer may have. */
function placeIn(
  agent: AgentMount | undefined,
  { session }: SessionAddress,
  isGone: boolean,
): readonly string[] {
  if (agent?.mount === undefined) return []
  const isThere =
    agent.report === undefined ? !isGone : agent.session !== undefined && agent.session.state !== 'refused'
  return isThere ? [join(agent.mount.directory, session)] : []
}

/** What waits in a mount of all sessions that has this one; undefined: another process has it. */
function waitingIn(agent: AgentMount | undefined): number | undefined {
  if (agent?.report === undefined || agent.session === undefined) return undefined
  const { session, state, paths } = agent.session
  if (state === 'refused') return undefined
  return paths + agent.report.setAside.filter(({ path }) => pathBelow(session, path) !== undefined).length
}
