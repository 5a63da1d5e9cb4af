/**
 * One connection to the log stream, from the request to its end. Layer: logs.
 *
 *   openStream ──▶ opening burst ──quiet──▶ live ──▶ outcome (ended | failed | waking | refused)
 *
 * Invariant: every line that is neither a replay nor beyond a failure of the disk is in the file when `run`
 * resolves; `run` never rejects.
 */
import type { Clock } from '../clock.ts'
import type { ConnectionEnd } from './reconnect-delay.ts'
import { isConnectionFrame } from './connection-frame.ts'
import { ServiceError } from '../client/errors.ts'
import type { RecentLines } from './recent-lines.ts'
import { ReplayOverlap } from './replay-overlap.ts'
import { SseDecoder } from './sse-decoder.ts'

/**
 * Asks the service for the log stream. May reject with a `ServiceError`, or answer a status other than 200.
 * The body ends, or throws, when the signal is aborted.
 */
export type OpenStream = (
  signal: AbortSignal,
) => Promise<{ readonly status: number; readonly body: AsyncIterable<Uint8Array> }>

/** Where the lines of all connections come together: a file of the mount, or the memory of who follows by itself. */
export interface LineStore {
  /** What a new connection's lines are compared with. */
  readonly recent: RecentLines
  /** In order; throws where they cannot be taken. */
  append(lines: readonly string[]): void
  /** Until it resolves no more is read; undefined: there is room. Default: there always is. */
  room?(): Promise<undefined> | undefined
}

export interface ConnectionOutcome {
  readonly end: ConnectionEnd
  /** For the log: why. */
  readonly reason: string
  readonly cause: unknown
  /** The service asked to be left alone for so long. */
  readonly retryAfterMs?: number | undefined
  /** Console lines that had not been seen before. */
  readonly newLines: number
}

export interface LogConnectionOptions {
  readonly openStream: OpenStream
  readonly clock: Clock
  readonly file: LineStore
  /** The service has answered. */
  readonly onOpen: () => void
  /** The opening burst is over: console lines came, and then none for a while. */
  readonly onQuiet: () => void
  /** An event larger than the decoder takes was skipped. */
  readonly onOversized: () => void
}

/* the service says something at least every 60 s and gives up after 120 */
const silenceMs = 150_000
const burstQuietMs = 300
/* a replay that pauses this long without having reached what we have is not one */
const agreeingQuietMs = 10_000
const searchingQuietMs = 1_000
const searchingMs = 10_000

const refusalStatuses: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 409])

/** The local disk did not take a line; the next connection may bring it again. */
class RecordingError extends Error {}

export class LogConnection {
  readonly #options: LogConnectionOptions
  readonly #abort = new AbortController()
  readonly #decoder: SseDecoder
  #overlap: ReplayOverlap | undefined
  #arrived: string[] = []
  #newLines = 0
  #lastByteAt = 0
  #searchingSince: number | undefined
  #bursting = true
  #cancelSilence = (): void => undefined
  #cancelQuiet = (): void => undefined
  #cancelSettle = (): void => undefined

