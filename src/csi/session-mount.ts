/**
 * One session mounted on this node for the Pods that share it: its descriptor, the daemon that serves it, the places
 * that show it. Layer: csi.
 *
 *   starting ──ready──▶ serving ◀──ready── waiting     (the daemon has ended, another is started)
 *      │ failed            └──its end──────▲  │ again and again
 *      ▼                                      ▼
 *    ended ◀──end()── (any)                  lost      (the kernel's side is over: what shows it answers ENOTCONN)
 *
 * Invariant: while it is starting, serving or waiting this process has the kernel's descriptor, so that programs wait
 * for the next daemon instead of failing; nothing here touches what is mounted.
 */
import { join } from 'node:path'
import { type Clock, sleep } from '../clock.ts'
import { ask } from '../control/control-client.ts'
import { abortConnection } from '../fuse/connection-abort.ts'
import { mountKernel } from '../fuse/kernel-mount.ts'
import { detachMount } from '../fuse/libc.ts'
import { mountAt } from '../fuse/mount-table.ts'
import type { Logger } from '../log.ts'
import { asSessionError } from '../mount/mount-point.ts'
import type { MountOptions } from '../options/mount-options.ts'
import { showMounted } from '../options/show-address.ts'
import { sessionDirectories } from '../session/directories.ts'
import { SessionError } from '../session/session-error.ts'
import { takeFromDaemon } from './adoption.ts'
import { CsiError } from './csi-error.ts'
import type { DaemonSays } from './daemon-link.ts'
import type { Events, PodEvent } from './events.ts'
import { endsUnheard, type Launcher } from './launcher.ts'
import { type Asking, tidyUp } from './left-behind.ts'
import { hide, isAtAny, show } from './places.ts'
import { SharedDescriptor } from './shared-descriptor.ts'
import type { VolumeCredential } from './volume-attributes.ts'
import { RestartPolicy } from './restart-policy.ts'
import {
  credentialFiles,
  forgetTarget,
  readDescription,
  readTargets,
  type Target,
  type VolumeDescription,
  type VolumeFiles,
  writeDescription,
  writeTarget,
} from './volume-files.ts'

/** What every mount of a node stands on. */
export interface SessionMountParts extends Asking {
  readonly launcher: Launcher
  readonly events: Events
  readonly logger: Logger
  readonly clock: Clock
  /** How long the last volume that ends waits for uploads, milliseconds. */
  readonly drainMs: number
}

type State = 'starting' | 'serving' | 'waiting' | 'lost' | 'ended'

const endWithinMs = 5000
const clusterAwayMs = 2000

export class SessionMount {
  readonly files: VolumeFiles
  readonly #parts: SessionMountParts
  readonly #logger: Logger
  readonly #described: VolumeDescription
  readonly #targets = new Map<string, Target>()
  readonly #ready = Promise.withResolvers<undefined>()
  readonly #restarts = new RestartPolicy()
  #onDaemonEnd = (): void => undefined
  #watch: AbortController | undefined
  #beginning: Promise<void> = Promise.resolve()
  #takingDown: Promise<readonly string[] | undefined> | undefined
  #state: State = 'starting'
  #descriptor: SharedDescriptor | undefined
  #device: string | undefined
  /** Of the daemon that serves, or that served last. */
  #why = 'it was killed'
  /** What was handed on last to sign in with. */
  #signsInWith: string | undefined
  readonly #over = new AbortController()

  /** Mounts it, and starts its daemon; `ready` tells how that went. */
  begin(): void {
    this.#beginning = this.#begin().catch((error: unknown) => this.#fail(asSessionError(error)))
  }

  /** What a driver before this one mounted, and its daemon has kept. Throws where nothing says what. */
  static adopt(files: VolumeFiles, parts: SessionMountParts): SessionMount {
    const mount = new SessionMount(files, readDescription(files.run), parts)
    for (const target of readTargets(files)) mount.#targets.set(target.path, target)
    mount.#beginning = mount.#adopt().catch((error: unknown) => mount.#lose((error as Error).message))
    return mount
  }

  /** Resolves once it is mounted, or adopted, or cannot be. */
  get begun(): Promise<void> {
    return this.#beginning
  }

  /** One that is not mounted yet. */
  constructor(files: VolumeFiles, described: VolumeDescription, parts: SessionMountParts) {
    this.files = files
    this.#described = described
    this.#parts = parts
    this.#logger = parts.logger
    this.#ready.promise.catch(() => undefined)
  }

  get options(): MountOptions {
    return this.#described.options
  }

  get state(): State {
    return this.#state
  }

  /** Whether it ends with this process: no daemon has it just now. */
  get needsDriver(): boolean {
    return this.#state !== 'lost' && this.#state !== 'ended' && this.#descriptor?.isTaken !== true
  }

  get targets(): ReadonlyMap<string, Target> {
    return this.#targets
  }

  /** Rejects with `SessionError` or `CsiError` when the first daemon cannot serve it; then it is over. */
  get ready(): Promise<undefined> {
    return this.#ready.promise
  }

