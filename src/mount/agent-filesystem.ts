/**
 * All sessions of an agent as one filesystem: a directory each, opened when a program goes in, closed when nobody has
 * used it for long. Layer: mount.
 *
 * Invariant: what is true of a session mounted by itself is true of it here: nothing below knows of the others. One
 * that cannot be opened, or does not answer, holds up nobody else.
 */
import { join } from 'node:path'
import { ServiceError } from '../client/errors.ts'
import type { Clock } from '../clock.ts'
import { addProgress } from '../control/add-progress.ts'
import type { Leftover, Progress, StatusReport } from '../control/protocol.ts'
import { FilesystemError } from '../filesystem/errors.ts'
import { toFilesystemError } from '../filesystem/failures.ts'
import type { Caller, KernelCache } from '../filesystem/front-end.ts'
import type { Logger } from '../log.ts'
import type { AgentMountOptions } from '../options/mount-options.ts'
import { sessionDirectories } from '../session/directories.ts'
import { knownSessionsOf } from '../session/known-addresses.ts'
import type { OpenAgent } from '../session/open-agent.ts'
import { openSession, type SessionFacts } from '../session/open-session.ts'
import { leftoversIn } from '../session/leftovers.ts'
import { waitingRows } from '../session/waiting-paths.ts'
import { AgentFrontEnd, kernelCacheOf } from './agent-front-end.ts'
import { agentRoot, KnownHere } from './agent-root.ts'
import type { Slot } from './agent-slot.ts'
import { Slots } from './agent-slots.ts'
import type { KernelMemory, Mountable, RecordedFrontEnd } from './mountable.ts'
import type { MountDependencies } from './mounted-session.ts'
import { filesystemOptions, programVersion, type SessionFilesystem } from './session-filesystem.ts'
import type { StatePart } from './state-watch.ts'
import { StatusSpecialFile } from './status-special-file.ts'

const idleMs = 10 * 60_000
/** More than so many are closed as soon as nobody uses them. */
const mostIdle = 32
const lookMs = 60_000
const sessionId = /^[A-Za-z0-9_-]{8,128}$/

type Lives = () => Pick<StatusReport, 'mountedAt' | 'restarts'>

export class AgentFilesystem implements Mountable {
  /** Of no session: each says its own. */
  readonly facts: SessionFacts = { createdAtMs: 0 }
  readonly #agent: OpenAgent
  readonly #options: AgentMountOptions
  readonly #dependencies: Pick<MountDependencies, 'failpoint' | 'leaveOut'>
  readonly #logger: Logger
  readonly #lives: Lives
  readonly #known: KnownHere
  #slots: Slots | undefined
  #cancelLook: (() => void) | undefined
  #isForGood = false
  #closing: Promise<void> | undefined

