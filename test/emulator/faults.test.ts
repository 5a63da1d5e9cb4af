import * as fs from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { EmulatorOptions, FaultRule } from '../../src/emulator/emulator.ts'
import { rawRequest, sessionPath } from '../conformance/raw-http.ts'
import { files, startTestEmulator } from '../emulator-server.ts'
import { FakeClock } from '../fake-clock.ts'
import { call } from './service-call.ts'

const content = `${sessionPath}/files/content?api-version=v1&path=f`
const remove = `${sessionPath}/files?api-version=v1&path=f`

async function setup(t: Test, rule: FaultRule, options: Partial<EmulatorOptions> = {}) {
  const emulator = await startTestEmulator(t, options)
  fs.writeFileSync(join(emulator.home, 'f'), 'old')
  const removeFault = emulator.fault(rule)
  const onDisk = (): string | undefined => files(emulator)['f']?.toString()
  return { emulator, removeFault, onDisk }
}

void t.test('a status comes as often as asked, and nothing is done', async (t) => {
  const { emulator, onDisk } = await setup(t, {
    kind: 'status',
    verb: 'upload',
    times: 2,
    status: 429,
    retryAfter: 7,
  })
  for (let time = 0; time < 2; time++) {
    const answer = await call(emulator, 'PUT', '/files/content?path=f', { body: 'new' })
    t.match(answer, { status: 429, json: { error: { code: 'rate_limit_exceeded' } } })
    t.equal(answer.headers.get('retry-after'), '7')
    t.equal(onDisk(), 'old')
  }
  t.equal((await call(emulator, 'PUT', '/files/content?path=f', { body: 'new' })).status, 201)
  t.equal(onDisk(), 'new')
})

void t.test('of the requests that match, each so-manyth meets it', async (t) => {
  const { emulator } = await setup(t, { kind: 'status', verb: 'upload', path: 'f', status: 503, every: 3 })
  const statuses: number[] = []
  for (let time = 0; time < 7; time++) {
    await call(emulator, 'PUT', '/files/content?path=other', { body: 'new' })
    statuses.push((await call(emulator, 'PUT', '/files/content?path=f', { body: 'new' })).status)
  }
  t.same(statuses, [201, 201, 503, 201, 201, 503, 201])
})

void t.test('a fault meets its verb and path only, until it is removed', async (t) => {
  const { emulator, removeFault } = await setup(t, {
    kind: 'status',
    verb: 'download',
    path: /^f/,
    status: 401,
  })
  const statusOf = async (path: string) => (await call(emulator, 'GET', `/files/content?path=${path}`)).status
  t.equal((await call(emulator, 'GET', '/files')).status, 200)
  t.equal(await statusOf('%2Ff'), 401)
  t.equal(await statusOf('.%2Ff'), 401)
  t.equal(await statusOf('other'), 404)
  removeFault()
  t.equal(await statusOf('f'), 200)
})

void t.test('of two rules the older is met first', async (t) => {
  const { emulator } = await setup(t, { kind: 'status', status: 500, times: 1 })
  emulator.fault({ kind: 'status', status: 503, times: 1 })
  t.equal((await call(emulator, 'GET', '/files')).status, 500)
  t.equal((await call(emulator, 'GET', '/files')).status, 503)
  t.equal((await call(emulator, 'GET', '/files')).status, 200)
})

void t.test('a reset before the commit leaves the file as it was', async (t) => {
  const { emulator, onDisk } = await setup(t, { kind: 'reset', when: 'before-commit' })
  t.equal(await rawRequest(emulator, 'PUT', content, {}, 'new'), undefined)
  t.equal(await rawRequest(emulator, 'DELETE', remove), undefined)
  t.equal(await rawRequest(emulator, 'GET', content), undefined)
  t.equal(onDisk(), 'old')
  t.match(emulator.calls(), [{ status: 0 }, { status: 0 }, { status: 0 }])
})

void t.test('a reset after the commit has made the change', async (t) => {
  const { emulator, onDisk } = await setup(t, { kind: 'reset', when: 'after-commit' })
  t.equal(await rawRequest(emulator, 'PUT', content, {}, 'new'), undefined)
  t.equal(onDisk(), 'new')
  t.equal(await rawRequest(emulator, 'DELETE', remove), undefined)
  t.equal(onDisk(), undefined)
})

void t.test('a reset is a reset, not an end', async (t) => {
  const { emulator } = await setup(t, { kind: 'reset', when: 'before-commit' })
  const error: unknown = await call(emulator, 'PUT', '/files/content?path=f', { body: 'x' }).catch(
    (reason: unknown) => (reason as Error).cause,
  )
  t.match(error, { code: 'ECONNRESET' })
})

void t.test('a late commit happens after the connection was cut', async (t) => {
  const clock = new FakeClock()
  const { emulator, onDisk } = await setup(t, { kind: 'late-commit', afterMs: 5000 }, { clock })
  t.equal(await rawRequest(emulator, 'PUT', content, {}, 'late'), undefined)
  clock.advance(4999)
  t.equal(onDisk(), 'old')
  clock.advance(1)
  t.equal(onDisk(), 'late')
  t.equal(await rawRequest(emulator, 'DELETE', remove), undefined)
  t.equal(onDisk(), 'late')
  clock.advance(5000)
  t.equal(onDisk(), undefined)
})

