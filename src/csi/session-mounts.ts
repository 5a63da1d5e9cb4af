/**
 * The volumes of this node: which session mount each shows, and one call about a session after the other. Layer: csi.
 *
 * Invariant: a target is known to one session mount from before it is shown until after it is hidden, on disk as well,
 * so that a driver that has just started can take it away.
 */
import { sleep } from '../clock.ts'
import { detachMount } from '../fuse/libc.ts'
import type { Logger } from '../log.ts'
import { showMounted } from '../options/show-address.ts'
import { CsiError } from './csi-error.ts'
import type { NodeVolumes } from './node-service.ts'
import { removeFiles } from './left-behind.ts'
import { hide } from './places.ts'
import { SessionMount, type SessionMountParts } from './session-mount.ts'
import { attributeOf, differingOption, type VolumeSpec } from './volume-attributes.ts'
import {
  keyOf,
  keysIn,
  type Target,
  type VolumeDescription,
  VolumeFiles,
  type VolumeRoots,
} from './volume-files.ts'

/* the kubelet waits for the driver meanwhile */
const adoptWithinMs = 10_000
const lookAgainMs = 20
/* paths that an event names */
const namedPaths = 5

export interface SessionMountsParts extends SessionMountParts {
  readonly roots: VolumeRoots
  /** What the driver adds to the options of every volume. */
  readonly common: Pick<VolumeDescription['options'], 'httpsProxy' | 'allProxy' | 'noProxy'>
  /** Certificates (PEM) for every volume. */
  readonly certificates: string | undefined
  readonly logLevel: string
}

export class SessionMounts implements NodeVolumes {
  readonly #parts: SessionMountsParts
  readonly #logger: Logger
  readonly #mounts = new Map<string, SessionMount>()
  readonly #queues = new Map<string, Promise<unknown>>()

  constructor(parts: SessionMountsParts) {
    this.#parts = parts
    this.#logger = parts.logger
  }

  /** Goes on with what a driver before this one mounted; with a daemon that does not answer, in the background. */
  async adopt(): Promise<void> {
    const { roots, clock } = this.#parts
    const adopted = keysIn(roots).map((key) => this.#adopt(key, new VolumeFiles(key, roots)))
    const late = new AbortController()
    await Promise.race([
      Promise.all(adopted),
      sleep(clock, adoptWithinMs, late.signal).catch(() => undefined),
    ])
    late.abort()
  }

  async #adopt(key: string, files: VolumeFiles): Promise<void> {
    let mount
    try {
      mount = SessionMount.adopt(files, this.#parts)
    } catch (error) {
      this.#logger.error({ key, err: error }, 'what an earlier driver left here cannot be gone on with')
      await this.#endUnknown(files)
      return
    }
    this.#mounts.set(key, mount)
    await mount.begun
    /* the driver ended before it wrote down for whom it was */
    if (mount.targets.size === 0 && this.#mounts.get(key) === mount)
      await this.#inTurn(key, async () => {
        if (mount.targets.size === 0) await this.#end(key, mount, undefined)
      })
  }

