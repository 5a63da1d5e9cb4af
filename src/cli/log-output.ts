/**
 * How the log looks. Layer: cli.
 *
 * Invariant: a line is written before the call that logs it returns, so that the last one before a crash is
 * there. In a file each is JSON, with the time in ISO 8601; on a terminal it is for reading.
 */
import { writeSync } from 'node:fs'
import { isatty } from 'node:tty'
import { type DestinationStream, pino } from 'pino'
import { systemClock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { RunOptions } from '../options/mount-options.ts'
import { SummingLogger } from './log-repeats.ts'
import { LogSink, type LogFilePlace } from './log-sink.ts'

export interface LogOptions {
  readonly level: RunOptions['logLevel']
  /** Where the log goes; open until the process ends. */
  readonly descriptor: number
  /** Of the file behind it; default: what is open stays what it is. */
  readonly place?: LogFilePlace | undefined
  /** What is open here gets everything besides, whatever the level. */
  readonly traceDescriptor?: number | undefined
}

export function createLogger({ level, descriptor, place, traceDescriptor }: LogOptions): Logger {
  const settings = {
    level: traceDescriptor === undefined ? level : 'trace',
    base: { pid: process.pid },
    errorKey: 'error',
    serializers: { error: describeError, err: describeError },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  const log = destination(descriptor, place)
  if (traceDescriptor === undefined) return new SummingLogger(pino(settings, log), systemClock)
  const trace = { level: 'trace', stream: destination(traceDescriptor, undefined) }
  return pino(settings, pino.multistream([{ level, stream: log }, trace]))
}

function destination(descriptor: number, place: LogFilePlace | undefined): DestinationStream {
  return isatty(descriptor)
    ? { write: (line) => void writeSync(descriptor, readable(line)) }
    : new LogSink(descriptor, systemClock, place)
}

/** What kind it is, why, and what was behind it; a stack only where that is a mistake of ours. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  /* without `message`, `stack` and `cause`, which are not enumerable */
  const more = Object.fromEntries(Object.entries(error)) as Readonly<Record<string, unknown>>
  const isOurMistake = more['code'] === undefined && more['reason'] === undefined
  const plain = Object.entries(more).filter(([, value]) =>
    ['string', 'number', 'boolean'].includes(typeof value),
  )
  return {
    type: error.constructor.name,
    message: error.message,
    ...Object.fromEntries(plain),
    ...(isOurMistake && { stack: error.stack }),
    ...(error.cause !== undefined && { cause: describeError(error.cause) }),
  }
}

function readable(line: string): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>
  delete fields['pid']
  const rest = Object.entries(fields).map(([name, value]) => {
    const shown = name === 'error' ? (value as { message?: unknown }).message : value
    return ` ${name}=${JSON.stringify(shown)}`
  })
  return `${String(time).slice(11, 19)} ${String(level).padEnd(5)} ${String(msg)}${rest.join('')}\n`
}
