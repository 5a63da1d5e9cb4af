/**
 * A connection to the service, as the one request sees it that it was taken for. Layer: client.
 *
 * Invariant: whichever protocol is spoken on it, how far a request has come is told in the same steps: it began,
 * its bytes were handed over, all of it was.
 */
import type { Readable } from 'node:stream'
import type { EndSignal } from './ending.ts'
import type { ReplyHeaders } from './retry.ts'
import type { RequestBody } from './upload-body.ts'

export interface RequestHead {
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: RequestBody | undefined
  /** Ends the request, and its answer, with the signal's reason. */
  readonly signal: EndSignal
}

export interface ProgressNotes {
  /** From now on something of it may be on the way. */
  readonly onStart: () => void
  /** So many bytes of the body were handed to the connection. */
  readonly onBytes: (count: number) => void
  /** All of it was. */
  readonly onSent: () => void
}

export interface Answer {
  readonly status: number
  readonly headers: ReplyHeaders
  /** Its end, however it comes, is the end of the request. */
  readonly body: Readable
}

/** What the other side has said of a request: that it was not looked at. It may be sent again, whatever it is. */
export class Unprocessed extends Error {
  override readonly name = 'Unprocessed'
  readonly code = 'UNPROCESSED'
}

export interface Connection {
  /** Whether it has answered a request before, and is open as far as this side knows. */
  readonly isReused: boolean
  request(head: RequestHead, notes: ProgressNotes): Promise<Answer>
  /** An answer has begun. */
  heard(): void
  /** It has kept a request waiting since then, by the clock: if nothing was heard since, no other request goes over it. */
  distrust(sinceMs: number): void
  /** The request is over. */
  release(): void
}
