/**
 * The slow link as the benchmark holds it: a process, its port and its counters. Layer: benchmark.
 *
 * Invariant: its work is done outside of this process, and ends with it.
 */
import { once } from 'node:events'
import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import type { DelayLinkCounters } from './delay-link.ts'
import type { Line } from './limits.ts'
import { Background } from './processes.ts'

export interface LinkSpeed {
  readonly oneWayMs: number
  readonly bitsPerSecond: number
  /** How far a piece may be later than `oneWayMs`. Default 0. */
  readonly jitterMs?: number
  /** Of each packet, that it is lost and sent again. Default 0. */
  readonly lossRate?: number
}

export interface LinkCounters extends DelayLinkCounters {
  readonly requests: Readonly<Record<string, number>>
}

export class Link {
  readonly process: Background
  readonly port: number

  private constructor(process: Background, port: number) {
    this.process = process
    this.port = port
  }

  static async start(directory: string, targetPort: number, speed: LinkSpeed): Promise<Link> {
    const script = `${import.meta.dirname}/link-process.ts`
    const background = new Background({
      directory,
      name: 'link',
      command: [process.execPath, script, String(targetPort), JSON.stringify(speed)],
      channel: true,
    })
    const { port } = await reply<{ port: number }>(background)
    return new Link(background, port)
  }

  async counters(): Promise<LinkCounters> {
    const counters = reply<LinkCounters>(this.process)
    this.process.child.send('counters')
    return counters
  }
}

async function reply<T>(background: Background): Promise<T> {
  const signal = AbortSignal.timeout(20_000)
  const [message] = (await once(background.child, 'message', { signal })) as [T]
  return message
}

/** The round trip of such a link as programs here see it, in milliseconds: the median of thirty. */
export async function measureRoundTrip(directory: string, speed: LinkSpeed): Promise<number> {
  const echo = createServer((socket: Socket) => socket.pipe(socket)).listen(0, '127.0.0.1')
  await once(echo, 'listening')
  const link = await Link.start(directory, (echo.address() as AddressInfo).port, speed)
  const socket = connect({ host: '127.0.0.1', port: link.port, noDelay: true })
  const times: number[] = []
  for (let round = 0; round < 31; round++) {
    const since = performance.now()
    socket.write('x')
    await once(socket, 'data')
    if (round > 0) times.push(performance.now() - since) /* the first one has the handshake in it */
  }
  socket.destroy()
  echo.close()
  await link.process.stop()
  return times.sort((a, b) => a - b)[times.length >> 1] ?? Number.NaN
}

/** The line that the limits are counted on, as it is measured. */
export async function lineOf(directory: string, speed: LinkSpeed): Promise<Line> {
  const roundTripMs = await measureRoundTrip(directory, speed)
  return { bitsPerSecond: speed.bitsPerSecond, roundTripMs }
}