  /** Why it is not ready yet, in words. */
  async describeStart(): Promise<string> {
    const why = await this.#parts.launcher.describe(this.files)
    return `${this.#parts.launcher.what} does not serve ${showMounted(this.options)} yet${why === undefined ? '' : `: ${why}`}`
  }

  /** Somebody is to see it there; counts from now on, so that whoever takes it back finds it. */
  remember(target: Target): void {
    this.#targets.set(target.path, target)
    this.#writeFiles()
    writeTarget(this.files, target)
  }

  /** Shows it at a place; there already: done. Throws `CsiError` when something else is mounted there. */
  show(target: Target): void {
    if (this.#device === undefined)
      throw new CsiError('internal', `${target.path}: there is nothing to show yet`)
    show(target, { directory: this.files.mountPoint, device: this.#device })
  }

  /** Takes it away from a place, in use or not. */
  hide(path: string): void {
    hide(path)
    forgetTarget(this.files, path)
    this.#targets.delete(path)
  }

  /** Hands what signs in to the daemon, which tries again at once what waited for it. */
  async renew(credential: VolumeCredential): Promise<void> {
    const before = this.#signsInWith
    this.#signsInWith = credential.kind === 'token' ? credential.token : credential.assertion
    this.#writeFiles()
    if (this.#signsInWith === before || this.#state !== 'serving') return
    /* one that has just ended reads it when it begins */
    await ask(this.#stateDirectory, { method: 'retry' }, { answerWithinMs: endWithinMs }).catch(
      () => undefined,
    )
  }

  /**
   * Takes it down: what waits is uploaded as long as that may take, then the kernel's side and the daemon end, by force
   * if need be. Any number of times. Resolves with the paths that are left in the journal; undefined: that cannot be told.
   */
  end(signal?: AbortSignal): Promise<readonly string[] | undefined> {
    this.#takingDown ??= this.#takeDown(signal).catch((error: unknown) => {
      /* to be tried again */
      this.#takingDown = undefined
      throw error
    })
    return this.#takingDown
  }

  async #takeDown(signal: AbortSignal | undefined): Promise<readonly string[] | undefined> {
    if (this.#state === 'serving' || this.#state === 'waiting') await this.#drain(signal)
    this.#state = 'ended'
    this.#over.abort()
    this.#ready.reject(new CsiError('aborted', `${showMounted(this.options)} was unmounted meanwhile`))
    await this.#beginning
    await this.#endKernelSide()
    this.#targets.clear()
    return tidyUp(this.files, this.#parts)
  }

  get #stateDirectory(): string {
    return sessionDirectories(this.options, this.files).state
  }

  async #begin(): Promise<void> {
    const { files } = this
    const { noExec } = this.options
    while (detachMount(files.mountPoint));
    this.#writeFiles()
    const source = showMounted(this.options)
    const { descriptor } = await mountKernel(files.mountPoint, { source, noExec, allowOther: true })
    this.#descriptor = this.#share(descriptor)
    this.#device = mountAt(files.mountPoint)?.device
    await this.#descriptor.offer(files.run, this.#parts.user)
    if (this.#state === 'starting') await this.#launch()
  }

  async #adopt(): Promise<void> {
    const { files } = this
    const adopted = await takeFromDaemon(files, this.#over.signal)
    if (typeof adopted === 'string') {
      this.#lose(adopted)
      return
    }
    this.#descriptor = this.#share(adopted.descriptor)
    this.#device = adopted.device
    /* it says at once whether it serves already */
    if (this.#state === 'starting') this.#state = 'waiting'
    this.#descriptor.follow(adopted.socket)
    await this.#descriptor.offer(files.run, this.#parts.user)
    this.#logger.info({ key: files.key, session: showMounted(this.options) }, 'took over a mount')
  }

  /** Somebody may have removed them. */
  #writeFiles(): void {
    const { files } = this
    const { user } = this.#parts
    files.make(user)
    writeDescription(files, this.#described, user)
    if (this.#signsInWith === undefined) return
    files.write(join(files.run, credentialFiles[this.#described.credential.kind]), this.#signsInWith, user)
  }

  #share(descriptor: number): SharedDescriptor {
    return new SharedDescriptor(descriptor, {
      greeting: () => (this.#state === 'starting' ? {} : { why: this.#why }),
      said: (message) => this.#said(message),
      ended: () => this.#daemonEnded(),
    })
  }

  #said(said: DaemonSays): void {
    if (said.event === 'ready') {
      if (this.#state === 'waiting')
        this.#logger.warn({ key: this.files.key, why: this.#why }, 'another daemon goes on')
      this.#state = 'serving'
      this.#restarts.served()
      this.#ready.resolve(undefined)
      return
    }
    const { code, message } = said
    this.#why = message
    if (this.#state === 'starting')
      this.#fail(code === undefined ? new CsiError('internal', message) : new SessionError(code, message))
  }

  #daemonEnded(): void {
    this.#onDaemonEnd()
    this.#watch?.abort()
    if (this.#state === 'starting')
      this.#fail(
        new CsiError('unavailable', `the daemon of ${showMounted(this.options)} ended before it served it`),
      )
    if (this.#state !== 'serving' && this.#state !== 'waiting') return
    /* somebody may have unmounted it where nobody looks, and Pods have it still */
    if (!isAtAny([this.files.mountPoint, ...this.#targets.keys()], this.#device)) {
      this.#lose('it was unmounted by somebody else')
      return
    }
    if (this.#state === 'serving') this.#why = 'it was killed'
    this.#state = 'waiting'
    const { clock } = this.#parts
    const pauseMs = this.#restarts.ended(clock.now())
    if (pauseMs === undefined) {
      this.#lose(`its daemon ended again and again (${this.#why})`)
      return
    }
    clock.after(pauseMs, () => void this.#launchAgain(), { isAwaited: true })
  }

  async #launchAgain(): Promise<void> {
    if (this.#state !== 'waiting') return
    try {
      this.#writeFiles()
      await this.#descriptor?.offerAgain(this.files.run, this.#parts.user)
      await this.#launch()
    } catch (error) {
      this.#why = (error as Error).message
      this.#logger.warn({ key: this.files.key, err: error }, 'the next daemon cannot be started')
      /* a cluster that is away is no reason to give up what programs wait for */
      const isAway = error instanceof CsiError && error.code === 'unavailable'
      if (isAway) this.#parts.clock.after(clusterAwayMs, () => void this.#launchAgain(), { isAwaited: true })
      else this.#daemonEnded()
    }
  }

  async #launch(): Promise<void> {
    const { launcher, clock } = this.#parts
    this.#restarts.launched(clock.now())
    await launcher.launch(this.files)
    this.#watch?.abort()
    const watch = new AbortController()
    this.#watch = watch
    const isTaken = (): boolean => this.#descriptor?.isTaken !== false
    const signal = AbortSignal.any([watch.signal, this.#over.signal])
    void endsUnheard(this.files, { launcher, clock, isTaken, signal }).then((hasEnded) => {
      if (!hasEnded) return
      this.#why = `${launcher.what} ended before it took the mount over`
      this.#daemonEnded()
    })
  }

  /** It never served: nothing is left of it but what its journal holds from before. */
  #fail(error: unknown): void {
    if (this.#state !== 'starting') return
    this.#ready.reject(error)
    for (const path of this.#targets.keys()) this.#hideQuietly(path)
    void this.end()
  }

  /** Nobody can go on with it: programs are told at once, and people what to do. */
  #lose(why: string): void {
    this.#state = 'lost'
    this.#ready.reject(
      new CsiError('unavailable', `the mount of ${showMounted(this.options)} was lost: ${why}`),
    )
    this.#logger.error({ key: this.files.key, session: showMounted(this.options), why }, 'a mount is lost')
    this.#descriptor?.close()
    detachMount(this.files.mountPoint)
    void this.#parts.launcher
      .stop(this.files)
      .catch((error: unknown) => this.#logger.warn({ err: error }, 'left behind'))
    this.#tell({
      reason: 'MountLost',
      message: `the mount of ${showMounted(this.options)} does not answer any more (${why}): restart this Pod; what it had written is kept on the node and goes on then`,
    })
  }

  /** The kubelet asks for it again, and hears why it stays. */
  #hideQuietly(path: string): void {
    try {
      hide(path)
    } catch (error) {
      this.#logger.warn({ key: this.files.key, err: error }, 'a place stays')
    }
  }

  #tell(event: PodEvent): void {
    for (const { pod } of this.#targets.values()) void this.#parts.events.post(pod, event)
  }

  async #drain(signal: AbortSignal | undefined): Promise<void> {
    const { drainMs } = this.#parts
    const late = AbortSignal.timeout(drainMs)
    try {
      await ask(
        this.#stateDirectory,
        { method: 'sync', path: '' },
        { signal: signal === undefined ? late : AbortSignal.any([signal, late]), answerWithinMs: drainMs },
      )
    } catch (error) {
      this.#logger.warn({ key: this.files.key, err: error }, 'not everything could be uploaded')
    }
  }

  async #endKernelSide(): Promise<void> {
    const { files } = this
    const { launcher } = this.#parts
    const device = this.#device
    while (detachMount(files.mountPoint));
    const isGone = await this.#daemonEnds(endWithinMs)
    if (!isGone && device !== undefined) abortConnection(device)
    await launcher
      .stop(files)
      .catch((error: unknown) => this.#logger.warn({ key: files.key, err: error }, 'a daemon may be left'))
    /* it has the journal until it is gone */
    await this.#daemonEnds(endWithinMs)
    this.#descriptor?.close()
  }

  /** Whether the daemon that has the descriptor lets go of it by then. */
  async #daemonEnds(withinMs: number): Promise<boolean> {
    if (this.#descriptor?.isTaken !== true) return true
    const settled = new AbortController()
    const ended = new Promise<true>((resolve) => (this.#onDaemonEnd = () => resolve(true)))
    const late = sleep(this.#parts.clock, withinMs, settled.signal).then(
      () => false,
      () => false,
    )
    const hasEnded = await Promise.race([ended, late])
    settled.abort()
    return hasEnded
  }
}
