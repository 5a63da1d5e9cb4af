/**
 * A session, or all of an agent, mounted: serves the kernel what it answers, unmounts. Layer: mount.
 *
 * Invariant: whatever ends the mount, changes that the service has not confirmed stay in the journal; after a
 * plain umount(8) the process goes on until they are sent or nothing moves any more.
 */
import { sleep } from '../clock.ts'
import { startControlServer } from '../control/control-server.ts'
import type { ControlHandlers, Leftover, Progress, StatusReport } from '../control/protocol.ts'
import { announceMount } from '../control/registry.ts'
import { type Agreement, serve, type Served } from '../fuse/connection.ts'
import { unmountKernel } from '../fuse/fusermount.ts'
import type { KernelMount } from '../fuse/kernel-mount.ts'
import { describeHolders, holdersOf } from '../fuse/mount-holders.ts'
import { mountAt, mountWith, type MountEntry } from '../fuse/mount-table.ts'
import type { Logger } from '../log.ts'
import type { AgentMountOptions, MountOptions } from '../options/mount-options.ts'
import { SessionError } from '../session/session-error.ts'
import type { Keep, Keeper, Successor } from './keeper.ts'
import { type KernelStateFound, kernelStateVersion } from './kernel-state.ts'
import { KernelState } from './kernel-state-writer.ts'
import { asSessionError } from './mount-point.ts'
import { drainAndUnmount, type MountedSession, type WaitOptions } from './mounted-session.ts'
import type { Mountable, RecordedFrontEnd } from './mountable.ts'
import { StateWatch } from './state-watch.ts'

/* the kernel ends a mount at once, unless another one of the same filesystem is left */
const endWithinMs = 2000
/* what waits for the service is asked for again */
const answerWithinMs = 300
/* more than anybody looks at */
const keptRestarts = 100

/** How the mount comes to be served by one process after another. */
export interface Outliving {
  readonly logger: Logger
  readonly onWork?: (() => void) | undefined
  /** undefined: the mount ends with this process. */
  readonly keep: Keep | undefined
  /** What the process before this one left; undefined: there was none. */
  readonly continued?: (KernelStateFound & { readonly why: string }) | undefined
}

/** When the mount began, which other processes may have served before, and how often another one went on with it. */
export type Lives = Pick<StatusReport, 'mountedAt' | 'restarts'>

/** `lives`: for its status. */
export type MakeMountable = (lives: () => Lives) => Mountable

export class Mounted implements MountedSession {
  readonly done: Promise<void>
  readonly #options: MountOptions | AgentMountOptions
  readonly #logger: Logger
  readonly #filesystem: Mountable
  readonly #served: Served
  readonly #kernelMount: KernelMount
  /** undefined: this mount ends with this process. */
  readonly #state: KernelState | undefined
  /** Where nothing is written down of it. */
  readonly #mountedAt: string
  #frontEnd: RecordedFrontEnd | undefined
  #keeper: Keeper | undefined
  readonly #ending = new AbortController()
  /** As the kernel lists it, from the moment when it is served. */
  #entry: MountEntry | undefined
  readonly #closers: (() => Promise<void> | void)[] = []

  static async start(
    options: MountOptions | AgentMountOptions,
    make: MakeMountable,
    kernelMount: KernelMount,
    outliving: Outliving,
  ): Promise<Mounted> {
    const mounted = new Mounted(options, make, kernelMount, outliving)
    const agreed = await mounted.#served.ready
    mounted.#entry = mounted.#findEntry(outliving)
    mounted.#beKept(agreed, outliving)
    await mounted.#announce()
    return mounted
  }

