/**
 * fusermount3, which mounts and unmounts for root and for everybody else alike. Layer: fuse.
 *
 * Invariant: a failure is a `KernelMountError` whose code is found out by looking at the machine, never by
 * reading what fusermount3 prints. Loads nothing native, so that commands can unmount.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { mountAt } from './mount-table.ts'

export type KernelMountCode =
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

const program = 'fusermount3'

export interface Outcome {
  readonly code: number | null
  readonly stderr: string
}

export interface FusermountRun {
  readonly child: ChildProcess
  /** How it ended; rejects with `noFusermount` when there is none. */
  readonly ended: Promise<Outcome>
}

/** Runs it with these arguments; `socket` becomes its descriptor 3, over which it hands back a mounted one. */
export function runFusermount(args: readonly string[], socket?: number): FusermountRun {
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'pipe', ...(socket === undefined ? [] : [socket])],
    env: socket === undefined ? process.env : { ...process.env, _FUSE_COMMFD: '3' },
  })
  const ended = new Promise<Outcome>((resolve, reject) => {
    let stderr = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.once('error', (error: NodeJS.ErrnoException) => {
      const code = error.code === 'ENOENT' ? 'noFusermount' : 'failed'
      reject(new KernelMountError(code, `${program} cannot be run`, { cause: error }))
    })
    child.once('close', (code) => resolve({ code, stderr: stderr.trim() }))
  })
  ended.catch(() => undefined)
  return { child, ended }
}

/**
 * Takes the mount away. `lazy` detaches it from the tree at once, even while it is used or its daemon is dead;
 * it ends when the last user is gone. `directory` is absolute and without symbolic links.
 */
export async function unmountKernel(directory: string, options: { readonly lazy: boolean }): Promise<void> {
  const before = mountAt(directory)
  if (before === undefined) throw new KernelMountError('notMounted', `nothing is mounted at ${directory}`)
  const { code, stderr } = await runFusermount([options.lazy ? '-uz' : '-u', '--', directory]).ended
  if (code === 0) return
  const after = mountAt(directory)
  if (after?.device !== before.device) return // somebody else was faster
  const mine = process.getuid?.() === 0 || before.options.includes(`user_id=${process.getuid?.()}`)
  if (mine && !options.lazy) throw new KernelMountError('busy', `${directory} is in use`)
  throw new KernelMountError('failed', stderr || `${directory} could not be unmounted`)
}
