import t, { type Test } from 'tap'
import { ServiceError } from '../../src/client/errors.ts'
import { silentLogger } from '../../src/log.ts'
import { LogFollower, type LogsMode } from '../../src/logs/follow-logs.ts'
import { LogFile } from '../../src/logs/log-file.ts'
import { FakeClock } from '../fake-clock.ts'
import { ScriptedStream, turns } from './scripted-stream.ts'

function setup(t: Test, mode: LogsMode = 'open') {
  const clock = new FakeClock()
  const stream = new ScriptedStream()
  const file = new LogFile({ directory: t.testdir() })
  const warnings: string[] = []
  const logger = { ...silentLogger, warn: (_: object, message: string) => void warnings.push(message) }
  const follower = new LogFollower({ openStream: stream.open, file, clock, logger, mode, random: () => 0 })
  t.teardown(async () => {
    await follower.stop()
    file.close()
  })
  const lines = (): string[] => Buffer.from(file.read(0, 1e6)).toString().split('\n').slice(0, -1)
  const passes = async (ms: number): Promise<void> => {
    await turns()
    clock.advance(ms)
    await turns()
  }
  const opened = async (): Promise<void> => {
    const retained = follower.retain()
    await turns()
    await passes(2000)
    await retained
  }
  return { clock, stream, file, follower, warnings, lines, passes, opened }
}

void t.test('nothing is asked before somebody opens the log', async (t) => {
  const { follower, stream, clock, passes } = setup(t)
  await passes(1e6)
  t.equal(stream.connections.length, 0)
  t.equal(clock.waiting, 0, 'and nothing waits')
  t.equal(follower.status.state, 'idle')
})

void t.test('the first open waits until the opening burst has been quiet for a moment', async (t) => {
  const { follower, stream, lines, passes } = setup(t)
  let isOpen = false
  const retained = follower.retain().then(() => (isOpen = true))
  await turns()
  stream.last.answer()
  stream.last.send('a', 'b')
  await passes(299)
  stream.last.send('c')
  await turns()
  await passes(299)
  t.notOk(isOpen)
  await passes(1)
  t.ok(isOpen)
  await retained
  t.same(lines(), ['a', 'b', 'c'])
  await follower.retain()
  t.pass('the second open waits for nothing')
  t.equal(stream.connections.length, 1)
  t.match(follower.status, { state: 'open', openHandles: 2, connections: 1 })
})

void t.test('frames about the connection do not end the wait, two seconds do', async (t) => {
  const { follower, stream, passes } = setup(t)
  let isOpen = false
  void follower.retain().then(() => (isOpen = true))
  await turns()
  stream.last.answer()
  stream.last.send('{"stream":"status","message":"connecting"}')
  await turns()
  await passes(1999)
  t.notOk(isOpen)
  await passes(1)
  t.ok(isOpen)
})

void t.test('the wait ends when the connection fails, and when the caller gives up', async (t) => {
  const { follower, stream } = setup(t)
  const retained = follower.retain()
  await turns()
  stream.last.refuse(new ServiceError('network', 'unreachable'))
  await retained
  t.equal(follower.status.state, 'backingOff')

  const other = setup(t)
  const abort = new AbortController()
  const waiting = other.follower.retain(abort.signal)
  abort.abort()
  await waiting
  t.equal(other.follower.status.state, 'connecting')
})

void t.test('five minutes after the last close the connection ends', async (t) => {
  const { follower, stream, passes, opened, clock } = setup(t)
  await opened()
  await opened()
  stream.last.answer()
  follower.release()
  await passes(1e5)
  follower.release()
  for (let minute = 0; minute < 4; minute++) {
    stream.last.comment()
    await passes(60_000)
  }
  stream.last.comment()
  await passes(59_999)
  t.notOk(stream.last.signal.aborted)
  await passes(1)
  t.ok(stream.last.signal.aborted)
  t.equal(follower.status.state, 'idle')
  t.equal(clock.waiting, 0, 'and nothing waits')
  await opened()
  t.equal(stream.connections.length, 2, 'the next open connects again')
})

