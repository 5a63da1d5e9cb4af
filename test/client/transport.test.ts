import { createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import type { SessionClientOptions } from '../../src/client/client-options.ts'
import { SessionClient } from '../../src/client/session-client.ts'
import { sessionFiles } from '../../src/client/remote-files.ts'
import { FakeClock } from '../fake-clock.ts'
import { bytes, ScriptedService, silence } from './scripted-service.ts'

const [agent, session] = ['my-agent', 'session-1']
const timeouts = { connectMs: 100, firstByteMs: 200, stallMs: 300, unreadMs: 400, totalMs: 0 }
const options = { timeouts, retry: { attempts: 1 } }

const untilNextIn = async (clock: FakeClock, ms: number): Promise<void> => {
  while (clock.nextIn !== ms) await new Promise((resolve) => setImmediate(resolve))
}

/** Accepts connections and does with them what the test says. */
async function rawServer(
  t: Test,
  serve: (socket: Socket) => void,
): Promise<{ server: Server; endpoint: string }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    serve(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { server, endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/p` }
}

function rawClient(t: Test, endpoint: string, more: Partial<SessionClientOptions>): SessionClient {
  const client = new SessionClient({ endpoint, credential: { token: 'secret' }, random: () => 0, ...more })
  t.teardown(() => client.close())
  return client
}

void t.test('an answer must begin in time', async (t) => {
  const clock = new FakeClock()
  const service = (await ScriptedService.start(t)).otherwise(silence)
  const client = service.client(t, { ...options, clock })
  const got = client.getSession(agent, session)
  const put = sessionFiles(client, agent, session).upload('f', Buffer.from('x'))
  const outcomes = Promise.all([
    t.rejects(got, { code: 'timeout', ambiguous: false, message: /get session .*no answer within 200 ms/ }),
    t.rejects(put, { code: 'timeout', ambiguous: true }),
  ])
  await service.arrived(2)
  await clock.untilWaiting(2)
  await untilNextIn(clock, 200)
  clock.advance(200)
  await outcomes
  t.equal(clock.waiting, 0, 'no timer is left behind')
})

void t.test('a download must go on arriving while somebody waits for it', async (t) => {
  const clock = new FakeClock()
  const service = await ScriptedService.start(t)
  service.next((response) => {
    response.writeHead(200, { 'content-length': '10' })
    response.write('0123')
  })
  const client = service.client(t, { ...options, clock })
  const { body } = await sessionFiles(client, agent, session).download('f')
  const iterator = body[Symbol.asyncIterator]()
  t.equal(Buffer.from((await iterator.next()).value as Uint8Array).toString(), '0123')
  clock.advance(399)
  const rest = iterator.next()
  await untilNextIn(clock, 300)
  clock.advance(300)
  await t.rejects(rest, { code: 'timeout', retryable: true })
  t.equal(client.load.reads.running, 0)
  t.equal(clock.waiting, 0)
})

void t.test('a download that nobody reads on is given up, and its slot with it', async (t) => {
  const clock = new FakeClock()
  const service = (await ScriptedService.start(t)).otherwise(bytes(Buffer.alloc(5_000_000)))
  const ended = Promise.withResolvers<unknown>()
  const client = service.client(t, { ...options, clock, onCall: (call) => ended.resolve(call.code) })
  const { body } = await sessionFiles(client, agent, session).download('f')
  t.equal(client.load.reads.running, 1)
  clock.advance(400)
  t.equal(await ended.promise, 'timeout')
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(client.load.reads.running, 0)
  await t.rejects(
    async () => {
      for await (const piece of body) t.ok(piece.length > 0)
    },
    { code: 'timeout' },
  )
})

void t.test('an upload must go on being taken', async (t) => {
  const clock = new FakeClock()
  const { endpoint } = await rawServer(t, (socket) => socket.pause())
  const client = rawClient(t, endpoint, { ...options, clock })
  let failed = false
  const upload = sessionFiles(client, agent, session).upload('f', Buffer.alloc(40_000_000))
  const ended = t.rejects(
    upload.finally(() => (failed = true)),
    { code: 'timeout', ambiguous: true, message: /no byte was sent within \d+ ms/ },
  )
  await untilNextIn(clock, 300)
  // The buffers of the connection take some before it stalls; each piece starts the limit anew.
  while (!failed) {
    clock.advance(300)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await ended
})

void t.test('an attempt as a whole may be limited', async (t) => {
  const clock = new FakeClock()
  const service = (await ScriptedService.start(t)).otherwise(silence)
  const client = service.client(t, { ...options, clock, timeouts: { ...timeouts, totalMs: 50 } })
  const failed = t.rejects(client.getSession(agent, session), {
    code: 'timeout',
    message: /not done within 50 ms/,
  })
  await service.arrived(1)
  clock.advance(50)
  await failed
})

void t.test('a connection that is not made in time is not ambiguous', async (t) => {
  const clock = new FakeClock()
  // TLS to a server that never speaks it: the connection is never ready.
  const { endpoint, server } = await rawServer(t, () => undefined)
  const client = rawClient(t, endpoint.replace('http:', 'https:'), { ...options, clock })
  const connected = once(server, 'connection')
  const failed = t.rejects(sessionFiles(client, agent, session).upload('f', Buffer.from('x')), {
    code: 'timeout',
    ambiguous: false,
  })
  await connected
  await untilNextIn(clock, 100)
  clock.advance(100)
  await failed
})

void t.test('what is no HTTP is a fault of the protocol', async (t) => {
  const { endpoint } = await rawServer(t, (socket) =>
    socket.once('data', () => socket.end('SSH-2.0-OpenSSH\r\n')),
  )
  const client = rawClient(t, endpoint, options)
  await t.rejects(client.getSession(agent, session), { code: 'protocol' })
})