void t.test('a late commit into a session that has gone does not bring it back', async (t) => {
  const clock = new FakeClock()
  const { emulator } = await setup(t, { kind: 'late-commit', verb: 'upload', afterMs: 5000 }, { clock })
  await rawRequest(emulator, 'PUT', content, {}, 'late')
  t.equal((await call(emulator, 'DELETE', '')).status, 204)
  clock.advance(5000)
  t.notOk(fs.existsSync(emulator.home))
})

void t.test('a partial upload is visible and its connection gone', async (t) => {
  const { emulator, onDisk } = await setup(t, { kind: 'partial', verb: 'upload', bytes: 3 })
  t.equal(await rawRequest(emulator, 'PUT', content, {}, 'abcdef'), undefined)
  t.equal(onDisk(), 'abc')
})

void t.test('a cut body announces its full length', async (t) => {
  const { emulator } = await setup(t, { kind: 'cut', verb: 'download', afterBytes: 2 })
  t.match(await rawRequest(emulator, 'GET', content), { status: 200, isCut: true, body: Buffer.from('ol') })
  const big = Buffer.alloc(1_000_000, 'x')
  fs.writeFileSync(join(emulator.home, 'f'), big)
  emulator.clearFaults()
  emulator.fault({ kind: 'cut', verb: 'download', afterBytes: 700_000 })
  const answer = await rawRequest(emulator, 'GET', content)
  t.equal(answer?.headers['content-length'], '1000000')
  t.equal(answer?.body.length, 700_000)
})

void t.test('a listing can be cut too', async (t) => {
  const { emulator } = await setup(t, { kind: 'cut', verb: 'list', afterBytes: 10 })
  t.match(await rawRequest(emulator, 'GET', `${sessionPath}/files?api-version=v1`), {
    status: 200,
    isCut: true,
  })
})

void t.test('a stall before the headers does nothing and never answers', async (t) => {
  const { emulator, onDisk } = await setup(t, { kind: 'stall', where: 'headers', verb: 'upload' })
  const abort = new AbortController()
  const answer = call(emulator, 'PUT', '/files/content?path=f', { body: 'new', signal: abort.signal })
  while (emulator.counts().upload === 0) await new Promise((resolve) => setImmediate(resolve))
  t.equal((await call(emulator, 'GET', '/files')).status, 200, 'others are answered meanwhile')
  abort.abort()
  await t.rejects(answer, { name: 'AbortError' })
  t.equal(onDisk(), 'old')
})

void t.test('a stall in the body sends its part and then nothing', async (t) => {
  const { emulator } = await setup(t, { kind: 'stall', where: 'body', verb: 'download', afterBytes: 1 })
  const abort = new AbortController()
  const response = await fetch(`http://${new URL(emulator.endpoint).host}${content}`, {
    headers: { authorization: `Bearer ${emulator.token}` },
    signal: abort.signal,
  })
  t.equal(response.headers.get('content-length'), '3')
  const reader = response.body!.getReader()
  t.equal(Buffer.from((await reader.read()).value).toString(), 'o')
  const next = reader.read()
  abort.abort()
  await t.rejects(next, { name: 'AbortError' })
})

void t.test('a delay comes before anything is done', async (t) => {
  const clock = new FakeClock()
  const { emulator, onDisk } = await setup(t, { kind: 'delay', ms: 1000, verb: 'upload' }, { clock })
  const answer = call(emulator, 'PUT', '/files/content?path=f', { body: 'new' })
  await clock.untilWaiting(1)
  t.equal(onDisk(), 'old')
  clock.advance(1000)
  t.equal((await answer).status, 201)
})

void t.test('a hold at the arrival lets nothing happen until it is released', async (t) => {
  const emulator = await startTestEmulator(t)
  const hold = emulator.hold({ verb: 'upload' })
  const answers = ['a', 'b'].map((path) =>
    call(emulator, 'PUT', `/files/content?path=${path}`, { body: 'x' }),
  )
  await hold.reached
  t.same(files(emulator), {})
  hold.release()
  t.same(
    (await Promise.all(answers)).map(({ status }) => status),
    [201, 201],
  )
  t.equal((await call(emulator, 'PUT', '/files/content?path=c', { body: 'x' })).status, 201)
})

void t.test('a hold at the answer has done the work already', async (t) => {
  const emulator = await startTestEmulator(t)
  const hold = emulator.hold({ verb: 'list', at: 'answer', times: 1 })
  const stale = call(emulator, 'GET', '/files')
  await hold.reached
  await call(emulator, 'PUT', '/files/content?path=f', { body: 'x' })
  t.match((await call(emulator, 'GET', '/files')).json, { entries: [{ name: 'f' }] }, 'the next is not held')
  hold.release()
  t.match((await stale).json, { entries: [] })
})

void t.test('log streams that are open are ended or reset', async (t) => {
  const emulator = await startTestEmulator(t)
  const target = `/api/projects/demo/agents/demo-agent/sessions/demo-session-0001:logstream?api-version=v1`
  const opened = async (count: number): Promise<void> => {
    while (emulator.calls().filter(({ status }) => status === 200).length < count) {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const ended = rawRequest(emulator, 'GET', target)
  await opened(1)
  emulator.closeLogStreams()
  t.match(await ended, { status: 200, headers: { 'content-type': 'text/event-stream' } })
  const reset = call(emulator, 'GET', new URL(target, emulator.endpoint).href)
  await opened(2)
  emulator.closeLogStreams({ reset: true })
  await t.rejects(reset)
})
