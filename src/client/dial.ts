/**
 * Opens connections to the service: TCP, through a proxy where there is one, and TLS over it where the endpoint has
 * it. Layer: client.
 *
 * Invariant: what comes of a dial is a connection on which the named protocol can be spoken at once, or an error
 * and nothing left open. All of one client's share one trust, so that certificates are parsed once, and
 * the tickets of its sessions, so that a server's certificate is checked once.
 */
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectSecurely, type SecureContext, type TLSSocket } from 'node:tls'
import type { Clock } from '../clock.ts'
import { isUntrusted, type Trust } from './certificates.ts'
import type { Proxy } from './proxy.ts'
import type { Way } from './tunnel.ts'

/** As ALPN names them (RFC 7301). */
export type Protocol = 'h2' | 'http/1.1'

export interface DialerOptions {
  readonly origin: string
  readonly clock: Clock
  readonly connectMs: number
  /** Of what is sent over https. */
  readonly trust: Trust
  /** On the way to what is sent over https. */
  readonly proxy: Proxy | undefined
}

export interface Dialed {
  /** What HTTP is spoken on. */
  readonly socket: Socket | TLSSocket
  /** The connection below TLS, the same one without: only that one can be reset. */
  readonly below: Socket
  readonly protocol: Protocol
}

/** So long after the last byte the kernel asks whether the other side is still there, ten times, once a second. */
const keepAliveInitialDelay = 10_000

export class Dialer {
  readonly isSecure: boolean
  readonly #options: DialerOptions
  readonly #host: string
  readonly #port: number
  /** The newest ticket of the other side; each connection takes up the session of one before. */
  #ticket: Buffer | undefined

  constructor(options: DialerOptions) {
    this.#options = options
    const { protocol, hostname, port } = new URL(options.origin)
    this.isSecure = protocol === 'https:'
    this.#host = hostname.replace(/^\[|\]$/g, '')
    this.#port = port === '' ? (this.isSecure ? 443 : 80) : Number(port)
  }

  /** A connection for the first of `protocols` that the other side speaks; without TLS it is `http/1.1`. */
  async dial(protocols: readonly Protocol[]): Promise<Dialed> {
    if (!this.isSecure) return await this.#dialOnce(undefined, protocols)
    const { trust } = this.#options
    const { context } = trust
    try {
      return await this.#dialOnce(context, protocols)
    } catch (error) {
      if (!isUntrusted(error) || !trust.widen(context)) throw error
      return await this.#dialOnce(trust.context, protocols)
    }
  }

  /** Without a context there is no TLS. */
  async #dialOnce(context: SecureContext | undefined, protocols: readonly Protocol[]): Promise<Dialed> {
    const { clock, connectMs, proxy } = this.#options
    const late = Promise.withResolvers<never>()
    const expire = (): void => late.reject(Object.assign(new Error('no connection'), { code: 'ETIMEDOUT' }))
    const cancel = connectMs === 0 ? () => undefined : clock.after(connectMs, expire)
    const isOver = new AbortController()
    const opening =
      context !== undefined && proxy !== undefined ? this.#tunnel(proxy) : this.#connect(isOver.signal)
    let way: Way | undefined
    try {
      way = await Promise.race([opening, late.promise])
      const { stream, bottom } = way
      if (context === undefined) return { socket: stream, below: bottom, protocol: 'http/1.1' }
      const socket = this.#secure(stream, context, protocols)
      await Promise.race([event(socket, 'secureConnect'), late.promise])
      return { socket, below: bottom, protocol: socket.alpnProtocol === 'h2' ? 'h2' : 'http/1.1' }
    } catch (error) {
      isOver.abort()
      void opening.then(
        ({ bottom }) => bottom.destroy(),
        () => undefined,
      )
      throw way === undefined ? error : way.explain(error as Error)
    } finally {
      cancel()
    }
  }

  async #connect(signal: AbortSignal): Promise<Way> {
    const socket = connect({
      host: this.#host,
      port: this.#port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay,
      signal,
    })
    // whoever uses the connection listens too; this one is there from the start to the end
    socket.on('error', () => undefined)
    await event(socket, 'connect')
    return { stream: socket, bottom: socket, explain: (error) => error }
  }

  async #tunnel(proxy: Proxy): Promise<Way> {
    const { clock, connectMs, trust } = this.#options
    const { openTunnel } = await import('./tunnel.ts')
    return await openTunnel({
      host: this.#host,
      port: this.#port,
      proxy,
      clock,
      // before the limit of the whole connection, which knows nothing of the proxy
      limitMs: connectMs * 0.8,
      secureContext: () => trust.context,
      keepAliveInitialDelay,
    })
  }

  #secure(below: Socket, secureContext: SecureContext, protocols: readonly Protocol[]): TLSSocket {
    const socket = connectSecurely({
      socket: below,
      secureContext,
      ...(isIP(this.#host) === 0 ? { servername: this.#host } : { host: this.#host }),
      ALPNProtocols: [...protocols],
      ...(this.#ticket === undefined ? {} : { session: this.#ticket }),
    })
    socket.on('session', (ticket) => (this.#ticket = ticket))
    socket.on('error', () => undefined)
    return socket
  }
}

/** Rejects with what the connection fails with, or when it is closed before. */
function event(socket: Socket, name: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(name, () => resolve())
    socket.once('error', reject)
    socket.once('close', () => reject(Object.assign(new Error('closed'), { code: 'ECONNRESET' })))
  })
}
