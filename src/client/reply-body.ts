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
  readonly #options: ReplyBodyOptions
  #received = 0
  #peeked: IteratorResult<Uint8Array> | undefined
  #error: ServiceError | undefined
  #left = false
  #begun = false
  #ended = false
  #isHeard = false
  readonly #whenEnded: (() => void)[] = []
  /** Called when there may be something to read, or when it has ended in whatever way. */
  #onChange = (): void => undefined

  constructor(stream: Readable, options: ReplyBodyOptions) {
    this.length = options.length
    this.#stream = stream
    this.#options = options
    stream.on('error', (cause) => {
      if (!this.#left) this.#error ??= this.#failure(cause)
    })
    stream.on('close', () => this.#end())
    // it may have closed in the same moment in which the answer began: then nobody says so any more
    if (stream.destroyed)
      setImmediate(() => {
        if (stream.errored !== null && !this.#left) this.#error ??= this.#failure(stream.errored)
        this.#end()
      })
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
    // not by what the stream says: one that was closed by the other side still holds what was not read
    if (!this.#ended) {
      const ended = new Promise<void>((resolve) => this.#whenEnded.push(resolve))
      this.#stream.destroy()
      await ended
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
    for (;;) {
      const piece = await this.next()
      if (piece.done === true) break
      pieces.push(piece.value)
      if (this.#received <= limit) continue
      await this.return()
      throw new ServiceError('protocol', `${this.#options.what}: the answer is over ${limit} bytes`)
    }
    return Buffer.concat(pieces)
  }

  async #read(): Promise<IteratorResult<Uint8Array>> {
    const { watch, timeouts, what, length } = this.#options
    if (!this.#ended) watch.expect(timeouts.stallMs, `${what}: no byte arrived`)
    try {
      const piece = await this.#piece()
      if (this.#left) return { done: true, value: undefined }
      if (piece !== undefined) {
        this.#received += piece.length
        this.#options.onBytes()
        return { done: false, value: piece }
      }
      if (this.#error !== undefined) throw this.#error
      const isWhole = length === undefined || this.#received === length
      if (!this.#stream.readableEnded || !isWhole) throw this.#failure(undefined)
      return { done: true, value: undefined }
    } catch (cause) {
      if (this.#left) return { done: true, value: undefined }
      this.#error ??= this.#failure(cause)
      this.#stream.destroy()
      throw this.#error
    } finally {
      this.#expectReader()
    }
  }

  /**
   * The next one; undefined when there is none any more. The stream's own iterator costs more than the answer of most
   * calls, and takes a stream for broken that was closed by the other side before it was read.
   */
  async #piece(): Promise<Uint8Array | undefined> {
    const stream = this.#stream
    for (;;) {
      const piece = stream.destroyed ? null : (stream.read() as Uint8Array | null)
      if (piece !== null) return piece
      if (stream.readableEnded || this.#ended || this.#left) return undefined
      const changed = new Promise<void>((resolve) => (this.#onChange = resolve))
      this.#hear()
      await changed
    }
  }

  #hear(): void {
    if (this.#isHeard) return
    this.#isHeard = true
    for (const event of ['readable', 'end']) this.#stream.on(event, () => this.#onChange())
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
    this.#onChange()
    for (const resolve of this.#whenEnded.splice(0)) resolve()
  }
}
