/**
 * One attempt to bring a content to the local disk: a request, its bytes, a watch over their coming. Layer: cache.
 *
 * Invariant: an attempt that was ended touches nothing any more, whatever its request still does.
 */
import type { Clock } from '../clock.ts'
import { ServiceError } from '../client/errors.ts'
import type { SessionFiles } from '../client/session-files.ts'
import { type ContentFile, smallBytes } from './content-file.ts'
import type { Provenance } from './content-proof.ts'
import { diskError } from './disk-store.ts'

export interface AttemptOptions {
  readonly path: string
  readonly files: SessionFiles
  readonly clock: Clock
  readonly file: ContentFile
  /** Bytes, as listed. */
  readonly listedBytes: number
  readonly priority: number
  /** So long without a byte ends the attempt, in milliseconds. */
  readonly stallMs: number
  /** Makes room on the disk for so many bytes, or throws. */
  readonly makeRoom: (bytes: number) => Promise<void>
  /**
   * More than the listed bytes have come of a body that does not say its length: what a newer listing says of it, in
   * bytes.
   */
  readonly onMore: () => Promise<number>
  /** A piece has come and is not yet on the disk; `here` is how many bytes came before it. */
  readonly onPiece: (piece: Uint8Array, here: number) => void
  /** The file has more bytes. */
  readonly onProgress: () => void
  readonly onStall: () => void
}

/** What a body that came to its end says of its content. */
export type Received = Pick<Provenance, 'size' | 'begunOrder' | 'knownAt' | 'serverDateMs'>

/**
 * So much more than two listings say is taken of a body that does not say its length: somebody may be writing to the
 * file. One that goes on after that has no end.
 */
const endlessBytes = 1024 * 1024

/** Room is made for so many bytes at a time where the length is not known, and looked after every so many. */
const roomBytes = 16 * 1024 * 1024

export class DownloadAttempt {
  readonly #options: AttemptOptions
  readonly #controller = new AbortController()
  #cancelWatch: (() => void) | undefined
  #ended = false
  /** Bytes that this attempt has brought so far, and how many there will be, where the service says. */
  position = 0
  length: number | undefined

  constructor(options: AttemptOptions) {
    this.#options = options
  }

  get ended(): boolean {
    return this.#ended
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** It has come to its end by itself. */
  finish(): void {
    this.#ended = true
    this.#cancelWatch?.()
  }

  /** Ends it while it is under way: the request is aborted. */
  end(): void {
    if (this.#ended) return
    this.finish()
    this.#controller.abort()
  }

  /** Counts the stall limit anew. */
  watch(): void {
    this.#cancelWatch?.()
    this.#cancelWatch = this.#options.clock.after(this.#options.stallMs, this.#options.onStall)
  }

  /** Downloads from the start to the end. Rejects with a `ServiceError` or a `CacheDiskError`. */
  async transfer(): Promise<Received> {
    const { path, files, clock, file, listedBytes, priority, makeRoom, onPiece, onProgress } = this.#options
    this.watch()
    this.position = 0
    const begunOrder = clock.order()
    const { length, serverDateMs, body } = await files.download(path, {
      signal: this.signal,
      priority,
      expectedBytes: listedBytes,
    })
    const knownAt = clock.now()
    this.#check()
    this.length = length
    let size = listedBytes
    let bound = length === undefined ? size : Infinity
    let room = Math.max(file.received, smallBytes)
    for await (const piece of body) {
      this.#check()
      this.watch()
      if (this.position + piece.length > bound && bound === size) {
        size = Math.max(size, await this.#options.onMore())
        bound = size + endlessBytes
        this.#check()
      }
      if (this.position + piece.length > bound) {
        /* the listings are two answers that agree, and the body gives none */
        file.cut(size)
        return { size, begunOrder, knownAt, serverDateMs }
      }
      onPiece(piece, this.position)
      while (this.position + piece.length > room) {
        const more = Math.min(roomBytes, Math.max(piece.length, (length ?? Infinity) - room))
        await makeRoom(more)
        room += more
        this.#check()
      }
      await file.place(piece, this.position).catch(rethrowDisk)
      this.position += piece.length
      this.#check()
      onProgress()
    }
    this.#check()
    if (length !== undefined && this.position < length) throw cutError(path, this.position, length)
    file.cut(this.position)
    return { size: this.position, begunOrder, knownAt, serverDateMs }
  }

  #check(): void {
    if (this.#ended) throw new ServiceError('aborted', `download ${this.#options.path}: nobody waits for it`)
  }
}

/** The service has given less of a file than it has. */
export function cutError(path: string, received: number, size: number): ServiceError {
  return new ServiceError('truncated', `download ${path}: cut after ${received} of ${size} bytes`)
}

function rethrowDisk(error: unknown): never {
  throw error instanceof ServiceError ? error : diskError(error)
}
