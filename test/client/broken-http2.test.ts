/**
 * Servers and gateways whose HTTP/2 lies, breaks off or does not work at all, as nobody's emulator does.
 */
import { once } from 'node:events'
import { createServer as createHttp } from 'node:http'
import { constants } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { createServer as createTls, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { SessionClient } from '../../src/client/session-client.ts'
import { loadCertificate } from '../../src/emulator/certificate.ts'
import { SecureService, type Seen } from './secure-service.ts'

const [agent, session] = ['my-agent', 'session-1']

const get = (client: SessionClient): Promise<unknown> => client.getSession(agent, session)
const put = (client: SessionClient, bytes = 10): Promise<unknown> =>
  client.uploadSessionFile(agent, session, 'f', Buffer.alloc(bytes, 'x'))
const read = async (client: SessionClient): Promise<Buffer> =>
  buffer((await client.downloadSessionFile(agent, session, 'f', { expectedBytes: 1000 })).body)

/** Once, and then as it should be. */
function onlyOnce(service: SecureService, answer: (seen: Seen) => void): void {
  service.answer = (seen) => {
    service.answer = ({ respond }) => respond()
    answer(seen)
  }
}

void t.test('an answer that is shorter than it says is no answer', async (t) => {
  const service = await SecureService.start(t)
  const client = service.client(t)
  for (const end of ['END_STREAM', 'RST_STREAM', 'NO_ERROR', 'the connection'] as const) {
    await get(client)
    onlyOnce(service, ({ stream, session: connection }) => {
      stream?.respond({ ':status': 200, 'content-length': 1000 })
      stream?.write(Buffer.alloc(400), () => {
        if (end === 'END_STREAM') stream.end()
        else if (end === 'RST_STREAM') stream.close(constants.NGHTTP2_INTERNAL_ERROR)
        else if (end === 'NO_ERROR') stream.close(constants.NGHTTP2_NO_ERROR)
        else connection?.destroy()
      })
    })
    await t.rejects(read(client), { code: /truncated|network/, retryable: true }, end)
  }
  t.match(await get(client), { sessionId: session })
})

void t.test('a change that is cut off without an answer is of unknown end', async (t) => {
  const service = await SecureService.start(t)
  const client = service.client(t)
  const ends: readonly ((seen: Seen) => void)[] = [
    ({ stream }) => stream?.close(constants.NGHTTP2_NO_ERROR),
    ({ stream }) => stream?.close(constants.NGHTTP2_CANCEL),
    ({ stream }) => stream?.close(constants.NGHTTP2_ENHANCE_YOUR_CALM),
    ({ session: connection }) => connection?.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM),
    ({ session: connection, stream }) => {
      connection?.goaway(constants.NGHTTP2_INTERNAL_ERROR, stream?.id)
      connection?.destroy()
    },
  ]
  for (const [index, end] of ends.entries()) {
    await get(client)
    onlyOnce(service, end)
    const before = service.seen.filter(({ method }) => method === 'PUT').length
    await t.rejects(put(client), { code: 'network', ambiguous: true }, String(index))
    const sent = service.seen.filter(({ method }) => method === 'PUT').length - before
    t.equal(sent, 1, `${index}: sent once`)
  }
})

void t.test('an answer that never ends is given up, and what shares its connection goes on', async (t) => {
  const service = await SecureService.start(t)
  const client = service.client(t, { timeouts: { stallMs: 100 } })
  await get(client)
  onlyOnce(service, ({ stream }) => stream?.respond({ ':status': 200 }))
  await t.rejects(read(client), { code: 'timeout' })
  t.match(await get(client), { sessionId: session })
  t.match(client.load.reads, { running: 0 })
})

void t.test('a server that takes back what it bears is not asked for more', async (t) => {
  const service = await SecureService.start(t)
  const client = service.client(t)
  await get(client)
  const [first] = service.sessions
  first?.settings({ maxConcurrentStreams: 0, initialWindowSize: 0 })
  await once(first!, 'localSettings')
  await get(client)
  await put(client)
  t.equal(service.seen.at(-1)?.stream?.session === first, false)
})

/** A gateway that offers HTTP/2 and then does this with it; HTTP/1.1 works. */
async function brokenGateway(
  t: Test,
  breaks: (socket: TLSSocket) => void,
): Promise<{ readonly client: SessionClient; readonly protocols: string[] }> {
  const certificate = await loadCertificate(t.testdir())
  const http = createHttp((request, response) => {
    request.resume()
    response.setHeader('content-type', 'application/json')
    response.statusCode = request.method === 'PUT' ? 201 : 200
    response.end(request.method === 'PUT' ? '{}' : '{"agent_session_id":"session-1"}')
  })
  const protocols: string[] = []
  const sockets = new Set<Socket>()
  const { cert, key } = certificate
  const gateway = createTls({ cert, key, ALPNProtocols: ['h2', 'http/1.1'] }, (socket) => {
    socket.on('error', () => undefined)
    sockets.add(socket)
    protocols.push(String(socket.alpnProtocol))
    if (socket.alpnProtocol === 'h2') breaks(socket)
    else http.emit('connection', socket)
  }).listen(0, '127.0.0.1')
  await once(gateway, 'listening')
  const client = new SessionClient({
    endpoint: `https://127.0.0.1:${(gateway.address() as AddressInfo).port}/p`,
    credential: { token: 'x' },
    ca: cert,
    retry: { baseMs: 1 },
  })
  t.teardown(async () => {
    await client.close()
    for (const socket of sockets) socket.destroy()
    gateway.close()
  })
  return { client, protocols }
}

const breakages: Readonly<Record<string, (socket: TLSSocket) => void>> = {
  'hangs up': (socket) => socket.destroy(),
  'answers in HTTP/1.1': (socket) => socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n'),
  'says nothing and hangs up': (socket) => socket.once('data', () => socket.destroy()),
}

for (const [name, breaks] of Object.entries(breakages)) {
  void t.test(`a gateway that offers HTTP/2 and ${name} is spoken to in HTTP/1.1`, async (t) => {
    const { client, protocols } = await brokenGateway(t, breaks)
    t.match(await get(client), { sessionId: session })
    await put(client)
    await Promise.all(Array.from({ length: 10 }, () => get(client)))
    t.ok(protocols.filter((protocol) => protocol === 'h2').length <= 3, protocols.join(' '))
  })
}
