/**
 * A company's own authority, a certificate that it has signed, and its proxy.
 * Layer: test.
 *
 * Invariant: the proxy connects to this machine alone, whatever name it is given, and keeps all that it was told.
 */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer as createHttp, type IncomingHttpHeaders, type Server } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'

export interface Company {
  /** The root's certificate, as a file and as text. */
  readonly rootFile: string
  readonly root: string
  /** Of the names below, signed by the root. */
  readonly cert: string
  readonly key: string
}

/** The names that the certificate is for; none of them is to be found by anybody. */
export const names = ['service.test', 'proxy.test', 'login.microsoftonline.com', 'localhost']

/** Makes an authority. With `data`, of an emulator, its certificate is the one that the emulator serves. */
export function makeCompany(directory: string, data?: string): Company {
  mkdirSync(directory, { recursive: true })
  const at = (name: string): string => join(directory, name)
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' })
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  openssl(
    'req',
    '-x509',
    ...kind,
    '-subj',
    '/CN=Company Root',
    '-keyout',
    at('root.key'),
    '-out',
    at('root.pem'),
  )
  writeFileSync(
    at('extensions'),
    `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')},IP:127.0.0.1\nbasicConstraints=critical,CA:false\n`,
  )
  openssl(
    'req',
    ...kind.slice(0, -2),
    '-subj',
    '/CN=service.test',
    '-keyout',
    at('key.pem'),
    '-out',
    at('request'),
  )
  openssl(
    ...[
      'x509',
      '-req',
      '-in',
      at('request'),
      '-CA',
      at('root.pem'),
      '-CAkey',
      at('root.key'),
      '-CAcreateserial',
    ],
    ...['-days', '2', '-extfile', at('extensions'), '-out', at('cert.pem')],
  )
  const [cert, key] = [readFileSync(at('cert.pem'), 'utf8'), readFileSync(at('key.pem'), 'utf8')]
  if (data !== undefined) {
    mkdirSync(join(data, 'tls'), { recursive: true })
    writeFileSync(join(data, 'tls', 'certificate.pem'), cert)
    writeFileSync(join(data, 'tls', 'key.pem'), key)
  }
  return { rootFile: at('root.pem'), root: readFileSync(at('root.pem'), 'utf8'), cert, key }
}

export interface Asked {
  readonly method: string
  /** `HOST:PORT` of a CONNECT. */
  readonly target: string
  readonly headers: IncomingHttpHeaders
}

export interface ProxyOptions {
  /** Over TLS. */
  readonly tls?: Pick<Company, 'cert' | 'key'>
  /** `USER:PASSWORD` that it wants. */
  readonly credentials?: string
  /** Where a host is to be found. Default: the port that was asked for. */
  readonly ports?: Readonly<Record<string, number>>
}

export class ConnectProxy {
  readonly #server: Server
  readonly #options: ProxyOptions
  readonly #sockets = new Set<Socket>()
  #port = 0
  readonly asked: Asked[] = []
  /** In place of the way: what it answers to CONNECT, and whether it goes on. */
  answer: ((socket: Socket) => void) | undefined

  private constructor(options: ProxyOptions) {
    this.#options = options
    this.#server = options.tls === undefined ? createHttp() : createHttps({ ...options.tls })
    this.#server.on('connection', (socket: Socket) => this.#keep(socket))
    this.#server.on('request', (request, response) => {
      this.asked.push({ method: request.method ?? '', target: request.url ?? '', headers: request.headers })
      response.writeHead(400).end()
    })
    this.#server.on('connect', (request, near: Socket, head: Buffer) => {
      this.#keep(near)
      const { url: target = '', headers } = request
      this.asked.push({ method: 'CONNECT', target, headers })
      if (this.answer !== undefined) this.answer(near)
      else if (this.#lets(headers['proxy-authorization'])) this.#open(target, near, head)
      else
        near.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="c"\r\n\r\n')
    })
  }

  static async start(t: Pick<Test, 'teardown'>, options: ProxyOptions = {}): Promise<ConnectProxy> {
    const proxy = new ConnectProxy(options)
    await proxy.comeUp()
    t.teardown(() => proxy.goDown())
    return proxy
  }

  get port(): number {
    return this.#port
  }

  url(credentials?: string): string {
    const scheme = this.#options.tls === undefined ? 'http' : 'https'
    return `${scheme}://${credentials === undefined ? '' : `${credentials}@`}localhost:${this.#port}`
  }

  /** At the port that it had before. */
  async comeUp(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** With every connection through it. */
  async goDown(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.cut()
    await closed
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  #lets(authorization: string | undefined): boolean {
    const { credentials } = this.#options
    if (credentials === undefined) return true
    return authorization === `Basic ${Buffer.from(credentials).toString('base64')}`
  }

  #open(target: string, near: Socket, head: Buffer): void {
    const [, host = '', port = ''] = /^(.+):(\d+)$/.exec(target) ?? []
    const far = connect(this.#options.ports?.[host] ?? Number(port), '127.0.0.1', () => {
      near.write('HTTP/1.1 200 Connection established\r\nProxy-agent: company\r\n\r\n')
      if (head.length > 0) far.write(head)
      near.pipe(far).pipe(near)
    })
    this.#keep(far)
    far.on('error', () => near.destroy())
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  }
}
