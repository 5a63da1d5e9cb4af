/**
 * The body of an upload: bytes, a stream of known length, or a local file. Layer: client.
 *
 * Invariant: exactly `size` bytes are sent, in pieces, so that progress is seen and a file is never wholly
 * in memory; a source that turns out shorter or longer fails the call instead.
 */
import { open } from 'node:fs/promises'
import { ServiceError } from './errors.ts'
import type { UploadSource } from './session-files.ts'

const pieceBytes = 256 * 1024

/** A stream of exactly `size` bytes; it is read once, so a call with it is not repeated once it was begun. */
export interface UploadStream {
  readonly stream: AsyncIterable<Uint8Array>
  readonly size: number
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

/** Before a byte is sent: a local file that is too short is no upload at all. Fails with `bad_request`. */
export async function checkSource(what: string, source: UploadSource | UploadStream): Promise<void> {
  if (source instanceof Uint8Array || 'stream' in source) return
  await using handle = await openSource(what, source.file)
  const { size } = await handle.stat()
  if (size < source.size) throw wrongLength(what, `${source.file} has ${size} bytes`, source.size)
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
    const { bytesRead } = await handle.read(piece, 0, piece.length, offset)
    if (bytesRead === 0) throw wrongLength(what, `${file} ended after ${offset} bytes`, size)
    offset += bytesRead
    yield piece.subarray(0, bytesRead)
  }
}

async function* exactly(
  what: string,
  stream: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array> {
  let sent = 0
  for await (const piece of stream) {
    sent += piece.length
    if (sent > size) throw wrongLength(what, `the stream has more than ${size} bytes`, size)
    if (piece.length > 0) yield piece
  }
  if (sent < size) throw wrongLength(what, `the stream ended after ${sent} bytes`, size)
}

async function openSource(what: string, file: string): ReturnType<typeof open> {
  try {
    return await open(file)
  } catch (cause) {
    throw new ServiceError('bad_request', `${what}: the local file ${file} cannot be read`, { cause })
  }
}

function wrongLength(what: string, found: string, size: number): ServiceError {
  return new ServiceError('bad_request', `${what}: ${found}, not the ${size} that were announced`)
}