  private constructor(
    options: MountOptions | AgentMountOptions,
    make: MakeMountable,
    kernelMount: KernelMount,
    { logger, onWork, keep, continued }: Outliving,
  ) {
    this.#options = options
    this.#logger = logger
    this.#kernelMount = kernelMount
    const filesystem = make(() => this.#lives)
    this.#filesystem = filesystem
    const state = keep && newState(options.directory, filesystem, continued, logger)
    this.#state = state
    this.#mountedAt = new Date(filesystem.clock.wallMs()).toISOString()
    const memory = { recordSink: state, remembered: continued?.remembered }
    this.#served = serve({
      descriptor: kernelMount.descriptor,
      frontEnd: (kernelCache) => (this.#frontEnd = filesystem.frontEnd(kernelCache, memory)),
      logger,
      onWork,
      agreed: continued?.header.agreed,
    })
    if (continued !== undefined) filesystem.begin()
    this.done = this.#finish()
    this.done.catch(() => undefined)
  }

  get #lives(): Lives {
    const { mountedAt = this.#mountedAt, restarts = [] } = this.#state?.header ?? {}
    return { mountedAt, restarts }
  }

  /** By the kernel's own number where it was mounted by another process: it may have been moved since. */
  #findEntry({ continued }: Outliving): MountEntry | undefined {
    const known = continued?.header.mount
    return known === undefined ? mountAt(this.#options.directory) : mountWith(known)
  }

  /** From here on another process can go on with the mount, where the kernel lets it. */
  #beKept(agreed: Agreement, { keep }: Outliving): void {
    if (keep === undefined || this.#state === undefined) return
    if (!agreed.resend) {
      this.#state.end()
      return
    }
    this.#state.describe({ agreed, mount: this.#entry && { id: this.#entry.id, device: this.#entry.device } })
    this.#frontEnd?.recordAnew()
    const { descriptor: fuse, watch } = this.#kernelMount
    this.#keeper = keep({ fuse, watch }, this.#entry?.device)
    this.#served.beKept()
  }

