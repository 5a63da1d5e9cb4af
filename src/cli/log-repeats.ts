/**
 * A logger that sums up what is said again and again. Layer: cli.
 *
 * Invariant: of lines that are alike (level, code, message up to its first colon) the first few in a while are
 * said as they come, the others counted, and the count with the last of them is said when the while is over.
 */
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'

const wholeLines = 5
const whileMs = 10_000

type Level = 'info' | 'warn' | 'error'

interface Run {
  lines: number
  last: { readonly fields: object; readonly message: string }
}

export class SummingLogger implements Logger {
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #runs = new Map<string, Run>()

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger
    this.#clock = clock
  }

  isLevelEnabled(level: 'trace'): boolean {
    return this.#logger.isLevelEnabled(level)
  }

  /* who asks for these wants them all */
  trace(fields: object, message: string): void {
    this.#logger.trace(fields, message)
  }

  debug(fields: object, message: string): void {
    this.#logger.debug(fields, message)
  }

  info(fields: object, message: string): void {
    this.#say('info', fields, message)
  }

  warn(fields: object, message: string): void {
    this.#say('warn', fields, message)
  }

  error(fields: object, message: string): void {
    this.#say('error', fields, message)
  }

  #say(level: Level, fields: object, message: string): void {
    const key = `${level} ${codeOf(fields)} ${message.split(':', 1)[0] ?? ''}`
    let run = this.#runs.get(key)
    if (run === undefined) {
      run = { lines: 0, last: { fields, message } }
      this.#runs.set(key, run)
      this.#clock.after(whileMs, () => this.#end(key, level))
    }
    run.lines++
    run.last = { fields, message }
    if (run.lines <= wholeLines) this.#logger[level](fields, message)
  }

  #end(key: string, level: Level): void {
    const run = this.#runs.get(key)
    this.#runs.delete(key)
    if (run === undefined || run.lines <= wholeLines) return
    const repeated = run.lines - wholeLines
    this.#logger[level](
      { ...run.last.fields, repeated },
      `${run.last.message} (the last of ${repeated} more like this)`,
    )
  }
}

function codeOf(fields: object): string {
  const { error, code, reason } = fields as Readonly<Record<string, unknown>>
  const inner = error as { readonly code?: unknown; readonly reason?: unknown } | undefined
  const known = [inner?.code, inner?.reason, code, reason].find((candidate) => typeof candidate === 'string')
  return typeof known === 'string' ? known : ''
}
