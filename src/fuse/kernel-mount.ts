/**
 * Mounting: what the kernel is told, and the descriptor that comes of it. Layer: fuse.
 *
 * Invariant: a failure is a `KernelMountError`; whether the directory can be mounted on has been looked at
 * before.
 */

import { access, constants, readFile } from 'node:fs/promises'
import { KernelMountError, runFusermount } from './fusermount.ts'
import { closeQuietly, receiveDescriptor, socketPair } from './libc.ts'

export interface KernelMountOptions {
  /** What the mount table shows as the source. */
  readonly source: string
  /** Shown as `fuse.SUBTYPE`. Default `mount-session`. */
  readonly subtype?: string
  readonly readOnly?: boolean
  readonly noExec?: boolean
  readonly allowOther?: boolean
  /** The kernel checks modes and owners. Default true. */
  readonly defaultPermissions?: boolean
  /** Largest READ in bytes. Default: what the protocol allows, 1 MiB. */
  readonly maxReadBytes?: number
  /** fusermount3 stays and unmounts when this process dies. */
  readonly autoUnmount?: boolean
}

export interface KernelMount {
  /** Of /dev/fuse, for `serve`. */
  readonly descriptor: number
  /** For `autoUnmount`: while anybody has it open, fusermount3 does not unmount. */
  readonly watch?: number | undefined
  /** For `autoUnmount`: ends fusermount3's watch. To be called when the mount has ended. */
  release(): void
}

const device = '/dev/fuse'
const fuseConfiguration = '/etc/fuse.conf'
/** Commas separate options, backslashes escape. */
const escaped = (value: string): string => value.replace(/[\\,]/g, '\\$&')

export function mountOptions(options: KernelMountOptions): string {
  return [
    options.readOnly === true ? 'ro' : 'rw',
    'nosuid',
    'nodev',
    ...(options.noExec === true ? ['noexec'] : []),
    `fsname=${escaped(options.source)}`,
    `subtype=${escaped(options.subtype ?? 'mount-session')}`,
    ...(options.defaultPermissions === false ? [] : ['default_permissions']),
    ...(options.allowOther === true ? ['allow_other'] : []),
    ...(options.maxReadBytes === undefined ? [] : [`max_read=${options.maxReadBytes}`]),
    ...(options.autoUnmount === true ? ['auto_unmount'] : []),
  ].join(',')
}

/**
 * Mounts on an existing directory, given absolute and without symbolic links. The mount answers once `serve` has
 * been given the descriptor.
 */
export async function mountKernel(directory: string, options: KernelMountOptions): Promise<KernelMount> {
  await checkMachine(options)
  const [ours, theirs] = socketPair()
  try {
    const { child, ended } = runFusermount(['-o', mountOptions(options), '--', directory], theirs)
    closeQuietly(theirs)
    // Ends with the descriptor, or with the end of fusermount3, which held the only other end of the socket.
    const descriptor = await receiveDescriptor(ours)
    if (descriptor === undefined) {
      const { stderr } = await ended
      throw new KernelMountError('failed', stderr || 'fusermount3 did not hand over a descriptor')
    }
    if (options.autoUnmount !== true) {
      await ended
      closeQuietly(ours)
      return { descriptor, release: () => undefined }
    }
    child.unref()
    child.stderr?.destroy()
    return { descriptor, watch: ours, release: () => closeQuietly(ours) }
  } catch (error) {
    closeQuietly(ours)
    throw error
  }
}

async function checkMachine(options: KernelMountOptions): Promise<void> {
  await access(device, constants.R_OK | constants.W_OK).catch((error: unknown) => {
    throw new KernelMountError('noDevice', `${device} is missing or may not be opened`, { cause: error })
  })
  if (options.allowOther !== true || process.getuid?.() === 0) return
  const configuration = await readFile(fuseConfiguration, 'utf8').catch(() => '')
  if (!/^\s*user_allow_other\s*$/m.test(configuration)) {
    throw new KernelMountError(
      'allowOtherNotPermitted',
      `allow_other needs the line user_allow_other in ${fuseConfiguration}`,
    )
  }
}
