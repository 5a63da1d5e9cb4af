/**
 * The console's stream with anything in it: nothing crashes, grows without bound, or is lost beside it.
 */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { LogConnection } from '../../src/logs/log-connection.ts'
import { LogFile } from '../../src/logs/log-file.ts'
import { SseDecoder } from '../../src/logs/sse-decoder.ts'
import { FakeClock } from '../fake-clock.ts'
import { ScriptedStream } from './scripted-stream.ts'

/** Of the small decoder: some of the events are over it. */
const smallEventLength = 64

function decode(
  pieces: readonly Uint8Array[],
  maxEventLength?: number,
): { payloads: string[]; oversized: number } {
  const payloads: string[] = []
  let oversized = 0
  const decoder = new SseDecoder({
    onPayload: (payload) => payloads.push(payload),
    onOversized: () => oversized++,
    maxEventLength,
  })
  for (const piece of pieces) decoder.feed(piece)
  return { payloads, oversized }
}

/** What a stream is made of, and what is nearly that. */
const token = fc.constantFrom(
  ...['data', 'data:', 'data: ', ':', 'event: log', 'event: other', 'id: 7', 'retry: 1', '\n', '\r', '\r\n'],
  ...['\n\n', '\r\n\r\n', '\0', '\uFEFF', 'ä', '🦜', 'x'.repeat(40), 'x'.repeat(70)],
)
const text = fc.array(token, { maxLength: 40 }).map((tokens) => Buffer.from(tokens.join('')))
const bytes = fc.oneof(
  text,
  fc.uint8Array({ maxLength: 200 }),
  fc
    .array(fc.oneof(text, fc.uint8Array({ maxLength: 20 })), { maxLength: 6 })
    .map((all) => Buffer.concat(all)),
)

function cut(whole: Uint8Array, at: readonly number[]): Uint8Array[] {
  const places = [...new Set(at.map((place) => place % (whole.length + 1)))].sort((a, b) => a - b)
  return [0, ...places].map((from, index) => whole.subarray(from, places[index] ?? whole.length))
}

void t.test('whatever arrives, and however it is cut, the same comes out', (t) => {
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(), { maxLength: 8 }), (whole, places) => {
      const { payloads, oversized } = decode([whole])
      return isDeepStrictEqual(decode(cut(whole, places)), { payloads, oversized }) && oversized === 0
    }),
    { numRuns: 500 },
  )
  t.pass()
  t.end()
})

void t.test('an event is heard whatever came before the blank lines ahead of it', (t) => {
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(), { maxLength: 8 }), (noise, places) => {
      const after = Buffer.from('\n\n\n\nevent: log\ndata: heard\n\n')
      const { payloads } = decode([...cut(noise, places), after], smallEventLength)
      return payloads.at(-1) === 'heard'
    }),
    { numRuns: 500 },
  )
  t.pass()
  t.end()
})

void t.test(
  'a connection ends with an outcome, and its lines are in the file, whatever it brought',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(bytes, { maxLength: 5 }), fc.boolean(), async (pieces, isCut) => {
        const file = new LogFile({ directory: t.testdir() })
        const stream = new ScriptedStream()
        const connection = new LogConnection({
          openStream: stream.open,
          clock: new FakeClock(),
          file,
          onOpen: () => undefined,
          onQuiet: () => undefined,
          onOversized: () => undefined,
        })
        const running = connection.run()
        stream.last.answer()
        for (const piece of pieces) stream.last.sendBytes(piece)
        if (isCut) stream.last.reset()
        else stream.last.end()
        const { end } = await running
        const written = Buffer.from(file.read(0, 1e6)).toString()
        file.close()
        return end === (isCut ? 'failed' : 'ended') && (written === '' || written.endsWith('\n'))
      }),
      { numRuns: 100 },
    )
    t.pass()
  },
)
