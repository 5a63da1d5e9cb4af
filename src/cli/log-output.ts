/**
 * How the log looks. Layer: cli.
 *
 * Invariant: a line is written before the call that logs it returns, so that the last one before a crash is
 * there. In a file each is JSON, with the time in ISO 8601; on a terminal it is for reading.
 */
import { writeSync } from 'node:fs'
import { type DestinationStream, pino } from 'pino'
import type { Logger } from '../log.ts'
import type { RunOptions } from '../options/mount-options.ts'
import { isatty } from 'node:tty'

/** What is open as `traceDescriptor` gets everything besides, whatever the level. */
export function createLogger(
  level: RunOptions['logLevel'],
  descriptor: number,
  traceDescriptor?: number,
): Logger {
  const settings = {
    level: traceDescriptor === undefined ? level : 'trace',
    base: { pid: process.pid },
    errorKey: 'error',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  const log = destination(descriptor)
  if (traceDescriptor === undefined) return pino(settings, log)
  const trace = { level: 'trace', stream: destination(traceDescriptor) }
  return pino(settings, pino.multistream([{ level, stream: log }, trace]))
}

function destination(descriptor: number): DestinationStream {
  return isatty(descriptor)
    ? { write: (line) => void writeSync(descriptor, readable(line)) }
    : pino.destination({ fd: descriptor, sync: true })
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
