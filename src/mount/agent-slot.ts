/**
 * One session in a mount of all sessions of an agent. Layer: mount.
 *
 *   resting ──a program goes in──▶ opening ──▶ open ──idle for long, nothing open, nothing waiting──▶ resting
 *      ▲                              └──▶ refused, which is said again for a while
 *      └──────────────────────────────────────┘
 *
 * Invariant: what the kernel knows of the session is written down in the slot's own directory, at rest as well as when
 * the process ends: it goes on where it was, whatever closed it.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ServiceError } from '../client/errors.ts'
import type { Clock } from '../clock.ts'
import type { Leftover, SessionReport, StatusReport } from '../control/protocol.ts'
import { FilesystemError } from '../filesystem/errors.ts'
import type { Filesystem } from '../filesystem/filesystem.ts'
import type { FrontEnd, KernelCache, MaybePromise, NodeId } from '../filesystem/front-end.ts'
import { toFilesystemError } from '../filesystem/failures.ts'
import { shared } from '../filesystem/maybe-promise.ts'
import { readRemembered, type Remembered } from '../filesystem/remembered.ts'
import type { Logger } from '../log.ts'
import type { AgentMountOptions, MountOptions } from '../options/mount-options.ts'
import type { OpenSession, SessionFacts } from '../session/open-session.ts'
import { SessionError } from '../session/session-error.ts'
import { fileIn, type KernelStateHeader, kernelStateVersion, readKernelState } from './kernel-state.ts'
import { KernelState } from './kernel-state-writer.ts'
import { SessionFilesystem } from './session-filesystem.ts'
import { StateWatch } from './state-watch.ts'

/** What cannot be opened is not tried again for so long. */
export const refusedMs = 10_000
/** Many slots: each takes little of the disk. */
const roomBytes = 256 * 1024

export interface SlotSurroundings {
  readonly options: AgentMountOptions
  readonly clock: Clock
  readonly logger: Logger
  /** Opens the session; `continued`: it was open for this mount when the process before this one ended. */
  readonly open: (
    options: MountOptions,
    settings: {
      readonly logger: Logger
      readonly continued: SessionFacts | undefined
      readonly signal: AbortSignal
    },
  ) => Promise<OpenSession>
  /** Before one is opened: others may have to rest for it. Never rejects. */
  readonly makeRoom: () => Promise<void>
  readonly lives: () => Pick<StatusReport, 'mountedAt' | 'restarts'>
  /** The inode number that programs see of the session's directory. */
  readonly inodeOf: (session: string) => number
  /** What the slot tells the kernel, by its own numbers. */
  readonly kernelCache: (slot: Slot) => KernelCache
  /** The session cannot be opened, or can be again. */
  readonly onRefused: (session: string, isRefused: boolean) => void
}

interface Live {
  readonly filesystem: SessionFilesystem
  readonly frontEnd: Filesystem
  readonly state: KernelState
  readonly watch: StateWatch
}

export class Slot {
  readonly number: number
  readonly session: string
  /** By which the kernel knows the session's directory. */
  rootNode: NodeId | undefined
  #left: readonly Leftover[] = []
  readonly #around: SlotSurroundings
  readonly #directory: string
  #live: Live | undefined
  #opening: Promise<Filesystem> | undefined
  #closing: Promise<void> = Promise.resolve()
  #refused: { readonly error: FilesystemError; readonly at: number } | undefined
  /** What the kernel has taken back while it was not open, by node. */
  readonly #forgotten = new Map<NodeId, number>()
  /** The highest numbers of its last time: no other file gets one, even when somebody takes away what was written. */
  #numbered: Filesystem['numbered'] | undefined
  /** Requests of the process before this one that have come again since. */
  readonly #again: number[] = []
  #usedAt: number
  #inFlight = 0
  /** Closed for good. */
  readonly #end = new AbortController()

  constructor(number: number, session: string, directory: string, around: SlotSurroundings) {
    this.number = number
    this.session = session
    this.#directory = directory
    this.#around = around
    this.#usedAt = around.clock.now()
  }

  /** `Clock.now()` of the last request. */
  get usedAt(): number {
    return this.#usedAt
  }

  /** undefined: it is not open. */
  get filesystem(): SessionFilesystem | undefined {
    return this.#live?.filesystem
  }

