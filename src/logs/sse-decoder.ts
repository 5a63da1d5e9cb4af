/**
 * Bytes of a log stream in, payloads out. Layer: logs.
 *
 * `eventsource-parser` reads the format; this adds what it leaves to its caller: bytes cut inside a UTF-8
 * sequence, which events count, and how to go on after an event that is too large.
 *
 * Invariant: memory is bounded by the limit on one event, whatever the server sends.
 */
import { createParser } from 'eventsource-parser'

export interface SseDecoderOptions {
  /** Receives the data of each event in order; several `data:` lines are joined by newlines. */
  readonly onPayload: (payload: string) => void
  /** An event over the limit was skipped. */
  readonly onOversized: () => void
  /** The largest event, in UTF-16 units; default 8 Mi. Console lines of 1 MiB are known to occur. */
  readonly maxEventLength?: number | undefined
}

/** The service names its events `log`; an event without a name is taken for one. Others are of a later time. */
const logEvents: ReadonlySet<string | undefined> = new Set([undefined, 'message', 'log'])

export class SseDecoder {
  readonly #text = new TextDecoder()
  readonly #parser: ReturnType<typeof createParser>
  readonly #onOversized: () => void
  /* set by the parser while it is fed */
  #overflowed = false
  #skipping = false
  /* the beginning of the current line while skipping, as much as tells whether it is blank */
  #lineStart = ''

  constructor({ onPayload, onOversized, maxEventLength = 8 * 1024 * 1024 }: SseDecoderOptions) {
    this.#onOversized = onOversized
    this.#parser = createParser({
      maxBufferSize: maxEventLength,
      onEvent: ({ event, data }) => {
        if (logEvents.has(event)) onPayload(data)
      },
      onError: ({ type }) => {
        if (type === 'max-buffer-size-exceeded') this.#overflowed = true
      },
    })
  }

  /** Takes the next bytes, cut anywhere. What is not complete when the stream ends was no event. */
  feed(bytes: Uint8Array): void {
    const text = this.#text.decode(bytes, { stream: true })
    /* a line at a time, because an overflow discards the rest of what the parser was fed */
    for (let start = 0; start < text.length;) {
      const newline = text.indexOf('\n', start)
      const end = newline === -1 ? text.length : newline + 1
      this.#feedPiece(text.slice(start, end))
      start = end
    }
  }

  /** `piece` ends with its newline, or is the cut end of what has arrived. */
  #feedPiece(piece: string): void {
    if (this.#skipping) {
      this.#skip(piece)
      return
    }
    this.#parser.feed(piece)
    if (!this.#overflowed) return
    this.#overflowed = false
    this.#parser.reset()
    this.#skipping = true
    /* not blank, whatever follows: the line that overflowed goes on, or has just ended */
    this.#lineStart = piece.endsWith('\n') ? '' : '…'
    this.#onOversized()
  }

  /** Drops everything up to and including the blank line that ends the event. */
  #skip(piece: string): void {
    this.#lineStart = (this.#lineStart + piece).slice(0, 2)
    if (!piece.endsWith('\n')) return
    if (this.#lineStart === '\n' || this.#lineStart === '\r\n') this.#skipping = false
    this.#lineStart = ''
  }
}
