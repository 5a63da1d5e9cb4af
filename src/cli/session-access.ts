/**
 * The files of AGENT/SESSION for a command: through its mount, where this user has it mounted here, else the
 * service's. Layer: cli.
 *
 * Invariant: what waits on this machine is either seen or told. The mount is used where it can show everything: it
 * answers and can be written to. Otherwise the service is used, with a line on stderr when something is not seen:
 * - a read-only mount has no changes of its own, and the service is fresher;
 * - of a daemon that was killed, or that uploads what a plain umount left, the paths that wait are named;
 * - of a daemon that does not answer (stopped, out of descriptors) that is said;
 * - of a mount of a part of the session only that part is used, the service beside it;
 * - a mount of all sessions of the agent is used as one of this session, where it shows it;
 * - a mount by another user, with another key or at another endpoint is another view of the session: not looked for.
 */
import { ServiceError } from '../client/errors.ts'
import { sessionFiles } from '../client/remote-files.ts'
import type { SessionFiles } from '../client/session-files.ts'
import type { SessionAddress } from '../options/mount-options.ts'
import { showAddress } from '../options/show-address.ts'
import type { OptionValues } from '../options/table.ts'
import { showCount } from './amounts.ts'
import { hereOf, leftOf, type Here } from './live-mount.ts'
import { MountedFiles } from './mounted-files.ts'
import { printable } from './output.ts'
import { complain, describeFailure } from './report-error.ts'
import { serviceOptionsOf, talkToService, type Conversation } from './service.ts'
import type { Target } from './targets.ts'

export interface OpenFiles extends Conversation {
  readonly files: SessionFiles
  /** Where the mount through which they are reached has them; undefined: the service itself. */
  readonly mountedAt: string | undefined
}

const namedPaths = 3

/** Runs `use` with the files of a session; as `talkToService` otherwise. */
export async function openFiles<Result>(
  values: OptionValues,
  { agent, session }: Pick<Target, 'agent' | 'session'>,
  use: (open: OpenFiles) => Promise<Result>,
): Promise<Result> {
  const { endpoint, isolationKey, userIdentity, maxFileBytes } = serviceOptionsOf(values)
  const address = { endpoint, agent, session, isolationKey, userIdentity }
  const here = await hereOf(address)
  tellUnseen(address, here)
  let mounted: MountedFiles | undefined
  try {
    return await talkToService(values, { agent, session }, async (conversation) => {
      const remote = sessionFiles(conversation.client, agent, session)
      const direct = { ...conversation, files: remote, mountedAt: undefined }
      if (here.is !== 'mounted') return use(direct)
      const { mount, within } = here
      mounted = new MountedFiles(mount, { within, maxFileBytes, hidden: remote })
      if (await isShown(mounted, within, conversation)) {
        return use({ ...conversation, files: mounted, mountedAt: mounted.directory })
      }
      tellUnseen(address, await leftOf(address))
      return use(direct)
    })
  } catch (error) {
    if (mounted !== undefined && mounted.waiting > 0) endAtOnce(error)
    throw error
  } finally {
    mounted?.close()
  }
}

/** A mount of all sessions of an agent may leave this one out, and of one that is not there the service tells. */
async function isShown(
  mounted: MountedFiles,
  within: string,
  { signal }: Pick<Conversation, 'signal'>,
): Promise<boolean> {
  try {
    await mounted.open(signal)
    return true
  } catch (error) {
    if (within !== '' && error instanceof ServiceError && error.code === 'not_found') return false
    throw error
  }
}

function tellUnseen(address: SessionAddress, here: Here): void {
  const unseen = describeUnseen(showAddress(address), here)
  if (unseen !== undefined) complain(unseen)
}

function describeUnseen(name: string, here: Here): string | undefined {
  switch (here.is) {
    case 'nothing':
      return undefined
    case 'mounted':
      return here.unseen.length === 0 ? undefined : notSeen(name, here.unseen, here.mount.pid)
    case 'silent': {
      const where = here.mount === undefined ? '' : ` at ${here.mount.directory} (pid ${here.mount.pid})`
      return `${name} is mounted here${where} and does not answer: the service is used, what waits there is not seen`
    }
    case 'apart':
      return notSeen(name, here.paths, here.pid)
    default:
      return here satisfies never
  }
}

function notSeen(name: string, paths: readonly string[], pid: number | undefined): string {
  const named = paths.slice(0, namedPaths).map((path) => printable(path, process.stderr))
  const more = paths.length > namedPaths ? `, … (${paths.length - namedPaths} more)` : ''
  const remedy =
    pid === undefined ? `mount it, or \`mount-session recover ${name}\`` : `pid ${pid} uploads them`
  return `${name}: the service is used, ${showCount(paths.length, 'change')} on this machine not seen: ${named.join(', ')}${more}: ${remedy}`
}

/* a thread that waits in the kernel for the mount would be waited for by an ordinary end */
function endAtOnce(error: unknown): void {
  complain(describeFailure(error))
  process.removeAllListeners('SIGINT')
  process.kill(process.pid, 'SIGINT')
}