  /** `lives`: of the mount. */
  constructor(
    agent: OpenAgent,
    options: AgentMountOptions,
    { logger, failpoint, leaveOut }: Pick<MountDependencies, 'logger' | 'failpoint' | 'leaveOut'>,
    lives: Lives,
  ) {
    this.#agent = agent
    this.#options = options
    this.#dependencies = { failpoint, leaveOut }
    this.#logger = logger
    this.#lives = lives
    this.#known = new KnownHere(agent.clock, {
      hasWaiting: (session) => this.#hasWaiting(session),
      attributes: (session) => this.#slots?.find(session)?.filesystem?.ownAttributes,
    })
  }

  get clock(): Clock {
    return this.#agent.clock
  }

  get stateDirectory(): string {
    return this.#agent.directories.state
  }

  get stateParts(): readonly StatePart[] {
    const { lock } = this.#agent
    return [{ name: 'lock', isThere: () => lock.isThere(), renew: () => lock.renew() }]
  }

  get specials(): readonly string[] {
    return [`${this.#options.special}logs`, this.#ownStatus]
  }

  /** The one at the top has the name that each session's has. */
  get #ownStatus(): string {
    return `${this.#options.special}status`
  }

  frontEnd(kernelCache: KernelCache, memory: KernelMemory): RecordedFrontEnd {
    const { listings, clock, shared } = this.#agent
    const options = this.#options
    const logger = this.#logger
    const status = new StatusSpecialFile(() => this.status(), this.#ownStatus)
    const top = agentRoot(
      { listings, known: this.#known, clock, logger, kernelCache, specialFiles: [status], memory },
      filesystemOptions({ ...options, subdirectory: undefined }, Date.parse(this.#lives().mountedAt)),
    )
    const slots = new Slots(join(this.stateDirectory, 'slots'), memory.remembered !== undefined, {
      options,
      clock,
      logger,
      open: (own, settings) =>
        openSession(own, {
          ...this.#dependencies,
          ...settings,
          shared,
          clock,
          widerSilence: listings.silence,
        }),
      makeRoom: () => this.#makeRoom(),
      lives: this.#lives,
      inodeOf: (session) => top.inodeOf(session),
      kernelCache: (slot) => kernelCacheOf(kernelCache, slot),
      onRefused: (session, isRefused) => {
        this.#known.refused(session, isRefused)
        const node = slots.find(session)?.rootNode
        if (node !== undefined) void kernelCache.invalidateNode(node, -1, 0)
      },
    })
    this.#slots = slots
    this.#lookSoon()
    this.#openWaiting(slots)
    return new AgentFrontEnd({
      top,
      slots,
      specials: new Set([status.name]),
      makeSession: (name, caller) => this.#makeSession(name, caller),
      onRemoval: (session) => {
        const { agent } = options
        const what = `a session is not removed by rmdir: \`mount-session session delete ${agent}/${session}\``
        logger.warn({ session }, what)
      },
    })
  }

  /** Those that were open: who has a file open in one is not to wait, and what waits there goes on. */
  begin(): void {
    for (const slot of this.#slots?.all ?? []) if (slot.wasOpen) openBehind(slot)
  }

  endForGood(): void {
    this.#isForGood = true
  }

  status(): StatusReport {
    const { shared, listings } = this.#agent
    const { client, statistics } = shared
    const { endpoint, agent, directory, readOnly, logs } = this.#options
    const slots = this.#slots?.all ?? []
    const open = this.#open.map(([slot, files]) => ({ slot, report: files.status() }))
    const sum = (of: (report: StatusReport) => number): number =>
      open.reduce((total, { report }) => total + of(report), 0)
    const consoles = open.map(({ report }) => report.console)
    return {
      version: programVersion,
      pid: process.pid,
      endpoint,
      proxy: client.proxy,
      agent,
      session: undefined,
      sessions: slots.map((slot) => slot.report),
      directory,
      readOnly,
      ...this.#lives(),
      service: open.map(({ report }) => report.service).find(({ state }) => state === 'paused') ?? {
        state: 'ready',
      },
      silent: listings.silentMs === undefined ? undefined : { sinceMs: listings.silentMs },
      paths: [...open.flatMap(({ slot, report }) => inside(slot, report.paths)), ...this.#leftBehind],
      setAside: open.flatMap(({ slot, report }) => inside(slot, report.setAside)),
      calls: statistics.calls,
      latencies: statistics.latencies,
      bytes: statistics.bytes,
      console: {
        mode: logs,
        state: consoles.find(({ state }) => state !== 'idle')?.state ?? 'idle',
        openHandles: sum((report) => report.console.openHandles),
        connections: sum((report) => report.console.connections),
        lines: sum((report) => report.console.lines),
        lastEnd: consoles.find(({ lastEnd }) => lastEnd !== undefined)?.lastEnd,
      },
      cache: {
        listingHits: listings.hits + sum((report) => report.cache.listingHits),
        listingMisses: listings.misses + sum((report) => report.cache.listingMisses),
        contentHits: sum((report) => report.cache.contentHits),
        contentMisses: sum((report) => report.cache.contentMisses),
        bytes: sum((report) => report.cache.bytes),
      },
    }
  }

  async drain(signal: AbortSignal, onProgress: (progress: Progress) => void): Promise<readonly Leftover[]> {
    await Promise.allSettled(this.#owing.map((slot) => slot.open(signal)))
    const left = await this.#each(onProgress, async (slot, files, report) =>
      inside(slot, await files.drain(signal, report)),
    )
    return [...left.flat(), ...this.#leftBehind]
  }

  /** Each session's barrier by itself: the slowest one holds up no other. */
  async sync(path: string, signal: AbortSignal, onProgress: (progress: Progress) => void): Promise<void> {
    const [session = '', ...below] = path.split('/')
    if (path === '') {
      const opened = await Promise.allSettled(this.#owing.map((slot) => slot.open(signal)))
      await this.#each(onProgress, (_slot, files, report) => files.sync('', signal, report))
      for (const each of opened) if (each.status === 'rejected') throw each.reason
      return
    }
    const slot = this.#slots?.find(session)
    if (slot !== undefined && slot.left.length > 0) await slot.open(signal)
    await slot?.filesystem?.sync(below.join('/'), signal, onProgress)
  }

  retry(): number {
    return this.#open.reduce((count, [, files]) => count + files.retry(), 0)
  }

  async discard(path: string): Promise<number> {
    const [session = '', ...below] = path.split('/')
    const chosen = this.#open.filter(([slot]) => path === '' || slot.session === session)
    let sum = 0
    for (const [, files] of chosen) sum += await files.discard(below.join('/'))
    return sum
  }

  async stopLogs(): Promise<void> {
    await Promise.all(this.#open.map(([, files]) => files.stopLogs()))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#cancelLook?.()
    await Promise.all((this.#slots?.all ?? []).map((slot) => slot.close()))
    if (this.#isForGood) this.#slots?.clear()
    await this.#agent.close()
  }

  #hasWaiting(session: string): boolean {
    const isKnown = this.#agent.listings.fresh('') !== undefined
    return !isKnown && this.#slots?.find(session)?.hasWaiting === true
  }

  get #open(): (readonly [Slot, SessionFilesystem])[] {
    return (this.#slots?.all ?? []).flatMap((slot) => {
      const { filesystem } = slot
      return filesystem === undefined ? [] : [[slot, filesystem] as const]
    })
  }

  /** Those in which an earlier process left something that waits until they are open. */
  get #owing(): readonly Slot[] {
    return (this.#slots?.all ?? []).filter(({ left }) => left.length > 0)
  }

  get #leftBehind(): Leftover[] {
    return this.#owing.flatMap((slot) => inside(slot, slot.left))
  }

  /** Of all that are open, at once; fails with the first failure when all have ended. */
  async #each<T>(
    onProgress: (progress: Progress) => void,
    work: (slot: Slot, files: SessionFilesystem, report: (progress: Progress) => void) => Promise<T>,
  ): Promise<T[]> {
    const report = addProgress(onProgress)
    const ended = await Promise.allSettled(this.#open.map(([slot, files]) => work(slot, files, report())))
    return ended.map((each) => {
      if (each.status === 'rejected') throw each.reason
      return each.value
    })
  }

  async #makeSession(name: string, { signal, resent }: Caller): Promise<void> {
    const { agent } = this.#options
    if (this.#options.readOnly) throw new FilesystemError('readOnly')
    if (!sessionId.test(name))
      throw new FilesystemError(
        'notPermitted',
        `${name}: a session's id has 8 to 128 of A-Z, a-z, 0-9, _ and -`,
      )
    try {
      await this.#agent.shared.client.createSession(agent, { sessionId: name }, { signal })
    } catch (error) {
      if (!(error instanceof ServiceError) || error.code !== 'conflict') throw toFilesystemError(error)
      /* what comes again may have made it */
      if (!resent) throw new FilesystemError('exists', error.message, { cause: error })
    }
    this.#logger.info({ session: name }, 'made a session')
    this.#known.made(name)
    this.#agent.listings.drop('')
  }

  /** What an earlier run could not send goes on, whether anybody goes in or not. */
  #openWaiting(slots: Slots): void {
    for (const address of knownSessionsOf(this.#options, this.#options.stateRoot)) {
      const { state } = sessionDirectories(address, this.#options)
      try {
        const rows = waitingRows(state)
        if (rows.length === 0) continue
        const slot = slots.of(address.session)
        slot.left = leftoversIn(rows, this.clock.wallMs())
        openBehind(slot)
      } catch (error) {
        this.#logger.info({ session: address.session, err: error }, 'what waits in a session is left alone')
      }
    }
  }

  #lookSoon(): void {
    this.#cancelLook = this.clock.after(lookMs, () => {
      this.#closeIdle()
      /* what did not answer may by now */
      for (const slot of this.#owing) openBehind(slot)
      this.#lookSoon()
    })
  }

  /** Descriptors are few: those that were not used for longest rest for one that comes. */
  async #makeRoom(): Promise<void> {
    const slots = this.#slots?.all ?? []
    const excess = slots.filter(({ takesRoom }) => takesRoom).length - this.#agent.mostOpen
    if (excess <= 0) return
    const idle = slots.filter(({ isIdle }) => isIdle).sort((one, other) => one.usedAt - other.usedAt)
    await Promise.all(idle.slice(0, excess).map((slot) => this.#rest(slot)))
  }

  async #rest(slot: Slot): Promise<void> {
    try {
      await slot.rest()
    } catch (error) {
      this.#logger.error({ session: slot.session, err: error }, 'a session could not be closed')
    }
  }

  /** The one that was used last stays longest. */
  #closeIdle(): void {
    const now = this.clock.now()
    const idle = this.#open
      .map(([slot]) => slot)
      .filter((slot) => slot.isIdle)
      .sort((one, other) => other.usedAt - one.usedAt)
    for (const [place, slot] of idle.entries()) {
      if (now - slot.usedAt < (place < mostIdle ? idleMs : lookMs)) continue
      void this.#rest(slot)
    }
  }
}

/** Nobody waits for it; why it cannot be is said by the slot. */
function openBehind(slot: Slot): void {
  slot.open().catch(() => undefined)
}

function inside<Of extends { readonly path: string }>({ session }: Slot, found: readonly Of[]): Of[] {
  return found.map((each) => ({ ...each, path: `${session}/${each.path}` }))
}