void t.test('opening again within the five minutes keeps the connection', async (t) => {
  const { follower, stream, passes, opened } = setup(t)
  await opened()
  stream.last.answer()
  follower.release()
  await passes(100_000)
  await opened()
  for (let minute = 0; minute < 10; minute++) {
    stream.last.comment()
    await passes(60_000)
  }
  t.equal(stream.connections.length, 1)
  t.notOk(stream.last.signal.aborted)
})

void t.test('a stream that ends is taken up again, no line lost or doubled', async (t) => {
  const { stream, passes, opened, lines } = setup(t)
  await opened()
  stream.last.answer()
  stream.last.send('a', 'b', 'c')
  await turns()
  stream.last.end()
  await turns()
  t.equal(stream.connections.length, 1, 'not at once')
  await passes(500)
  t.equal(stream.connections.length, 2)
  stream.last.answer()
  stream.last.send('b', 'c', 'd')
  await turns()
  stream.last.reset()
  await passes(1000)
  t.equal(stream.connections.length, 3)
  stream.last.answer()
  stream.last.send('a', 'b')
  await turns()
  stream.last.reset()
  await passes(1000)
  stream.last.answer()
  stream.last.send('e')
  await turns()
  t.same(lines(), ['a', 'b', 'c', 'd', 'e'])
})

void t.test('lines that look like a replay and are none appear after a while', async (t) => {
  const { stream, passes, opened, lines } = setup(t)
  await opened()
  stream.last.answer()
  stream.last.send('beat', 'work', 'done')
  await turns()
  stream.last.end()
  await turns()
  await passes(500)
  stream.last.answer()
  stream.last.send('beat')
  await turns()
  t.same(lines(), ['beat', 'work', 'done'])
  await passes(10_000)
  t.same(lines(), ['beat', 'work', 'done', 'beat'])
  stream.last.send('beat')
  await turns()
  t.equal(lines().length, 5, 'and from then on at once')
})

void t.test('150 seconds without a byte end a connection', async (t) => {
  const { stream, passes, opened } = setup(t)
  await opened()
  stream.last.answer()
  await passes(140_000)
  stream.last.comment()
  await turns()
  await passes(149_000)
  t.notOk(stream.last.signal.aborted)
  await passes(1_000)
  t.ok(stream.last.signal.aborted)
  await passes(1_000)
  t.equal(stream.connections.length, 2)
})

void t.test('a service that refuses is asked slowly, and the log says so once', async (t) => {
  const { stream, passes, opened, warnings, follower } = setup(t)
  await opened()
  for (const waitMs of [15_000, 30_000, 60_000, 120_000, 150_000, 150_000]) {
    const asked = stream.connections.length
    stream.last.refuse(new ServiceError('forbidden', 'not allowed', { status: 403 }))
    await turns()
    await passes(waitMs - 1)
    t.equal(stream.connections.length, asked)
    await passes(1)
    t.equal(stream.connections.length, asked + 1)
  }
  t.same(warnings, ['console log: not connected: not allowed; trying again'])
  stream.last.answer(404)
  await turns()
  t.equal(follower.status.lastEnd, 'status 404')
  t.equal(warnings.length, 2, 'another reason is news')
})

void t.test('a sandbox that wakes is asked soon, and ever more slowly', async (t) => {
  const { stream, passes, opened } = setup(t)
  await opened()
  for (const waitMs of [1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 150_000, 150_000]) {
    const asked = stream.connections.length
    stream.last.refuse(new ServiceError('session_not_ready', 'not ready', { status: 424 }))
    await passes(waitMs - 1)
    t.equal(stream.connections.length, asked)
    await passes(1)
    t.equal(stream.connections.length, asked + 1)
  }
})

void t.test('a service that says when to come back is not asked before', async (t) => {
  const { stream, passes, opened } = setup(t)
  await opened()
  stream.last.refuse(new ServiceError('throttled', 'slow down', { status: 429, retryAfterMs: 20_000 }))
  await passes(19_999)
  t.equal(stream.connections.length, 1)
  await passes(1)
  t.equal(stream.connections.length, 2)
})

