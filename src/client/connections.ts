/**
 * The connections to the service, with one request at a time on each. Layer: client, over undici.
 *
 * Invariant: a connection is under one request, idle, or gone; one that has kept a request waiting in vain is
 * not used again. All of one client's share one trust: certificates are parsed once.
 */
import { connect, type Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { buildConnector, Client } from 'undici'
import type { Clock } from '../clock.ts'
import { type Trust, trusting } from './certificates.ts'
import type { Proxy } from './proxy.ts'
import type { Way } from './tunnel.ts'

export interface ConnectionsOptions {
  readonly origin: string
  readonly clock: Clock
  readonly connectMs: number
  /** Of what is sent over https. */
  readonly trust: Trust
  /** On the way to what is sent over https. */
  readonly proxy: Proxy | undefined
}

/** So long after the last byte the kernel asks whether the other side is still there, ten times, once a second. */
const keepAliveInitialDelay = 10_000

export class OpenConnection {
  readonly client: Client
  readonly #clock: Clock
  #socket: Socket | undefined
  #answeredAt: number | undefined
  #isSilent = false

  constructor(makeClient: (onSocket: (socket: Socket) => void) => Client, clock: Clock) {
    this.#clock = clock
    this.client = makeClient((socket) => {
      this.#socket = socket
      this.#answeredAt = undefined
    })
  }

  /** Whether the next request goes over a connection that has answered one before. */
  get isReused(): boolean {
    return this.#answeredAt !== undefined && this.#socket?.destroyed === false
  }

  /** When it was last known to be alive, by the clock; undefined: never. */
  get answeredAt(): number | undefined {
    return this.#answeredAt
  }

  answered(): void {
    this.#answeredAt = this.#clock.now()
  }

  get isSilent(): boolean {
    return this.#isSilent
  }

  /** It has kept a request waiting: it is closed once that is over. */
  distrust(): void {
    this.#isSilent = true
  }

  /** Ends it at once, and throws away what has been handed to the kernel and is not sent yet. */
  reset(): void {
    if (this.#socket === undefined || this.#socket.destroyed) return
    // `resetAndDestroy` sets this as well, but may end the sending side first, and then nothing is reset any more
    Object.assign(this.#socket, { resetAndClosing: true }).destroy()
  }
}

export class Connections {
  readonly #make: () => OpenConnection
  /** The one that was used last comes first. */
  #idle: OpenConnection[] = []
  readonly #all = new Set<OpenConnection>()

  constructor(make: () => OpenConnection) {
    this.#make = make
  }

  /** One for a single request; give it back with `release`. */
  take({ isNew = false } = {}): OpenConnection {
    const idle = isNew ? undefined : this.#takeIdle()
    if (idle !== undefined) return idle
    const connection = this.#make()
    this.#all.add(connection)
    return connection
  }

  release(connection: OpenConnection): void {
    if (connection.isSilent) this.#drop(connection)
    else this.#idle.push(connection)
  }

  /** What has been idle since before `sinceMs` may be as dead as the one that kept a request waiting since then. */
  dropIdle(sinceMs: number): void {
    const isOld = ({ answeredAt }: OpenConnection): boolean =>
      answeredAt === undefined || answeredAt < sinceMs
    for (const connection of this.#idle.filter(isOld)) this.#drop(connection)
    this.#idle = this.#idle.filter((connection) => !isOld(connection))
  }

  /** Ends all requests and closes all connections. */
  async destroy(): Promise<void> {
    await Promise.all([...this.#all].map(({ client }) => client.destroy()))
  }

  /** Rather one that is open than one that has to be opened again. */
  #takeIdle(): OpenConnection | undefined {
    const open = this.#idle.findLastIndex((connection) => connection.isReused)
    return open === -1 ? this.#idle.pop() : this.#idle.splice(open, 1)[0]
  }

  #drop(connection: OpenConnection): void {
    this.#all.delete(connection)
    void connection.client.destroy()
  }
}

/* undici is loaded with the first request: a command that sends none does not pay for it. */
export async function openConnections(options: ConnectionsOptions): Promise<Connections> {
  const { origin, clock, connectMs } = options
  const undici = await import('undici')
  const openWay = await wayOf(options)
  const isSecure = origin.startsWith('https:')
  const settings = { timeout: connectMs, allowH2: false, keepAliveInitialDelay }
  const makeClient = (onSocket: (socket: Socket) => void): Client =>
    new undici.Client(origin, {
      // One request a connection: ending a transfer ends nothing else.
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: 30_000,
      connect: isSecure
        ? trusting(options.trust, (secureContext) =>
            overTls(undici.buildConnector({ ...settings, secureContext }), onSocket, openWay),
          )
        : plainly(undici.buildConnector(settings), onSocket),
    })
  return new Connections(() => new OpenConnection(makeClient, clock))
}

function plainly(
  connector: buildConnector.connector,
  onSocket: (socket: Socket) => void,
): buildConnector.connector {
  return (target, callback) => {
    connector(target, (...result) => {
      if (result[0] === null) onSocket(result[1])
      callback(...result)
    })
  }
}

/* The connection below TLS is made here: only that one can be reset. */
function overTls(
  connector: buildConnector.connector,
  onSocket: (socket: Socket) => void,
  openWay: OpenWay,
): buildConnector.connector {
  return (target, callback) => {
    let isOver = false
    const end: buildConnector.Callback = (...result: Parameters<buildConnector.Callback>) => {
      if (isOver) return
      isOver = true
      callback(...result)
    }
    openWay(
      { host: target.hostname, port: target.port === '' ? 443 : Number(target.port) },
      ({ stream, bottom, explain }) => {
        connector({ ...target, httpSocket: stream }, (...[error, socket]) => {
          if (error === null) {
            onSocket(bottom)
            end(null, socket)
          } else {
            bottom.destroy()
            end(explain(error), null)
          }
        })
      },
      (error) => end(error, null),
    )
  }
}

/** `fail` may be called after `ready`, too. */
type OpenWay = (
  target: { readonly host: string; readonly port: number },
  ready: (way: Way) => void,
  fail: (error: Error) => void,
) => void

async function wayOf({ proxy, clock, connectMs, trust }: ConnectionsOptions): Promise<OpenWay> {
  if (proxy === undefined) return directly
  const { openTunnel } = await import('./tunnel.ts')
  // before the limit of the whole connection, which knows nothing of the proxy
  const limitMs = connectMs * 0.8
  const secureContext = (): SecureContext => trust.context
  return (target, ready, fail) =>
    openTunnel({ ...target, proxy, clock, limitMs, secureContext, keepAliveInitialDelay }, ready, fail)
}

const directly: OpenWay = ({ host, port }, ready, fail) => {
  const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay })
  socket.on('error', (error) => {
    socket.destroy()
    fail(error)
  })
  ready({ stream: socket, bottom: socket, explain: (error) => error })
}
