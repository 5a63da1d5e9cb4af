/**
 * The body of an answer, as its reader sees it. Layer: client.
 *
 * Invariant: `Content-Length` is binding; every wait for a byte is limited; however the body ends (read to
 * its end, left early, failed, never read) `onEnd` is called once, and the connection is free or gone.
 */
import type { Readable } from 'node:stream'
import { ServiceError } from './errors.ts'
import type { ProgressWatch, Timeouts } from './progress-watch.ts'

export interface ReplyBodyOptions {
  readonly what: string
  /** `Content-Length`, when the answer has one. */
  readonly length: number | undefined
  readonly watch: ProgressWatch
  readonly timeouts: Pick<Timeouts, 'stallMs' | 'unreadMs'>
  /** Anything the stream fails with, as the error of the call. */
  readonly fail: (cause: unknown) => ServiceError
  /** Something has arrived. */
  readonly onBytes: () => void
  readonly onEnd: (bytes: number, error: ServiceError | undefined) => void
}

export class ReplyBody implements AsyncIterableIterator<Uint8Array> {
  readonly length: number | undefined
  readonly #stream: Readable
  readonly #pieces: AsyncIterator<Uint8Array>
  readonly #options: ReplyBodyOptions
  #received = 0
  #peeked: IteratorResult<Uint8Array> | undefined
  #error: ServiceError | undefined
  #left = false
  #begun = false
  #ended = false

  constructor(stream: Readable, options: ReplyBodyOptions) {
    this.length = options.length
    this.#stream = stream
    this.#pieces = stream.iterator() as AsyncIterator<Uint8Array>
    this.#options = options
    stream.on('error', (cause) => {
      if (!this.#left) this.#error ??= this.#failure(cause)
    })
    stream.on('close', () => this.#end())
    this.#expectReader()
  }

  /** Whether a reader has asked for a piece, or has left. */
  get isBegun(): boolean {
    return this.#begun
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    this.#begun = true
    if (this.#left) return { done: true, value: undefined }
    const peeked = this.#peeked
    this.#peeked = undefined
    return peeked ?? (await this.#read())
  }

  /** Ends the transfer; resolves once it has ended. */
  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#begun = true
    this.#left = true
    this.#peeked = undefined
    if (!this.#stream.closed) {
      const closed = new Promise((resolve) => this.#stream.once('close', resolve))
      this.#stream.destroy()
      await closed
    }
    return { done: true, value: undefined }
  }

  /** Waits for the first piece, which `next` then gives: a body cut before it is worth another attempt. */
  async peek(): Promise<void> {
    this.#peeked ??= await this.#read()
  }

  /** All of it; fails with `protocol` above `limit` bytes. */
  async whole(limit: number): Promise<Buffer> {
    const pieces: Uint8Array[] = []
    for await (const piece of this) {
      pieces.push(piece)
      if (this.#received > limit)
        throw new ServiceError('protocol', `${this.#options.what}: the answer is over ${limit} bytes`)
    }
    return Buffer.concat(pieces)
  }

  async #read(): Promise<IteratorResult<Uint8Array>> {
    const { watch, timeouts, what, length } = this.#options
    if (!this.#ended) watch.expect(timeouts.stallMs, `${what}: no byte arrived`)
    try {
      const piece = await this.#pieces.next()
      if (this.#left) return { done: true, value: undefined }
      if (piece.done !== true) {
        this.#received += piece.value.length
        this.#options.onBytes()
      } else if (this.#error !== undefined) throw this.#error
      else if (length !== undefined && this.#received !== length) throw this.#failure(undefined)
      return piece
    } catch (cause) {
      if (this.#left) return { done: true, value: undefined }
      this.#error ??= this.#failure(cause)
      this.#stream.destroy()
      throw this.#error
    } finally {
      this.#expectReader()
    }
  }

  #expectReader(): void {
    const { watch, timeouts, what } = this.#options
    if (!this.#ended) watch.expect(timeouts.unreadMs, `${what}: nobody read the answer on`)
  }

  #failure(cause: unknown): ServiceError {
    const { what, length, fail } = this.#options
    const error = fail(cause)
    if (error.code !== 'network' || length === undefined) return error
    const message = `${what}: the answer ended after ${this.#received} of ${length} bytes`
    return new ServiceError('truncated', message, { ambiguous: error.ambiguous, cause })
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#options.watch.stop()
    this.#options.onEnd(this.#received, this.#error)
  }
}
