/**
 * Short requests share a connection where the service speaks HTTP/2; none of them pays for another.
 */
import { constants } from 'node:http2'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import type { SessionClient } from '../../src/client/session-client.ts'
import { FakeClock } from '../fake-clock.ts'
import { Relay } from './relay.ts'
import { SecureService, type Seen } from './secure-service.ts'

const [agent, session] = ['my-agent', 'session-1']

const get = (client: SessionClient): Promise<unknown> => client.getSession(agent, session)
const put = (client: SessionClient, path: string, bytes: number): Promise<unknown> =>
  client.uploadSessionFile(agent, session, path, Buffer.alloc(bytes, path))
const read = async (client: SessionClient, path: string, expectedBytes?: number): Promise<Buffer> =>
  buffer((await client.downloadSessionFile(agent, session, path, { expectedBytes })).body)

/** So many requests are kept, and then answered together. */
async function together(service: SecureService, count: number): Promise<Seen[]> {
  const from = service.seen.length
  service.answer = () => undefined
  await service.arrived(from + count)
  return service.seen.slice(from)
}

void t.test(
  'questions share one connection, contents have others, and what is long has one of its own',
  async (t) => {
    const service = await SecureService.start(t)
    const client = service.client(t)
    await Promise.all(Array.from({ length: 50 }, () => get(client)))
    t.equal(service.overHttp2, 50)
    t.equal(service.sessions.length, 1)
    await Promise.all(Array.from({ length: 20 }, (_, index) => put(client, `f${index}`, 4096)))
    t.equal(service.overHttp2, 70)
    await put(client, 'long', 64 * 1024 + 1)
    t.equal(service.seen.at(-1)?.body.length, 64 * 1024 + 1)
    service.answer = ({ respond }) => respond(200, Buffer.alloc(1000))
    t.equal((await read(client, 'short', 1000)).length, 1000)
    t.equal(service.overHttp2, 71)
    t.equal((await read(client, 'long', 256 * 1024 + 1)).length, 1000)
    t.equal((await read(client, 'unknown')).length, 1000)
    t.equal(service.overHttp2, 71)
    t.ok(service.sessions.length <= 2, 'one for questions, one for contents')
  },
)

void t.test(
  'a server that speaks HTTP/1.1 alone is spoken to in it, over the connection that asked',
  async (t) => {
    const service = await SecureService.start(t, { speaksHttp2: false })
    const client = service.client(t)
    await get(client)
    await put(client, 'f', 10)
    t.equal(service.overHttp2, 0)
    t.equal(service.resumed.length, 1)
  },
)

void t.test('a connection takes up the TLS session of one before', async (t) => {
  const service = await SecureService.start(t)
  const client = service.client(t)
  await get(client)
  await put(client, 'long', 100_000)
  t.strictSame(service.resumed, [false, true])
})

void t.test('more contents than a connection bears are spread over several', async (t) => {
  const service = await SecureService.start(t)
  const client = service.client(t, { limits: { writes: 200, start: { writes: 200 } } })
  await put(client, 'first', 10)
  for (let round = 0; round < 5; round++) {
    const kept = together(service, 80)
    const all = Promise.all(Array.from({ length: 80 }, (_, index) => put(client, `f${index}`, 10)))
    for (const { respond } of await kept) respond()
    await all
  }
  t.equal(service.sessions.length, 4)
})

void t.test('what the other side bears is not exceeded', async (t) => {
  const service = await SecureService.start(t, {
    settings: { maxConcurrentStreams: 3, initialWindowSize: 1000 },
  })
  const client = service.client(t)
  await get(client)
  const kept = together(service, 30)
  const all = Promise.all(Array.from({ length: 30 }, () => get(client)))
  const arrived = await kept
  for (const each of service.sessions)
    t.ok(arrived.filter((seen) => seen.session === each).length <= 3, 'requests at once')
  for (const { respond } of arrived) respond()
  await all
  service.answer = ({ respond }) => respond()
  await put(client, 'f', 1001)
  t.equal(service.seen.at(-1)?.stream, undefined, 'a body that does not fit its window would wait in it')
})

void t.test('one request that is lost or given up takes no other along', async (t) => {
  const service = await SecureService.start(t)
  const client = service.client(t)
  await get(client)
  const kept = together(service, 4)
  const abort = new AbortController()
  const given = t.rejects(client.deleteSessionFile(agent, session, 'given', { signal: abort.signal }), {
    code: 'aborted',
    ambiguous: true,
  })
  const lost = t.rejects(client.deleteSessionFile(agent, session, 'lost'), {
    code: 'network',
    ambiguous: true,
  })
  const others = [get(client), get(client)]
  const arrived = await kept
  arrived.find(({ path }) => path === 'lost')?.stream?.close(constants.NGHTTP2_INTERNAL_ERROR)
  abort.abort()
  await Promise.all([given, lost])
  for (const { method, respond } of arrived) if (method === 'GET') respond()
  await Promise.all(others)
  t.equal(service.sessions.length, 1)
})

