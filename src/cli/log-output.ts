/**
 * Where the log goes and how it looks. Layer: cli.
 *
 * Invariant: a line is written before the call that logs it returns, so that the last one before a crash is
 * there. In a file each is JSON, with the time in ISO 8601; on a terminal it is for reading.
 */
import { fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { pino } from 'pino'
import type { Logger } from '../log.ts'
import type { RunOptions } from '../options.ts'
import { isatty } from 'node:tty'

/* a log of this size is set aside as FILE.1 when the next mount begins */
const rotateBytes = 8 * 1024 * 1024

/** Opens a log to append to, its directory made where missing; the error of open(2) otherwise. */
export function openLog(file: string): number {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const open = (): number => openSync(file, 'a', 0o600)
  const descriptor = open()
  const { size, mode } = fstatSync(descriptor)
  if (size < rotateBytes || (mode & 0o170000) !== 0o100000) {
    return descriptor
  }
  renameSync(file, `${file}.1`)
  return open()
}

export function createLogger(level: RunOptions['logLevel'], descriptor: number): Logger {
  const settings = {
    level,
    base: { pid: process.pid },
    errorKey: 'error',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  const destination = isatty(descriptor)
    ? { write: (line: string) => void writeSync(descriptor, readable(line)) }
    : pino.destination({ fd: descriptor, sync: true })
  return pino(settings, destination)
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