  constructor(options: LogConnectionOptions) {
    this.#options = options
    this.#decoder = new SseDecoder({
      onPayload: (payload) => {
        for (const line of payload.split('\n')) this.#arrived.push(line)
      },
      onOversized: options.onOversized,
    })
  }

  /** Ends it; `run` resolves soon after. */
  close(): void {
    this.#abort.abort(new Error('no longer needed'))
  }

  async run(): Promise<ConnectionOutcome> {
    let outcome: Omit<ConnectionOutcome, 'newLines'>
    try {
      outcome = await this.#read()
    } catch (error) {
      outcome = outcomeOf(error)
    }
    this.#abort.abort() /* an unread body is given up */
    for (const cancel of [this.#cancelSilence, this.#cancelQuiet, this.#cancelSettle]) cancel()
    try {
      this.#record(this.#overlap?.abandon() ?? [])
    } catch (error) {
      outcome = outcomeOf(error)
    }
    return { ...outcome, newLines: this.#newLines }
  }

  async #read(): Promise<Omit<ConnectionOutcome, 'newLines'>> {
    this.#abort.signal.throwIfAborted()
    const overlap = (this.#overlap = new ReplayOverlap(this.#options.file.recent))
    this.#lastByteAt = this.#options.clock.now()
    this.#watchSilence(silenceMs)
    const { status, body } = await this.#options.openStream(this.#abort.signal)
    if (status !== 200) {
      const end = status === 424 ? 'waking' : refusalStatuses.has(status) ? 'refused' : 'failed'
      return { end, reason: `status ${status}`, cause: undefined }
    }
    this.#options.onOpen()
    for await (const chunk of body) {
      this.#lastByteAt = this.#options.clock.now()
      this.#decoder.feed(chunk)
      this.#take(this.#arrived.splice(0), overlap)
      await this.#untilRoom()
    }
    return { end: 'ended', reason: 'the service ended the stream', cause: undefined }
  }

  /** The silence of a stream that nobody reads is not the service's. */
  async #untilRoom(): Promise<void> {
    const room = this.#options.file.room?.()
    if (room === undefined) return
    const { signal } = this.#abort
    const given = Promise.withResolvers<undefined>()
    const giveUp = (): void => given.resolve(undefined)
    signal.addEventListener('abort', giveUp, { once: true })
    this.#cancelSilence()
    if (!signal.aborted) await Promise.race([room, given.promise])
    signal.removeEventListener('abort', giveUp)
    this.#lastByteAt = this.#options.clock.now()
    if (!signal.aborted) this.#watchSilence(silenceMs)
  }

  #take(lines: readonly string[], overlap: ReplayOverlap): void {
    if (lines.length === 0) return
    this.#record(lines.flatMap((line) => overlap.push(line)))
    this.#cancelSettle()
    if (overlap.phase === 'agreeing' || overlap.phase === 'searching') this.#settleWhenQuiet(overlap)
    /* frames about the connection come at once, the console only when the container has been reached */
    if (!this.#bursting || lines.every(isConnectionFrame)) return
    this.#cancelQuiet()
    this.#cancelQuiet = this.#options.clock.after(burstQuietMs, () => {
      this.#bursting = false
      this.#options.onQuiet()
    })
  }

  /** Timers run outside `run`'s own course: a failure of the disk in one ends the connection. */
  #settleWhenQuiet(overlap: ReplayOverlap): void {
    const { clock } = this.#options
    let waitMs = agreeingQuietMs
    if (overlap.phase === 'searching') {
      this.#searchingSince ??= clock.now()
      waitMs = Math.min(searchingQuietMs, this.#searchingSince + searchingMs - clock.now())
    }
    this.#cancelSettle = clock.after(waitMs, () => {
      try {
        this.#record(overlap.settle())
      } catch (error) {
        this.#abort.abort(error)
      }
    })
  }

  #record(lines: readonly string[]): void {
    if (lines.length === 0) return
    try {
      this.#options.file.append(lines)
    } catch (cause) {
      throw new RecordingError('the console log cannot be written to the local disk', { cause })
    }
    this.#newLines += lines.filter((line) => !isConnectionFrame(line)).length
  }

  #watchSilence(waitMs: number): void {
    this.#cancelSilence = this.#options.clock.after(waitMs, () => {
      const leftMs = this.#lastByteAt + silenceMs - this.#options.clock.now()
      if (leftMs > 0) this.#watchSilence(leftMs)
      else this.#abort.abort(new Error(`no byte for ${silenceMs / 1000} s`))
    })
  }
}

function outcomeOf(error: unknown): Omit<ConnectionOutcome, 'newLines'> {
  return {
    end: endOf(error),
    reason: error instanceof Error ? error.message : String(error),
    retryAfterMs: error instanceof ServiceError ? error.retryAfterMs : undefined,
    cause: error,
  }
}

function endOf(error: unknown): ConnectionEnd {
  /* only free space can change it */
  if (error instanceof RecordingError) return 'refused'
  if (!(error instanceof ServiceError)) return 'failed'
  if (error.code === 'session_not_ready') return 'waking'
  /* only a new login, or a session that is made again */
  return error.concerns === 'path' || error.concerns === 'session' ? 'refused' : 'failed'
}
