import t, { type Test } from 'tap'
import { showFrame } from '../../src/cli/console-format.ts'
import { toFrame } from '../../src/logs/log-frames.ts'

process.env['TZ'] = 'UTC'

const said = (stream: string, message: string): string =>
  JSON.stringify({ timestamp: '2026-01-02T03:04:05.678901+00:00', stream, message })
const opening =
  '{"timestamp":"2026-01-02T03:04:05Z","session_id":"s","session_state":"Running","version":"3"}'

/** As if the output were a terminal that shows colours, or none. */
function onTerminal(t: Test, isTTY: boolean): void {
  const before = process.stdout.isTTY
  const colours = process.env['FORCE_COLOR']
  process.stdout.isTTY = isTTY
  process.env['FORCE_COLOR'] = isTTY ? '1' : '0'
  t.teardown(() => {
    process.stdout.isTTY = before
    if (colours === undefined) delete process.env['FORCE_COLOR']
    else process.env['FORCE_COLOR'] = colours
  })
}

const text = (line: string): string => showFrame(toFrame(line), 'text')
const json = (line: string): unknown => JSON.parse(showFrame(toFrame(line), 'json'))

void t.test('raw is what the service sends', (t) => {
  for (const line of [said('stdout', 'a'), opening, 'plain \u001b[1m'])
    t.equal(showFrame(toFrame(line), 'raw'), line)
  t.end()
})

void t.test('json has three members, null where the line does not say', (t) => {
  const timestamp = '2026-01-02T03:04:05.678901+00:00'
  t.strictSame(json(said('stderr', 'a\nb')), { timestamp, stream: 'stderr', message: 'a\nb' })
  t.strictSame(json('plain'), { timestamp: null, stream: null, message: 'plain' })
  t.strictSame(json('{"level":3}'), { timestamp: null, stream: null, message: '{"level":3}' })
  t.match(json(opening), { stream: 'status', message: 'session Running, version 3' })
  t.end()
})

void t.test('text is time, stream and message, and other lines as they are', (t) => {
  onTerminal(t, false)
  t.equal(text(said('stdout', 'hello')), '2026-01-02 03:04:05.678 stdout hello')
  t.equal(text(said('status', 'there')), '2026-01-02 03:04:05.678 status there')
  t.equal(text(opening), '2026-01-02 03:04:05.000 status session Running, version 3')
  t.equal(text('{"session_state":1}'), '{"session_state":1}')
  t.equal(text('plain \u001b[1m'), 'plain \u001b[1m', 'where no terminal obeys it')
  t.equal(text('{"timestamp":"then","message":"x"}'), 'then        x')
  t.end()
})

void t.test('on a terminal: errors red, the rest of the service dim, and nothing that it would obey', (t) => {
  onTerminal(t, true)
  t.match(text(said('stderr', 'bad')), /\u001b\[31mstderr bad\u001b\[39m$/)
  t.match(text(said('status', 'there')), /\u001b\[2mstatus there\u001b\[22m$/)
  t.equal(text('\u001b[2Jgone\r\u009b1m\u0007\ttab'), String.raw`\x1b[2Jgone\r\x9b1m\x07` + '\ttab')
  t.match(text(said('stdout', 'one\ntwo')), /stdout one\\ntwo$/)
  t.end()
})
