/**
 * Mounts at a directory, or goes on with a mount that a process before this one served. Layer: mount.
 *
 * Invariant: a mount that fails leaves nothing behind; of several at once at one directory one comes to mount.
 */
import { constants, open } from 'node:fs/promises'
import { forgetMount, listMounts } from '../control/registry.ts'
import { mountKernel, type KernelMount } from '../fuse/kernel-mount.ts'
import { closeQuietly, tryLock } from '../fuse/libc.ts'
import type { Logger } from '../log.ts'
import type { AgentMountOptions, MountOptions } from '../options/mount-options.ts'
import type { SessionFacts } from '../session/open-session.ts'
import { showMounted } from '../options/show-address.ts'
import { SessionError } from '../session/session-error.ts'
import { asSessionError, checkMountPoint, detachDead, prepareMountPoint } from './mount-point.ts'
import type { Takeover } from './keeper.ts'
import { readKernelState } from './kernel-state.ts'
import type { MakeMountable, Mounted } from './mounted.ts'
import type { MountDependencies } from './mounted-session.ts'

/** What is open, and can be mounted. */
export interface Opened {
  readonly stateDirectory: string
  readonly make: MakeMountable
  close(): Promise<void>
}

/** One kind of what can be mounted. */
export interface Kind<Options> {
  /** Where its state lies, made where it is missing. */
  stateDirectory(options: Options): string
  /** `continued`: a process before this one had it open for a mount that goes on; the service need not be asked. */
  open(
    options: Options,
    dependencies: MountDependencies & { readonly continued?: SessionFacts | undefined },
  ): Promise<Opened>
}

/** Rejects with `SessionError`. */
export async function mountAt<Options extends MountOptions | AgentMountOptions>(
  given: Options,
  dependencies: MountDependencies,
  kind: Kind<Options>,
): Promise<Mounted> {
  const { logger, onWork, descriptor, takeover, keep } = dependencies
  if (takeover !== undefined) return goOn(given, takeover, dependencies, kind)
  let opened: Opened | undefined
  try {
    const directory = descriptor === undefined ? await prepareMountPoint(given.directory) : given.directory
    const options = { ...given, directory }
    const opening = kind.open(options, dependencies)
    const loading = import('./mounted.ts')
    opened = await opening
    const { Mounted } = await loading
    await detachElsewhere(options, opened, logger)
    const kernelMount =
      descriptor === undefined ? await mountAtDirectory(options) : { descriptor, release: () => undefined }
    return await Mounted.start(options, opened.make, kernelMount, { logger, onWork, keep })
  } catch (error) {
    await opened?.close()
    throw asSessionError(error)
  }
}

/** Asks the service nothing: the link may be down, and what is mounted is what was. */
async function goOn<Options extends MountOptions | AgentMountOptions>(
  given: Options,
  { fuse: descriptor, watch, why }: Takeover,
  dependencies: MountDependencies,
  kind: Kind<Options>,
): Promise<Mounted> {
  const { logger, onWork, keep } = dependencies
  const found = readKernelState(kind.stateDirectory(given))
  const { header } = found
  if (header.agreed === undefined)
    throw new SessionError('fuse', `the mount was not served yet: mount ${header.directory} again`)
  const options = { ...given, directory: header.directory }
  const opened = await kind.open(options, { ...dependencies, continued: header })
  try {
    const { Mounted } = await import('./mounted.ts')
    const release = (): void => (watch === undefined ? undefined : closeQuietly(watch))
    const kernelMount = { descriptor, watch, release }
    const continued = { ...found, why }
    return await Mounted.start(options, opened.make, kernelMount, { logger, onWork, keep, continued })
  } catch (error) {
    await opened.close()
    throw asSessionError(error)
  }
}

/** The directory is locked while it is looked at and mounted on: of several at once one comes to mount. */
async function mountAtDirectory(options: MountOptions | AgentMountOptions): Promise<KernelMount> {
  const { directory, readOnly, noExec, allowOther, autoUnmount } = options
  const source = showMounted(options)
  const claim = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    if (!tryLock(claim.fd)) {
      throw new SessionError('alreadyMounted', `${directory}: somebody else mounts there just now`)
    }
    await checkMountPoint(directory)
    return await mountKernel(directory, { source, readOnly, noExec, allowOther, autoUnmount })
  } finally {
    await claim.close()
  }
}

/** Where the session was mounted by a daemon that was killed; whoever has its lock is the only one alive. */
async function detachElsewhere(
  { stateRoot, directory }: MountOptions | AgentMountOptions,
  { stateDirectory }: Opened,
  logger: Logger,
): Promise<void> {
  for (const record of listMounts(stateRoot)) {
    if (record.stateDirectory !== stateDirectory || record.directory === directory) continue
    try {
      if (await detachDead(record.directory))
        logger.info({ directory: record.directory, pid: record.pid }, 'detached the mount of a dead daemon')
      forgetMount(stateRoot, record)
    } catch (error) {
      logger.warn({ directory: record.directory, err: error }, 'the mount of a dead daemon stays')
    }
  }
}
