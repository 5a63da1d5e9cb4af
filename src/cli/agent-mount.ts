/**
 * A mount of all sessions of an agent on this machine, as it has one of them. Layer: cli.
 *
 * Invariant: found without touching a mounted directory. Only a mount at the same endpoint by the same identity counts:
 * others have a state directory of their own.
 */
import { existsSync } from 'node:fs'
import { ControlError, type SessionReport, type StatusReport } from '../control/protocol.ts'
import { listMounts, type MountRecord } from '../control/registry.ts'
import type { DataDirectories, SessionAddress } from '../options/mount-options.ts'
import { agentDirectories } from '../session/directories.ts'
import { askMount, whereItIs } from './running-mount.ts'

export interface AgentMount {
  /** With the directory where it is now; undefined when nothing shows it. */
  readonly mount: MountRecord | undefined
  /** undefined: its daemon is there and does not answer. */
  readonly report: StatusReport | undefined
  /** What it says of the session; undefined: no program has gone into that. */
  readonly session: SessionReport | undefined
}

/** Undefined where there is none with a daemon. */
export async function agentMountOf(
  address: SessionAddress,
  roots: DataDirectories,
  answerWithinMs: number,
): Promise<AgentMount | undefined> {
  const { state } = agentDirectories(address, roots)
  if (!existsSync(state)) return undefined
  const records = listMounts(roots.stateRoot).filter(({ stateDirectory }) => stateDirectory === state)
  try {
    const report = await askMount({ stateDirectory: state }, { method: 'status' }, { answerWithinMs })
    const record = records.find(({ pid }) => pid === report.pid)
    const session = report.sessions?.find((one) => one.session === address.session)
    return { mount: record && whereItIs(record), report, session }
  } catch (error) {
    if (!(error instanceof ControlError)) throw error
    if (error.code === 'notRunning') return undefined
    return {
      mount: records.map(whereItIs).find((at) => at !== undefined),
      report: undefined,
      session: undefined,
    }
  }
}
