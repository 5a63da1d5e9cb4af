/**
 * The composition root: puts a session, a filesystem and the kernel together. Layer: mount.
 *
 * Invariant: whatever ends the mount, changes that the service has not confirmed stay in the journal; after a
 * plain umount(8) the process goes on until they are sent or nothing moves any more.
 */
import { readdir, stat } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { consoleStream } from '../logs/console-stream.ts'
import { startControlServer } from '../control/control-server.ts'
import type { ControlHandlers, Leftover, Progress, StatusReport } from '../control/protocol.ts'
import { announceMount, forgetMount, listMounts } from '../control/registry.ts'
import { Filesystem } from '../filesystem/filesystem.ts'
import type { SpecialFile } from '../filesystem/special-file.ts'
import { serve, type Served } from '../fuse/connection.ts'
import { detachDead, KernelMountError, mountKernel, unmountKernel } from '../fuse/kernel-mount.ts'
import type { KernelMount } from '../fuse/kernel-mount.ts'
import { leftoversOf, progressOf } from '../session/leftovers.ts'
import { LogFollower } from '../logs/follow-logs.ts'
import { LogFile } from '../logs/log-file.ts'
import { LogsSpecialFile } from '../logs/logs-special-file.ts'
import { SessionError, type SessionErrorCode } from '../session/session-error.ts'
import { drainAndUnmount, type MountedSession, type MountSession } from './mounted-session.ts'
import type { MountOptions } from '../options/mount-options.ts'
import { openSession, type OpenSession } from '../session/open-session.ts'
import { StatusSpecialFile } from './status-special-file.ts'
import type { Failpoint } from '../write-back/disk/failpoints.ts'
import { WriteBackError } from '../write-back/local-changes.ts'
import type { Logger } from '../log.ts'

const progressIntervalMs = 200
const renameLimitBytes = 256 * 1024 * 1024
const renameListingMs = 2000

export interface MountDependencies {
  readonly logger: Logger
  readonly signal?: AbortSignal | undefined
  /** For tests that kill the daemon at a named point. */
  readonly failpoint?: Failpoint | undefined
}

export const mountSession: MountSession = async (options, dependencies: MountDependencies) => {
  await checkMountPoint(options.directory)
  const session = await openSession(options, dependencies)
  try {
    return await Mounted.start(options, session, dependencies.logger)
  } catch (error) {
    await session.close()
    throw asSessionError(error)
  }
}

class Mounted implements MountedSession {
  readonly directory: string
  readonly done: Promise<void>
  readonly #options: MountOptions
  readonly #session: OpenSession
  readonly #logger: Logger
  readonly #mountedAt: string
  readonly #served: Served
  readonly #kernelMount: KernelMount
  readonly #follower: LogFollower
  readonly #ending = new AbortController()
  readonly #closers: (() => Promise<void> | void)[] = []

  static async start(options: MountOptions, session: OpenSession, logger: Logger): Promise<Mounted> {
    const { agent, session: name } = options
    await detachElsewhere(options, session, logger)
    const kernelMount = await mountKernel(options.directory, {
      source: `${agent}/${name}`,
      readOnly: options.readOnly,
      noExec: options.noExec,
      allowOther: options.allowOther,
      autoUnmount: options.autoUnmount,
    })
    const mounted = new Mounted(options, session, kernelMount, logger)
    await mounted.#served.ready
    await mounted.#announce()
    return mounted
  }

