/**
 * One connection to a session's console as server-sent events. Layer: emulator.
 *
 *   metadata frame, two status frames, replayed lines, then lines as they come
 *   --silence of keepaliveMs--> a status frame
 *   --idleMs without a line, or maxConnectionMs--> the end
 *
 * Invariant: no line is lost between the replay and the following, and none is sent twice.
 */

import { Readable } from 'node:stream'
import type { Clock } from '../clock.ts'
import type { ConsoleLine } from './console-log.ts'
import type { EmulatedLogStream } from './options.ts'
import type { StoredSession } from './session.ts'

export interface LogStreamRequest {
  /** Lines to begin with. */
  readonly replay: number
  /** false: ends after the replay. */
  readonly follow: boolean
  /** The console's lines, or only what the system says. */
  readonly kind: 'console' | 'system'
}

export interface LogStreamSettings {
  readonly clock: Clock
  readonly options: EmulatedLogStream
}

const minute = 60_000
/** A reader that is this far behind is dropped: it is not coming back. */
const maxBacklogBytes = 256 * 1024 * 1024
/** Lengths of the pieces of a split frame: short, odd, inside of everything. */
const pieces = [1, 3, 7, 2, 11, 5]

export const defaultReplayLines = 50

/** The body of a log stream. Destroying it ends the following. */
export function openLogStream(
  session: StoredSession,
  request: LogStreamRequest,
  { clock, options }: LogStreamSettings,
): Readable {
  const { console: log, record } = session
  const stream = new Readable({ read: () => undefined })
  const cleanups = new Set<() => void>()
  const writer = options.splitFrames === true ? splitting(stream) : whole(stream)
  const keepaliveMs = options.keepaliveMs ?? minute
  const idleMs = options.idleMs ?? 2 * minute

  const end = (): void => {
    stopAll()
    writer.end()
  }
  const stopAll = (): void => {
    for (const cleanup of cleanups) cleanup()
    cleanups.clear()
  }
  const frame = (payload: object): void => {
    writer.write(`event: log\ndata: ${JSON.stringify(payload)}\n\n`)
    if (stream.readableLength > maxBacklogBytes) stream.destroy()
  }
  const status = (message: string): void => frame({ timestamp: log.stamp(), stream: 'status', message })
  const quiet = timer(clock, keepaliveMs, () => {
    status(`No logs since last ${String(Math.round(keepaliveMs / 1000))} seconds`)
    quiet.start()
  })
  const idle = timer(clock, idleMs, end)

  stream.once('close', stopAll)
  const isRunning = session.status === 'active'
  frame({
    timestamp: log.stamp(),
    session_id: record.id,
    session_state: isRunning ? 'Running' : 'Stopped',
    agent: record.agent,
    version: record.agentVersion,
    last_accessed: new Date(record.lastAccessedAt * 1000).toISOString(),
  })
  if (!isRunning) {
    end()
    return stream
  }
  status('Connecting to the container...')
  status('Successfully connected to container')
  const showLine = (line: ConsoleLine): void => {
    frame(line)
    quiet.start()
    idle.start()
  }
  if (request.kind === 'console') {
    for (const line of log.tail(request.replay)) frame(line)
  }
  if (!request.follow) {
    end()
    return stream
  }
  if (request.kind === 'console') cleanups.add(log.follow(showLine))
  cleanups.add(clock.after(options.maxConnectionMs ?? 30 * minute, end))
  cleanups.add(quiet.stop)
  cleanups.add(idle.stop)
  quiet.start()
  idle.start()
  return stream
}

interface Timer {
  start(): void
  readonly stop: () => void
}

/** Fires `ms` after its last start. */
function timer(clock: Clock, ms: number, callback: () => void): Timer {
  let stop = (): void => undefined
  return {
    start() {
      stop()
      stop = clock.after(ms, callback)
    },
    stop: () => stop(),
  }
}

interface Writer {
  write(text: string): void
  end(): void
}

function whole(stream: Readable): Writer {
  return { write: (text) => void stream.push(text), end: () => void stream.push(null) }
}

/** Each piece is a turn of the event loop, and so a write and a chunk of its own. */
function splitting(stream: Readable): Writer {
  const waiting: Buffer[] = []
  let turn = 0
  let isEnded = false
  let isRunning = false
  const step = (): void => {
    const text = waiting[0]
    if (text === undefined) {
      isRunning = false
      if (isEnded) stream.push(null)
      return
    }
    // A long line in a thousand pieces is split enough.
    const length = Math.max(pieces[turn++ % pieces.length] ?? 1, Math.ceil(text.length / 64))
    stream.push(text.subarray(0, length))
    if (text.length > length) waiting[0] = text.subarray(length)
    else waiting.shift()
    setImmediate(step)
  }
  const run = (): void => {
    if (isRunning) return
    isRunning = true
    step()
  }
  return {
    write(text) {
      waiting.push(Buffer.from(text))
      run()
    },
    end() {
      isEnded = true
      run()
    },
  }
}