  /** The same, without counting as a use. */
  get frontEnd(): Filesystem | undefined {
    return this.#live?.frontEnd
  }

  /** What an earlier process left in it, as long as it was not opened since. */
  get left(): readonly Leftover[] {
    const error = this.#refused?.error.message
    return this.#left.map((each) => ({ ...each, error }))
  }

  /** To be said before it is opened. */
  set left(found: readonly Leftover[]) {
    this.#left = found
  }

  /** Whether the process before this one had it open. */
  get wasOpen(): boolean {
    return this.#read()?.header.isResting === false
  }

  get report(): SessionReport {
    const { session } = this
    const live = this.#live
    if (live !== undefined) {
      const { service, paths } = live.filesystem.status()
      return { session, state: 'open', service, paths: paths.length }
    }
    const paths = this.#left.length
    if (this.#opening !== undefined) return { session, state: 'opening', paths }
    if (this.#refused !== undefined)
      return { session, state: 'refused', reason: this.#refused.error.message, paths }
    return { session, state: 'resting', paths }
  }

  /** Does something with the session's files, which are opened where they are not. */
  use<T>(work: (files: FrontEnd) => MaybePromise<T>, signal?: AbortSignal): MaybePromise<T> {
    this.#usedAt = this.#around.clock.now()
    const frontEnd = this.#live?.frontEnd
    const result = frontEnd === undefined ? this.#opened(signal).then(work) : work(frontEnd)
    if (!(result instanceof Promise)) return result
    this.#inFlight++
    return result.finally(() => {
      this.#inFlight--
      this.#usedAt = this.#around.clock.now()
    })
  }

  forget(node: NodeId, count: number): void {
    const frontEnd = this.#live?.frontEnd
    if (frontEnd !== undefined) frontEnd.forget(node, count)
    else this.#forgotten.set(node, (this.#forgotten.get(node) ?? 0) + count)
  }

  comesAgain(request: number): void {
    const frontEnd = this.#live?.frontEnd
    if (frontEnd !== undefined) frontEnd.comesAgain(request)
    else this.#again.push(request)
  }

  /** Opens it where it is not open. Rejects with `FilesystemError`. */
  async open(signal?: AbortSignal): Promise<void> {
    if (this.#live === undefined) await this.#opened(signal)
  }

  /** Whether it is open, and files of ours are on their way to it. */
  get hasWaiting(): boolean {
    return this.#live?.filesystem.hasUploads === true
  }

  /** Whether it is open, or about to be. */
  get takesRoom(): boolean {
    return this.#live !== undefined || this.#opening !== undefined
  }

  /** Whether it could be closed without anybody noticing. */
  get isIdle(): boolean {
    const live = this.#live
    if (live === undefined || this.#inFlight > 0 || live.frontEnd.openHandles > 0) return false
    return live.filesystem.status().paths.length === 0
  }

  /** Closes it until somebody goes in again; not while what the kernel knows of it cannot be written down. */
  async rest(): Promise<void> {
    const live = this.#live
    if (live === undefined) return
    live.state.describe({ isResting: true })
    live.frontEnd.recordAnew()
    if (!live.state.isKept) {
      live.state.describe({ isResting: false })
      return
    }
    this.#numbered = live.frontEnd.numbered
    this.#around.logger.debug({ session: this.session }, 'closed, since nobody uses it')
    await this.#close()
  }

  /** For good, as far as this process is concerned. Any number of times. */
  async close(): Promise<void> {
    /* whether the service answers or not */
    this.#end.abort(closed())
    await this.#opening?.catch(() => undefined)
    await this.#close()
  }

  #close(): Promise<void> {
    const live = this.#live
    this.#live = undefined
    if (live === undefined) return this.#closing
    live.state.leave()
    this.#closing = Promise.all([live.watch.close(), live.filesystem.close()]).then(() => undefined)
    return this.#closing
  }

  #isClosed(): boolean {
    return this.#end.signal.aborted
  }

  get #isRefused(): boolean {
    return this.#refused !== undefined && this.#around.clock.now() - this.#refused.at < refusedMs
  }

  #opened(signal?: AbortSignal): Promise<Filesystem> {
    if (this.#refused !== undefined && this.#isRefused) return Promise.reject(this.#refused.error)
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined))
    return signal === undefined ? this.#opening : shared(this.#opening, signal)
  }

