/**
 * `mount-session logs AGENT/SESSION`: the console of a session, without a mount. Layer: cli.
 *
 * Asks the service itself also where the session is mounted here: a second connection costs nothing, while the file
 * behind `.logs` holds only what was said while somebody had it open.
 *
 * Invariant: each line once and in order, over all connections; Ctrl-C and a reader that goes are the ordinary ends.
 */
import { once } from 'node:events'
import { followLogs } from '../logs/console-lines.ts'
import type { LogFrame } from '../logs/log-frames.ts'
import { systemClock } from '../clock.ts'
import { readCommand } from './command-line.ts'
import { styled } from './output.ts'
import { talkToService } from './service.ts'
import { parseTarget } from './targets.ts'
import { UsageError } from './usage-error.ts'

export async function run(argv: readonly string[]): Promise<number> {
  const { words, flags, values } = readCommand('logs', argv)
  const { agent, session, path } = parseTarget(words[0] ?? '', 'logs')
  if (path !== '') throw new UsageError(`${words[0]}: a session has one console: leave out the path`, 'logs')
  const format = flags.format ?? (process.stdout.isTTY ? 'text' : 'raw')
  const streams = flags.stream === undefined ? undefined : new Set(flags.stream)
  const sinceMs = flags.since?.(Date.now())
  await talkToService(values, { agent, session }, async ({ client, signal, logger }) => {
    const { follow, tail } = flags
    const frames = followLogs(client, agent, session, {
      follow,
      tail,
      sinceMs,
      signal,
      logger,
      clock: systemClock,
    })
    try {
      for await (const frame of frames) {
        if (streams !== undefined && !streams.has(frame.stream ?? '')) continue
        if (!process.stdout.write(`${shown(frame, format)}\n`))
          await once(process.stdout, 'drain', { signal })
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  })
  return 0
}

function shown(frame: LogFrame, format: 'raw' | 'text' | 'json'): string {
  switch (format) {
    case 'raw':
      return frame.text
    case 'json':
      return JSON.stringify(asObject(frame))
    case 'text':
      return asText(frame)
  }
}

/** What is of another form is a message without the rest. */
function asObject({ text, timestamp, stream, message }: LogFrame): object {
  return message === undefined
    ? { timestamp: timestamp ?? null, stream: null, message: text }
    : { timestamp: timestamp ?? null, stream: stream ?? null, message }
}

function asText({ text, timestamp, stream, message }: LogFrame): string {
  if (message === undefined) return styledAs(stream, safe(text))
  const time = timestamp === undefined ? '' : `${localTime(timestamp)} `
  const name = stream === undefined ? '' : `${stream.padEnd('stdout'.length)} `
  return styled('dim', time) + styledAs(stream, `${name}${safe(message)}`)
}

function styledAs(stream: string | undefined, text: string): string {
  if (stream === 'stderr') return styled('red', text)
  return stream === 'status' ? styled('dim', text) : text
}

/** `14:28:38.295`, of this machine's time zone; what is no time as it is. */
function localTime(timestamp: string): string {
  const date = new Date(timestamp)
  if (Number.isNaN(date.getTime())) return timestamp
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  return `${day} ${time}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

/** What a terminal would obey is written out. */
function safe(text: string): string {
  if (!process.stdout.isTTY) return text
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (character) => {
    const code = character.charCodeAt(0)
    return `\\x${code.toString(16).padStart(2, '0')}`
  })
}
