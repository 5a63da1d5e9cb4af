/**
 * A session mounted: serves the kernel what `session-filesystem.ts` answers, unmounts. Layer: mount.
 *
 * Invariant: whatever ends the mount, changes that the service has not confirmed stay in the journal; after a
 * plain umount(8) the process goes on until they are sent or nothing moves any more.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { sleep } from '../clock.ts'
import { startControlServer } from '../control/control-server.ts'
import type { ControlHandlers, Leftover, Progress, StatusReport } from '../control/protocol.ts'
import { announceMount } from '../control/registry.ts'
import { serve, type Served } from '../fuse/connection.ts'
import { unmountKernel } from '../fuse/fusermount.ts'
import type { KernelMount } from '../fuse/kernel-mount.ts'
import { describeHolders, holdersOf } from '../fuse/mount-holders.ts'
import { mountAt, mountWith, type MountEntry } from '../fuse/mount-table.ts'
import type { Logger } from '../log.ts'
import type { MountOptions } from '../options/mount-options.ts'
import type { OpenSession } from '../session/open-session.ts'
import { SessionError } from '../session/session-error.ts'
import { asSessionError } from './mount-point.ts'
import { drainAndUnmount, type MountedSession, type WaitOptions } from './mounted-session.ts'
import { SessionFilesystem } from './session-filesystem.ts'
import { StateWatch } from './state-watch.ts'

/* the kernel ends a mount at once, unless another one of the same filesystem is left */
const endWithinMs = 2000

export class Mounted implements MountedSession {
  readonly done: Promise<void>
  readonly #options: MountOptions
  readonly #session: OpenSession
  readonly #logger: Logger
  readonly #filesystem: SessionFilesystem
  readonly #served: Served
  readonly #kernelMount: KernelMount
  readonly #ending = new AbortController()
  /** As the kernel lists it, from the moment when it is served. */
  #entry: MountEntry | undefined
  readonly #closers: (() => Promise<void> | void)[] = []

  static async start(
    options: MountOptions,
    session: OpenSession,
    kernelMount: KernelMount,
    logger: Logger,
  ): Promise<Mounted> {
    const mounted = new Mounted(options, session, kernelMount, logger)
    await mounted.#served.ready
    mounted.#entry = mountAt(options.directory)
    await mounted.#announce()
    return mounted
  }

  private constructor(options: MountOptions, session: OpenSession, kernelMount: KernelMount, logger: Logger) {
    this.#options = options
    this.#session = session
    this.#logger = logger
    this.#kernelMount = kernelMount
    const filesystem = new SessionFilesystem(session, options, logger)
    this.#filesystem = filesystem
    this.#served = serve({
      descriptor: kernelMount.descriptor,
      frontEnd: (kernelCache) => filesystem.frontEnd(kernelCache),
      logger,
    })
    this.done = this.#finish()
    this.done.catch(() => undefined)
  }

  async #announce(): Promise<void> {
    const { stateRoot, agent, session } = this.#options
    const stateDirectory = this.#session.directories.state
    const control = await startControlServer(stateDirectory, this.#handlers(), this.#logger)
    this.#closers.push(() => control.close())
    const journal = join(stateDirectory, 'journal', 'journal.db')
    const { lock } = this.#session
    const watch = new StateWatch(
      stateDirectory,
      [
        { name: 'lock', isThere: () => lock.isThere(), renew: () => lock.renew() },
        { name: 'control socket', isThere: () => control.isThere(), renew: () => control.renew() },
        { name: 'journal', isThere: () => existsSync(journal), renew: undefined },
      ],
      { clock: this.#session.clock, logger: this.#logger },
    )
    this.#closers.push(() => watch.close())
    const mount = this.#entry && { id: this.#entry.id, device: this.#entry.device }
    const { directory, subdirectory } = this.#options
    const { specials } = this.#filesystem
    const owner = { pid: process.pid, agent, session }
    const record = { directory, mount, stateDirectory, ...owner, subdirectory, specials }
    this.#closers.push(announceMount(stateRoot, record))
  }

  #handlers(): ControlHandlers {
    const { changes } = this.#session
    return {
      status: () => this.status(),
      sync: (path, signal, onProgress) => this.sync(path, { signal, onProgress }),
      unmount: (force, signal, onProgress) => drainAndUnmount(this, force, signal, onProgress),
      retry: () => changes.retry(),
      discard: (path) => changes.discardWithin(this.#filesystem.remotePath(path)),
    }
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
    const late = sleep(this.#session.clock, endWithinMs, ended.signal)
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
    this.#kernelMount.release()
    if (this.#ending.signal.aborted) return
    this.#logger.info({ reason }, 'unmounted')
    await this.#filesystem.stopLogs()
    const left = await this.#filesystem.drain(this.#ending.signal, () => undefined)
    if (left.length > 0) {
      throw new Error(`${left.length} paths are not on the service; the next mount goes on with them`)
    }
  }
}

function waitFor({ signal, onProgress }: WaitOptions): [AbortSignal, (progress: Progress) => void] {
  return [signal ?? new AbortController().signal, onProgress ?? (() => undefined)]
}
