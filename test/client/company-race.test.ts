/**
 * Connections that die without a word, as of a laptop that slept or a router that forgot.
 */
import t, { type Test } from 'tap'
import type { FinishedCall } from '../../src/client/call.ts'
import { sessionFiles } from '../../src/client/remote-files.ts'
import { FakeClock } from '../fake-clock.ts'
import { Relay } from './relay.ts'
import { type Answer, bytes, json, refusal, reset, ScriptedService, silence } from './scripted-service.ts'

const [agent, session] = ['my-agent', 'session-1']
const companyMs = 3_000
const found = json(200, { agent_session_id: session })

async function setup(t: Test, { limits = {} } = {}) {
  const service = (await ScriptedService.start(t)).otherwise(found)
  const relay = await Relay.start(t, service.endpoint)
  const clock = new FakeClock()
  const calls: FinishedCall[] = []
  const client = service.client(t, {
    endpoint: relay.through(service.endpoint),
    clock,
    limits,
    onCall: (call) => calls.push(call),
  })
  const get = () => client.getSession(agent, session, { retry: false })
  /** Lets `ms` pass once the timer of it is the next. */
  const passes = async (ms: number): Promise<void> => {
    while (clock.nextIn !== ms) await new Promise((resolve) => setImmediate(resolve))
    clock.advance(ms)
  }
  return { service, relay, clock, client, calls, get, passes, files: sessionFiles(client, agent, session) }
}

void t.test('a question over a connection that has died is answered over a new one', async (t) => {
  const { service, relay, clock, get, passes, calls, client } = await setup(t)
  await get()
  relay.forget()
  const answer = get()
  await passes(1000) // it rests
  clock.advance(companyMs - 1000)
  t.match(await answer, { sessionId: session })
  t.equal(relay.connections.length, 2)
  t.equal(service.asked.length, 2, 'what went over the dead one never arrived')
  await get()
  t.equal(relay.connections.length, 2, 'the new one is used on')
  t.equal(relay.open, 1, 'the dead one is not kept')
  t.strictSame(
    calls.map((call) => call.status),
    [200, 200, 200],
    'to others it is one call',
  )
  t.match(client.load.questions, { running: 0 })
  t.equal(clock.waiting, 0)
})

void t.test('a listing and a download get company as well', async (t) => {
  const { service, relay, clock, files, passes, get } = await setup(t)
  const reads = {
    list: async () => {
      for await (const page of files.list('d')) return page.length
      return 0
    },
    download: async () => {
      const pieces: Uint8Array[] = []
      for await (const piece of (await files.download('f')).body) pieces.push(piece)
      return Buffer.concat(pieces).length
    },
  }
  const answers: Record<keyof typeof reads, Answer> = {
    list: json(200, { entries: [{ name: 'a' }] }),
    download: bytes('x'),
  }
  for (const kind of ['list', 'download'] as const) {
    await get()
    relay.forget()
    service.next(answers[kind])
    const length = reads[kind]()
    await passes(1000)
    clock.advance(companyMs - 1000)
    t.equal(await length, 1, kind)
  }
})

void t.test('what lay idle beside the dead one is not tried', async (t) => {
  const { relay, clock, get, passes } = await setup(t)
  await Promise.all([get(), get(), get()])
  t.equal(relay.connections.length, 3)
  clock.advance(10_000)
  relay.forget()
  const answer = get()
  await passes(1000)
  clock.advance(companyMs - 1000)
  await answer
  await Promise.all([get(), get(), get()])
  t.equal(relay.connections.length, 6)
  t.equal(clock.waiting, 0)
})

void t.test('one that is merely slow is heard, and not used again', async (t) => {
  const { service, relay, clock, get, passes } = await setup(t)
  await get()
  relay.forget()
  service.next(silence, found)
  const answer = get()
  await passes(1000)
  clock.advance(companyMs - 1000)
  await service.arrived(2)
  relay.remember()
  t.match(await answer, { sessionId: session }, 'the first one answers, its company does not')
  t.equal(service.asked.length, 3)
  await get()
  t.equal(relay.connections.length, 3)
  t.equal(relay.open, 1)
})

