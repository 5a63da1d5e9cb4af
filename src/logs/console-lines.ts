/**
 * The console of a session line by line, for users of the library and the command `logs`. Layer: logs; the mount's
 * `.logs` stands on the same follower and keeps what it brings in a file.
 *
 * Invariant: over all connections each line comes once and in order, as in `.logs`; leaving the loop ends the connection.
 */
import { systemClock, type Clock } from '../clock.ts'
import type { SessionClient } from '../client/session-client.ts'
import { ServiceError } from '../client/errors.ts'
import { type Logger, silentLogger } from '../log.ts'
import { isConnectionFrame } from './connection-frame.ts'
import { consoleStream } from './console-stream.ts'
import { LogFollower } from './follow-logs.ts'
import type { ConnectionOutcome, LineStore } from './log-connection.ts'
import { type LogFrame, toFrame } from './log-frames.ts'
import { RecentLines } from './recent-lines.ts'

export interface FollowLogsOptions {
  /** Goes on with what comes, connecting again by itself, until the loop is left. Default true; false: what there is. */
  readonly follow?: boolean | undefined
  /** Only so many of the lines that there are, the last ones; frames of the connection are left out then. Default: all that the service sends again, 300 at most. */
  readonly tail?: number | undefined
  /** Lines of before are left out, Unix milliseconds. A line that does not say its time goes with the one before it. */
  readonly sinceMs?: number | undefined
  /** The version of the agent that the session runs, for the documented form of the stream. Default: the session is asked. */
  readonly agentVersion?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** Told of connections that ended, and why. */
  readonly logger?: Logger | undefined
  readonly clock?: Clock | undefined
}

/* the burst of a connection that says nothing of the console is over when nothing comes for so long */
const silentBurstMs = 1_500
/* and of one that does not get there, whatever it waits for */
const longestBurstMs = 30_000

/**
 * Frames as they come. Rejects with `ServiceError` when the session is gone, or may not be read; what passes by itself
 * (a sandbox that wakes, a link that is down) is waited for. A line of the console that is longer than 8 Mi characters is left out.
 */
export async function* followLogs(
  client: SessionClient,
  agent: string,
  session: string,
  options: FollowLogsOptions = {},
): AsyncGenerator<LogFrame, void, undefined> {
  const { follow = true, tail, clock = systemClock, logger = silentLogger, signal } = options
  signal?.throwIfAborted()
  const agentVersion =
    options.agentVersion ?? (await client.getSession(agent, session, { signal })).agentVersion
  const lines = new ArrivedLines(clock)
  const follower = new LogFollower({
    openStream: consoleStream(client, { agent, session, agentVersion, follow }),
    file: lines,
    clock,
    logger,
    mode: 'always',
    onQuiet: () => lines.endBurst(),
    onEnd: (outcome) => lines.ended(outcome, follow),
  })
  const since = sinceFilter(options.sinceMs)
  const abort = (): void => lines.fail(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted === true) abort()
  try {
    await lines.burst
    const there = lines.take()
    for (const line of tail === undefined ? there : lastOf(there, tail)) {
      const frame = toFrame(line)
      if (since(frame)) yield frame
    }
    if (!follow) return
    for (;;) {
      for (const line of lines.take()) {
        const frame = toFrame(line)
        if (since(frame)) yield frame
      }
      await lines.more()
    }
  } finally {
    signal?.removeEventListener('abort', abort)
    lines.close()
    await follower.stop()
  }
}

function lastOf(lines: readonly string[], count: number): readonly string[] {
  return count === 0 ? [] : lines.filter((line) => !isConnectionFrame(line)).slice(-count)
}

function sinceFilter(sinceMs: number | undefined): (frame: LogFrame) => boolean {
  let isShown = sinceMs === undefined
  return ({ timestamp }) => {
    const atMs = timestamp === undefined ? NaN : Date.parse(timestamp)
    if (sinceMs !== undefined && !Number.isNaN(atMs)) isShown = atMs >= sinceMs
    return isShown
  }
}

/** Lines on their way from the follower to whoever reads them. */
class ArrivedLines implements LineStore {
  readonly recent = new RecentLines()
  readonly #clock: Clock
  readonly #burst = Promise.withResolvers<undefined>()
  #cancelBurst: () => void
  #cancelSilence = (): void => undefined
  #lines: string[] = []
  #failure: { readonly error: unknown } | undefined
  #wake = (): void => undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#cancelBurst = clock.after(longestBurstMs, () => this.endBurst())
  }

  /** Resolves when the lines that were there have come, rejects when none can be had. */
  get burst(): Promise<undefined> {
    return this.#burst.promise
  }

  append(lines: readonly string[]): void {
    for (const line of lines) this.recent.add(line)
    for (const line of lines) this.#lines.push(line)
    this.#cancelSilence()
    this.#cancelSilence = this.#clock.after(silentBurstMs, () => this.endBurst())
    this.#wake()
  }

  take(): readonly string[] {
    return this.#lines.splice(0)
  }

  /** Resolves when there are lines; rejects when there will be none. */
  async more(): Promise<void> {
    if (this.#lines.length > 0) return
    if (this.#failure !== undefined) throw this.#failure.error
    const woken = Promise.withResolvers<undefined>()
    this.#wake = () => woken.resolve(undefined)
    await woken.promise
  }

  endBurst(): void {
    this.#cancelBurst()
    this.#burst.resolve(undefined)
  }

  /** A connection is over; of those states of the session that pass by themselves nothing is said. */
  ended({ end, cause }: ConnectionOutcome, follow: boolean): void {
    if (isFinal(cause)) this.fail(cause)
    else if (!follow && end === 'ended') this.endBurst()
  }

  fail(error: unknown): void {
    this.#failure ??= { error }
    this.#burst.reject(error)
    this.#burst.promise.catch(() => undefined)
    this.#wake()
  }

  close(): void {
    this.#cancelBurst()
    this.#cancelSilence()
  }
}

/** Somebody has to do something before the console can be read. */
function isFinal(cause: unknown): boolean {
  return (
    cause instanceof ServiceError &&
    !cause.retryable &&
    (cause.concerns === 'session' || cause.concerns === 'path')
  )
}
