/**
 * An HTTPS server that speaks HTTP/2 and HTTP/1.1 and does what a test says. Layer: tests.
 *
 * Invariant: it knows nothing of the service; a request that nothing is said of is answered with 200 and a session.
 */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Test } from 'tap'
import { type Certificate, loadCertificate } from '../../src/emulator/certificate.ts'
import type { SessionClientOptions } from '../../src/client/client-options.ts'
import { SessionClient } from '../../src/client/session-client.ts'

/** Over HTTP/1.1 there is no stream. */
export interface Seen {
  readonly method: string
  readonly path: string
  readonly session: ServerHttp2Session | undefined
  readonly stream: ServerHttp2Stream | undefined
  readonly body: Buffer
  readonly respond: (status?: number, body?: string | Buffer) => void
}

export interface SecureServiceOptions {
  readonly settings?: Settings
  /** false: HTTP/1.1 alone. */
  readonly speaksHttp2?: boolean
}

const found = '{"agent_session_id":"session-1"}'

export class SecureService {
  readonly seen: Seen[] = []
  readonly sessions: ServerHttp2Session[] = []
  /** Of all connections, whether each took up the TLS session of one before. */
  readonly resumed: boolean[] = []
  /** What is done with a request once it has arrived. */
  answer: (seen: Seen) => void = ({ respond }) => respond()
  readonly #server: Http2SecureServer | Server
  readonly #certificate: Certificate
  #watchers: (() => void)[] = []

  constructor(certificate: Certificate, { settings, speaksHttp2 = true }: SecureServiceOptions) {
    this.#certificate = certificate
    const { cert, key } = certificate
    const serve = (
      request: IncomingMessage | Http2ServerRequest,
      response: ServerResponse | Http2ServerResponse,
    ): void => void this.#serve(request, response)
    if (!speaksHttp2) {
      this.#server = createServer({ cert, key }, serve)
      return
    }
    this.#server = createSecureServer(
      {
        cert,
        key,
        allowHTTP1: true,
        settings: settings ?? {},
      },
      serve,
    )
    this.#server.on('session', (session) => {
      session.on('error', () => undefined)
      this.sessions.push(session)
    })
  }

  static async start(t: Test, options: SecureServiceOptions = {}): Promise<SecureService> {
    const service = new SecureService(await loadCertificate(t.testdir()), options)
    const sockets = new Set<TLSSocket>()
    service.#server.on('secureConnection', (socket: TLSSocket) => {
      socket.on('error', () => undefined)
      sockets.add(socket)
      service.resumed.push(socket.isSessionReused())
    })
    service.#server.listen(0, '127.0.0.1')
    await once(service.#server, 'listening')
    t.teardown(() => {
      for (const socket of sockets) socket.destroy()
      service.#server.close()
    })
    return service
  }

  get endpoint(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}/api/projects/p`
  }

  /** A client of it, closed with the test. A call is tried once, so that what is sent again is sent by the transport. */
  client(t: Test, options: Partial<SessionClientOptions> = {}): SessionClient {
    const client = new SessionClient({
      endpoint: this.endpoint,
      credential: { token: 'secret' },
      ca: this.#certificate.cert,
      retry: { attempts: 1 },
      ...options,
    })
    t.teardown(() => client.close())
    return client
  }

  /** Once so many requests have arrived since the start. */
  async arrived(count: number): Promise<void> {
    while (this.seen.length < count) await new Promise<void>((resolve) => this.#watchers.push(resolve))
  }

  get overHttp2(): number {
    return this.seen.filter(({ stream }) => stream !== undefined).length
  }

  async #serve(
    request: IncomingMessage | Http2ServerRequest,
    response: ServerResponse | Http2ServerResponse,
  ): Promise<void> {
    const stream = 'stream' in request ? request.stream : undefined
    const pieces: Buffer[] = []
    request.on('error', () => undefined)
    for await (const piece of request) pieces.push(piece as Buffer)
    stream?.on('error', () => undefined)
    const seen: Seen = {
      method: request.method ?? '',
      path: new URL(request.url ?? '', 'https://x').searchParams.get('path')?.replace('/', '') ?? '',
      session: stream?.session as ServerHttp2Session | undefined,
      stream,
      body: Buffer.concat(pieces),
      respond: (
        status = request.method === 'PUT' ? 201 : 200,
        body = request.method === 'PUT' ? '{}' : found,
      ) => {
        response.statusCode = status
        response.setHeader('content-length', Buffer.byteLength(body))
        response.end(body)
      },
    }
    this.seen.push(seen)
    for (const watcher of this.#watchers.splice(0)) watcher()
    this.answer(seen)
  }
}
