/**
 * Whether what the service shows under a name is an upload of ours whose end we never learned.
 * Layer: write-back.
 *
 * Invariant: told by the bytes: the whole of an attempt by its hash, one that was cut short by its beginning,
 * which the spool keeps as long as the attempt may matter. Nothing is downloaded unless a size allows it.
 */
import { createHash } from 'node:crypto'
import type { RemoteEntry, SessionFiles } from '../client/session-files.ts'
import type { Attempt, PathRecord } from './record.ts'
import type { Spool } from './spool.ts'

export interface OwnUploadsOptions {
  readonly files: SessionFiles
  readonly spool: Spool
  readonly signal: AbortSignal
}

/** Whether `listed` is one of the attempts, or the beginning of one. Throws `ServiceError`. */
export async function isOwnUpload(
  record: PathRecord,
  listed: RemoteEntry,
  attempts: readonly Attempt[],
  { files, spool, signal }: OwnUploadsOptions,
): Promise<boolean> {
  const whole = attempts.filter((attempt) => attempt.size === listed.size)
  let begun = attempts.filter(({ size, generation }) => size > listed.size && spool.has(generation))
  if (whole.length === 0 && begun.length === 0) return false
  const hash = createHash('sha256')
  const { body } = await files.download(record.path, { signal, retry: false })
  let offset = 0
  for await (const piece of body) {
    hash.update(piece)
    const at = offset
    begun = begun.filter(
      ({ generation }) => Buffer.compare(piece, spool.read(generation, at, piece.length)) === 0,
    )
    offset += piece.length
  }
  if (begun.length > 0) return true
  const sha256 = hash.digest('hex')
  return whole.some((attempt) => attempt.sha256 === sha256)
}
