/**
 * A far-away, narrow link in user space: a TCP proxy with delay and bandwidth. Layer: benchmark and tests.
 *
 *   client ──▶ accepted at once, read after a round trip ──▶ up ──▶ connected 1.5 round trips after the
 *          ◀────────────────────────── down ◀────────────────────── client wished it ── target
 *
 * A client sees its connection established at once, because its kernel answers for the proxy; so what it
 * sends first leaves a round trip later, as it would have after a handshake.
 *
 * Invariant: every byte takes at least the delay of its direction, and connections end as they would
 * without the link, half-closed, closed or reset, after everything that was sent before.
 */
import { createServer, Socket, type AddressInfo } from 'node:net'
import { lateness } from './lateness.ts'
import { SlowDirection, type Lane } from './slow-direction.ts'

export interface DelayLinkOptions {
  readonly target: { readonly host: string; readonly port: number }
  /** In each direction, milliseconds. Default 20. */
  readonly oneWayMs?: number | undefined
  /** In each direction, shared by all connections. Default 100 million. */
  readonly bitsPerSecond?: number | undefined
  /** How far a piece may be later than `oneWayMs`, milliseconds: by chance. Default 0. */
  readonly jitterMs?: number | undefined
  /** Of each packet, that it is lost and comes again later; see `lateness.ts`. Default 0. */
  readonly lossRate?: number | undefined
  /** Is shown every piece that a client sends. */
  readonly onSent?: ((bytes: Uint8Array) => void) | undefined
}

export interface DelayLinkCounters {
  /** Connections accepted so far. */
  readonly connections: number
  /** Bytes delivered to the target, and to clients. */
  readonly bytesUp: number
  readonly bytesDown: number
}

export interface DelayLink {
  /** On 127.0.0.1. */
  readonly port: number
  counters(): DelayLinkCounters
  /** Down: no byte passes, nothing is connected or closed; everything goes on when it is up again. */
  setDown(isDown: boolean): void
  /** Resets what is open. */
  close(): Promise<void>
}

export async function startDelayLink(options: DelayLinkOptions): Promise<DelayLink> {
  const { target, oneWayMs = 20, bitsPerSecond = 100e6 } = options
  const { jitterMs = 0, lossRate = 0 } = options
  const direction = (seed: number): SlowDirection =>
    new SlowDirection(oneWayMs, bitsPerSecond, lateness({ jitterMs, lossRate, oneWayMs, seed }))
  const [up, down] = [direction(1), direction(2)]
  /* a connection alone can fill the line, as a TCP window that has grown lets it */
  const windowBytes = Math.max(1024 * 1024, (4 * oneWayMs * bitsPerSecond) / 8000)
  const sockets = new Set<Socket>()
  const handshakes = new Set<NodeJS.Timeout>()
  let connections = 0

  const adopt = (socket: Socket): void => {
    socket.setNoDelay(true)
    sockets.add(socket)
    socket.on('error', () => undefined) /* `close` follows and tells the other side */
    socket.once('close', () => sockets.delete(socket))
  }
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    connections++
    adopt(client)
    const handshake = setTimeout(
      () => {
        handshakes.delete(handshake)
        const upstream = new Socket({ allowHalfOpen: true })
        adopt(upstream)
        const connect = (): void => {
          upstream.connect(target)
          carry(upstream, client, down, windowBytes)
        }
        const lane = carry(client, upstream, up, windowBytes, connect)
        if (options.onSent !== undefined) client.on('data', options.onSent)
        up.offer(lane, 'open')
        client.resume()
      },
      Math.ceil(2 * oneWayMs),
    )
    handshakes.add(handshake)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, resolve)
  })

  return {
    port: (server.address() as AddressInfo).port,
    counters: () => ({ connections, bytesUp: up.bytes, bytesDown: down.bytes }),
    setDown(isDown) {
      up.setDown(isDown)
      down.setDown(isDown)
    },
    close() {
      for (const handshake of handshakes) clearTimeout(handshake)
      up.close()
      down.close()
      for (const socket of sockets) socket.resetAndDestroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

/**
 * Carries what `source` sends to `sink`, with never more than about `windowBytes` on the way; a sink that
 * does not read stops its source.
 */
function carry(
  source: Socket,
  sink: Socket,
  direction: SlowDirection,
  windowBytes: number,
  open: () => void = () => undefined,
): Lane {
  let onTheWay = 0
  let ended = false
  const lane: Lane = {
    waiting: [],
    lastDueAt: -Infinity,
    gather: (isGathering) => (isGathering ? sink.cork() : sink.uncork()),
    deliver(cargo) {
      if (cargo === 'open') open()
      else if (cargo === 'end') sink.end()
      else if (cargo === 'reset') sink.resetAndDestroy()
      else {
        sink.write(cargo, () => {
          onTheWay -= cargo.length
          if (onTheWay < windowBytes / 2) source.resume()
        })
      }
    },
  }
  source.on('data', (bytes) => {
    onTheWay += bytes.length
    if (onTheWay >= windowBytes) source.pause()
    direction.offer(lane, bytes)
  })
  source.on('end', () => {
    ended = true
    direction.offer(lane, 'end')
  })
  source.on('close', () => {
    if (!ended) direction.offer(lane, 'reset')
  })
  return lane
}
