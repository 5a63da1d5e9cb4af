/**
 * Where the lines of a log go: a descriptor that stays the same while the file behind it may change. Layer: cli.
 *
 *   written ──no room, gone──▶ dropped and counted ──room again──▶ the count, then written
 *
 * Invariant: writing never throws and is done when it returns. A file that has grown too large is set aside, one
 * that was taken away is made anew, while the mount goes on.
 */
import { closeSync, fstatSync, renameSync, statSync, writeSync } from 'node:fs'
import type { Clock } from '../clock.ts'
import { openLog, rotateBytes } from './log-file.ts'

export interface LogFilePlace {
  readonly path: string
  /** Makes the log's descriptor another name of what `descriptor` is open on. */
  readonly redirect: (descriptor: number) => void
}

/* how often the file is looked at by its name: others may move it, or take it away */
const lookMs = 1000

export class LogSink {
  readonly #descriptor: number
  readonly #clock: Clock
  readonly #place: LogFilePlace | undefined
  #lookedAt: number
  #dropped = 0
  #code = ''
  /** The last line ended in its midst. */
  #isTorn = false

  /** Without a `place` the descriptor is all there is: a terminal, a pipe. */
  constructor(descriptor: number, clock: Clock, place: LogFilePlace | undefined) {
    this.#descriptor = descriptor
    this.#clock = clock
    this.#place = place
    this.#lookedAt = clock.now()
  }

  write(line: string): void {
    try {
      this.#look()
      if (this.#dropped > 0) {
        this.#put(this.#aboutDropped())
        this.#dropped = 0
      }
      this.#put(line)
    } catch (error) {
      this.#dropped++
      this.#code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
    }
  }

  #put(line: string): void {
    let bytes = Buffer.from(this.#isTorn ? `\n${line}` : line)
    const whole = bytes.length
    try {
      while (bytes.length > 0) bytes = bytes.subarray(writeSync(this.#descriptor, bytes))
      this.#isTorn = false
    } catch (error) {
      this.#isTorn ||= bytes.length < whole
      throw error
    }
  }

  #look(): void {
    if (this.#place === undefined || this.#clock.now() - this.#lookedAt < lookMs) return
    this.#lookedAt = this.#clock.now()
    const { path, redirect } = this.#place
    const { ino, size } = fstatSync(this.#descriptor)
    const isThere = statSync(path, { throwIfNoEntry: false })?.ino === ino
    if (isThere && size < rotateBytes) return
    if (isThere) renameSync(path, `${path}.1`)
    const descriptor = openLog(path)
    redirect(descriptor)
    closeSync(descriptor)
  }

  #aboutDropped(): string {
    const time = new Date(this.#clock.wallMs()).toISOString()
    const msg = 'lines of the log could not be written'
    return `${JSON.stringify({ level: 'warn', time, pid: process.pid, dropped: this.#dropped, code: this.#code, msg })}\n`
  }
}
