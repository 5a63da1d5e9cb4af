/**
 * The body of an upload: bytes, a stream of known length, or a local file. Layer: client.
 *
 * Invariant: exactly `size` bytes are sent, in pieces, so that progress is seen and a file is never wholly
 * in memory; a source that turns out shorter or longer fails the call instead.
 */
import { open, stat } from 'node:fs/promises'
import { ServiceError } from './errors.ts'
import type { UploadSource } from './session-files.ts'

const pieceBytes = 256 * 1024

/** A stream of exactly `size` bytes; it is read once, so a call with it is not repeated once it was begun. */
export interface UploadStream {
  readonly stream: AsyncIterable<Uint8Array>
  readonly size: number
}

/** A local file as large as it is when the upload begins, streamed; what is appended meanwhile stays behind. */
export interface UploadFile {
  readonly file: string
  readonly size?: undefined
}

export interface RequestBody {
  readonly contentType: string
  readonly size: number
  /** Whether `pieces` may be called (again). */
  canBegin(): boolean
  /** All of it, where it is at hand and no larger than a piece: cheaper to send than a stream. */
  readonly whole?: Uint8Array | undefined
  pieces(): AsyncIterable<Uint8Array>
}

export function jsonBody(value: unknown, contentType = 'application/json'): RequestBody {
  return bytesBody(Buffer.from(JSON.stringify(value)), contentType)
}

export function uploadBody(what: string, source: UploadSource | UploadStream): RequestBody {
  const contentType = 'application/octet-stream'
  if (source instanceof Uint8Array) return bytesBody(source, contentType)
  const { size } = source
  if ('file' in source) {
    const pieces = (): AsyncIterable<Uint8Array> => filePieces(what, source.file, size)
    return { contentType, size, canBegin: () => true, pieces }
  }
  let begun = false
  return {
    contentType,
    size,
    canBegin: () => !begun,
    pieces: () => {
      begun = true
      return exactly(what, source.stream, size)
    },
  }
}

/**
 * The source with its size, before a byte is sent. Fails with `too_large` above `maxBytes`, with `bad_request`
 * for a directory, a pipe or a local file that is too short, with `local` where this machine is at its limits.
 */
export async function measureSource(
  what: string,
  source: UploadSource | UploadStream | UploadFile,
  maxBytes: number,
): Promise<{ readonly source: UploadSource | UploadStream; readonly size: number }> {
  const withinLimit = (size: number): number => {
    if (size <= maxBytes) return size
    throw new ServiceError('too_large', `${what}: ${size} bytes are over the limit of ${maxBytes}`)
  }
  if (source instanceof Uint8Array) return { source, size: withinLimit(source.length) }
  if ('stream' in source) return { source, size: withinLimit(source.size) }
  const { file } = source
  const announced = source.size === undefined ? undefined : withinLimit(source.size)
  // not opened for this: of a FIFO that would wait for a writer
  const found = await stat(file).catch((cause: unknown) => {
    throw localError(what, file, cause)
  })
  if (!found.isFile()) throw new ServiceError('bad_request', `${what}: ${file} is not a regular file`)
  await (await openSource(what, file)).close()
  const size = announced ?? withinLimit(found.size)
  if (found.size < size) throw wrongLength(what, `${file} has ${found.size} bytes`, size)
  return { source: { file, size }, size }
}

function bytesBody(bytes: Uint8Array, contentType: string): RequestBody {
  const whole = bytes.length <= pieceBytes ? bytes : undefined
  return { contentType, size: bytes.length, canBegin: () => true, whole, pieces: () => slices(bytes) }
}

// An async generator without awaiting: the transport reads all bodies alike.
// eslint-disable-next-line @typescript-eslint/require-await
async function* slices(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += pieceBytes)
    yield bytes.subarray(offset, offset + pieceBytes)
}

async function* filePieces(what: string, file: string, size: number): AsyncGenerator<Uint8Array> {
  await using handle = await openSource(what, file)
  let offset = 0
  while (offset < size) {
    const piece = Buffer.allocUnsafe(Math.min(pieceBytes, size - offset))
    const { bytesRead } = await handle.read(piece, 0, piece.length, offset).catch((cause: unknown) => {
      throw localError(what, file, cause)
    })
    if (bytesRead === 0) throw wrongLength(what, `${file} ended after ${offset} bytes`, size)
    offset += bytesRead
    // closed before the last piece goes: the answer to it finds the request at its end
    if (offset === size) await handle.close()
    yield piece.subarray(0, bytesRead)
  }
}

async function* exactly(
  what: string,
  stream: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array> {
  let sent = 0
  const pieces = stream[Symbol.asyncIterator]()
  let isOver = false
  try {
    for (;;) {
      const next = await pieces.next().catch((cause: unknown) => {
        isOver = true
        throw localError(what, 'the stream', cause)
      })
      isOver = next.done === true
      if (next.done === true) break
      sent += next.value.length
      if (sent > size) throw wrongLength(what, `the stream has more than ${size} bytes`, size)
      if (next.value.length > 0) yield next.value
    }
  } finally {
    if (!isOver) await pieces.return?.()
  }
  if (sent < size) throw wrongLength(what, `the stream ended after ${sent} bytes`, size)
}

async function openSource(what: string, file: string): ReturnType<typeof open> {
  try {
    return await open(file)
  } catch (cause) {
    throw localError(what, file, cause)
  }
}

/** What a path is at fault for itself; all else (descriptors, memory, the disk) may pass. */
const faultsOfThePath: ReadonlySet<unknown> = new Set([
  'ENOENT',
  'ENOTDIR',
  'EACCES',
  'EPERM',
  'EISDIR',
  'ELOOP',
  'ENAMETOOLONG',
])

function localError(what: string, source: string, cause: unknown): ServiceError {
  if (cause instanceof ServiceError) return cause
  const code: unknown = cause instanceof Error && 'code' in cause ? cause.code : undefined
  const message = `${what}: ${source} cannot be read here${typeof code === 'string' ? ` (${code})` : ''}`
  return new ServiceError(faultsOfThePath.has(code) ? 'bad_request' : 'local', message, { cause })
}

function wrongLength(what: string, found: string, size: number): ServiceError {
  return new ServiceError('bad_request', `${what}: ${found}, not the ${size} that were announced`)
}
