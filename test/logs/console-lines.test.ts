/** `followLogs` over connections that a test answers by hand, in time that it lets pass. */
import t, { type Test } from 'tap'
import { ServiceError } from '../../src/client/errors.ts'
import type { LogStreamOptions } from '../../src/client/operation-options.ts'
import type { SessionClient } from '../../src/client/session-client.ts'
import { followLogs, type FollowLogsOptions } from '../../src/logs/console-lines.ts'
import { FakeClock } from '../fake-clock.ts'
import { ScriptedStream, turns } from './scripted-stream.ts'

const opening = '{"timestamp":"2026-01-02T03:04:05.000Z","session_id":"s","session_state":"Running"}'

/** A loop over the lines that goes on by itself; `shown` is what it has seen. */
function follow(t: Test, options: FollowLogsOptions = {}) {
  const clock = new FakeClock()
  const stream = new ScriptedStream()
  const asked: LogStreamOptions[] = []
  const client = {
    getSession: () => Promise.resolve({ agentVersion: '7' }),
    getSessionLogStream: (_agent: string, _session: string, options: LogStreamOptions) => {
      asked.push(options)
      return stream.open(options.signal ?? new AbortController().signal)
    },
  }
  const shown: string[] = []
  const ending = new AbortController()
  const loop = async (): Promise<string> => {
    const all = { clock, signal: ending.signal, ...options }
    const lines = followLogs(client as unknown as SessionClient, 'agent', 'session', all)
    for await (const { text } of lines) shown.push(text)
    return 'over'
  }
  const outcome = loop().catch((error: unknown) => error)
  t.teardown(async () => {
    ending.abort()
    await outcome
    if (clock.waiting > 0) throw new Error(`${clock.waiting} timers are left`)
  })
  const passes = async (ms: number): Promise<void> => {
    await turns()
    clock.advance(ms)
    await turns()
  }
  return { clock, stream, asked, shown, ending, outcome, passes }
}

void t.test('lines are shown as they come, once, over all connections', async (t) => {
  const { stream, shown, passes } = follow(t)
  await turns()
  stream.last.answer()
  stream.last.send(opening, 'a', 'b')
  await turns()
  t.strictSame(shown, [opening, 'a', 'b'], 'without waiting for quiet')
  stream.last.reset()
  await passes(1000)
  stream.last.answer()
  stream.last.send('older', 'a', 'b', 'c')
  await passes(1000)
  t.strictSame(shown, [opening, 'a', 'b', 'c'], 'a replay that began before what was shown is recognised')
})

void t.test('with tail the last lines are shown when the console rests, or never does', async (t) => {
  const { stream, shown, passes } = follow(t, { tail: 2 })
  await turns()
  stream.last.answer()
  stream.last.send(opening)
  await passes(60_000)
  stream.last.send('a', 'b', 'c')
  await passes(299)
  t.strictSame(shown, [])
  await passes(1)
  t.strictSame(shown, ['b', 'c'])
  stream.last.send('d')
  await turns()
  t.strictSame(shown, ['b', 'c', 'd'])

  const busy = follow(t, { tail: 2 })
  await turns()
  busy.stream.last.answer()
  for (let line = 0; line < 20; line++) {
    t.strictSame(busy.shown, [])
    busy.stream.last.send(String(line))
    await busy.passes(100)
  }
  t.strictSame(busy.shown, ['18', '19'])
})

void t.test(
  'what there is: the end of the stream is the end, or a rest where the service goes on',
  async (t) => {
    const ended = follow(t, { follow: false })
    await turns()
    t.match(ended.asked, [{ tail: 300, follow: false, agentVersion: undefined }])
    ended.stream.last.answer()
    ended.stream.last.send(opening, 'a')
    ended.stream.last.end()
    t.equal(await ended.outcome, 'over')
    t.strictSame(ended.shown, [opening, 'a'])
    t.equal(ended.stream.connections.length, 1)

    const resting = follow(t, { follow: false, tail: 1 })
    await turns()
    resting.stream.last.answer()
    resting.stream.last.send(opening)
    await resting.passes(4999)
    resting.stream.last.send('a', 'b')
    await resting.passes(1500)
    t.equal(await resting.outcome, 'over')
    t.strictSame(resting.shown, ['b'])

    const silent = follow(t, { follow: false })
    await turns()
    silent.stream.last.answer()
    await silent.passes(5000)
    t.equal(await silent.outcome, 'over')
  },
)

