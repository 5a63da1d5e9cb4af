/**
 * Links that take much at once and send it slowly.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { startCalls } from '../../src/client/lanes.ts'
import { sessionFiles } from '../../src/client/remote-files.ts'
import { SessionClient } from '../../src/client/session-client.ts'
import { Uplink } from '../../src/client/uplink.ts'
import { FakeClock } from '../fake-clock.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** One upload's way: what has come of it, and what lies in the buffers before the slow part. */
interface Way {
  readonly socket: Socket
  readonly pieces: Buffer[]
  buffered: number
  arrived: number
  /** Of the request with its head, once that is known. */
  size: number | undefined
}

/**
 * A service behind a link of `bytesPerSecond`, shared by all connections, in front of which each connection has
 * a buffer of `bufferBytes`. Time is a fake clock's, and passes only while bytes go over the link.
 */
async function slowLink(t: Test, { bytesPerSecond = 0, bufferBytes = 4_000_000 }) {
  const clock = new FakeClock()
  const ways = new Set<Way>()
  const counts = { requests: 0, arrived: 0, resets: 0 }
  const server = createServer((socket) => {
    const way: Way = { socket, pieces: [], buffered: 0, arrived: 0, size: undefined }
    ways.add(way)
    socket.on('data', (piece: Buffer) => {
      way.pieces.push(piece)
      way.buffered += piece.length
      if (way.buffered >= bufferBytes) socket.pause()
    })
    socket.on('error', () => (counts.resets += 1))
    socket.on('close', () => ways.delete(way))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const { socket } of ways) socket.destroy()
    server.close()
  })
  const tickMs = 100
  const carry = (way: Way, most: number): void => {
    if (way.size === undefined) {
      const head = Buffer.concat(way.pieces.slice(0, 2)).toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end >= 0) counts.requests += 1
      if (end >= 0) way.size = end + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
    }
    const carried = Math.min(most, way.buffered, (way.size ?? Infinity) - way.arrived)
    way.buffered -= carried
    way.arrived += carried
    counts.arrived += carried
    if (way.buffered < bufferBytes) way.socket.resume()
    if (way.arrived !== way.size) return
    Object.assign(way, { pieces: [], arrived: 0, size: undefined })
    way.socket.write('HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}')
  }
  /** Lets the link work until the promise is settled. */
  const work = async (until: Promise<unknown>): Promise<void> => {
    let isOver = false
    const end = (): void => void (isOver = true)
    until.then(end, end)
    while (!isOver) {
      await turn()
      const busy = [...ways].filter(({ buffered }) => buffered > 0)
      if (busy.length === 0) continue
      for (const way of busy) carry(way, Math.ceil((bytesPerSecond * tickMs) / 1000 / busy.length))
      clock.advance(tickMs)
    }
  }
  const client = new SessionClient({
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/p`,
    credential: { token: 'x' },
    clock,
    random: () => 0,
  })
  t.teardown(() => client.close())
  return { clock, client, files: sessionFiles(client, 'agent', 'session-1'), work, counts }
}

for (const [count, size, kilobytesPerSecond] of [
  [1, 5_000_000, 40],
  [16, 3_000_000, 100],
  [startCalls, 1_000_000, 100],
  [1, 50_000_000, 100],
] as const) {
  void t.test(
    `${count} × ${size} bytes at ${kilobytesPerSecond} KB/s behind a buffer are sent once, in the time it takes`,
    async (t) => {
      const bytesPerSecond = kilobytesPerSecond * 1000
      const { clock, files, work, counts } = await slowLink(t, { bytesPerSecond })
      const uploads = Promise.all(
        Array.from({ length: count }, (_, index) => files.upload(`f${index}`, Buffer.alloc(size))),
      )
      await work(uploads)
      await uploads
      t.equal(counts.requests, count)
      t.equal(counts.resets, 0)
      const idealMs = ((count * size) / bytesPerSecond) * 1000
      t.ok(clock.now() <= 1.3 * idealMs, `${clock.now()} ms of ${idealMs}`)
    },
  )
}

void t.test('on a link that has been seen to be fast a dead upload is noticed soon', async (t) => {
  const { clock, files, work, client } = await slowLink(t, { bytesPerSecond: 10_000_000 })
  const first = files.upload('a', Buffer.alloc(8_000_000))
  await work(first)
  await first
  const began = clock.now()
  const dead = files.upload('b', Buffer.alloc(8_000_000), { retry: false })
  const failed = t.rejects(dead, { code: 'timeout', ambiguous: true })
  let isOver = false
  void failed.then(() => (isOver = true))
  while (!isOver) {
    await turn()
    if (clock.waiting > 0) clock.advance(1000)
  }
  t.ok(clock.now() - began < 120_000, `${clock.now() - began} ms`)
  t.equal(client.load.writes.limit, startCalls / 2, 'and the number of uploads is halved')
})

void t.test('what is on its way may take as long as the link was seen to need', (t) => {
  const clock = new FakeClock()
  const uplink = new Uplink(clock)
  t.equal(uplink.allowanceMs, 0)
  uplink.handedOver(64 * 1024)
  t.equal(uplink.allowanceMs, 0, 'a short request waits as ever')
  uplink.handedOver(1024 * 1024)
  t.equal(uplink.allowanceMs, 64_000, 'of an unknown link 16 KiB/s are expected')
  clock.advance(1000)
  uplink.arrived(1024 * 1024 + 64 * 1024)
  t.equal(uplink.allowanceMs, 0)
  uplink.handedOver(1024 * 1024 + 64 * 1024)
  t.equal(uplink.allowanceMs, Math.ceil(3000 / (1 + 1 / 16)), 'of a known one a third of what was seen')
  uplink.lost(1024 * 1024)
  t.equal(uplink.allowanceMs, 0)
  t.end()
})

void t.test('a link that is slower than it was taken for is given more time', (t) => {
  const uplink = new Uplink(new FakeClock())
  uplink.handedOver(1024 * 1024 + 64 * 1024)
  uplink.timedOut()
  t.equal(uplink.allowanceMs, 128_000)
  for (let count = 0; count < 9; count++) uplink.timedOut()
  t.equal(uplink.allowanceMs, 512_000, 'but not for ever')
  t.end()
})
