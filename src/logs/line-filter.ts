/**
 * Which lines of a console are wanted: by stream and by time. Layer: logs.
 *
 * Invariant: decided line by line, in the order of arrival; nothing is kept back.
 */
import { isConnectionFrame } from './connection-frame.ts'
import type { LogFrame } from './log-frames.ts'

export type StreamName = 'stdout' | 'stderr' | 'status'

export interface LineFilterOptions {
  /** Default: all. */
  readonly streams?: readonly StreamName[] | undefined
  /** Lines of before are left out, Unix milliseconds. One that does not say its time is left out until a newer one came. */
  readonly sinceMs?: number | undefined
  /** Only what is said after the service has answered first, by its own clock; by `nowMs` where it does not say its time. */
  readonly onlyNew?: boolean | undefined
  readonly nowMs: number
}

/** The stream of a frame: what the service says of session and connection is `status`, and what is of no known form `stdout`. */
export function streamOf({ stream, text }: LogFrame): StreamName {
  if (stream === 'stderr' || stream === 'status') return stream
  return stream === undefined && isConnectionFrame(text) ? 'status' : 'stdout'
}

export function lineFilter(options: LineFilterOptions): (frame: LogFrame) => boolean {
  const { streams, sinceMs = -Infinity, onlyNew = false, nowMs } = options
  const wanted = streams === undefined ? undefined : new Set(streams)
  let serviceMs: number | undefined
  let isNew = sinceMs === -Infinity && !onlyNew
  const isSince = (atMs: number): boolean => {
    const fromMs = onlyNew ? Math.max(sinceMs, serviceMs ?? nowMs) : sinceMs
    if (atMs >= fromMs) isNew = true
    return atMs >= fromMs
  }
  return (frame) => {
    const stream = streamOf(frame)
    const atMs = frame.timestamp === undefined ? NaN : Date.parse(frame.timestamp)
    if (stream === 'status') {
      if (!Number.isNaN(atMs)) serviceMs ??= atMs
      if (atMs < sinceMs) return false
    } else if (Number.isNaN(atMs) ? !isNew : !isSince(atMs)) return false
    return wanted?.has(stream) ?? true
  }
}
