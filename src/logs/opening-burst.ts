/**
 * When what was said before has come: of a reader that wants the last lines of it, or nothing else. Layer: logs.
 *
 *   who goes on       over when the console has been quiet for a moment
 *   who wants no more over when the service ends the stream; one that does not is over when it is quiet for longer
 *
 * Invariant: told once, that it is over or that it cannot be had; a console that never rests ends it too.
 */
import type { Clock } from '../clock.ts'
import { isConnectionFrame } from './connection-frame.ts'
import type { ConnectionOutcome } from './log-connection.ts'

interface Limits {
  /** Without a line, when there has been one of the console. */
  readonly quietMs: number
  /** Since the first line of the console. */
  readonly longestMs: number
  /** Without a line, when the console has not said anything; the container may still be on its way. */
  readonly silentMs: number
}

const limitsOf = {
  goingOn: { quietMs: 300, longestMs: 2_000, silentMs: Infinity },
  once: { quietMs: 1_500, longestMs: 10_000, silentMs: 5_000 },
} as const satisfies Readonly<Record<string, Limits>>

/** Who wants what there is does not wait for ever. */
const mostFailures = 5

export interface OpeningBurstOptions {
  readonly clock: Clock
  /** Whether more is wanted than what there is. */
  readonly follow: boolean
  readonly onOver: () => void
  /** Of who does not go on: so many connections in a row have brought nothing. */
  readonly onFailed: (error: unknown) => void
}

export class OpeningBurst {
  readonly #options: OpeningBurstOptions
  readonly #limits: Limits
  #isOver = false
  #hasConsole = false
  #failures = 0
  #cancelQuiet = (): void => undefined
  #cancelLongest: (() => void) | undefined

  constructor(options: OpeningBurstOptions) {
    this.#options = options
    this.#limits = limitsOf[options.follow ? 'goingOn' : 'once']
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** The service has answered. */
  connected(): void {
    this.#waitQuietly(this.#limits.silentMs)
  }

  arrived(lines: readonly string[]): void {
    if (this.#isOver) return
    this.#hasConsole ||= !lines.every(isConnectionFrame)
    if (this.#hasConsole)
      this.#cancelLongest ??= this.#options.clock.after(this.#limits.longestMs, () => this.#end())
    this.#waitQuietly(this.#hasConsole ? this.#limits.quietMs : this.#limits.silentMs)
  }

  /** A connection is over. */
  ended({ end, newLines, cause, reason }: ConnectionOutcome): void {
    if (this.#isOver) return
    if (this.#options.follow) return
    this.close()
    if (end === 'ended') {
      this.#end()
      return
    }
    this.#failures = newLines > 0 ? 0 : this.#failures + 1
    if (this.#failures === mostFailures) this.#options.onFailed(cause ?? new Error(reason))
  }

  close(): void {
    this.#cancelQuiet()
    this.#cancelLongest?.()
    this.#cancelLongest = undefined
  }

  #waitQuietly(ms: number): void {
    if (this.#isOver) return
    this.#cancelQuiet()
    this.#cancelQuiet = this.#options.clock.after(ms, () => this.#end())
  }

  #end(): void {
    this.close()
    this.#isOver = true
    this.#options.onOver()
  }
}