void t.test('an answer that is given up half way ends alone', async (t) => {
  const service = await SecureService.start(t)
  const client = service.client(t)
  service.answer = ({ path, respond }) => respond(200, Buffer.alloc(path === 'big' ? 8_000_000 : 10))
  const { body } = await client.downloadSessionFile(agent, session, 'big', { expectedBytes: 10 })
  for await (const piece of body) {
    t.ok(piece.length > 0)
    break
  }
  t.equal((await read(client, 'small', 10)).length, 10)
  // slots come back with the ends of the streams, a moment after the last byte
  while (client.load.reads.running > 0) await new Promise(setImmediate)
})

void t.test('what the other side has not looked at is sent again, changes too', async (t) => {
  const service = await SecureService.start(t)
  const client = service.client(t)
  await get(client)
  let refused = 0
  service.answer = ({ stream, respond }) => {
    if (refused++ === 0) stream?.close(constants.NGHTTP2_REFUSED_STREAM)
    else respond()
  }
  await put(client, 'refused', 10)
  t.strictSame(
    service.seen.slice(-2).map(({ method, path }) => `${method} ${path}`),
    ['PUT refused', 'PUT refused'],
  )
})

void t.test(
  'a connection that says goodbye is left: what it took it answers, the rest goes over another',
  async (t) => {
    const service = await SecureService.start(t)
    const client = service.client(t)
    await get(client)
    const kept = together(service, 1)
    const first = put(client, 'taken', 10)
    const [taken] = await kept
    const last = taken?.stream?.id ?? 0
    taken?.session?.goaway(constants.NGHTTP2_NO_ERROR, last)
    await new Promise((resolve) => setTimeout(resolve, 50))
    service.answer = ({ respond }) => respond()
    await get(client)
    t.not(service.seen.at(-1)?.session, taken?.session)
    taken?.respond()
    await first
    t.equal(service.seen.filter(({ path }) => path === 'taken').length, 1)
  },
)

void t.test('a connection that breaks: questions go out again, changes are of unknown end', async (t) => {
  const service = await SecureService.start(t)
  const client = service.client(t)
  await get(client)
  const kept = together(service, 3)
  const change = t.rejects(client.deleteSessionFile(agent, session, 'f'), {
    code: 'network',
    ambiguous: true,
  })
  const questions = [get(client), get(client)]
  const [broken] = await kept
  service.answer = ({ respond }) => respond()
  broken?.session?.destroy()
  await Promise.all([change, ...questions])
  t.equal(service.seen.length, 6)
})

void t.test(
  'a connection that has died without a word is found out once for all that wait on it',
  async (t) => {
    const service = await SecureService.start(t)
    const relay = await Relay.start(t, service.endpoint)
    const clock = new FakeClock()
    const client = service.client(t, { endpoint: relay.through(service.endpoint), clock })
    await get(client)
    clock.advance(10_000)
    relay.forget()
    const answers = Array.from({ length: 20 }, () => get(client))
    await clock.untilWaiting(40)
    clock.advance(3_000)
    await Promise.all(answers)
    t.equal(relay.connections.length, 2)
    t.equal(service.seen.length, 21)
  },
)

void t.test(
  'where a service is slow for a while, questions go out again and changes are waited for',
  async (t) => {
    const service = await SecureService.start(t)
    const clock = new FakeClock()
    const client = service.client(t, { clock })
    await get(client)
    clock.advance(10_000)
    const kept = together(service, 4)
    const changes = [put(client, 'a', 10), client.deleteSessionFile(agent, session, 'b')]
    const questions = [get(client), get(client)]
    const arrived = await kept
    await clock.untilWaiting(6)
    service.answer = ({ respond }) => respond()
    clock.advance(3_000)
    await Promise.all(questions)
    for (const { method, respond } of arrived) if (method !== 'GET') respond()
    await Promise.all(changes)
    t.equal(service.seen.filter(({ method }) => method !== 'GET').length, 2, 'no change is sent twice')
  },
)

void t.test('a connection that rests for four minutes is closed, and one that is used is not', async (t) => {
  const service = await SecureService.start(t)
  const clock = new FakeClock()
  const client = service.client(t, { clock })
  const settled = async (): Promise<void> => {
    await get(client)
    while (client.load.questions.running > 0) await new Promise(setImmediate)
  }
  await settled()
  clock.advance(239_000)
  await settled()
  clock.advance(239_000)
  await settled()
  t.equal(service.sessions.length, 1)
  clock.advance(240_000)
  await settled()
  t.equal(service.sessions.length, 2)
})
