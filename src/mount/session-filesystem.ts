/**
 * One session as a filesystem: its files, its console in `.logs`, its state in `.status`, and what is asked of it
 * besides. Layer: mount.
 *
 * Invariant: knows of no kernel: whoever serves the front end, at whatever place, brings that along.
 */
import { join } from 'node:path'
import type { Leftover, Progress, StatusReport } from '../control/protocol.ts'
import { existsSync, readFileSync } from 'node:fs'
import { Filesystem } from '../filesystem/filesystem.ts'
import type { Clock } from '../clock.ts'
import type { KernelCache } from '../filesystem/front-end.ts'
import type { FilesystemOptions } from '../filesystem/options.ts'
import type { Logger } from '../log.ts'
import { consoleStream } from '../logs/console-stream.ts'
import { LogFollower } from '../logs/follow-logs.ts'
import { LogFile } from '../logs/log-file.ts'
import { LogsSpecialFile } from '../logs/logs-special-file.ts'
import type { MountOptions } from '../options/mount-options.ts'
import type { OptionValues } from '../options/table.ts'
import { joinPath } from '../remote-path.ts'
import { leftoversOf, progressOf } from '../session/leftovers.ts'
import type { OpenSession, SessionFacts } from '../session/open-session.ts'
import { type LocalAttributes, WriteBackError } from '../write-back/local-changes.ts'
import type { KernelMemory, Mountable } from './mountable.ts'
import type { StatePart } from './state-watch.ts'
import { StatusSpecialFile } from './status-special-file.ts'

const progressIntervalMs = 200
/* besides the number of files, of which the user says how many may be renamed with their directory */
const renameLimitBytes = 256 * 1024 * 1024
const renameListingMs = 2000

type Lives = () => Pick<StatusReport, 'mountedAt' | 'restarts'>

export class SessionFilesystem implements Mountable {
  readonly #options: MountOptions
  readonly #session: OpenSession
  readonly #logger: Logger
  readonly #logFile: LogFile
  readonly #follower: LogFollower
  readonly #lives: Lives
  #closing: Promise<void> | undefined

  /** `lives`: of the mount. */
  constructor(session: OpenSession, options: MountOptions, logger: Logger, lives: Lives) {
    this.#options = options
    this.#session = session
    this.#logger = logger
    this.#lives = lives
    this.#logFile = new LogFile({
      directory: join(session.directories.cache, 'logs'),
      maxBytes: options.logBytes,
    })
    this.#follower = new LogFollower({
      openStream: consoleStream(session.client, { ...options, agentVersion: session.agentVersion }),
      file: this.#logFile,
      clock: session.clock,
      logger,
      mode: options.logs,
    })
  }

  get clock(): Clock {
    return this.#session.clock
  }

  get stateDirectory(): string {
    return this.#session.directories.state
  }

  get facts(): SessionFacts {
    const { createdAtMs, agentVersion } = this.#session
    return { createdAtMs, agentVersion }
  }

  get stateParts(): readonly StatePart[] {
    const { lock, directories } = this.#session
    const journal = join(directories.state, 'journal', 'journal.db')
    return [
      { name: 'lock', isThere: () => lock.isThere(), renew: () => lock.renew() },
      { name: 'journal', isThere: () => existsSync(journal), renew: undefined },
    ]
  }

  /** They hide what the session has under these names. */
  get specials(): [logs: string, status: string] {
    const { special } = this.#options
    return [`${special}logs`, `${special}status`]
  }

  frontEnd(kernelCache: KernelCache, memory: KernelMemory, rootInode?: number): Filesystem {
    const { listings, contents, changes, walks, clock, createdAtMs } = this.#session
    const [logs, status] = this.specials
    const specialFiles = [
      new LogsSpecialFile(this.#logFile, this.#follower, logs),
      new StatusSpecialFile(() => this.status(), status),
    ]
    return new Filesystem(
      {
        listings,
        contents,
        changes,
        walks,
        clock,
        logger: this.#logger,
        kernelCache,
        specialFiles,
        ...memory,
      },
      { ...filesystemOptions(this.#options, createdAtMs), rootInode },
    )
  }

  status(): StatusReport {
    const { changes, statistics, listings, contents, clock, client } = this.#session
    const { endpoint, agent, session, subdirectory, directory, readOnly } = this.#options
    const work = changes.status()
    return {
      version: programVersion,
      pid: process.pid,
      endpoint,
      proxy: client.proxy,
      agent,
      session,
      subdirectory,
      directory,
      readOnly,
      ...this.#lives(),
      service: work.paused
        ? { state: 'paused', reason: work.paused.reason, sinceMs: clock.wallMs() - work.paused.since }
        : { state: 'ready' },
      silent: listings.silentMs === undefined ? undefined : { sinceMs: listings.silentMs },
      paths: leftoversOf(work),
      setAside: work.setAside.map(({ path, reason }) => ({ path, reason })),
      calls: statistics.calls,
      latencies: statistics.latencies,
      bytes: statistics.bytes,
      console: this.#follower.status,
      cache: {
        listingHits: listings.hits,
        listingMisses: listings.misses,
        contentHits: contents.hits,
        contentMisses: contents.misses,
        bytes: contents.bytes,
      },
    }
  }

  begin(): void {
    this.#session.changes.begin()
  }

  endForGood(): void {
    /* what is to be gone with it is gone with `close` */
  }

  /** What this machine was told of the session's directory, but for its times. */
  get ownAttributes(): LocalAttributes | undefined {
    const { mode, uid, gid } = this.#session.changes.attributes('') ?? {}
    return { mode, uid, gid }
  }

  /** Whether a file of ours is on its way to the service. */
  get hasUploads(): boolean {
    return this.#session.changes.hasUploadsBelow('')
  }

  retry(): number {
    return this.#session.changes.retry()
  }

  discard(path: string): number | Promise<number> {
    return this.#session.changes.discardWithin(this.#remotePath(path))
  }

  /** What the service calls a path of the mount. */
  #remotePath(path: string): string {
    const { subdirectory = '' } = this.#options
    return path === '' ? subdirectory : joinPath(subdirectory, path)
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

  async sync(path: string, signal: AbortSignal, onProgress: (progress: Progress) => void): Promise<void> {
    await this.#reporting(onProgress, this.#session.changes.barrier(this.#remotePath(path), signal))
  }

  async stopLogs(): Promise<void> {
    await this.#follower.stop()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.stopLogs()
    this.#logFile.close()
    await this.#session.close()
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

type FilesystemOption =
  'ttlMs' | 'readOnly' | 'subdirectory' | 'uid' | 'gid' | 'umask' | 'sync' | 'renameLimit' | 'showSpecial'

/** What the filesystem goes by, of the options of a mount; files are of this process's user where nobody says whose. */
export function filesystemOptions(
  values: Pick<OptionValues, FilesystemOption>,
  sessionCreatedAtMs: number,
): FilesystemOptions {
  const { ttlMs, readOnly, subdirectory, uid, gid, umask, sync, renameLimit, showSpecial } = values
  return {
    ttlMs,
    readOnly,
    rootPath: subdirectory,
    uid: uid ?? process.getuid?.() ?? 0,
    gid: gid ?? process.getgid?.() ?? 0,
    umask,
    sync,
    renameLimit: { files: renameLimit, bytes: renameLimitBytes, listingMs: renameListingMs },
    sessionCreatedAtMs,
    showSpecial,
  }
}

export const { version: programVersion } = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8'),
) as {
  readonly version: string
}
