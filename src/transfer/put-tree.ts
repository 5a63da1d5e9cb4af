/**
 * From this machine to a session: a file, or a directory with all below it. Layer: transfer.
 *
 * Invariant: everything is looked at before anything is sent, and nothing is sent while a file is over the service's
 * limit. A file that changes while it is sent is sent again, and is an error if it does so again.
 */
import { stat } from 'node:fs/promises'
import PQueue from 'p-queue'
import { markerName } from '../client/directory-marker.ts'
import { ServiceError } from '../client/errors.ts'
import type { SessionFiles } from '../client/session-files.ts'
import { defaultValues } from '../options/table.ts'
import { joinPath } from '../remote-path.ts'
import { type LocalFile, lookAtLocal } from './local-tree.ts'
import { TransferError } from './transfer-error.ts'
import { endsAll, exclusion, Tally, type TransferOptions, type TransferResult } from './transfer.ts'

const uploadsAtOnce = 64

export interface PutOptions extends TransferOptions {
  /** Bytes of the largest file. Default 52,428,800. */
  readonly maxFileBytes?: number | undefined
}

function overLimit(files: readonly LocalFile[], limit: number): TransferError {
  const [first, ...more] = files
  const others = more.length === 0 ? '' : ` and ${more.length} more`
  return new TransferError(
    'too_large',
    files.map(({ localPath }) => localPath),
    `${first?.localPath ?? ''}${others}: over the ${limit} bytes that the service takes, nothing was sent: leave such files out with --exclude`,
  )
}

/**
 * Copies a file or a directory to `remotePath` (`''`: the session's home, for a directory alone); what is there and not here
 * stays. The service makes the directories above. Times and modes do not travel, symbolic links are followed.
 * Rejects with `TransferError` `too_large` for a file over the limit.
 */
export async function putTree(
  files: SessionFiles,
  localPath: string,
  remotePath: string,
  options: PutOptions = {},
): Promise<TransferResult> {
  return putTrees(files, [{ localPath, remotePath }], options)
}

/** Several of them as one: all are looked at before anything is sent. */
export async function putTrees(
  files: SessionFiles,
  sources: readonly { readonly localPath: string; readonly remotePath: string }[],
  options: PutOptions = {},
): Promise<TransferResult> {
  const { maxFileBytes = defaultValues().maxFileBytes, dryRun, concurrency = uploadsAtOnce } = options
  const tally = new Tally(options)
  const trees = await Promise.all(
    sources.map(({ localPath, remotePath }) =>
      lookAtLocal(localPath, remotePath, exclusion(options.exclude)).catch((error: unknown) => {
        tally.failed(localPath, error)
        return { files: [], empty: [], failures: [] }
      }),
    ),
  )
  const found = trees.flatMap((tree) => tree.files)
  const tooLarge = found.filter(({ size }) => size > maxFileBytes)
  if (tooLarge.length > 0) throw overLimit(tooLarge, maxFileBytes)
  for (const { path, error } of trees.flatMap((tree) => tree.failures)) tally.failed(path, error)
  for (const { size } of found) tally.found(size)
  const ending = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, ending.signal]) : ending.signal
  const queue = new PQueue({ concurrency })
  const attempt = async (path: string, work: () => Promise<void>): Promise<void> => {
    try {
      /* without a signal of the queue: what is under way is waited for when it is ended, too */
      await queue.add(() => {
        signal.throwIfAborted()
        return work()
      })
    } catch (error) {
      if (signal.aborted) return
      if (endsAll(error)) ending.abort(error)
      else tally.failed(path, error)
    }
  }
  const send = async (file: LocalFile): Promise<void> => {
    if (dryRun === true) tally.moved(file.size)
    else await sendFile(files, file, signal, (bytes) => tally.moved(bytes))
    tally.done(file)
  }
  const make = async (path: string): Promise<void> => {
    if (dryRun !== true) await makeDirectory(files, path, signal)
    tally.directories += 1
  }
  await Promise.all([
    ...found.map((file) => attempt(file.localPath, () => send(file))),
    ...trees.flatMap(({ empty }) => empty.map((path) => attempt(path, () => make(path)))),
  ])
  options.signal?.throwIfAborted()
  if (ending.signal.aborted) throw ending.signal.reason as Error
  return tally.result()
}

async function sendFile(
  files: SessionFiles,
  { localPath, remotePath }: LocalFile,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const before = await stat(localPath)
    let sent = 0
    const onProgress = (bytes: number): void => {
      sent += bytes
      onBytes(bytes)
    }
    try {
      await files.upload(remotePath, { file: localPath, size: before.size }, { signal, onProgress })
    } catch (error) {
      onBytes(-sent)
      throw error
    }
    /* the service may have been sent a piece twice, or none of it was told */
    onBytes(before.size - sent)
    const after = await stat(localPath)
    if (after.size === before.size && after.mtimeMs === before.mtimeMs) return
    onBytes(-before.size)
    if (attempt === 2)
      throw new TransferError(
        'changing',
        [localPath],
        `${localPath}: it changes while it is sent: try again when it is written`,
      )
  }
}

async function makeDirectory(files: SessionFiles, path: string, signal: AbortSignal): Promise<void> {
  try {
    await files.makeDirectory(path, { signal })
  } catch (error) {
    if (!(error instanceof ServiceError) || error.code !== 'unsupported') throw error
    const marker = joinPath(path, markerName)
    await files.upload(marker, new Uint8Array(), { signal })
    await files.remove(marker, { signal })
  }
}
