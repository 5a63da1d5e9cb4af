/**
 * A mounted session, as the command line and the control socket hold it. Layer: mount; `mounted.ts` is one.
 *
 * Invariant: nothing here loses a change: what the service has not confirmed is on this machine when any of
 * these returns, and the next mount of the session goes on with it.
 */
import type { Credential } from '../client/credential.ts'
import type { Leftover, Progress, StatusReport } from '../control/protocol.ts'
import type { Logger } from '../log.ts'
import type { MountOptions } from '../options/mount-options.ts'
import type { Keep, Takeover } from './keeper.ts'
import type { PrefetchPart } from '../session/prefetch-parts.ts'
import type { Failpoint } from '../write-back/disk/failpoints.ts'

export interface WaitOptions {
  /** Gives the waiting up, nothing else: what was to be uploaded still is. */
  readonly signal?: AbortSignal | undefined
  /** Told now and then how far it has come. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
}

/** After `close` there is nothing to wait for: `drain` and `sync` fail with `SessionError` `closed`. */
export interface MountedSession {
  /** The mount point. */
  readonly directory: string
  /**
   * Resolves when it is unmounted (by whatever means) and everything is uploaded, or after `close`; rejects
   * when what was left could not be uploaded.
   */
  readonly done: Promise<void>
  /** Uploads everything as it is now. Resolves with what could not be, for lack of progress or refused; rejects when aborted. */
  drain(options?: WaitOptions): Promise<readonly Leftover[]>
  /** `SessionError` `busy` when a process still uses the mount; `lazy` detaches it even so. */
  unmount(options?: { readonly lazy?: boolean }): Promise<void>
  status(): StatusReport
  /**
   * Resolves when the service has everything at and below a path, relative to the mount point; default: all.
   * Rejects when it has not, for lack of progress or because it was refused.
   */
  sync(path?: string, options?: WaitOptions): Promise<void>
  /**
   * Leaves the mount to the process that goes on with it, by the descriptor that somebody else holds: programs wait
   * until then. To be followed by the end of this process.
   */
  leave(): Promise<void>
  /** Ends without waiting for uploads: stops the queue, closes journal and control socket. Any number of times. */
  close(): Promise<void>
}

export interface MountDependencies {
  readonly logger: Logger
  /** Gives up before the mount answers. */
  readonly signal?: AbortSignal | undefined
  /**
   * Of /dev/fuse, mounted at `directory` by whoever hands it over; this process closes it. Default: `directory`
   * is checked and mounted on.
   */
  readonly descriptor?: number | undefined
  /** A mount that a process before this one served; this one goes on with it. */
  readonly takeover?: Takeover | undefined
  /** Called once the mount is served, where another process could go on with it; default: none is to. */
  readonly keep?: Keep | undefined
  /** Called when the kernel asks something; it is often. */
  readonly onWork?: (() => void) | undefined
  /** What signs in at the service; default: the fixed token of the options, else the login of this machine. */
  readonly credential?: Credential | undefined
  /** For tests that kill the daemon at a named point. */
  readonly failpoint?: Failpoint | undefined
  /** For the benchmark: parts of the fetching ahead that are not to be done. */
  readonly leaveOut?: ReadonlySet<PrefetchPart> | undefined
}

/** Rejects with `SessionError`. */
export type MountSession = (options: MountOptions, dependencies: MountDependencies) => Promise<MountedSession>

/**
 * What `mount-session unmount` asks for. Resolves with what is left: then it is still mounted, unless `force`,
 * which neither waits for uploads nor for the processes that use the mount.
 */
export async function drainAndUnmount(
  mounted: Pick<MountedSession, 'drain' | 'unmount' | 'status' | 'close' | 'done'>,
  force: boolean,
  signal: AbortSignal,
  onProgress: (progress: Progress) => void,
): Promise<readonly Leftover[]> {
  if (force) {
    const left = mounted.status().paths
    await mounted.unmount({ lazy: true })
    /* `close` waits for the control requests in hand, of which this may be one */
    setImmediate(() => void mounted.close())
    return left
  }
  const left = await mounted.drain({ signal, onProgress })
  if (left.length > 0) {
    return left
  }
  await mounted.unmount()
  /* changes made since the drain; nobody can add to them any more */
  await mounted.done
  return []
}
