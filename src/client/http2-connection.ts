/**
 * A connection that many short requests share (HTTP/2, RFC 9113). Layer: client, over node:http2.
 *
 * Invariant: one request that ends, fails or is given up ends no other. What the other side says it has not looked at
 * (GOAWAY, REFUSED_STREAM) fails as `Unprocessed`. Nothing is sent on it but requests, and it keeps the process alive
 * only while there is one.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type Settings,
} from 'node:http2'
import type { Clock } from '../clock.ts'
import {
  type Answer,
  type Connection,
  type ProgressNotes,
  type RequestHead,
  Unprocessed,
} from './connection.ts'
import type { Dialed } from './dial.ts'
import { idleMs } from './http1-connection.ts'
import type { RequestBody } from './upload-body.ts'

/** One answer may have so much on the way: more than any that is asked for over a shared connection. */
const streamWindowBytes = 1024 * 1024
/** Requests at once, whatever the other side bears. */
const mostStreams = 250
/** All answers of a connection together: what nobody reads holds up nobody else. */
const connectionWindowBytes = 32 * 1024 * 1024

/** What the other side takes at once: of requests, and of one body. */
export interface Bounds {
  readonly streams: number
  readonly bodyBytes: number
}

/** Until it has said so: what servers are asked to bear at least (RFC 9113, 6.5.2), and the protocol's default. */
export const usualBounds: Bounds = { streams: 100, bodyBytes: 65_535 }

export interface Http2ConnectionOptions {
  readonly origin: string
  readonly clock: Clock
  /** Of a connection before this one, until it has said its own. */
  readonly bounds: Bounds
  readonly onBounds: (bounds: Bounds) => void
  /** It is closed, and nothing is under way on it any more. `hasSpoken`: the other side has, in HTTP/2. */
  readonly onClosed: (hasSpoken: boolean) => void
}

export class Http2Connection {
  readonly #session: ClientHttp2Session
  readonly #options: Http2ConnectionOptions
  #active = 0
  /** Of requests that change nothing, and have no answer yet. */
  readonly #questions = new Set<ClientHttp2Stream>()
  /** Of bodies that have not left yet. */
  #queuedBytes = 0
  #bounds: Bounds
  #heardAt: number | undefined
  #hasSpoken = false
  #isGone = false
  /** The last request that the other side has looked at, once it has said so. */
  #lastProcessed = Infinity
  #cancelIdle: (() => void) | undefined