  /** Nobody is to go on with it. */
  #endForGood(): void {
    this.#keeper?.done()
    this.#state?.end()
    this.#filesystem.endForGood()
  }

  async #announce(): Promise<void> {
    const { stateRoot, agent, session, directory, subdirectory } = this.#options
    const { stateDirectory, stateParts, specials, clock } = this.#filesystem
    const control = await startControlServer(stateDirectory, this.#handlers(), this.#logger)
    this.#closers.push(() => control.close())
    const watch = new StateWatch(
      stateDirectory,
      [
        { name: 'control socket', isThere: () => control.isThere(), renew: () => control.renew() },
        ...stateParts,
        {
          name: 'kernel state',
          isThere: () => this.#state?.isThere() ?? true,
          renew: () => this.#frontEnd?.recordAnew(),
        },
      ],
      { clock, logger: this.#logger },
    )
    this.#closers.push(() => watch.close())
    const mount = this.#entry && { id: this.#entry.id, device: this.#entry.device }
    const owner = { pid: process.pid, agent, session }
    const record = { directory, mount, stateDirectory, ...owner, subdirectory, specials: [...specials] }
    this.#closers.push(announceMount(stateRoot, record))
  }

  #handlers(): ControlHandlers {
    return {
      status: () => {
        this.#refuseWhenClosed()
        return this.status()
      },
      sync: (path, signal, onProgress) => this.sync(path, { signal, onProgress }),
      unmount: (force, signal, onProgress) => drainAndUnmount(this, force, signal, onProgress),
      retry: () => this.#filesystem.retry(),
      restart: (command) => this.#restart(command),
      discard: (path) => this.#filesystem.discard(path),
    }
  }

  async #restart(command: readonly string[]): Promise<number> {
    if (this.#keeper === undefined)
      throw new SessionError(
        'notKept',
        `${this.directory}: this mount ends with its daemon (--foreground, --restart off, or a kernel before 6.9): unmount it and mount it again`,
      )
    const successor = await this.#keeper.prepare(command)
    /* after the answer to whoever asked */
    setImmediate(() => void this.#handOver(successor))
    return successor.pid
  }

  async #handOver(successor: Successor): Promise<void> {
    this.#logger.info({ successor: successor.pid }, 'restarted: the next daemon goes on')
    await this.leave()
    successor.handOver()
  }

  async leave(): Promise<void> {
    await this.#served.pause(answerWithinMs)
    this.#state?.leave()
    this.#ending.abort(new Error('the next daemon goes on'))
    await this.#filesystem.close()
  }

  async drain(options: WaitOptions = {}): Promise<readonly Leftover[]> {
    this.#refuseWhenClosed()
    return await this.#filesystem.drain(...waitFor(options))
  }

  get directory(): string {
    return this.#place() ?? this.#options.directory
  }

  /** Where it is mounted now: a directory above it may have been renamed. */
  #place(): string | undefined {
    return this.#entry && mountWith(this.#entry)?.directory
  }

  async unmount({ lazy = false }: { readonly lazy?: boolean } = {}): Promise<void> {
    const place = this.#place()
    if (place !== undefined) {
      await unmountKernel(place, { lazy }).catch((error: unknown) => {
        throw asSessionError(error)
      })
    }
    if (!lazy) await this.#endOfKernelSide(place ?? this.#options.directory)
  }

  /** The kernel ends it with its last mount, which may be another than the one that we made. */
  async #endOfKernelSide(directory: string): Promise<void> {
    const ended = new AbortController()
    const late = sleep(this.#filesystem.clock, endWithinMs, ended.signal)
    const hasEnded = await Promise.race([
      this.#served.done.then(() => true),
      late.then(
        () => false,
        () => true,
      ),
    ])
    ended.abort()
    if (hasEnded) return
    const holders = describeHolders(this.#entry === undefined ? [] : holdersOf(this.#entry.device))
    throw new SessionError(
      'heldElsewhere',
      `${directory} is not mounted any more, but the mount goes on at ${holders || 'a place that cannot be seen'}: unmount it there, too, or use --force`,
    )
  }

  status(): StatusReport {
    return { ...this.#filesystem.status(), directory: this.directory }
  }

  async sync(path = '', options: WaitOptions = {}): Promise<void> {
    this.#refuseWhenClosed()
    await this.#filesystem.sync(path, ...waitFor(options))
  }

  async close(): Promise<void> {
    this.#ending.abort(new Error('the mount is closed'))
    this.#endForGood()
    for (const closer of this.#closers.splice(0).reverse()) await closer()
    await this.#filesystem.stopLogs()
    this.#served.stop()
    this.#kernelMount.release()
    await this.#filesystem.close()
  }

  #refuseWhenClosed(): void {
    if (this.#ending.signal.aborted)
      throw new SessionError('closed', `${this.directory}: this mount is closed: make a new one`)
  }

  /** From the end of the kernel's side to the end of the uploads. */
  async #finish(): Promise<void> {
    const reason = await this.#served.done
    this.#endForGood()
    this.#kernelMount.release()
    if (this.#ending.signal.aborted) return
    this.#logger.info({ reason }, 'unmounted')
    await this.#filesystem.stopLogs()
    const left = await this.#filesystem.drain(this.#ending.signal, () => undefined)
    if (left.length > 0) {
      throw new Error(`${left.length} paths are not on the service; the next mount goes on with them`)
    }
    /* whoever hears of the end may mount it again at once */
    await this.#filesystem.close()
  }
}

function newState(
  directory: string,
  { stateDirectory, clock, facts }: Mountable,
  continued: Outliving['continued'],
  logger: Logger,
): KernelState {
  const now = new Date(clock.wallMs()).toISOString()
  const fresh = { version: kernelStateVersion, directory, mountedAt: now, ...facts } as const
  const { header = { ...fresh, restarts: [] }, why } = continued ?? {}
  const restarts =
    why === undefined ? header.restarts : [...header.restarts, { at: now, why }].slice(-keptRestarts)
  return new KernelState(stateDirectory, { ...header, restarts }, { clock, logger })
}

function waitFor({ signal, onProgress }: WaitOptions): [AbortSignal, (progress: Progress) => void] {
  return [signal ?? new AbortController().signal, onProgress ?? (() => undefined)]
}
