/**
 * How a line of the console is printed by `logs`. Layer: cli.
 *
 * Invariant: a line of the output is a line of the console; on a terminal nothing that the agent says is obeyed by it.
 */
import { streamOf, type StreamName } from '../logs/line-filter.ts'
import type { LogFrame } from '../logs/log-frames.ts'
import { styled } from './output.ts'

export type LogFormat = 'raw' | 'text' | 'json'

const nameWidth = 'stdout'.length

export function showFrame(frame: LogFrame, format: LogFormat): string {
  switch (format) {
    case 'raw':
      return frame.text
    case 'json':
      return JSON.stringify(asObject(frame))
    case 'text':
      return asText(frame)
    default:
      return format satisfies never
  }
}

/** What is of another form is a message without the rest. */
function asObject(frame: LogFrame): object {
  const { text, timestamp = null, stream = null } = frame
  const message = messageOf(frame)
  if (message === undefined) return { timestamp: null, stream: null, message: text }
  return { timestamp, stream: stream ?? (streamOf(frame) === 'status' ? 'status' : null), message }
}

function asText(frame: LogFrame): string {
  const { text, timestamp } = frame
  const stream = streamOf(frame)
  const message = messageOf(frame)
  if (message === undefined) return styledAs(stream, safe(text))
  const time = timestamp === undefined ? '' : `${localTime(timestamp)} `
  const name = frame.stream ?? (stream === 'status' ? stream : '')
  return styled('dim', safe(time)) + styledAs(stream, `${safe(name).padEnd(nameWidth)} ${safe(message)}`)
}

/** Of the session's own description, with which each connection begins, what changes. */
function messageOf({ text, message, stream }: LogFrame): string | undefined {
  if (message !== undefined || stream !== undefined) return message
  if (!text.startsWith('{') || !text.includes('"session_state"')) return undefined
  try {
    const { session_state: state, version } = JSON.parse(text) as Record<string, unknown>
    if (typeof state !== 'string') return undefined
    return `session ${state}${typeof version === 'string' ? `, version ${version}` : ''}`
  } catch {
    return undefined /* console output that looks like it */
  }
}

function styledAs(stream: StreamName, text: string): string {
  if (stream === 'stderr') return styled('red', text)
  return stream === 'status' ? styled('dim', text) : text
}

/** `2026-11-22 14:28:38.295`, of this machine's time zone; what is no time as it is. */
function localTime(timestamp: string): string {
  const date = new Date(timestamp)
  if (Number.isNaN(date.getTime())) return timestamp
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  return `${day} ${time}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

const written: Readonly<Record<string, string>> = { '\n': String.raw`\n`, '\r': String.raw`\r` }

/** What a terminal would obey is written out; a tab is what it is. */
function safe(text: string): string {
  if (!process.stdout.isTTY) return text
  return text.replaceAll(
    /[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g,
    (character) => written[character] ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}
