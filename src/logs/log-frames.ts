/**
 * A log stream decoded, for users of the library; a mount follows the console with `LogFollower`. Layer: logs.
 *
 * Invariant: every event of one connection in order, once; nothing is asked for again, and memory is bounded
 * by the largest event.
 */
import type { LogStream } from '../client/operation-options.ts'
import { SseDecoder } from './sse-decoder.ts'

export interface LogFrame {
  /** What the service sent, as a line of `.logs` shows it. */
  readonly text: string
  /**
   * `stdout` and `stderr` of the agent, `status` for what the service says of the connection; undefined for the
   * session's own description, which comes first, and for what is not of the service's form.
   */
  readonly stream: string | undefined
  readonly message: string | undefined
  /** RFC 3339, with 3 to 9 digits of a second. */
  readonly timestamp: string | undefined
}

/**
 * The frames of a stream as they arrive; leaving the loop ends the connection. Ends when the service ends the
 * stream: after 30 minutes, or 2 without a line. Fails as the stream does. An event over 8 Mi characters is
 * left out.
 */
export async function* logFrames(stream: LogStream): AsyncGenerator<LogFrame, void, undefined> {
  const arrived: string[] = []
  const decoder = new SseDecoder({
    onPayload: (payload) => arrived.push(payload),
    onOversized: () => undefined,
  })
  try {
    for await (const bytes of stream.body) {
      decoder.feed(bytes)
      for (const text of arrived.splice(0)) yield toFrame(text)
    }
  } finally {
    stream.close()
  }
}

/** What a payload says, as far as it is of the service's form. */
export function toFrame(text: string): LogFrame {
  const payload = parseObject(text)
  const member = (name: string): string | undefined => {
    const value = payload[name]
    return typeof value === 'string' ? value : undefined
  }
  return { text, stream: member('stream'), message: member('message'), timestamp: member('timestamp') }
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {} /* a line of another form is shown as it is */
  }
}
