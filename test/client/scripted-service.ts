/**
 * An HTTP server that does what a test says, request by request, and remembers what it was asked.
 *
 * Invariant: it knows nothing of the service; an answer that was not scripted is 599 and fails the test.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Test } from 'tap'
import type { SessionClientOptions } from '../../src/client/client-options.ts'
import { SessionClient } from '../../src/client/session-client.ts'

export interface Asked {
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

/** Called when the whole request has arrived. */
export type Answer = (response: ServerResponse, asked: Asked) => void

export const json =
  (status: number, value: unknown, headers: Record<string, string> = {}): Answer =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value))
  }

export const bytes =
  (content: string | Buffer, headers: Record<string, string> = {}): Answer =>
  (response) => {
    response.writeHead(200, { 'content-length': String(Buffer.byteLength(content)), ...headers }).end(content)
  }

export const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (response) => {
    response.writeHead(code, headers).end()
  }

/** The connection is cut without an answer. */
export const reset: Answer = (response) => {
  ;(response.socket as Socket).resetAndDestroy()
}

/** Headers and a part of the body, then the connection is cut. */
export const cut =
  (part: string, length: number): Answer =>
  (response) => {
    response.writeHead(200, { 'content-length': String(length) })
    response.flushHeaders()
    response.write(part, () => response.socket?.end())
  }

/** No answer at all, until the server is closed. */
export const silence: Answer = () => undefined

export const refusal = (
  code: number,
  serviceCode: string | null,
  headers: Record<string, string> = {},
): Answer =>
  json(
    code,
    {
      error: {
        code: serviceCode,
        message: `${String(serviceCode)} it is`,
        additionalInfo: { request_id: 'r1' },
      },
    },
    headers,
  )

export class ScriptedService {
  readonly asked: Asked[] = []
  /** Connections accepted since the start. */
  connections = 0
  readonly #server: Server
  readonly #script: Answer[] = []
  #otherwise: Answer = status(599)
  /** Answers every request before its body has been read. */
  beforeBody: ((response: ServerResponse) => void) | undefined
  #watchers: { count: number; resolve: () => void }[] = []

  constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response))
    this.#server.on('connection', () => (this.connections += 1))
  }

  static async start(t: Test): Promise<ScriptedService> {
    const service = new ScriptedService()
    service.#server.listen(0, '127.0.0.1')
    await once(service.#server, 'listening')
    t.teardown(() => {
      service.#server.closeAllConnections()
      service.#server.close()
    })
    return service
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/api/projects/p`
  }

  /** A client of it, closed with the test; waits between attempts are nothing unless the options say so. */
  client(t: Test, options: Partial<SessionClientOptions> = {}): SessionClient {
    const client = new SessionClient({
      endpoint: this.endpoint,
      credential: { token: 'secret' },
      random: () => 0,
      ...options,
    })
    t.teardown(() => client.close())
    return client
  }

  /** The answers to the next requests, in the order of their arrival. */
  next(...answers: Answer[]): this {
    this.#script.push(...answers)
    return this
  }

  /** The answer to every request that is not scripted. */
  otherwise(answer: Answer): this {
    this.#otherwise = answer
    return this
  }

  /** Resolves once `count` requests have arrived since the start. */
  arrived(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#watchers.push({ count, resolve })
      this.#notify()
    })
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    this.beforeBody?.(response)
    if (this.beforeBody !== undefined) return
    response.on('error', () => undefined)
    try {
      for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece)
    } catch {
      return // cut by the client
    }
    const url = new URL(request.url ?? '/', 'http://service')
    const asked = {
      method: request.method ?? '',
      path: (request.url ?? '').split('?')[0] ?? '',
      query: Object.fromEntries(url.searchParams),
      headers: request.headers,
      body: Buffer.concat(pieces),
    }
    this.asked.push(asked)
    const answer = this.#script.shift() ?? this.#otherwise
    answer(response, asked)
    this.#notify()
  }

  #notify(): void {
    for (const watcher of this.#watchers) if (watcher.count <= this.asked.length) watcher.resolve()
    this.#watchers = this.#watchers.filter((watcher) => watcher.count > this.asked.length)
  }
}