void t.test('what there is: a broken connection is made good, five in vain are a failure', async (t) => {
  const { stream, shown, passes, outcome } = follow(t, { follow: false })
  await turns()
  stream.last.answer()
  stream.last.send('a', 'b')
  await turns()
  stream.last.reset()
  await passes(1000)
  stream.last.answer()
  stream.last.send('a', 'b', 'c')
  stream.last.end()
  t.equal(await outcome, 'over')
  t.strictSame(shown, ['a', 'b', 'c'])

  const vain = follow(t, { follow: false })
  await turns()
  for (let attempt = 1; attempt <= 5; attempt++) {
    t.equal(vain.stream.connections.length, attempt)
    vain.stream.last.refuse(new ServiceError('server_error', `attempt ${attempt}`, { status: 503 }))
    await vain.passes(60_000)
  }
  t.match(await vain.outcome, { name: 'ServiceError', message: 'attempt 5' })
  t.equal(vain.stream.connections.length, 5)
})

void t.test(
  'a session that is gone and a client that is closed end it, a sandbox that wakes does not',
  async (t) => {
    const { stream, outcome, passes } = follow(t)
    await turns()
    stream.last.refuse(new ServiceError('session_not_ready', 'waking', { status: 424 }))
    await passes(2000)
    t.equal(stream.connections.length, 2)
    const gone = { status: 404, serviceCode: 'session_not_found' }
    stream.last.refuse(new ServiceError('session_not_found', 'gone', gone))
    t.match(await outcome, { code: 'session_not_found' })
    await passes(600_000)
    t.equal(stream.connections.length, 2)

    const closed = follow(t)
    await turns()
    closed.stream.last.refuse(new ServiceError('closed', 'the client is closed'))
    t.match(await closed.outcome, { code: 'closed' })
  },
)

void t.test('a service that knows one form of the stream alone is asked by that one', async (t) => {
  const { stream, asked } = follow(t)
  await turns()
  stream.last.refuse(new ServiceError('session_not_found', 'no such route', { status: 404 }))
  await turns()
  stream.last.answer()
  t.match(asked, [{ tail: 300, follow: true }, { agentVersion: '7' }])
})

void t.test('a signal ends it with its reason, before and after', async (t) => {
  const early = follow(t, { signal: AbortSignal.abort(new Error('enough')) })
  t.match(await early.outcome, { message: 'enough' })
  t.equal(early.stream.connections.length, 0)

  const { stream, ending, outcome } = follow(t)
  await turns()
  stream.last.answer()
  ending.abort(new Error('enough'))
  t.match(await outcome, { message: 'enough' })
  t.ok(stream.last.signal.aborted)
})

void t.test(
  'a reader that does not read keeps the connection waiting, and is not taken for silence',
  async (t) => {
    const clock = new FakeClock()
    const slow = new ScriptedStream()
    const client = {
      getSessionLogStream: (_agent: string, _session: string, { signal }: LogStreamOptions) =>
        slow.open(signal ?? new AbortController().signal),
    } as unknown as SessionClient
    const lines = followLogs(client, 'agent', 'session', { clock, agentVersion: '7' })
    const first = lines.next()
    await turns()
    slow.last.answer()
    slow.last.send('a')
    t.match(await first, { value: { text: 'a' } })
    const long = 'x'.repeat(3 * 1024 * 1024)
    for (const name of ['b', 'c', 'd', 'e']) {
      slow.last.send(name + long)
      await turns()
    }
    clock.advance(600_000)
    await turns()
    t.notOk(slow.last.signal.aborted)
    t.equal(slow.unread, 2, 'two chunks have been read, two wait')
    for (const name of ['b', 'c', 'd', 'e']) t.equal((await lines.next()).value?.text.charAt(0), name)
    t.equal(slow.connections.length, 1)
    await lines.return()
    t.ok(slow.last.signal.aborted)
    t.equal(clock.waiting, 0)
  },
)
