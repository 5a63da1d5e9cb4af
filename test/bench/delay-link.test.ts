import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { startDelayLink, type DelayLinkOptions } from '../../scripts/bench/delay-link.ts'

async function setup(
  t: Test,
  onConnection: (socket: Socket) => void,
  options: Omit<DelayLinkOptions, 'target'> = {},
) {
  const sockets = new Set<Socket>()
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    onConnection(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const link = await startDelayLink({ target: { host: '127.0.0.1', port }, ...options })
  const dial = (): Socket => {
    const socket = connect({ port: link.port, host: '127.0.0.1', allowHalfOpen: true })
    sockets.add(socket)
    return socket
  }
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await link.close()
    server.close()
  })
  return { link, dial, sockets }
}

const echo = (socket: Socket): void => void socket.pipe(socket)
const atLeast = (t: Test, since: number, ms: number, what: string): void =>
  void t.ok(performance.now() - since >= ms, `${what}: at least ${ms} ms`)

void t.test('the first answer takes two round trips, a later one takes one', async (t) => {
  const { dial } = await setup(t, echo, { oneWayMs: 15 })
  const socket = dial()
  let since = performance.now()
  socket.write('a')
  await once(socket, 'data')
  atLeast(t, since, 60, 'handshake, question and answer')
  since = performance.now()
  socket.write('b')
  await once(socket, 'data')
  atLeast(t, since, 30, 'question and answer')
})

void t.test('a server that speaks first is heard after two round trips', async (t) => {
  const { dial } = await setup(t, (socket) => socket.write('hello'), { oneWayMs: 15 })
  const since = performance.now()
  await once(dial(), 'data')
  atLeast(t, since, 60, 'greeting')
})

void t.test('bytes come through whole, in both directions at once, over many connections', async (t) => {
  const { dial, link } = await setup(t, echo, { oneWayMs: 2, bitsPerSecond: 1e9 })
  const results = Array.from({ length: 20 }, async (_, index) => {
    const sent = randomBytes(100_000 + 77_777 * index)
    const socket = dial()
    socket.end(sent)
    const received = await buffer(socket)
    const digest = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex')
    t.equal(digest(received), digest(sent))
    return sent.length
  })
  const total = (await Promise.all(results)).reduce((sum, length) => sum + length, 0)
  t.same(link.counters(), { connections: 20, bytesUp: total, bytesDown: total })
})

void t.test('all connections share the bandwidth of a direction', async (t) => {
  const { dial } = await setup(t, (socket) => socket.resume().on('end', () => socket.end('x')), {
    oneWayMs: 1,
    bitsPerSecond: 40e6,
  })
  const since = performance.now()
  const transfers = Array.from({ length: 4 }, async () => {
    const socket = dial()
    socket.end(Buffer.alloc(250_000))
    await buffer(socket)
  })
  await Promise.all(transfers)
  atLeast(t, since, 200, '1 MB at 40 Mbit/s')
})

void t.test('a small message does not wait for all of a large one', async (t) => {
  const { dial } = await setup(t, echo, { oneWayMs: 1, bitsPerSecond: 8e6 })
  const large = dial()
  let echoed = 0
  large.on('data', (bytes) => (echoed += bytes.length))
  large.write(Buffer.alloc(1_000_000))
  await once(large, 'data')
  const small = dial()
  small.write('x')
  await once(small, 'data')
  t.ok(echoed < 1_000_000)
})

void t.test('a reader that stops stops its writer', async (t) => {
  const { dial, link } = await setup(t, (socket) => socket.pause(), { oneWayMs: 1, bitsPerSecond: 10e9 })
  const socket = dial()
  let written = 0
  const piece = Buffer.alloc(1024 * 1024)
  while (written < 256 && socket.write(piece)) written++
  while (written < 256) {
    const drained = once(socket, 'drain').then(() => true)
    const stuck = new Promise<boolean>((resolve) => setTimeout(resolve, 500, false))
    if (!(await Promise.race([drained, stuck]))) break
    socket.write(piece)
    written++
  }
  t.ok(written < 256, `stopped after ${written} MiB`)
  t.ok(link.counters().bytesUp < 256 * 1024 * 1024)
})

void t.test('one direction may end while the other goes on', async (t) => {
  const { dial } = await setup(t, (socket) => {
    void buffer(socket).then((question) => socket.end(`got ${question.toString()}`))
  })
  const socket = dial()
  socket.end('question')
  t.equal((await buffer(socket)).toString(), 'got question')
})

void t.test('a reset arrives as one, after what was sent before', async (t) => {
  const { dial } = await setup(t, (socket) => {
    socket.write('last words', () => setTimeout(() => socket.resetAndDestroy(), 50))
  })
  const socket = dial()
  const heard: Buffer[] = []
  socket.on('data', (bytes) => heard.push(bytes))
  const [error] = (await once(socket, 'error').catch((error: unknown) => [error])) as [NodeJS.ErrnoException]
  t.equal(error.code, 'ECONNRESET')
  t.equal(Buffer.concat(heard).toString(), 'last words')
})

void t.test('a target that refuses resets the client', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const link = await startDelayLink({ target: { host: '127.0.0.1', port }, oneWayMs: 1 })
  t.teardown(() => link.close())
  const socket = connect({ port: link.port, host: '127.0.0.1' })
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
  t.equal(error.code, 'ECONNRESET')
})

void t.test('a link that is down passes nothing and closes nothing, and goes on afterwards', async (t) => {
  let accepted = 0
  const { dial, link } = await setup(
    t,
    (socket) => {
      accepted++
      echo(socket)
    },
    { oneWayMs: 2 },
  )
  const before = dial()
  before.write('a')
  await once(before, 'data')
  link.setDown(true)
  before.write('b')
  const during = dial()
  during.write('c')
  const heard: string[] = []
  for (const socket of [before, during]) socket.on('data', (bytes) => heard.push(bytes.toString()))
  await new Promise((resolve) => setTimeout(resolve, 100))
  t.same(heard, [])
  t.equal(accepted, 1)
  t.notOk(before.destroyed || during.destroyed)
  link.setDown(false)
  const signal = AbortSignal.timeout(10_000)
  while (heard.length < 2) {
    await Promise.race([once(before, 'data', { signal }), once(during, 'data', { signal })])
  }
  t.same(heard.sort(), ['b', 'c'])
})
