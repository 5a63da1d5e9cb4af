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
import { ArrivedLines } from './arrived-lines.ts'
import { consoleStream } from './console-stream.ts'
import { LogFollower } from './follow-logs.ts'
import { lineFilter, streamOf, type StreamName } from './line-filter.ts'
import { type LogFrame, toFrame } from './log-frames.ts'
import { OpeningBurst } from './opening-burst.ts'

export interface FollowLogsOptions {
  /** Goes on with what comes, connecting again by itself, until the loop is left. Default true; false: what there is. */
  readonly follow?: boolean | undefined
  /**
   * Only so many of the lines that there are and that are wanted, the last ones; what the service says of the
   * connection is left out then, unless `streams` has it. Default: all that the service sends again, 300 at most.
   */
  readonly tail?: number | undefined
  /** Lines of before are left out, Unix milliseconds. One that does not say its time is left out until a newer one came. */
  readonly sinceMs?: number | undefined
  /**
   * Only these: `stdout` and `stderr` of the agent, `status` for what the service says of session and connection. A
   * line of another form counts as `stdout`. Default: all.
   */
  readonly streams?: readonly StreamName[] | undefined
  /** The version of the agent that the session runs, for the documented form of the stream. Default: the session is asked. */
  readonly agentVersion?: string | undefined
  /** Ends the loop, which throws the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Told of connections that ended, and why. Default: nobody. */
  readonly logger?: Logger | undefined
  readonly clock?: Clock | undefined
}

/**
 * Frames as they come. Rejects with `ServiceError` when the session is gone or may not be read. What passes by itself (a
 * sandbox that wakes, a link that is down) is waited for, with `follow: false` for five attempts. A slow reader makes
 * the service wait. A line of the console that is longer than 8 Mi characters is left out.
 */
export async function* followLogs(
  client: SessionClient,
  agent: string,
  session: string,
  options: FollowLogsOptions = {},
): AsyncGenerator<LogFrame, void, undefined> {
  const { follow = true, clock = systemClock, logger = silentLogger, signal } = options
  signal?.throwIfAborted()
  const agentVersion =
    options.agentVersion ?? (await client.getSession(agent, session, { signal })).agentVersion
  const lines: ArrivedLines = new ArrivedLines((arrived) => opening.arrived(arrived))
  const opening = new OpeningBurst({
    clock,
    follow,
    onOver: () => (follow ? lines.nudge() : lines.end()),
    onFailed: (error) => lines.fail(error),
  })
  const abort = (): void => lines.fail(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted === true) abort()
  /* the timers between two connections do not */
  const staysAlive = clock.after(Infinity, () => undefined, { isAwaited: true })
  const follower = new LogFollower({
    openStream: consoleStream(client, { agent, session, agentVersion, first: 'tail', follow }),
    file: lines,
    clock,
    logger,
    mode: 'always',
    onOpen: () => opening.connected(),
    onEnd: (outcome) => {
      if (isFinal(outcome.cause)) lines.fail(outcome.cause)
      else opening.ended(outcome)
      return !lines.isOver
    },
  })
  try {
    for await (const frame of chosen(lines, opening, options, clock.wallMs())) {
      signal?.throwIfAborted()
      yield frame
    }
  } finally {
    signal?.removeEventListener('abort', abort)
    staysAlive()
    opening.close()
    await follower.stop()
  }
}

/** Those that are wanted, as they come; with `tail` the first ones when there is no more of what was there. */
async function* chosen(
  lines: ArrivedLines,
  opening: OpeningBurst,
  { tail, sinceMs, streams }: FollowLogsOptions,
  nowMs: number,
): AsyncGenerator<LogFrame, void, undefined> {
  const isWanted = lineFilter({ streams, sinceMs, onlyNew: tail === 0, nowMs })
  let held: LogFrame[] | undefined = tail === undefined || tail === 0 ? undefined : []
  /* who counts lines wants no frames of the connection before the first of them, unless they are asked for */
  let hasBegun = tail === undefined || streams !== undefined
  while (await lines.more()) {
    for (const line of lines.take()) {
      const frame = toFrame(line)
      if (!isWanted(frame)) continue
      hasBegun ||= streamOf(frame) !== 'status'
      if (!hasBegun) continue
      if (held === undefined) yield frame
      else if (streams !== undefined || streamOf(frame) !== 'status') held.push(frame)
    }
    if (held === undefined || tail === undefined) continue
    held = held.slice(-tail)
    if (!opening.isOver) continue
    yield* held
    held = undefined
  }
  yield* held ?? []
}

/** Somebody has to do something before the console can be read. */
function isFinal(cause: unknown): boolean {
  if (!(cause instanceof ServiceError)) return false
  if (cause.code === 'closed') return true
  return !cause.retryable && (cause.concerns === 'session' || cause.concerns === 'path')
}
