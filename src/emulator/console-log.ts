/**
 * A session's console: kept in a file, the newest lines in memory, followed by log streams. Layer: emulator.
 *
 * Invariant: timestamps strictly increase, so that (timestamp, stream, message) names a line.
 */

import * as fs from 'node:fs'
import type { Clock } from '../clock.ts'

export type ConsoleStream = 'stdout' | 'stderr'

/** The payload of a log frame, as the service sends it. */
export interface ConsoleLine {
  readonly timestamp: string
  readonly stream: ConsoleStream | 'status'
  readonly message: string
}

/** As many as a client may ask for with `tail`. */
export const keptLines = 300
const loadBytes = 4 * 1024 * 1024

export class ConsoleLog {
  readonly #file: string
  readonly #clock: Clock
  readonly #followers = new Set<(line: ConsoleLine) => void>()
  #recent: ConsoleLine[] | undefined
  #lastTick = 0

  constructor(file: string, clock: Clock) {
    this.#file = file
    this.#clock = clock
  }

  /** Lines are split at newlines; each is stamped, stored, and sent to whoever follows. */
  append(text: string | readonly string[], stream: ConsoleStream = 'stdout'): void {
    const recent = this.#load()
    const messages = (typeof text === 'string' ? [text] : text).flatMap((part) => part.split('\n'))
    const lines = messages.map((message) => ({ timestamp: this.stamp(), stream, message }))
    fs.appendFileSync(this.#file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    for (const line of lines) recent.push(line)
    if (recent.length > 2 * keptLines) recent.splice(0, recent.length - keptLines)
    for (const line of lines) for (const follower of this.#followers) follower(line)
  }

  /** The newest lines, oldest first. */
  tail(count: number): readonly ConsoleLine[] {
    return count === 0 ? [] : this.#load().slice(-count)
  }

  /** Calls back for each line from now on; the returned function ends it. */
  follow(follower: (line: ConsoleLine) => void): () => void {
    this.#followers.add(follower)
    return () => this.#followers.delete(follower)
  }

  /** RFC 3339 with six fraction digits, later than any before. */
  stamp(): string {
    const tick = Math.max(this.#clock.wallMs() * 1000, this.#lastTick + 1)
    this.#lastTick = tick
    const whole = new Date(Math.floor(tick / 1000)).toISOString().slice(0, -1)
    return `${whole}${String(tick % 1000).padStart(3, '0')}+00:00`
  }

  #load(): ConsoleLine[] {
    this.#recent ??= readTail(this.#file)
    return this.#recent
  }
}

function readTail(file: string): ConsoleLine[] {
  const size = fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size === 0) return []
  const fd = fs.openSync(file, 'r')
  try {
    const buffer = Buffer.alloc(Math.min(size, loadBytes))
    const start = size - buffer.length
    fs.readSync(fd, buffer, 0, buffer.length, start)
    const lines = buffer.toString().split('\n')
    return lines
      .slice(start > 0 ? 1 : 0)
      .filter((line) => line !== '')
      .slice(-keptLines)
      .map((line) => JSON.parse(line) as ConsoleLine)
  } finally {
    fs.closeSync(fd)
  }
}
