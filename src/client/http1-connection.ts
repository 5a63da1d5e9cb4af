/**
 * A connection that has one request at a time (HTTP/1.1). Layer: client, over undici.
 *
 * Invariant: it is under one request, idle, or gone; nothing of an upload that was given up is sent after it.
 */
import { Readable } from 'node:stream'
import type { Socket } from 'node:net'
import type { Client, Dispatcher } from 'undici'
import type { Clock } from '../clock.ts'
import type { Answer, Connection, ProgressNotes, RequestHead } from './connection.ts'
import type { Dialed } from './dial.ts'
import { abortSignalOf } from './ending.ts'
import type { RequestBody } from './upload-body.ts'

/** A connection that nobody uses is kept for so long, unless the other side says for how long it keeps it. */
export const idleMs = 240_000

export type MakeClient = (dial: () => Promise<Dialed>) => Client

/* undici is loaded with the first request that needs it: a command that sends none does not pay for it. */
export async function clientsOf(origin: string): Promise<MakeClient> {
  const undici = await import('undici')
  return (dial) =>
    new undici.Client(origin, {
      // One request a connection: ending a transfer ends nothing else.
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: idleMs,
      connect: (_, callback) => {
        dial().then(
          ({ socket }) => callback(null, socket),
          (error: unknown) => callback(error as Error, null),
        )
      },
    })
}

export class Http1Connection implements Connection {
  readonly #client: Client
  readonly #clock: Clock
  #socket: Socket | undefined
  #heardAt: number | undefined
  #isSilent = false

  readonly #onRelease: (connection: Http1Connection) => void

  /** `dial` is called when a request needs a connection, again after it was lost. */
  constructor(
    makeClient: MakeClient,
    {
      dial,
      clock,
      onRelease,
    }: {
      readonly dial: () => Promise<Dialed>
      readonly clock: Clock
      readonly onRelease: (connection: Http1Connection) => void
    },
  ) {
    this.#clock = clock
    this.#onRelease = onRelease
    this.#client = makeClient(async () => {
      const dialed = await dial()
      this.#socket = dialed.below
      this.#heardAt = undefined
      return dialed
    })
  }

  get isReused(): boolean {
    return this.#heardAt !== undefined && this.#socket?.destroyed === false
  }

  /** When something of the other side was last heard on it, by the clock; undefined: never. */
  get heardAt(): number | undefined {
    return this.#heardAt
  }

  get isSilent(): boolean {
    return this.#isSilent
  }

  heard(): void {
    this.#heardAt = this.#clock.now()
  }

  distrust(): void {
    this.#isSilent = true
  }

  async request(head: RequestHead, notes: ProgressNotes): Promise<Answer> {
    const { method, target, body, signal } = head
    let onTheWay = 0
    const onBytes = (count: number): void => {
      onTheWay += count
      notes.onBytes(count)
    }
    const counting = { ...notes, onBytes }
    const reset = (): void => {
      // what the kernel still holds of an upload would be sent beside the next attempt
      if (onTheWay > 0) this.#reset()
    }
    signal.addEventListener('abort', reset, { once: true })
    try {
      const answer = await this.#client.compose(noteProgress(counting)).request({
        method,
        path: target,
        headers: { ...head.headers },
        body: sendable(body),
        signal: abortSignalOf(signal),
        headersTimeout: 0,
        bodyTimeout: 0,
      })
      return { status: answer.statusCode, headers: answer.headers, body: answer.body }
    } finally {
      signal.removeEventListener('abort', reset)
    }
  }

  release(): void {
    this.#onRelease(this)
  }

  /** Ends what is under way on it. */
  async destroy(): Promise<void> {
    await this.#client.destroy()
  }

  /** Throws away what has been handed to the kernel and is not sent yet. */
  #reset(): void {
    if (this.#socket === undefined || this.#socket.destroyed) return
    // `resetAndDestroy` sets this as well, but may end the sending side first, and then nothing is reset any more
    Object.assign(this.#socket, { resetAndClosing: true }).destroy()
  }
}

/** Tells how far a request has come: `request` itself does not say whether anything was sent. */
function noteProgress(notes: ProgressNotes): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) =>
    dispatch(options, {
      onRequestStart: (controller, context) => {
        notes.onStart()
        handler.onRequestStart?.(controller, context)
      },
      onBodySent: (piece) => notes.onBytes(piece.length),
      onRequestSent: () => notes.onSent(),
      onResponseStart: (controller, status, headers, message) =>
        handler.onResponseStart?.(controller, status, headers, message),
      onResponseData: (controller, piece) => handler.onResponseData?.(controller, piece),
      onResponseEnd: (controller, trailers) => handler.onResponseEnd?.(controller, trailers),
      onResponseError: (controller, error) => handler.onResponseError?.(controller, error),
    })
}

function sendable(body: RequestBody | undefined): Readable | Uint8Array | null {
  if (body === undefined || body.size === 0) return null
  return body.whole ?? Readable.from(body.pieces())
}
