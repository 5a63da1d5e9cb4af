import t from 'tap'
import { SseDecoder } from '../../src/logs/sse-decoder.ts'

function decode(chunks: readonly (string | Uint8Array)[], maxEventLength?: number) {
  const payloads: string[] = []
  let oversized = 0
  const decoder = new SseDecoder({
    onPayload: (payload) => payloads.push(payload),
    onOversized: () => oversized++,
    maxEventLength,
  })
  for (const chunk of chunks) decoder.feed(typeof chunk === 'string' ? Buffer.from(chunk) : chunk)
  return { payloads, oversized }
}

const stream =
  ': welcome\r\n\r\nevent: log\r\ndata: {"message":"größer 🦜"}\r\n\r\n' +
  'event: log\ndata: first\ndata:second\ndata\n\nevent: metrics\ndata: {"cpu":1}\n\n' +
  'id: 7\nretry: 10\nnonsense\ndata: unnamed\n\nevent: log\ndata:\n\nevent: log\n\ndata: cut off'
const expected = ['{"message":"größer 🦜"}', 'first\nsecond\n', 'unnamed', '']

void t.test('payloads come out in order, comments and events of other names do not', (t) => {
  t.same(decode([stream]).payloads, expected)
  t.end()
})

void t.test('the stream may be cut anywhere, inside of a character too', (t) => {
  const bytes = Buffer.from(stream)
  for (let cut = 1; cut < bytes.length; cut++) {
    t.same(decode([bytes.subarray(0, cut), bytes.subarray(cut)]).payloads, expected, `cut at ${cut}`)
  }
  const single = Array.from(bytes, (byte) => Uint8Array.of(byte))
  t.same(decode(single).payloads, expected, 'a byte at a time')
  t.end()
})

void t.test('a line of 1 MiB in small pieces is one payload', (t) => {
  const line = 'ä'.repeat(512 * 1024)
  const bytes = Buffer.from(`event: log\ndata: ${line}\n\n`)
  const chunks = []
  for (let at = 0; at < bytes.length; at += 1001) chunks.push(bytes.subarray(at, at + 1001))
  t.ok(decode(chunks).payloads[0] === line)
  t.end()
})

void t.test('an event over the limit is skipped, and only that one', (t) => {
  const long = 'x'.repeat(300)
  for (const newline of ['\n', '\r\n']) {
    const hostile = [
      'data: before',
      '',
      `data: ${long}`,
      'data: of the same event',
      '',
      'data: between',
      '',
      ...Array.from({ length: 40 }, () => 'data: many lines'),
      '',
      'data: after',
      '',
      '',
    ].join(newline)
    const bytes = Buffer.from(hostile)
    for (const size of [1, 2, 7, 100, bytes.length]) {
      const chunks = []
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size))
      const { payloads, oversized } = decode(chunks, 200)
      t.same(payloads, ['before', 'between', 'after'], `in pieces of ${size}`)
      t.equal(oversized, 2)
    }
  }
  t.end()
})

void t.test('a line that never ends is given up at the limit', (t) => {
  const { oversized } = decode(['data: ', ...Array.from({ length: 100 }, () => 'x'.repeat(100))], 1000)
  t.equal(oversized, 1)
  t.end()
})

void t.test('an event named as one without a name is one', (t) => {
  t.same(decode(['event: message\ndata: a\n\nevent: Message\ndata: b\n\n']).payloads, ['a'])
  t.end()
})

void t.test('an event is over with its blank line, on whichever of its lines it became too large', (t) => {
  for (const newline of ['\n', '\r\n']) {
    for (let count = 1; count <= 40; count++) {
      const many = `data: many lines${newline}`.repeat(count)
      const { payloads } = decode([many, newline, `data: after${newline}${newline}`], 200)
      t.equal(payloads.at(-1), 'after', `${count} lines`)
    }
  }
  t.end()
})
