import { text } from 'node:stream/consumers'
import type { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { type LogStreamRequest, openLogStream } from '../../src/emulator/log-stream.ts'
import type { EmulatedLogStream } from '../../src/emulator/options.ts'
import { Store } from '../../src/emulator/store.ts'
import { FakeClock } from '../fake-clock.ts'

const following: LogStreamRequest = { kind: 'console', follow: true, replay: 50 }

function setup(t: Test, options: EmulatedLogStream = {}) {
  const clock = new FakeClock()
  const store = new Store(t.testdir(), { clock, idleAfterMs: Infinity, wakeMs: 0 })
  store.ensureSession('demo-agent', 'session-1')
  const session = store.find('demo-agent', 'session-1')!
  const open = (request: Partial<LogStreamRequest> = {}): Readable =>
    openLogStream(session, { ...following, ...request }, { clock, options })
  return { clock, session, open }
}

/** The payloads of a stream that has ended. */
async function payloads(stream: Readable): Promise<{ stream?: string; message?: string }[]> {
  const frames = (await text(stream)).split('\n\n').slice(0, -1)
  return frames.map((frame) => {
    const [event, data, ...more] = frame.split('\n')
    if (event !== 'event: log' || !data?.startsWith('data: ') || more.length > 0) throw new Error(frame)
    return JSON.parse(data.slice(6)) as { stream?: string; message?: string }
  })
}

const messages = async (stream: Readable): Promise<(string | undefined)[]> =>
  (await payloads(stream)).slice(3).map(({ message }) => message)

void t.test('a stream opens with the session, two words on its state, and recent lines', async (t) => {
  const { session, open } = setup(t)
  session.console.append('one')
  session.console.append(['two\nthree', 'four'], 'stderr')
  const all = await payloads(open({ follow: false }))
  t.match(all[0], { session_id: 'session-1', session_state: 'Running', agent: 'demo-agent', version: '1' })
  t.match(all.slice(1), [
    { stream: 'status' },
    { stream: 'status' },
    { stream: 'stdout', message: 'one' },
    { stream: 'stderr', message: 'two' },
    { stream: 'stderr', message: 'three' },
    { stream: 'stderr', message: 'four' },
  ])
})

void t.test('timestamps name a line: they only increase, within a millisecond too', async (t) => {
  const { session, open } = setup(t)
  session.console.append(Array.from({ length: 300 }, () => 'same'))
  const stamps = (await payloads(open({ follow: false, replay: 300 }))).map(
    (payload) => (payload as { timestamp: string }).timestamp,
  )
  const lines = stamps.slice(3)
  t.equal(new Set(lines).size, 300)
  t.same([...lines].sort(), lines)
  for (const stamp of stamps) t.match(stamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/)
})

void t.test('as many lines are sent again as asked for', async (t) => {
  const { session, open } = setup(t)
  session.console.append(['1', '2', '3', '4'])
  t.same(await messages(open({ follow: false, replay: 2 })), ['3', '4'])
  t.same(await messages(open({ follow: false, replay: 0 })), [])
  t.same(await messages(open({ follow: false, kind: 'system' })), [])
})

void t.test('lines follow until two minutes without one', async (t) => {
  const { clock, session, open } = setup(t, { keepaliveMs: Infinity })
  const stream = open()
  session.console.append('a')
  clock.advance(119_999)
  session.console.append('b')
  clock.advance(119_999)
  session.console.append('c')
  clock.advance(120_000)
  session.console.append('never')
  t.same(await messages(stream), ['a', 'b', 'c'])
  t.equal(clock.waiting, 0, 'and no timer stays')
})

void t.test('silence is said once a minute', async (t) => {
  const { clock, session, open } = setup(t, { idleMs: 200_000 })
  const stream = open()
  clock.advance(30_000)
  session.console.append('a')
  clock.advance(200_000)
  const said = 'No logs since last 60 seconds'
  t.same(await messages(stream), ['a', said, said, said])
})

void t.test('a stream ends after half an hour whatever is said', async (t) => {
  const { clock, session, open } = setup(t)
  const stream = open()
  for (let minute = 1; minute <= 40; minute++) {
    clock.advance(59_000)
    session.console.append(String(minute))
  }
  t.equal((await messages(stream)).length, 30)
})

void t.test('the log of a session that is not running says so and ends', async (t) => {
  const { session, open } = setup(t)
  session.console.append('old')
  session.stop()
  t.match(await payloads(open()), [{ session_state: 'Stopped' }])
})

void t.test('split frames are the same bytes in pieces', async (t) => {
  const { session, open } = setup(t, { splitFrames: true })
  session.console.append(['ünïcödé 🙂', 'x'.repeat(100_000)])
  const stream = open({ follow: false })
  const chunks: Buffer[] = []
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk)
  t.ok(chunks.length > 100)
  t.match(Buffer.concat(chunks).toString(), 'ünïcödé 🙂')
  t.ok(
    chunks.some((chunk) => chunk.toString().includes('\ufffd')),
    'inside a character too',
  )
})

void t.test('a reader that leaves leaves nothing behind', async (t) => {
  const { clock, session, open } = setup(t)
  const stream = open()
  stream.destroy()
  await new Promise((resolve) => stream.once('close', resolve))
  t.equal(clock.waiting, 0)
  session.console.append('nobody hears')
})