void t.test('somebody who opens the log does not wait for the slow pace', async (t) => {
  const { stream, passes, opened } = setup(t)
  await opened()
  stream.last.refuse(new ServiceError('forbidden', 'no'))
  await turns()
  await passes(1000)
  await opened()
  t.equal(stream.connections.length, 1, 'but not more than every few seconds')
  await passes(3000)
  await opened()
  t.equal(stream.connections.length, 2)
})

void t.test('a service that ends every stream at once is not asked in a loop', async (t) => {
  const { stream, passes, opened } = setup(t)
  await opened()
  for (const waitMs of [250, 500, 1000, 2000, 4000]) {
    const asked = stream.connections.length
    stream.last.answer()
    stream.last.send('{"session_state":"Stopped"}')
    stream.last.end()
    await turns()
    await passes(waitMs - 1)
    t.equal(stream.connections.length, asked)
    await passes(1)
    t.equal(stream.connections.length, asked + 1)
  }
})

void t.test('always connects by itself and stays, off never does', async (t) => {
  const always = setup(t, 'always')
  await turns()
  always.stream.last.answer()
  always.stream.last.send('a')
  await turns()
  t.same(always.lines(), ['a'])
  await always.passes(300)
  await always.follower.retain()
  always.follower.release()
  for (let minute = 0; minute < 10; minute++) {
    always.stream.last.comment()
    await always.passes(60_000)
  }
  t.notOk(always.stream.last.signal.aborted)

  const off = setup(t, 'off')
  await off.follower.retain()
  t.equal(off.stream.connections.length, 0)
})

void t.test('a disk that takes no line ends the connection, and the replay brings the line', async (t) => {
  const { stream, file, passes, opened, lines, warnings } = setup(t)
  await opened()
  stream.last.answer()
  stream.last.send('a')
  await turns()
  const append = file.append.bind(file)
  file.append = () => {
    throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
  }
  stream.last.send('b')
  await turns()
  t.match(warnings, [/cannot be written to the local disk/])
  file.append = append
  await passes(15_000)
  stream.last.answer()
  stream.last.send('a', 'b', 'c')
  await turns()
  t.same(lines(), ['a', 'b', 'c'])
})

void t.test('a payload of several lines is several lines, and stays so over a reconnect', async (t) => {
  const { stream, passes, opened, lines } = setup(t)
  await opened()
  const payload = 'Traceback\ndata:   line 1\ndata: Error'
  stream.last.answer()
  stream.last.send('a', payload)
  await turns()
  stream.last.reset()
  await passes(1000)
  stream.last.answer()
  stream.last.send(payload, 'b')
  await turns()
  t.same(lines(), ['a', 'Traceback', '  line 1', 'Error', 'b'])
})

void t.test('stop ends everything, and keeps what had come', async (t) => {
  const { follower, stream, clock, lines, opened } = setup(t)
  await opened()
  stream.last.answer()
  stream.last.send('a')
  await turns()
  await follower.stop()
  t.same(lines(), ['a'])
  t.ok(stream.last.signal.aborted)
  t.equal(clock.waiting, 0)
  await follower.retain()
  t.equal(stream.connections.length, 1)
})

void t.test('one event of more lines than a call takes arguments is taken as any other', async (t) => {
  const { stream, lines, opened, passes } = setup(t)
  await opened()
  stream.last.answer()
  const many = Array.from({ length: 200_000 }, (_, index) => String(index))
  stream.last.send(many.join('\ndata: '))
  await passes(300)
  const read = lines()
  t.ok(read.length >= 100_000, 'as many as the reader asked for')
  t.strictSame(read, many.slice(0, read.length))
})

void t.test('a service that wants to be left alone for days is asked again after five minutes', async (t) => {
  const { stream, opened, passes } = setup(t)
  await opened()
  const asksForDays = { status: 429, retryAfterMs: 30 * 24 * 3_600_000 }
  stream.last.refuse(new ServiceError('throttled', 'slow down', asksForDays))
  await passes(299_999)
  t.equal(stream.connections.length, 1)
  await passes(1)
  t.equal(stream.connections.length, 2)
})
