/**
 * The bytes of one content on the local disk, from the start as far as they have come. Layer: cache.
 *
 * Invariant: bytes that were handed out once never change: a download that had to begin again is compared
 * with what is here, and only what nobody has seen may be replaced.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { ServiceError } from '../client/errors.ts'

/** A download that had to begin again brought other bytes than somebody was given. */
export class ContentChanged extends ServiceError {
  constructor(label: string) {
    super('truncated', `read ${label}: it changed while it was being read`)
  }
}

const nothing = new Uint8Array(0)

export class ContentFile {
  /** Bytes that are here, from the start. */
  received: number
  readonly #label: string
  #path: string
  #handedOut = 0
  #descriptor: number | undefined
  #placing: Promise<void> = Promise.resolve()

  /** `path` need not exist until `create`; `label` names the content in messages. */
  constructor(path: string, received: number, label: string) {
    this.#path = path
    this.received = received
    this.#label = label
  }

  get path(): string {
    return this.#path
  }

  /** The bytes of a range that are here. */
  read(offset: number, length: number): Uint8Array {
    const bytes = this.peek(offset, length)
    this.#handedOut = Math.max(this.#handedOut, offset + bytes.length)
    return bytes
  }

  /** The same, for a comparison: nobody is shown them. */
  peek(offset: number, length: number): Uint8Array {
    const wanted = Math.min(length, this.received - offset)
    if (wanted <= 0) return nothing
    const bytes = Buffer.allocUnsafe(wanted)
    this.#descriptor ??= openSync(this.#path, 'r')
    let filled = 0
    while (filled < wanted) {
      const count = readSync(this.#descriptor, bytes, filled, wanted - filled, offset + filled)
      if (count === 0) throw new Error(`${this.#path} is shorter than it was`)
      filled += count
    }
    return bytes
  }

  /** All of it is about to be shown to somebody by its path. */
  handOutWhole(): void {
    if (this.received === 0) this.create()
    this.#handedOut = this.received
  }

  /** Makes the file where it is not there yet. */
  create(): void {
    closeSync(openSync(this.#path, 'a', 0o600))
  }

  /** For a download to write through; the caller closes it. Waits for what an ended download still writes. */
  async openForWriting(): Promise<FileHandle> {
    await this.#placing.catch(() => undefined)
    return open(this.#path, 'r+')
  }

  /** Puts a piece of a download into its place, or finds it there. Throws `ContentChanged` if it contradicts. */
  place(file: FileHandle, piece: Uint8Array, position: number): Promise<void> {
    this.#placing = this.#place(file, piece, position)
    return this.#placing
  }

  async #place(file: FileHandle, piece: Uint8Array, position: number): Promise<void> {
    const same = await this.#agreement(file, piece, position)
    const start = position + same
    if (start < this.received && same < piece.length) this.cut(start)
    if (same < piece.length) await writeAll(file, piece.subarray(same), start)
    this.received = Math.max(this.received, position + piece.length)
  }

  /** What was received from `size` on is not true. Throws if somebody was given some of it. */
  cut(size: number): void {
    if (size < this.#handedOut) throw new ContentChanged(this.#label)
    this.received = Math.min(this.received, size)
  }

  /** From now on the bytes are those of another file, which agrees with all that is here. */
  replace(path: string, size: number): void {
    this.close()
    this.#path = path
    this.received = size
  }

  /** Gives the descriptor back; a later read opens it again. */
  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor)
    this.#descriptor = undefined
  }

  /** How many bytes of the piece are here already. */
  async #agreement(file: FileHandle, piece: Uint8Array, position: number): Promise<number> {
    const known = Math.min(piece.length, this.received - position)
    if (known <= 0) return 0
    const here = Buffer.allocUnsafe(known)
    const { bytesRead } = await file.read(here, 0, known, position)
    return commonPrefix(here.subarray(0, bytesRead), piece.subarray(0, known))
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let written = 0
  while (written < bytes.length) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, position + written)
    written += bytesWritten
  }
}

/** The number of leading bytes that are the same. */
function commonPrefix(one: Uint8Array, other: Uint8Array): number {
  const length = Math.min(one.length, other.length)
  if (Buffer.compare(one.subarray(0, length), other.subarray(0, length)) === 0) return length
  let same = 0
  while (one[same] === other[same]) same += 1
  return same
}
