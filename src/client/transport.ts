/**
 * One attempt of one request, over the connections to the service. Layer: client.
 *
 * Invariant: what was found dead takes along what may be as dead: idle connections, and streams that were silent.
 */
import { Trust } from './certificates.ts'
import { Connections } from './connections.ts'
import type { DialerOptions } from './dial.ts'
import { ServiceError } from './errors.ts'
import { CompanyRace, type Opening } from './company-race.ts'
import { Exchange, type HttpAttempt, type HttpReply } from './exchange.ts'
import { Uplink } from './uplink.ts'

export interface TransportOptions extends DialerOptions {
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
  const onSilence = (sinceMs: number): void => streams.endSilent(sinceMs)
  return { calls: new Transport({ ...shared, onSilence }), streams }
}

export class Transport {
  readonly #options: TransportOptions
  readonly #connections: Connections
  readonly #exchanges = new Set<Exchange>()
  readonly #companies = { running: 0 }

  constructor(options: TransportOptions) {
    this.#options = options
    this.#connections = new Connections(options)
  }

  send(attempt: HttpAttempt): Promise<HttpReply> {
    return new CompanyRace(attempt, {
      clock: this.#options.clock,
      open: (which) => this.#open(which),
      companies: this.#companies,
      onSilence: (sinceMs) => {
        this.#connections.dropSilent(sinceMs)
        this.#options.onSilence?.(sinceMs)
      },
    }).run()
  }

  /** Ends what has not moved since then: its connection may be as dead as another that was found so. */
  endSilent(sinceMs: number): void {
    this.#connections.dropSilent(sinceMs)
    for (const exchange of this.#exchanges) {
      if (exchange.movedAt < sinceMs)
        exchange.end(new ServiceError('network', 'the connection was silent, and another was found dead'))
    }
  }

  /** Ends all attempts and closes all connections. */
  async destroy(): Promise<void> {
    await this.#connections.destroy()
  }

  #open({ attempt, afterMs, onTaken, onEnd }: Opening): Exchange {
    const { clock, uplink } = this.#options
    const { contentBytes = 0, body } = attempt
    const kind = { contentBytes, bodyBytes: body?.size ?? 0 }
    const exchange: Exchange = new Exchange(attempt, {
      clock,
      uplink,
      take: () => this.#connections.take(kind, { afterMs }),
      onTaken,
      onEnd: (end) => {
        this.#exchanges.delete(exchange)
        onEnd(end)
      },
    })
    this.#exchanges.add(exchange)
    return exchange
  }
}
