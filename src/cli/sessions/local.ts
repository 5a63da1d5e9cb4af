/**
 * What this machine has of a session: where it is mounted, and what waits here for it. Layer: cli.
 *
 * Invariant: asks the daemons and journals of this user, never the service; whoever sees it (with which isolation
 * key) does not matter, for it is the same session.
 */
import { ControlError } from '../../control/protocol.ts'
import { listMounts, type MountRecord } from '../../control/registry.ts'
import { mountWith } from '../../fuse/mount-table.ts'
import type { SessionAddress } from '../../options/mount-options.ts'
import type { OptionValues } from '../../options/table.ts'
import { knownSessions, sessionDirectories } from '../../session/directories.ts'
import type { KeptPlace } from '../../session/recover.ts'
import { SessionError } from '../../session/session-error.ts'
import { askMount } from '../running-mount.ts'
import { dataDirectories, requireEndpoint } from '../session-arguments.ts'

export interface LocalState {
  /** Where it is mounted by a daemon that lives. */
  readonly mounted: readonly string[]
  /** Changes that are on this machine only; undefined: a process has the session, and does not say. */
  readonly waiting: number | undefined
}

const patienceMs = 2000

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
        { ...roots, localNames: values.localNames },
      )
    }),
  )
  const counts = found.map(({ waiting }) => waiting)
  return {
    mounted: found.flatMap(({ mounted }) => mounted),
    waiting: counts.reduce((sum, one) => (sum === undefined || one === undefined ? undefined : sum + one), 0),
  }
}

async function stateOf(
  address: SessionAddress,
  records: readonly MountRecord[],
  where: KeptPlace,
): Promise<LocalState> {
  for (const record of records) {
    const directory = (record.mount && mountWith(record.mount)?.directory) ?? record.directory
    try {
      const { paths, setAside } = await askMount(record, { method: 'status' }, { answerWithinMs: patienceMs })
      return { mounted: [directory], waiting: paths.length + setAside.length }
    } catch (error) {
      if (!(error instanceof ControlError)) throw error
      if (error.code !== 'notRunning') return { mounted: [directory], waiting: undefined }
    }
  }
  const { countKept } = await import('../../session/recover.ts')
  try {
    return { mounted: [], waiting: await countKept(address, where) }
  } catch (error) {
    if (!(error instanceof SessionError) || error.code !== 'held') throw error
    return { mounted: [], waiting: undefined }
  }
}
