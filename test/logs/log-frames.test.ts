import t from 'tap'
import type { LogStream } from '../../src/client/operation-options.ts'
import { SessionClient } from '../../src/client/session-client.ts'
import { type LogFrame, logFrames } from '../../src/logs/log-frames.ts'
import { agent, session, startTestEmulator } from '../emulator-server.ts'

/** A stream of these bytes; `isClosed` tells whether it was let go. */
function streamOf(pieces: readonly Uint8Array[]): LogStream & { isClosed: boolean } {
  const stream = {
    status: 200,
    isClosed: false,
    // eslint-disable-next-line @typescript-eslint/require-await
    body: (async function* () {
      yield* pieces
    })(),
    close: () => {
      stream.isClosed = true
    },
  }
  return stream
}

const cut = (text: string, length: number): Uint8Array[] => {
  const bytes = Buffer.from(text)
  return Array.from({ length: Math.ceil(bytes.length / length) }, (_, index) =>
    bytes.subarray(index * length, (index + 1) * length),
  )
}

async function all(stream: LogStream): Promise<LogFrame[]> {
  const frames: LogFrame[] = []
  for await (const frame of logFrames(stream)) frames.push(frame)
  return frames
}

void t.test('each event is a frame, however it is cut, and what is of no known form is text', async (t) => {
  const line = '{"timestamp":"2026-01-01T00:00:00.000Z","stream":"stdout","message":"h\u00e9llo"}'
  const text =
    `event: log\ndata: {"session_id":"s","session_state":"Running"}\n\n: comment\n\n` +
    `event: log\r\ndata: ${line}\r\n\r\nevent: other\ndata: unseen\n\ndata: plain\ndata: lines\n\n` +
    'data: [1]\n\ndata: {"stream":1,"message":null}\n\ndata: never ended'
  const nothing = { stream: undefined, message: undefined, timestamp: undefined }
  for (const length of [1, 2, 7, 1000]) {
    const stream = streamOf(cut(text, length))
    t.strictSame(await all(stream), [
      { ...nothing, text: '{"session_id":"s","session_state":"Running"}' },
      { text: line, stream: 'stdout', message: 'h\u00e9llo', timestamp: '2026-01-01T00:00:00.000Z' },
      { ...nothing, text: 'plain\nlines' },
      { ...nothing, text: '[1]' },
      { ...nothing, text: '{"stream":1,"message":null}' },
    ])
    t.ok(stream.isClosed)
  }
})

void t.test('leaving the loop ends the connection', async (t) => {
  const emulator = await startTestEmulator(t)
  const { endpoint, token } = emulator
  const client = new SessionClient({ endpoint, credential: { token } })
  t.teardown(() => client.close())
  emulator.appendLog(agent, session, ['one', 'two'])
  const messages: unknown[] = []
  for await (const { stream, message } of logFrames(await client.getSessionLogStream(agent, session))) {
    if (stream !== 'stdout') continue
    messages.push(message)
    if (message === 'two') emulator.appendLog(agent, session, 'three')
    if (message === 'three') break
  }
  t.strictSame(messages, ['one', 'two', 'three'])
})
