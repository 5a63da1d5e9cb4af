/**
 * The way through a proxy: a connection to it, and CONNECT. Layer: client; loaded where there is one.
 *
 * CONNECT is spoken by `node:http`, whose parser hands the socket over once the answer's headers are there. The
 * proxy agents (undici's `ProxyAgent`, `https-proxy-agent`) keep the socket to themselves, and a connection that
 * cannot be reset would go on sending an upload that was given up.
 *
 * Invariant: the proxy is sent the host and port that are meant, and its own credentials; nothing else of ours
 * passes before TLS to the service is up.
 */
import { request } from 'node:http'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type SecureContext } from 'node:tls'
import type { Clock } from '../clock.ts'
import { isUntrusted } from './certificates.ts'
import type { Proxy } from './proxy.ts'
import { Sayings } from './proxy-failure.ts'

export interface Way {
  /** What TLS to the service is spoken over. */
  readonly stream: Socket
  /** The connection at the bottom: only that one can be reset. */
  readonly bottom: Socket
  /** What a failure of TLS over it means. */
  readonly explain: (error: Error) => Error
}

export interface TunnelOptions {
  readonly proxy: Proxy
  /** Of the service. */
  readonly host: string
  readonly port: number
  readonly clock: Clock
  /** Until the proxy has opened the way; 0: no limit. */
  readonly limitMs: number
  /** For a proxy that is itself spoken to over TLS. */
  readonly secureContext: () => SecureContext
  /** Of the connection. */
  readonly keepAliveInitialDelay: number
}

/** Rejects with a `ProxyFailure`. */
export function openTunnel(options: TunnelOptions): Promise<Way> {
  return new Promise((resolve, reject) => beginTunnel(options, resolve, reject))
}

/** Either `ready` or `fail` is called, once. */
function beginTunnel(options: TunnelOptions, ready: (way: Way) => void, fail: (error: Error) => void): void {
  const { proxy, clock, limitMs, keepAliveInitialDelay } = options
  const target = `${isIP(options.host) === 6 ? `[${options.host}]` : options.host}:${options.port}`
  const said = new Sayings(proxy, target)
  const { host, port } = proxy
  const bottom = connectTcp({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay })
  let isOver = false
  const end = (act: () => void): void => {
    if (isOver) return
    isOver = true
    cancel()
    act()
  }
  const giveUp = (error: Error): void => {
    end(() => fail(error))
    bottom.destroy()
  }
  const cancel = limitMs === 0 ? () => undefined : clock.after(limitMs, () => giveUp(said.silent(limitMs)))
  let isConnected = false
  bottom.once('connect', () => (isConnected = true))
  bottom.on('error', (error) => giveUp(isConnected ? said.cut(error) : said.unreachable(error)))
  const stream = proxy.isSecure ? secured(bottom, options) : bottom
  if (stream !== bottom)
    stream.on('error', (error) => giveUp(isUntrusted(error) ? said.untrusted(error) : said.cut(error)))
  const asking = request({
    createConnection: () => stream,
    method: 'CONNECT',
    path: target,
    setHost: false,
    headers: {
      host: target,
      'user-agent': 'mount-session',
      ...(proxy.authorization === undefined ? {} : { 'proxy-authorization': proxy.authorization }),
    },
  })
  asking.removeHeader('connection')
  asking.on('error', (error) => giveUp(isConnected ? said.cut(error) : said.unreachable(error)))
  asking.on('connect', (answer, _socket, head) => {
    const refused = said.refusal(answer, head)
    if (refused !== undefined) giveUp(refused)
    else end(() => ready({ stream, bottom, explain: (error) => said.brokenTls(error) }))
  })
  asking.end()
}

function secured(socket: Socket, { proxy: { host }, secureContext }: TunnelOptions): Socket {
  const servername = isIP(host) === 0 ? host : ''
  return connectTls({ socket, host, servername, secureContext: secureContext(), ALPNProtocols: ['http/1.1'] })
}