  async #endUnknown(files: VolumeFiles): Promise<void> {
    while (detachMount(files.mountPoint));
    try {
      await this.#parts.launcher.stop(files)
      removeFiles(files)
    } catch (error) {
      this.#logger.warn({ key: files.key, err: error }, 'files of a volume stay')
    }
  }

  /** Resolves once each mount has a daemon that holds it, for the driver that follows; or when given up. */
  async heldByDaemons(giveUp: AbortSignal): Promise<void> {
    const { clock } = this.#parts
    while (!giveUp.aborted && [...this.#mounts.values()].some(({ needsDriver }) => needsDriver))
      await sleep(clock, lookAgainMs, giveUp).catch(() => undefined)
  }

  /**
   * Shows a session at the target, or renews what signs in where it is shown. Given up by `signal`, it goes on in the
   * background, and the next call waits for it. Rejects with `CsiError` or `SessionError`.
   */
  async publish(
    spec: VolumeSpec,
    { path, volumeId }: { readonly path: string; readonly volumeId: string },
    signal: AbortSignal,
  ): Promise<void> {
    const key = keyOf(spec)
    const target: Target = { path, volumeId, isReadOnly: spec.readOnly, pod: spec.pod }
    const mount = await this.#inTurn(key, () => this.#mountFor(key, spec, target)).catch((error: unknown) => {
      throw asFilesError(error)
    })
    await this.#untilReady(mount, signal)
    await this.#inTurn(key, () => {
      /* it may have been taken back meanwhile */
      if (mount.targets.has(path)) mount.show(target)
      return Promise.resolve()
    })
  }

  /**
   * Takes the volume away, and with the last one of a session its mount. Rejects with `CsiError` when the place itself
   * cannot be removed; the mount has ended all the same.
   */
  async unpublish(path: string, signal: AbortSignal): Promise<void> {
    const [key] = [...this.#mounts].find(([, { targets }]) => targets.has(path)) ?? []
    if (key === undefined) {
      hide(path)
      return
    }
    await this.#inTurn(key, async () => {
      const mount = this.#mounts.get(key)
      const target = mount?.targets.get(path)
      if (mount === undefined || target === undefined) return
      if (mount.targets.size > 1) {
        mount.hide(path)
        return
      }
      try {
        hide(path)
      } finally {
        await this.#end(key, mount, target, signal)
      }
    })
  }

  async #end(
    key: string,
    mount: SessionMount,
    target: Target | undefined,
    signal?: AbortSignal,
  ): Promise<void> {
    const session = showMounted(mount.options)
    const left = await mount.end(signal)
    this.#mounts.delete(key)
    if (left?.length === 0) return
    const message = describeLeft(left, mount.files, session)
    this.#logger.warn({ key, pod: target?.pod, left }, message)
    if (target !== undefined) await this.#parts.events.post(target.pod, { reason: 'ChangesKept', message })
  }

  /** The mount of a session, begun where there is none that goes on. */
  async #mountFor(key: string, spec: VolumeSpec, target: Target): Promise<SessionMount> {
    this.#refuseOther(key, target)
    const there = this.#mounts.get(key)
    const isOver = there === undefined || there.state === 'ended' || there.state === 'lost'
    if (!isOver) {
      this.#refuseOtherOptions(there, spec, target)
      there.remember(target)
      await there.renew(spec.credential)
      return there
    }
    /* what it showed is dead to the Pods that run; others find it again */
    const shownBefore = there?.state === 'lost' ? [...there.targets.values()] : []
    await there?.end()
    const files = new VolumeFiles(key, this.#parts.roots)
    files.make(this.#parts.user)
    const mount = new SessionMount(files, this.#describe(files, spec), this.#parts)
    this.#mounts.set(key, mount)
    for (const each of [...shownBefore, target]) mount.remember(each)
    await mount.renew(spec.credential)
    mount.begin()
    return mount
  }

  #describe(files: VolumeFiles, { options, credential, pod }: VolumeSpec): VolumeDescription {
    const { certificates, common, logLevel, user } = this.#parts
    if (certificates !== undefined) files.write(files.certificates, certificates, user)
    const { stateRoot, cacheRoot, mountPoint: directory } = files
    const caFile = certificates === undefined ? undefined : files.certificates
    const signsIn =
      credential.kind === 'token'
        ? { kind: credential.kind }
        : { kind: credential.kind, clientId: credential.clientId, tenantId: credential.tenantId }
    return {
      version: 1,
      options: { ...options, ...common, caFile, token: undefined, directory, stateRoot, cacheRoot },
      credential: signsIn,
      pod,
      logLevel,
    }
  }

  /** The kubelet asks again with what the Pod says; its secret may say something else by now. */
  #refuseOther(key: string, { path }: Target): void {
    const other = [...this.#mounts].find(([each, { targets }]) => each !== key && targets.has(path))
    if (other === undefined) return
    throw new CsiError(
      'failedPrecondition',
      `the volume was mounted with another isolation key or identity: restart the Pod`,
    )
  }

  #refuseOtherOptions(mount: SessionMount, { options }: VolumeSpec, target: Target): void {
    const others = [...mount.targets.values()].filter(({ path }) => path !== target.path)
    const [first] = others
    if (first === undefined) return
    const name = differingOption(options, mount.options)
    if (name === undefined) return
    const { namespace, name: pod } = first.pod
    throw new CsiError(
      'failedPrecondition',
      `${showMounted(options)} is mounted on this node for Pod ${namespace}/${pod} with another ${attributeOf(name)} (${JSON.stringify(mount.options[name])}, not ${JSON.stringify(options[name])}): give the same, or run on another node`,
    )
  }

  async #untilReady(mount: SessionMount, signal: AbortSignal): Promise<void> {
    const gaveUp = Promise.withResolvers<'gaveUp'>()
    const onAbort = (): void => gaveUp.resolve('gaveUp')
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      if (signal.aborted || (await Promise.race([mount.ready, gaveUp.promise])) === 'gaveUp')
        throw new CsiError('deadlineExceeded', await mount.describeStart())
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** One after the other for each session; others go on beside it. */
  #inTurn<Result>(key: string, work: () => Promise<Result>): Promise<Result> {
    const before = this.#queues.get(key) ?? Promise.resolve()
    const done = before.then(work, work)
    const settled = done.then(
      () => undefined,
      () => undefined,
    )
    this.#queues.set(key, settled)
    void settled.then(() => {
      if (this.#queues.get(key) === settled) this.#queues.delete(key)
    })
    return done
  }
}

/** The driver's own directories are for whoever runs the node to see to. */
function asFilesError(error: unknown): unknown {
  const { code, path, syscall } = error as NodeJS.ErrnoException
  if (code === undefined || path === undefined || syscall === undefined) return error
  const remedy = filesRemedies[code] ?? 'see to it that the driver can write there'
  return new CsiError('unavailable', `${path} on the node: ${syscall} failed (${code}): ${remedy}`, {
    cause: error,
  })
}

const filesRemedies: Readonly<Record<string, string>> = {
  ENOSPC: 'make room there',
  EDQUOT: 'make room there',
  EROFS: 'it is read-only: give --state-dir and --run-dir of the driver a disk that is not',
  EMFILE: 'raise the number of files that the driver may have open (ulimit -n)',
}

/** What an event says of changes that are left. */
function describeLeft(left: readonly string[] | undefined, files: VolumeFiles, session: string): string {
  const kept = `kept on the node in ${files.state}; the next volume of ${session} there, for the same service account, uploads them`
  if (left === undefined) return `changes may not be on the service: they are ${kept}`
  const named = left.slice(0, namedPaths).join(', ')
  const more = left.length > namedPaths ? ` and ${left.length - namedPaths} more` : ''
  const what =
    left.length === 1 ? '1 change is not on the service' : `${left.length} changes are not on the service`
  return `${what} (${named}${more}): ${kept}`
}
