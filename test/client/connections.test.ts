/**
 * What lies below HTTP: TLS, its certificates, and how a connection ends.
 */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import t, { type Test } from 'tap'
import { SessionClient } from '../../src/client/session-client.ts'

const found = '{"agent_session_id":"session-1"}'
const answer = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${found.length}\r\n\r\n${found}`

function certificate(t: Test): { readonly key: string; readonly cert: string } {
  const directory = t.testdir()
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  execFileSync('openssl', ['req', ...kind, ...name, '-days', '2', '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  })
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
}

async function listening(t: Test, server: Server, protocol: 'http' | 'https'): Promise<string> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => undefined)
    sockets.add(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `${protocol}://localhost:${(server.address() as AddressInfo).port}/p`
}

function clientOf(t: Test, endpoint: string, ca?: string): SessionClient {
  const client = new SessionClient({ endpoint, credential: { token: 'x' }, retry: { attempts: 1 }, ca })
  t.teardown(() => client.close())
  return client
}

const get = (client: SessionClient): Promise<unknown> => client.getSession('agent', 'session-1')

for (const [what, isGiven] of [
  ['that is given', true],
  ['of the store, which is read once', false],
] as const) {
  void t.test(
    `one secure context serves all connections of a client, for a certificate ${what}`,
    async (t) => {
      const { key, cert } = certificate(t)
      const served = new Set<Socket>()
      const server = tls.createServer({ key, cert }, (socket) => {
        socket.on('error', () => undefined)
        // answered once all are there, so that each needs a connection of its own
        socket.once('data', () => {
          served.add(socket)
          if (served.size === 5) for (const each of served) each.write(answer)
        })
      })
      const client = clientOf(t, await listening(t, server, 'https'), isGiven ? cert : undefined)
      const contexts = t.capture(tls, 'createSecureContext', tls.createSecureContext)
      const getCertificates = tls.getCACertificates
      const certificates = t.capture(
        tls,
        'getCACertificates',
        (kind: Parameters<typeof getCertificates>[0]) =>
          kind === 'system' ? [cert, cert] : getCertificates(kind),
      )
      syncBuiltinESMExports()
      t.teardown(() => syncBuiltinESMExports())
      await Promise.all(Array.from({ length: 5 }, () => get(client)))
      t.equal(served.size, 5)
      t.equal(certificates().length, isGiven ? 0 : 2)
      t.equal(contexts().length, isGiven ? 1 : 2)
    },
  )
}

void t.test('a certificate that nobody vouches for is refused', async (t) => {
  const endpoint = await listening(t, tls.createServer(certificate(t)), 'https')
  await t.rejects(get(clientOf(t, endpoint)), {
    code: 'protocol',
    message:
      /the server's certificate is not trusted \(\w+\): give --ca-file .* or install it on this machine/,
  })
})

void t.test('a certificate for another name is not taken for one that nobody vouches for', async (t) => {
  const { key, cert } = certificate(t)
  const endpoint = await listening(t, tls.createServer({ key, cert }), 'https')
  await t.rejects(get(clientOf(t, endpoint.replace('localhost', '127.0.0.1'), cert)), {
    code: 'protocol',
    message: /is for another name/,
  })
})

void t.test('nobody there is a failure of the network, with TLS as without', async (t) => {
  const server = createServer()
  const endpoint = await listening(t, server, 'https')
  server.close()
  await once(server, 'close')
  for (const address of [endpoint, endpoint.replace('https', 'http'), 'https://nowhere.invalid/p'])
    await t.rejects(get(clientOf(t, address)), { code: 'network', ambiguous: false }, address)
})

void t.test('one that hangs up during the handshake is a failure of the network', async (t) => {
  const endpoint = await listening(
    t,
    createServer((socket) => socket.destroy()),
    'https',
  )
  await t.rejects(get(clientOf(t, endpoint)), { code: 'network' })
})

for (const protocol of ['http', 'https'] as const) {
  void t.test(`an upload that is given up is sent no further, over ${protocol}`, async (t) => {
    const { key, cert } = certificate(t)
    const begun = Promise.withResolvers<Socket>()
    const serve = (socket: Socket): void => {
      socket.once('data', () => {
        socket.pause()
        begun.resolve(socket)
      })
    }
    const server = protocol === 'http' ? createServer(serve) : tls.createServer({ key, cert }, serve)
    const client = clientOf(t, await listening(t, server, protocol), cert)
    const abort = new AbortController()
    const isSending = Promise.withResolvers<undefined>()
    let handedOver = 0
    const upload = client.uploadSessionFile('agent', 'session-1', 'f', Buffer.alloc(40_000_000), {
      signal: abort.signal,
      onProgress: (bytes) => {
        handedOver += bytes
        if (handedOver >= 1_000_000) isSending.resolve(undefined)
      },
    })
    const failed = t.rejects(upload, { code: 'aborted', ambiguous: true })
    const [socket] = await Promise.all([begun.promise, isSending.promise])
    let arrived = 0
    socket.on('error', () => undefined)
    socket.on('data', (piece: Buffer) => (arrived += piece.length))
    const closed = new Promise((resolve) => socket.on('close', resolve))
    abort.abort()
    await failed
    socket.resume()
    await closed
    t.ok(arrived < handedOver / 2, `${arrived} of ${handedOver} bytes`)
  })
}