  private constructor(options: MountOptions, session: OpenSession, kernelMount: KernelMount, logger: Logger) {
    this.#options = options
    this.#session = session
    this.#logger = logger
    this.#kernelMount = kernelMount
    this.directory = kernelMount.directory
    this.#mountedAt = new Date(session.clock.wallMs()).toISOString()
    const file = new LogFile({
      directory: join(session.directories.cache, 'logs'),
      maxBytes: options.logBytes,
    })
    this.#follower = new LogFollower({
      openStream: consoleStream(session.client, { ...options, agentVersion: session.agentVersion }),
      file,
      clock: session.clock,
      logger,
      mode: options.logs,
    })
    this.#closers.push(async () => {
      await this.#follower.stop()
      file.close()
    })
    const specialFiles = [
      new LogsSpecialFile(file, this.#follower),
      new StatusSpecialFile(() => this.status()),
    ]
    this.#served = serve({
      descriptor: kernelMount.descriptor,
      frontEnd: (kernelCache) => this.#newFilesystem(kernelCache, specialFiles),
      logger,
    })
    this.done = this.#finish()
    this.done.catch(() => undefined)
  }

  #newFilesystem(kernelCache: Served['kernelCache'], specialFiles: readonly SpecialFile[]): Filesystem {
    const { listings, contents, changes, walks, clock, createdAtMs } = this.#session
    const { ttlMs, readOnly, uid, gid, umask, sync, renameLimit, showSpecial } = this.#options
    return new Filesystem(
      { listings, contents, changes, walks, clock, logger: this.#logger, kernelCache, specialFiles },
      {
        ttlMs,
        readOnly,
        uid: uid ?? process.getuid?.() ?? 0,
        gid: gid ?? process.getgid?.() ?? 0,
        umask,
        sync,
        renameLimit: { files: renameLimit, bytes: renameLimitBytes, listingMs: renameListingMs },
        sessionCreatedAtMs: createdAtMs,
        showSpecial,
      },
    )
  }

  async #announce(): Promise<void> {
    const { stateRoot, agent, session } = this.#options
    const stateDirectory = this.#session.directories.state
    const control = await startControlServer(stateDirectory, this.#handlers(), this.#logger)
    this.#closers.push(() => control.close())
    const record = { directory: this.directory, stateDirectory, pid: process.pid, agent, session }
    this.#closers.push(announceMount(stateRoot, record))
  }

  #handlers(): ControlHandlers {
    const { changes } = this.#session
    return {
      status: () => this.status(),
      sync: (path, signal, onProgress) => this.sync(path, signal, onProgress),
      unmount: (force, signal, onProgress) => drainAndUnmount(this, force, signal, onProgress),
      retry: () => changes.retry(),
      discard: (path) => changes.discardWithin(path),
    }
  }

  async drain(signal: AbortSignal, onProgress: (progress: Progress) => void): Promise<readonly Leftover[]> {
    const { changes } = this.#session
    try {
      await this.#reporting(onProgress, changes.drain(signal))
      // whoever goes on writing finds that the mount is busy
      return []
    } catch (error) {
      if (!(error instanceof WriteBackError) || error.reason === 'interrupted') throw error
      this.#logger.warn({ path: error.path, reason: error.reason }, error.message)
    }
    return leftoversOf(changes.status())
  }

  async unmount({ lazy = false }: { readonly lazy?: boolean } = {}): Promise<void> {
    try {
      await unmountKernel(this.directory, { lazy })
    } catch (error) {
      throw asSessionError(error)
    }
  }

  status(): StatusReport {
    const { changes, statistics, listings, contents, clock } = this.#session
    const { endpoint, agent, session, readOnly } = this.#options
    const work = changes.status()
    return {
      version,
      pid: process.pid,
      endpoint,
      agent,
      session,
      directory: this.directory,
      readOnly,
      mountedAt: this.#mountedAt,
      service: work.paused
        ? { state: 'paused', reason: work.paused.reason, sinceMs: clock.wallMs() - work.paused.since }
        : { state: 'ready' },
      paths: leftoversOf(work),
      calls: statistics.calls,
      latencies: statistics.latencies,
      bytes: statistics.bytes,
      cache: {
        listingHits: listings.hits,
        listingMisses: listings.misses,
        contentHits: contents.hits,
        contentMisses: contents.misses,
        bytes: contents.bytes,
      },
    }
  }

  async sync(path: string, signal: AbortSignal, onProgress: (progress: Progress) => void): Promise<void> {
    await this.#reporting(onProgress, this.#session.changes.barrier(path, signal))
  }

  async close(): Promise<void> {
    this.#ending.abort(new Error('the mount is closed'))
    for (const closer of this.#closers.splice(0).reverse()) await closer()
    this.#served.stop()
    this.#kernelMount.release()
    await this.#session.close()
  }

  /** From the end of the kernel's side to the end of the uploads. */
  async #finish(): Promise<void> {
    const reason = await this.#served.done
    this.#kernelMount.release()
    if (this.#ending.signal.aborted) return
    this.#logger.info({ reason }, 'unmounted')
    await this.#follower.stop()
    const left = await this.drain(this.#ending.signal, () => undefined)
    if (left.length > 0) {
      throw new Error(`${left.length} paths are not on the service; the next mount goes on with them`)
    }
  }

  async #reporting(onProgress: (progress: Progress) => void, work: Promise<void>): Promise<void> {
    const { changes } = this.#session
    const report = (): void => onProgress(progressOf(changes.status()))
    report()
    const timer = setInterval(report, progressIntervalMs)
    try {
      await work
    } finally {
      clearInterval(timer)
    }
  }
}

/** A directory, empty, not mounted upon; what a killed daemon left there is detached. */
async function checkMountPoint(directory: string): Promise<void> {
  try {
    await detachDead(directory)
    if (!(await stat(directory)).isDirectory()) {
      throw new SessionError('notDirectory', `${directory}: not a directory`)
    }
    if ((await readdir(directory)).length > 0) {
      throw new SessionError('notEmpty', `${directory}: not empty: mount on an empty directory`)
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new SessionError('notDirectory', `${directory}: no such directory: make it first`, {
        cause: error,
      })
    }
    throw asSessionError(error)
  }
}

/** Where the session was mounted by a daemon that was killed; whoever has its lock is the only one alive. */
async function detachElsewhere(
  { stateRoot, directory }: MountOptions,
  { directories }: OpenSession,
  logger: Logger,
): Promise<void> {
  for (const record of listMounts(stateRoot)) {
    if (record.stateDirectory !== directories.state || record.directory === directory) continue
    try {
      if (await detachDead(record.directory))
        logger.info({ directory: record.directory, pid: record.pid }, 'detached the mount of a dead daemon')
      forgetMount(stateRoot, record)
    } catch (error) {
      logger.warn({ directory: record.directory, err: error }, 'the mount of a dead daemon stays')
    }
  }
}

const mountErrorCodes: Record<KernelMountError['code'], SessionErrorCode> = {
  missing: 'notDirectory',
  notDirectory: 'notDirectory',
  notWritable: 'fuse',
  dead: 'alreadyMounted',
  noDevice: 'noFuse',
  noFusermount: 'noFuse',
  allowOtherNotPermitted: 'badOptions',
  busy: 'busy',
  notMounted: 'fuse',
  failed: 'fuse',
}

function asSessionError(error: unknown): unknown {
  if (!(error instanceof KernelMountError)) return error
  return new SessionError(mountErrorCodes[error.code], error.message, { cause: error })
}

const { version } = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8'),
) as {
  readonly version: string
}
