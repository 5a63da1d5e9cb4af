/**
 * The bytes of one content, from the start as far as they have come: in memory while they are few, else in a
 * file. Layer: cache.
 *
 * Invariant: bytes that were handed out once never change: a download that had to begin again is compared
 * with what is here, and only what nobody has seen may be replaced.
 */
import { constants, copyFileSync, existsSync, readSync, write, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { ServiceError } from '../client/errors.ts'
import { inDirectory } from './disk-store.ts'
import type { OpenFiles } from './open-files.ts'

/** A download that had to begin again brought other bytes than somebody was given. */
export class ContentChanged extends ServiceError {
  constructor(label: string) {
    super('truncated', `read ${label}: it changed while it was being read`)
  }
}

const nothing = new Uint8Array(0)
const writeLater = promisify(write)

/** So much of a content is kept in memory: making a file for it would take longer than bringing it. */
export const smallBytes = 64 * 1024

export class ContentFile {
  /** Bytes that are here, from the start. */
  received = 0
  readonly #openFiles: OpenFiles
  readonly #label: string
  readonly #expected: number
  #path: string
  /** The bytes, with room for more; undefined when they are in the file. */
  #memory: Uint8Array | undefined = nothing
  #isOnDisk = false
  #isGone = false
  #handedOut = 0
  #flags = constants.O_RDWR | constants.O_CREAT
  #placing: Promise<void> = Promise.resolve()

  /** `path` does not exist yet; `expected` is the likely size in bytes, `label` names the content in messages. */
  constructor(path: string, openFiles: OpenFiles, expected: number, label: string) {
    this.#path = path
    this.#openFiles = openFiles
    this.#expected = expected
    this.#label = label
  }

  get path(): string {
    return this.#path
  }

  get isOnDisk(): boolean {
    return this.#isOnDisk
  }

  get isInMemory(): boolean {
    return this.#memory !== undefined
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
    if (this.#memory !== undefined) return this.#memory.subarray(offset, offset + wanted)
    const bytes = Buffer.allocUnsafe(wanted)
    const descriptor = this.#open()
    let filled = 0
    while (filled < wanted) {
      const count = readSync(descriptor, bytes, filled, wanted - filled, offset + filled)
      if (count === 0) throw new Error(`${this.#path} is shorter than it was`)
      filled += count
    }
    return bytes
  }

  /** All of it is about to be shown to somebody by its path. */
  handOutWhole(): void {
    const descriptor = this.#open()
    for (let at = 0; this.#memory !== undefined && at < this.received;)
      at += writeSync(descriptor, this.#memory, at, this.received - at, at)
    this.#memory = undefined
    this.#handedOut = this.received
    if (existsSync(this.#path)) return
    /* somebody has removed the name, and the bytes are still there */
    const again = (): void => copyFileSync(`/proc/self/fd/${descriptor}`, this.#path)
    inDirectory(this.#path, again)
  }

  /** Moves it from memory to the file. */
  async spill(): Promise<void> {
    if (this.#memory === undefined) return
    await this.#write(this.#memory.subarray(0, this.received), 0)
    this.#memory = undefined
  }

  /**
   * Puts a piece of a download into its place, or finds it there. Waits for what an ended download still
   * writes. Throws `ContentChanged` if it contradicts.
   */
  place(piece: Uint8Array, position: number): Promise<void> {
    const before = this.#placing
    this.#placing = before.catch(() => undefined).then(() => this.#place(piece, position))
    return this.#placing
  }

  async #place(piece: Uint8Array, position: number): Promise<void> {
    if (this.#isGone) return
    const same = commonPrefix(this.peek(position, piece.length), piece)
    const start = position + same
    if (start < this.received && same < piece.length) this.cut(start)
    const rest = piece.subarray(same)
    if (this.#memory !== undefined && start + rest.length <= smallBytes)
      this.#remember(this.#memory, rest, start)
    else {
      await this.spill()
      await this.#write(rest, start)
    }
    this.received = Math.max(this.received, position + piece.length)
  }

  /** What was received from `size` on is not true. Throws if somebody was given some of it. */
  cut(size: number): void {
    if (size < this.#handedOut) throw new ContentChanged(this.#label)
    this.received = Math.min(this.received, size)
  }

  /** From now on the bytes are others, or those of another file, which agree with all that is here. */
  replace(bytes: Uint8Array | string, size: number): void {
    this.close()
    this.received = size
    this.#isOnDisk = typeof bytes === 'string'
    if (typeof bytes !== 'string') {
      this.#memory = onItsOwn(bytes)
      return
    }
    this.#path = bytes
    this.#flags = constants.O_RDONLY
    this.#memory = undefined
  }

  /** Gives the descriptor back; a later read opens it again. */
  close(): void {
    this.#openFiles.close(this.#path)
  }

  /** Nothing is written any more, and the caller removes what is on the disk. */
  abandon(): void {
    this.#isGone = true
    this.close()
  }

  /** Whether the bytes are to be had: false when somebody has removed the file. They are from here on, until `close`. */
  secure(): boolean {
    if (this.#memory !== undefined) return true
    try {
      this.#open()
      return true
    } catch {
      return false
    }
  }

  /** To be used at once: what is opened next may close it. */
  #open(): number {
    const descriptor = inDirectory(this.#path, () => this.#openFiles.use(this.#path, this.#openFlags))
    this.#isOnDisk = true
    return descriptor
  }

  get #openFlags(): number {
    /* an empty one in its place would be another content */
    return this.#isOnDisk ? this.#flags & ~constants.O_CREAT : this.#flags
  }

  #remember(memory: Uint8Array, bytes: Uint8Array, position: number): void {
    const end = position + bytes.length
    let room = memory
    if (room.length < end) {
      room = Buffer.allocUnsafeSlow(Math.min(smallBytes, Math.max(end, this.#expected)))
      room.set(memory.subarray(0, position))
    }
    room.set(bytes, position)
    this.#memory = room
  }

  async #write(bytes: Uint8Array, position: number): Promise<void> {
    this.#open()
    await this.#openFiles.lend(this.#path, this.#openFlags, async (descriptor) => {
      for (let written = 0; written < bytes.length;) {
        const left = bytes.length - written
        const { bytesWritten } = await writeLater(descriptor, bytes, written, left, position + written)
        written += bytesWritten
      }
    })
  }
}

/** Small buffers are cut from a slab of 64 KiB, which is in memory as long as one of them is kept. */
function onItsOwn(bytes: Uint8Array): Uint8Array {
  if (bytes.buffer.byteLength === bytes.length) return bytes
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}

/** The number of leading bytes that are the same. */
function commonPrefix(one: Uint8Array, other: Uint8Array): number {
  const length = Math.min(one.length, other.length)
  if (Buffer.compare(one.subarray(0, length), other.subarray(0, length)) === 0) return length
  let same = 0
  while (one[same] === other[same]) same += 1
  return same
}