  constructor(dialed: Dialed, options: Http2ConnectionOptions) {
    this.#options = options
    this.#bounds = options.bounds
    this.#session = connect(options.origin, {
      createConnection: () => dialed.socket,
      settings: { enablePush: false, initialWindowSize: streamWindowBytes },
    })
    this.#session.once('connect', () => this.#session.setLocalWindowSize(connectionWindowBytes))
    this.#session.on('remoteSettings', ({ maxConcurrentStreams, initialWindowSize }: Settings) => {
      const { streams, bodyBytes } = usualBounds
      this.#hasSpoken = true
      this.#bounds = {
        streams: Math.min(maxConcurrentStreams ?? streams, mostStreams),
        bodyBytes: initialWindowSize ?? bodyBytes,
      }
      options.onBounds(this.#bounds)
    })
    this.#session.once('close', () => {
      this.#gone()
      options.onClosed(this.#hasSpoken)
    })
    // every request fails with it as well
    this.#session.on('error', () => this.#gone())
    this.#session.once('goaway', (_code: number, lastStreamId: number) => {
      this.#lastProcessed = lastStreamId
      this.#gone()
    })
    this.#rest()
  }

  /** When something of the other side was last heard on it, by the clock; undefined: never. */
  get heardAt(): number | undefined {
    return this.#heardAt
  }

  /** No new request goes over it: it was closed, or is about to be. */
  get isGone(): boolean {
    return this.#isGone
  }

  /** Requests under way. */
  get active(): number {
    return this.#active
  }

  /** Whether the other side takes one more request with so much of a body at once. */
  hasRoomFor(bytes: number): boolean {
    if (this.#isGone || this.#session.destroyed) return false
    const { streams, bodyBytes } = this.#bounds
    if (this.#active >= streams) return false
    if (bytes === 0) return true
    const { remoteWindowSize = 0 } = this.#session.state
    return bytes <= bodyBytes && bytes + this.#queuedBytes <= remoteWindowSize
  }

  /** For one request with so much of a body. */
  take(bytes: number): Connection {
    this.#begin()
    this.#queuedBytes += bytes
    let leftBytes = bytes
    const leave = (sentBytes: number): void => {
      this.#queuedBytes -= sentBytes
      leftBytes -= sentBytes
    }
    return {
      isReused: this.#heardAt !== undefined,
      request: (head, notes) => {
        const onBytes = (count: number): void => {
          leave(count)
          notes.onBytes(count)
        }
        return this.#request(head, { ...notes, onBytes })
      },
      heard: () => (this.#heardAt = this.#options.clock.now()),
      distrust: (sinceMs) => {
        if ((this.#heardAt ?? -Infinity) < sinceMs) this.#gone()
      },
      release: () => {
        leave(leftBytes)
        this.#end()
      },
    }
  }

  /** Another one was found dead: questions go elsewhere, and changes, whose end would be unknown, are waited for. */
  abandon(): void {
    this.#gone()
    for (const stream of this.#questions) stream.close(constants.NGHTTP2_CANCEL)
  }

  /** Ends all that is under way on it. */
  destroy(): void {
    this.#session.destroy()
  }

  #request(head: RequestHead, notes: ProgressNotes): Promise<Answer> {
    let stream: ClientHttp2Stream
    try {
      stream = this.#session.request(
        { ...head.headers, ':method': head.method, ':path': head.target },
        { endStream: head.body === undefined || head.body.size === 0 },
      )
    } catch (cause) {
      return Promise.reject(new Unprocessed('the connection takes no more requests', { cause }))
    }
    const giveUp = (): void => {
      stream.close(constants.NGHTTP2_CANCEL)
      stream.destroy(head.signal.reason as Error)
    }
    const isQuestion = head.method === 'GET'
    if (isQuestion) this.#questions.add(stream)
    const answer = answerOf(stream, {
      failure: () => this.#failure(stream),
      onBegun: () => isQuestion && this.#questions.delete(stream),
      onClosed: () => {
        this.#questions.delete(stream)
        head.signal.removeEventListener('abort', giveUp)
      },
    })
    head.signal.addEventListener('abort', giveUp, { once: true })
    if (head.signal.aborted) giveUp()
    notes.onStart()
    this.#send(stream, head, notes)
    return answer
  }

  #send(stream: ClientHttp2Stream, { body }: RequestHead, notes: ProgressNotes): void {
    if (body === undefined || body.size === 0) {
      if (!stream.destroyed) notes.onSent()
    } else if (body.whole !== undefined) this.#sendWhole(stream, body.whole, notes)
    else void this.#sendPieces(stream, body, notes)
  }

  /** Its end goes along: by itself it would be another frame, and another turn of the event loop. */
  #sendWhole(stream: ClientHttp2Stream, bytes: Uint8Array, notes: ProgressNotes): void {
    stream.write(bytes, (error) => {
      if (error != null) return // the answer fails with it as well
      notes.onBytes(bytes.length)
      if (!stream.destroyed) notes.onSent()
    })
    stream.end()
  }

  /** A source that fails ends the stream with its error, which is the answer's. */
  async #sendPieces(stream: ClientHttp2Stream, body: RequestBody, notes: ProgressNotes): Promise<void> {
    try {
      for await (const piece of body.pieces()) await this.#write(stream, piece, notes)
      stream.end()
      if (!stream.destroyed) notes.onSent()
    } catch (error) {
      stream.close(constants.NGHTTP2_CANCEL)
      stream.destroy(error as Error)
    }
  }

  /** Until it has left: the other side may have closed its window. */
  #write(stream: ClientHttp2Stream, piece: Uint8Array, notes: ProgressNotes): Promise<void> {
    return new Promise((resolve) => {
      const end = (isSent: boolean): void => {
        stream.off('close', onClose)
        if (isSent) notes.onBytes(piece.length)
        resolve()
      }
      const onClose = (): void => end(false)
      stream.once('close', onClose)
      stream.write(piece, (error) => {
        if (error == null) end(true)
      })
    })
  }

  #failure(stream: ClientHttp2Stream): Error {
    const isRefused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM
    if (isRefused || (stream.id !== undefined && stream.id > this.#lastProcessed))
      return new Unprocessed('the other side has not looked at it')
    return Object.assign(new Error('the stream was closed'), { code: 'ECONNRESET' })
  }

  #begin(): void {
    this.#cancelIdle?.()
    this.#cancelIdle = undefined
    if (this.#active === 0) this.#session.ref()
    this.#active += 1
  }

  #end(): void {
    this.#active -= 1
    if (this.#active > 0) return
    if (this.#isGone) this.#session.close()
    else this.#rest()
  }

  #rest(): void {
    this.#session.unref()
    this.#cancelIdle = this.#options.clock.after(idleMs, () => {
      this.#gone()
      this.#session.close()
    })
  }

  /** What is under way goes on, as far as it can. */
  #gone(): void {
    this.#cancelIdle?.()
    this.#cancelIdle = undefined
    if (this.#isGone) return
    this.#isGone = true
    if (this.#active === 0) this.#session.close()
  }
}

interface AnswerNotes {
  /** Why there was none. */
  readonly failure: () => Error
  readonly onBegun: () => void
  readonly onClosed: () => void
}

/** The stream is the body of its own answer. */
function answerOf(stream: ClientHttp2Stream, { failure, onBegun, onClosed }: AnswerNotes): Promise<Answer> {
  return new Promise((resolve, reject) => {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      const isTheStreams = error.code?.startsWith('ERR_HTTP2_') === true
      reject(isTheStreams ? failure() : error)
    })
    let hasBegun = false
    stream.once('close', () => {
      onClosed()
      // an error is made of its stack as well: not for each request that went well
      if (!hasBegun) reject(failure())
    })
    stream.once('response', (headers) => {
      hasBegun = true
      onBegun()
      // those that begin with a colon are nobody's business above, and do no harm
      resolve({ status: headers[':status'] ?? 0, headers, body: stream })
    })
  })
}
