/**
 * Whether what the service shows under a name is an upload of ours whose end we never learned.
 * Layer: write-back.
 *
 * Invariant: told by the bytes: the whole of an attempt by its hash, one that was cut short by its beginning,
 * which the spool keeps as long as the attempt may matter. Nothing is downloaded unless its size allows it.
 */
import { createHash } from 'node:crypto'
import { ServiceError } from '../../client/errors.ts'
import type { RemoteEntry } from '../../client/session-files.ts'
import type { PathRecord, UploadAttempt } from '../record.ts'
import type { CallParts } from './call-parts.ts'

/** As `isOwnUpload`; what has gone since it was listed is nobody's. */
export async function isOwnOrGone(...given: Parameters<typeof isOwnUpload>): Promise<boolean> {
  try {
    return await isOwnUpload(...given)
  } catch (error) {
    if (error instanceof ServiceError && error.code === 'not_found') return true
    throw error
  }
}

/**
 * Whether `listed` is one of the attempts, or the beginning of one, and not the whole of `current`.
 * Throws `ServiceError`.
 */
export async function isOwnUpload(
  record: PathRecord,
  listed: RemoteEntry,
  attempts: readonly UploadAttempt[],
  { files, spool, signal, onProgress }: CallParts,
  current?: UploadAttempt,
): Promise<boolean> {
  if (!attempts.some(({ size }) => size >= listed.size)) return false
  // by what is there now, which may be another attempt than the one that was listed
  let begun = attempts.filter(({ generation }) => spool.has(generation))
  const hash = createHash('sha256')
  const { body } = await files.download(record.path, { signal, retry: false })
  let offset = 0
  for await (const piece of body) {
    hash.update(piece)
    onProgress(record)
    const at = offset
    begun = begun.filter(
      ({ generation }) => Buffer.compare(piece, spool.read(generation, at, piece.length)) === 0,
    )
    offset += piece.length
  }
  const sha256 = hash.digest('hex')
  if (sha256 === current?.sha256) return false
  return begun.length > 0 || attempts.some((attempt) => attempt.sha256 === sha256)
}