void t.test('when both fail the call does, once', async (t) => {
  const { relay, service, clock, get, passes, calls, client } = await setup(t)
  await get()
  relay.forget()
  service.next(silence)
  const failed = t.rejects(get(), { code: 'timeout', message: /no answer within 60000 ms/ })
  await passes(1000)
  clock.advance(companyMs - 1000)
  await service.arrived(2)
  while (clock.waiting < 2) await new Promise((resolve) => setImmediate(resolve))
  clock.advance(60_000)
  await failed
  t.strictSame(
    calls.map((call) => call.code ?? call.status),
    [200, 'timeout'],
  )
  t.match(client.load.questions, { running: 0, waiting: 0 })
  t.equal(clock.waiting, 0)
})

void t.test('a caller who gives up ends both', async (t) => {
  const { relay, service, clock, client, passes } = await setup(t)
  await client.getSession(agent, session)
  relay.forget()
  service.next(silence)
  const abort = new AbortController()
  const failed = t.rejects(client.getSession(agent, session, { signal: abort.signal }), { code: 'aborted' })
  await passes(1000)
  clock.advance(companyMs - 1000)
  await service.arrived(2)
  abort.abort()
  await failed
  t.equal(clock.waiting, 0)
})

void t.test('a new connection gets no company, and no change does', async (t) => {
  const { relay, service, clock, files, get, passes } = await setup(t)
  service.next(silence)
  const first = get()
  await service.arrived(1)
  await passes(1000)
  clock.advance(companyMs)
  t.equal(relay.connections.length, 1)
  clock.advance(60_000)
  await t.rejects(first, { code: 'timeout' })
  await get()
  relay.forget()
  const changes = [
    () => files.upload('f', Buffer.from('x'), { retry: false }),
    () => files.remove('f', { retry: false }),
    () => files.makeDirectory('d', { retry: false }),
  ]
  for (const change of changes) {
    const before = relay.connections.length
    const failed = t.rejects(change(), { code: 'timeout', ambiguous: true })
    await passes(1000)
    clock.advance(companyMs)
    t.equal(relay.connections.length, before)
    clock.advance(60_000)
    await failed
    await get()
    relay.forget()
  }
})

void t.test('a question over a connection that the other side had closed goes out again, once', async (t) => {
  const { service, relay, get, calls, files } = await setup(t)
  await get()
  service.next(reset)
  t.match(await get(), { sessionId: session })
  t.equal(service.asked.length, 3)
  t.strictSame(
    calls.map((call) => call.status),
    [200, 200],
    'to others it is one call',
  )
  service.next(reset, reset)
  await t.rejects(get(), { code: 'network' })
  await get()
  service.next(reset)
  await t.rejects(files.upload('f', Buffer.from('x'), { retry: false }), { code: 'network', ambiguous: true })
  t.ok(relay.connections.length > 1)
})

void t.test('a refusal is an answer', async (t) => {
  const { relay, service, clock, client, passes } = await setup(t)
  await client.getSession(agent, session)
  relay.forget()
  service.next(refusal(404, 'session_not_found'))
  const failed = t.rejects(client.getSession(agent, session), { code: 'session_not_found' })
  await passes(1000)
  clock.advance(companyMs - 1000)
  await failed
})

void t.test('a service that is slow for all is not asked everything twice', async (t) => {
  const { relay, service, clock, get } = await setup(t)
  await Promise.all(Array.from({ length: 20 }, get))
  t.equal(service.asked.length, 20)
  relay.forget()
  for (let count = 0; count < 4; count++) service.next(silence)
  const answers = Array.from({ length: 20 }, get)
  await clock.untilWaiting(40)
  clock.advance(companyMs)
  await service.arrived(24)
  clock.advance(companyMs)
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(relay.connections.length, 24)
  relay.remember()
  await Promise.all(answers)
  t.equal(service.asked.length, 44)
})

void t.test('a log stream that was silent meanwhile ends, so that it is opened again', async (t) => {
  const { relay, service, clock, client, get } = await setup(t)
  service.next((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: x\n\n')
  })
  const stream = await client.getSessionLogStream(agent, session)
  const lines = stream.body[Symbol.asyncIterator]()
  t.equal(Buffer.from((await lines.next()).value as Uint8Array).toString(), 'data: x\n\n')
  await get()
  clock.advance(10_000)
  relay.forget()
  const ended = t.rejects(lines.next(), { code: 'network' })
  const answer = get()
  await clock.untilWaiting(3)
  clock.advance(companyMs)
  await Promise.all([answer, ended])
})
