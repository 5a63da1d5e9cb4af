/**
 * What of this machine is to be sent: a file, or a directory with all below it, looked at before anything is sent.
 * Layer: transfer.
 *
 * Invariant: symbolic links are followed, as scp(1) does, and a loop of them is a failure, not an endless tree; what
 * is neither file nor directory is a failure.
 */
import { readdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isUtf8 } from 'node:buffer'
import { joinPath } from '../remote-path.ts'
import { TransferError } from './transfer-error.ts'
import type { TransferFailure } from './transfer.ts'

export interface LocalFile {
  readonly localPath: string
  readonly remotePath: string
  readonly size: number
}

export interface LocalTree {
  readonly files: readonly LocalFile[]
  /** Directories without anything in them that is sent, by their paths in the session. */
  readonly empty: readonly string[]
  readonly failures: readonly TransferFailure[]
}

const longestName = 255

/** Looks at everything at and below `localPath`, which is to become `remotePath`. Throws when that itself is not there. */
export async function lookAtLocal(
  localPath: string,
  remotePath: string,
  isExcluded: (path: string, isDirectory: boolean) => boolean,
): Promise<LocalTree> {
  const files: LocalFile[] = []
  const empty: string[] = []
  const failures: TransferFailure[] = []
  const fail = (path: string, error: unknown): void => {
    failures.push({ path, error: error instanceof Error ? error : new Error(String(error)) })
  }

  /** Whether anything of it is sent. */
  const visit = async (local: string, fromRoot: string, above: readonly string[]): Promise<boolean> => {
    const found = await stat(local)
    const remote = fromRoot === '' ? remotePath : joinPath(remotePath, fromRoot)
    if (found.isFile()) {
      files.push({ localPath: local, remotePath: remote, size: found.size })
      return true
    }
    if (!found.isDirectory())
      throw new TransferError('not_a_file', [local], `${local}: it must be a file or a directory to be sent`)
    const real = await realpath(local)
    if (above.includes(real))
      throw new TransferError(
        'not_a_file',
        [local],
        `${local}: it leads back to ${real}: leave it out with --exclude`,
      )
    const names = await readdir(local, { encoding: 'buffer' })
    let isSent = false
    for (const bytes of names) {
      const name = bytes.toString()
      const path = join(local, name)
      try {
        if (!isUtf8(bytes))
          throw new TransferError('bad_name', [path], `${path}: its name is not UTF-8: rename it`)
        const below = joinPath(fromRoot, name)
        const isDirectory = (await stat(path)).isDirectory()
        if (isExcluded(below, isDirectory)) continue
        if (bytes.length > longestName)
          throw new TransferError(
            'bad_name',
            [path],
            `${path}: its name must be ${longestName} bytes at most`,
          )
        if (await visit(path, below, [...above, real])) isSent = true
      } catch (error) {
        fail(path, error)
        isSent = true
      }
    }
    if (!isSent && remote !== '') empty.push(remote)
    return true
  }
  await visit(localPath, '', [])
  return { files, empty, failures }
}
