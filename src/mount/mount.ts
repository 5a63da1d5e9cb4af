/**
 * Mounts a session at a directory. Layer: mount.
 *
 * Invariant: a mount that fails leaves nothing behind; of several at once at one directory one comes to mount.
 * What needs the service's first answer is loaded while that is under way.
 */
import { constants, open } from 'node:fs/promises'
import { forgetMount, listMounts } from '../control/registry.ts'
import { mountKernel, type KernelMount } from '../fuse/kernel-mount.ts'
import { closeQuietly, tryLock } from '../fuse/libc.ts'
import type { Logger } from '../log.ts'
import type { MountOptions } from '../options/mount-options.ts'
import { nameOf, parentOf } from '../remote-path.ts'
import { makeSessionDirectories } from '../session/directories.ts'
import { openSession, type OpenSession } from '../session/open-session.ts'
import { SessionError } from '../session/session-error.ts'
import { asSessionError, checkMountPoint, detachDead, prepareMountPoint } from './mount-point.ts'
import type { Takeover } from './keeper.ts'
import { readKernelState } from './kernel-state.ts'
import type { Mounted } from './mounted.ts'
import type { MountDependencies, MountSession } from './mounted-session.ts'

export const mountSession: MountSession = async (given, dependencies) => {
  const { logger, descriptor, takeover, keep } = dependencies
  if (takeover !== undefined) return goOn(given, takeover, dependencies)
  let session: OpenSession | undefined
  try {
    const directory = descriptor === undefined ? await prepareMountPoint(given.directory) : given.directory
    const options = { ...given, directory }
    const opening = openSession(options, dependencies)
    const loading = import('./mounted.ts')
    session = await opening
    const { Mounted } = await loading
    await checkSubdirectory(options, session, dependencies.signal)
    await detachElsewhere(options, session, logger)
    const kernelMount =
      descriptor === undefined ? await mountAtDirectory(options) : { descriptor, release: () => undefined }
    return await Mounted.start(options, session, kernelMount, { logger, keep })
  } catch (error) {
    await session?.close()
    throw asSessionError(error)
  }
}

/** Asks the service nothing: the link may be down, and the session is the one that was mounted. */
async function goOn(
  given: MountOptions,
  { fuse: descriptor, watch, why }: Takeover,
  dependencies: MountDependencies,
): Promise<Mounted> {
  const { logger, keep } = dependencies
  const found = readKernelState(makeSessionDirectories(given, given).state)
  const { header } = found
  if (header.agreed === undefined)
    throw new SessionError('fuse', `the mount was not served yet: mount ${header.directory} again`)
  const options = { ...given, directory: header.directory }
  const session = await openSession(options, { ...dependencies, continued: header })
  try {
    const { Mounted } = await import('./mounted.ts')
    const release = (): void => (watch === undefined ? undefined : closeQuietly(watch))
    const kernelMount = { descriptor, watch, release }
    return await Mounted.start(options, session, kernelMount, { logger, keep, continued: { ...found, why } })
  } catch (error) {
    await session.close()
    throw asSessionError(error)
  }
}

/** A part of a session that is not there is more often misspelt than to be made. */
async function checkSubdirectory(
  { agent, session: name, subdirectory: path }: MountOptions,
  { changes, listings }: OpenSession,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (path === undefined) return
  const ours = changes.get(path)
  const isOurs = ours?.kind === 'directory' || changes.hasUploadsBelow(path)
  if (isOurs) return
  const { entries } = await listings.list(parentOf(path), { signal })
  if (entries.get(nameOf(path))?.isDirectory === true && ours === undefined) return
  throw new SessionError(
    'noSuchDirectory',
    `${agent}/${name}:${path}: no such directory in the session: make it first, or mount what is above it`,
  )
}

/** The directory is locked while it is looked at and mounted on: of several at once one comes to mount. */
async function mountAtDirectory(options: MountOptions): Promise<KernelMount> {
  const { agent, session, subdirectory, directory, readOnly, noExec, allowOther, autoUnmount } = options
  const source = `${agent}/${session}${subdirectory === undefined ? '' : `:${subdirectory}`}`
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
