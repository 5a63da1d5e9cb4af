/**
 * What is done on a mounted directory, one step each. Layer: cli.
 *
 * Invariant: system calls only, whose errno is the caller's to tell; what was opened here is closed here.
 */
import * as fs from 'node:fs/promises'
import { ServiceError } from '../client/errors.ts'
import type { RemoteEntry, UploadSource } from '../client/session-files.ts'

export const pieceBytes = 256 * 1024

/** Undefined when it has gone meanwhile. */
export async function entryOf(directory: string, name: string): Promise<RemoteEntry | undefined> {
  const found = await fs.lstat(`${directory}/${name}`).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  })
  if (found === undefined) return undefined
  const isDirectory = found.isDirectory()
  return {
    name,
    isDirectory,
    size: isDirectory ? 0 : found.size,
    modifiedSeconds: Math.floor(found.mtimeMs / 1000),
  }
}

export async function writeAll(
  what: string,
  file: string,
  source: UploadSource,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (source instanceof Uint8Array) {
    await fs.writeFile(file, source, { flag: 'wx', signal })
    return
  }
  const from = await fs.open(source.file, 'r').catch((error: unknown) => {
    throw new ServiceError('local', `${what}: ${source.file} cannot be read here: ${String(error)}`, {
      cause: error,
    })
  })
  let to
  try {
    to = await fs.open(file, 'wx')
    const buffer = Buffer.allocUnsafe(pieceBytes)
    for (let position = 0; position < source.size;) {
      signal?.throwIfAborted()
      const most = Math.min(buffer.length, source.size - position)
      const { bytesRead } = await from.read(buffer, 0, most, position)
      if (bytesRead === 0) {
        const remedy = 'it is shorter than it was: try again when it is complete'
        throw new ServiceError('bad_request', `${what}: ${source.file}: ${remedy}`)
      }
      await to.writeFile(buffer.subarray(0, bytesRead))
      position += bytesRead
    }
  } finally {
    await to?.close()
    await from.close()
  }
}

/** As the kernel's mount table writes it; the numbers are packed as makedev(3) does. */
export function deviceName(device: number): string {
  const major = (device >>> 8) & 0xfff
  const minor = (device & 0xff) | ((device >>> 12) & 0xfff00)
  return `${major}:${minor}`
}

/** Nothing hangs on when a file is closed that was only read. */
export function closeLater(file: fs.FileHandle): void {
  void file.close().catch(() => undefined)
}

export function unlessAborted<T>(called: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return called
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    called.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
