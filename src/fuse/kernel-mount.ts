/**
 * Mounting and unmounting through fusermount3, for root and for everybody else alike. Layer: fuse.
 *
 * Invariant: a failure is a `KernelMountError` whose code is found out by looking at the machine, never by
 * reading what fusermount3 prints.
 */

import { spawn } from 'node:child_process'
import { access, constants, readFile, realpath, stat, statfs } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { closeQuietly, receiveDescriptor, socketPair } from './libc.ts'
import { mountAt } from './mount-table.ts'

export type KernelMountCode =
  /** The mount point does not exist. */
  | 'missing'
  | 'notDirectory'
  /** An unprivileged user mounts only on a directory of their own. */
  | 'notWritable'
  /** The mount point is a mount whose daemon is dead; `detachDead` first. */
  | 'dead'
  /** /dev/fuse does not exist or may not be opened. */
  | 'noDevice'
  | 'noFusermount'
  /** `allow_other` of an unprivileged user without `user_allow_other` in /etc/fuse.conf. */
  | 'allowOtherNotPermitted'
  /** Unmounting: somebody uses it. */
  | 'busy'
  /** Unmounting: nothing is mounted there. */
  | 'notMounted'
  /** fusermount3 refused for another reason; the message is its own. */
  | 'failed'

export class KernelMountError extends Error {
  override readonly name = 'KernelMountError'
  readonly code: KernelMountCode

  constructor(code: KernelMountCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

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
  /** Resolved and absolute. */
  readonly directory: string
  /** Of /dev/fuse, for `serve`. */
  readonly descriptor: number
  /** For `autoUnmount`: ends fusermount3's watch. To be called when the mount has ended. */
  release(): void
}

const device = '/dev/fuse'
const fusermount = 'fusermount3'
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

/** Mounts on an existing directory. The mount answers once `serve` has been given the descriptor. */
export async function mountKernel(directory: string, options: KernelMountOptions): Promise<KernelMount> {
  const target = await checkMountPoint(directory)
  await checkMachine(options)
  const [ours, theirs] = socketPair()
  try {
    const child = spawn(fusermount, ['-o', mountOptions(options), '--', target], {
      stdio: ['ignore', 'ignore', 'pipe', theirs],
      env: { ...process.env, _FUSE_COMMFD: '3' },
    })
    const ended = outcome(child)
    ended.catch(() => undefined)
    closeQuietly(theirs)
    // Ends with the descriptor, or with the end of fusermount3, which held the only other end of the socket.
    const descriptor = await receiveDescriptor(ours)
    if (descriptor === undefined) {
      const { stderr } = await ended
      throw new KernelMountError('failed', stderr || `${fusermount} did not hand over a descriptor`)
    }
    if (options.autoUnmount !== true) {
      await ended
      closeQuietly(ours)
      return { directory: target, descriptor, release: () => undefined }
    }
    child.unref()
    child.stderr?.destroy()
    return { directory: target, descriptor, release: () => closeQuietly(ours) }
  } catch (error) {
    closeQuietly(ours)
    throw error
  }
}

async function checkMountPoint(directory: string): Promise<string> {
  const target = await realpathOfMountPoint(directory)
  const found = await stat(target).catch((error: unknown) => {
    if (codeOf(error) === 'ENOTCONN') {
      throw new KernelMountError('dead', `${directory} is a mount whose daemon is gone`, { cause: error })
    }
    throw new KernelMountError('missing', `${directory} cannot be looked at`, { cause: error })
  })
  if (!found.isDirectory()) throw new KernelMountError('notDirectory', `${directory} is not a directory`)
  await access(target, constants.W_OK).catch((error: unknown) => {
    throw new KernelMountError('notWritable', `${directory} is not writable`, { cause: error })
  })
  return target
}

/** The last component is left alone: resolving it would ask the filesystem that may be dead. */
async function realpathOfMountPoint(directory: string): Promise<string> {
  try {
    return await realpath(directory)
  } catch (error) {
    if (codeOf(error) === 'ENOTCONN') return join(await realpath(dirname(directory)), basename(directory))
    throw new KernelMountError('missing', `${directory} does not exist`, { cause: error })
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

/**
 * Takes the mount away. `lazy` detaches it from the tree at once, even while it is used or its daemon is dead;
 * it ends when the last user is gone.
 */
export async function unmountKernel(directory: string, options: { readonly lazy: boolean }): Promise<void> {
  const target = await realpathOfMountPoint(directory)
  const before = mountAt(target)
  if (before === undefined) throw new KernelMountError('notMounted', `nothing is mounted at ${directory}`)
  const child = spawn(fusermount, [options.lazy ? '-uz' : '-u', '--', target], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const { code, stderr } = await outcome(child)
  if (code === 0) return
  const after = mountAt(target)
  if (after?.device !== before.device) return // somebody else was faster
  const mine = process.getuid?.() === 0 || before.options.includes(`user_id=${process.getuid?.()}`)
  if (mine && !options.lazy) throw new KernelMountError('busy', `${directory} is in use`)
  throw new KernelMountError('failed', stderr || `${directory} could not be unmounted`)
}

/** Whether the mount there belongs to a daemon that died. A mount that answers, or none at all, is not dead. */
export async function isDeadMount(directory: string): Promise<boolean> {
  try {
    // stat(2) may be answered from what the kernel remembers of one that is dead; this is not
    await statfs(directory)
    return false
  } catch (error) {
    return codeOf(error) === 'ENOTCONN' || codeOf(error) === 'ECONNABORTED'
  }
}

/** Detaches what a dead daemon left behind; true if there was something. */
export async function detachDead(directory: string): Promise<boolean> {
  if (!(await isDeadMount(directory))) return false
  await unmountKernel(directory, { lazy: true })
  return true
}

interface Outcome {
  readonly code: number | null
  readonly stderr: string
}

function outcome(child: ReturnType<typeof spawn>): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    let stderr = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.once('error', (error) => {
      const code = codeOf(error) === 'ENOENT' ? 'noFusermount' : 'failed'
      reject(new KernelMountError(code, `${fusermount} cannot be run`, { cause: error }))
    })
    child.once('close', (code) => resolve({ code, stderr: stderr.trim() }))
  })
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