  async #open(): Promise<Filesystem> {
    /* why it could not be closed is said by whoever closed it */
    await this.#closing.catch(() => undefined)
    await this.#around.makeRoom()
    if (this.#isClosed()) throw closed()
    try {
      const live = await this.#start()
      this.#live = live
      this.#left = []
      if (this.#refused !== undefined) this.#around.onRefused(this.session, false)
      this.#refused = undefined
      return live.frontEnd
    } catch (error) {
      throw this.#isClosed() ? closed() : this.#refuse(error)
    }
  }

  async #start(): Promise<Live> {
    const { options, clock, lives, inodeOf, kernelCache, open } = this.#around
    const { session } = this
    const logger = named(this.#around.logger, session)
    const found = this.#read()
    const continued = found?.header.isResting === false ? found.header : undefined
    const own: MountOptions = {
      ...options,
      session,
      subdirectory: undefined,
      directory: join(options.directory, session),
    }
    const opened = await open(own, { logger, continued, signal: this.#end.signal })
    const filesystem = new SessionFilesystem(opened, own, logger, lives)
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
      const { createdAtMs, agentVersion } = opened
      const { mountedAt, restarts } = lives()
      const header: KernelStateHeader = {
        version: kernelStateVersion,
        directory: options.directory,
        mountedAt,
        restarts: restarts.map(({ at, why }) => ({ at, why })),
        createdAtMs,
        agentVersion,
        session,
        isResting: false,
      }
      const state = new KernelState(this.#directory, header, { clock, logger, roomBytes })
      const memory = { recordSink: state, remembered: found?.remembered ?? lost(this.#numbered) }
      const frontEnd = filesystem.frontEnd(kernelCache(this), memory, inodeOf(session))
      if (continued !== undefined) filesystem.begin()
      for (const request of this.#again.splice(0)) frontEnd.comesAgain(request)
      for (const [node, count] of this.#forgotten) frontEnd.forget(node, count)
      this.#forgotten.clear()
      const watch = new StateWatch(filesystem.stateDirectory, filesystem.stateParts, { clock, logger })
      return { filesystem, frontEnd, state, watch }
    } catch (error) {
      await filesystem.close()
      throw error
    }
  }

  /** What is known of it from before: of its last rest, or of the process before this one. */
  #read(): ReturnType<typeof readKernelState> | undefined {
    return existsSync(fileIn(this.#directory)) ? readKernelState(this.#directory) : undefined
  }

  /** Said once, and again when it is for another reason. */
  #refuse(cause: unknown): FilesystemError {
    const error = asFilesystemError(cause)
    const { logger, clock, onRefused } = this.#around
    if (this.#refused?.error.message !== error.message)
      logger.warn({ session: this.session, reason: error.message }, 'a session cannot be opened')
    this.#refused = { error, at: clock.now() }
    onRefused(this.session, error.reason === 'accessDenied')
    return error
  }
}

/** What was written down is gone: what the kernel goes by is nothing any more, rather than something else. */
function lost(numbered: Filesystem['numbered'] | undefined): Remembered | undefined {
  return numbered && { ...readRemembered(''), ...numbered }
}

function closed(): FilesystemError {
  return new FilesystemError('interrupted', 'the mount is closed')
}

function asFilesystemError(error: unknown): FilesystemError {
  if (!(error instanceof SessionError)) return toFilesystemError(error)
  const { code, message, cause } = error
  if (code === 'held') return new FilesystemError('busy', message, { cause: error })
  const reason = cause instanceof ServiceError ? toFilesystemError(cause).reason : 'serviceFailed'
  /* a name that the list has and that is not there is no file of another time */
  return new FilesystemError(reason === 'sessionGone' ? 'missing' : reason, message, { cause: error })
}

/** Each line says which session it is about. */
function named(logger: Logger, session: string): Logger {
  return {
    trace: (fields, message) => logger.trace({ session, ...fields }, message),
    debug: (fields, message) => logger.debug({ session, ...fields }, message),
    info: (fields, message) => logger.info({ session, ...fields }, message),
    warn: (fields, message) => logger.warn({ session, ...fields }, message),
    error: (fields, message) => logger.error({ session, ...fields }, message),
    isLevelEnabled: (level) => logger.isLevelEnabled(level),
  }
}
