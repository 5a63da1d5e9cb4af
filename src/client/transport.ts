/**
 * One attempt of one request, over the connections to the service. Layer: client.
 *
 * Invariant: what was found dead takes along what may be as dead: idle connections, and streams that were silent.
 */
import type { Clock } from '../clock.ts'
import { Trust } from './certificates.ts'
import { type Connections, openConnections } from './connections.ts'
import { ServiceError } from './errors.ts'
import { CompanyRace, type Opening } from './company-race.ts'
import { Exchange, type HttpAttempt, type HttpReply } from './exchange.ts'
import type { Proxy } from './proxy.ts'
import { Uplink } from './uplink.ts'

export interface TransportOptions {
  readonly origin: string
  readonly clock: Clock
  readonly connectMs: number
  readonly trust: Trust
  readonly proxy: Proxy | undefined
  readonly uplink: Uplink
  /** A connection was found dead that had kept a request waiting since then, by the clock. */
  readonly onSilence?: ((sinceMs: number) => void) | undefined
}

/** Those of one client: one for calls, one for streams, which live long and are silent for long. */
export function openTransports({
  ca,
  ...options
}: Pick<TransportOptions, 'origin' | 'clock' | 'connectMs' | 'proxy'> & {
  /** Certificates (PEM) that are trusted beside the system's. */
  readonly ca: string | undefined
}): { readonly calls: Transport; readonly streams: Transport } {
  const shared = { ...options, trust: new Trust(ca), uplink: new Uplink(options.clock) }
  const streams = new Transport(shared)
  const onSilence = (sinceMs: number): void => void streams.endSilent(sinceMs)
  return { calls: new Transport({ ...shared, onSilence }), streams }
}

export class Transport {
  readonly #options: TransportOptions
  #connections: Promise<Connections> | undefined
  readonly #exchanges = new Set<Exchange>()
  readonly #companies = { running: 0 }

  constructor(options: TransportOptions) {
    this.#options = options
  }

  async send(attempt: HttpAttempt): Promise<HttpReply> {
    const connections = await (this.#connections ??= openConnections(this.#options))
    return await new CompanyRace(attempt, {
      clock: this.#options.clock,
      open: (which) => this.#open(connections, which),
      companies: this.#companies,
      onSilence: (sinceMs) => {
        connections.dropIdle(sinceMs)
        this.#options.onSilence?.(sinceMs)
      },
    }).run()
  }

  /** Ends what has not moved since then: its connection may be as dead as another that was found so. */
  async endSilent(sinceMs: number): Promise<void> {
    const connections = await this.#connections
    connections?.dropIdle(sinceMs)
    for (const exchange of this.#exchanges) {
      if (exchange.movedAt < sinceMs)
        exchange.end(new ServiceError('network', 'the connection was silent, and another was found dead'))
    }
  }

  /** Ends all attempts and closes all connections. */
  async destroy(): Promise<void> {
    await (await this.#connections)?.destroy()
  }

  #open(connections: Connections, { attempt, isNew, onEnd }: Opening): Exchange {
    const { clock, uplink } = this.#options
    const connection = connections.take({ isNew })
    const exchange: Exchange = new Exchange(attempt, connection, {
      clock,
      uplink,
      onEnd: (end) => {
        this.#exchanges.delete(exchange)
        connections.release(connection)
        onEnd(end)
      },
    })
    this.#exchanges.add(exchange)
    return exchange
  }
}
