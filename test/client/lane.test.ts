import t from 'tap'
import { Lane, type Slot } from '../../src/client/lane.ts'
import { FakeClock } from '../fake-clock.ts'

const take = (lane: Lane, count: number): Promise<Slot[]> =>
  Promise.all(Array.from({ length: count }, () => lane.acquire()))

/** A slot that is given back is free a moment later. */
const settled = (): Promise<void> => new Promise(setImmediate)

/** So many attempts that the service took, one after the other. */
async function succeed(lane: Lane, count: number): Promise<void> {
  for (let done = 0; done < count; done++) {
    const slot = await lane.acquire()
    slot.succeeded()
    slot.release()
  }
}

void t.test('no more attempts run than the limit, and higher priorities go first', async (t) => {
  const lane = new Lane({ limit: 2, clock: new FakeClock() })
  const [first, second] = await take(lane, 2)
  const order: string[] = []
  const waiting = [
    lane.acquire({ priority: -1 }).then((slot) => (order.push('ahead'), slot)),
    lane.acquire().then((slot) => (order.push('plain'), slot)),
    lane.acquire({ priority: 1 }).then((slot) => (order.push('barrier'), slot)),
  ]
  t.strictSame(lane.load, { running: 2, waiting: 3, limit: 2 })
  first!.release()
  first!.release()
  await waiting[2]
  t.strictSame(lane.load, { running: 2, waiting: 2, limit: 2 }, 'a slot is given back once')
  second!.release()
  ;(await waiting[1])!.release()
  await waiting[0]
  t.strictSame(order, ['barrier', 'plain', 'ahead'])
})

void t.test('who gives up while waiting leaves the queue', async (t) => {
  const lane = new Lane({ limit: 1, clock: new FakeClock() })
  const [slot] = await take(lane, 1)
  const abort = new AbortController()
  const waiting = lane.acquire({ signal: abort.signal })
  const reason = new Error('enough')
  abort.abort(reason)
  t.equal(await waiting.catch((error: unknown) => error), reason)
  t.equal(lane.load.waiting, 0)
  slot!.release()
  await lane.acquire()
})

void t.test(
  'too many requests halve the number at once, once for all that were under way together',
  async (t) => {
    const lane = new Lane({ limit: 16, clock: new FakeClock() })
    const slots = await take(lane, 16)
    for (const slot of slots) slot.throttled()
    t.equal(lane.load.limit, 8)
    for (const slot of slots) slot.release()
    for (const expected of [4, 2, 1, 1]) {
      const [slot] = await take(lane, 1)
      slot!.throttled()
      slot!.release()
      t.equal(lane.load.limit, expected)
    }
  },
)

void t.test('successes bring it back one by one, and not faster than the clock allows', async (t) => {
  const clock = new FakeClock()
  const lane = new Lane({ limit: 8, clock, growMs: 1000 })
  const [slot, old] = await take(lane, 2)
  slot!.throttled()
  slot!.release()
  t.equal(lane.load.limit, 4)
  await succeed(lane, 20)
  t.equal(lane.load.limit, 4, 'no time has passed')
  clock.advance(1000)
  old!.succeeded()
  old!.release()
  t.equal(lane.load.limit, 4, 'an attempt from before says nothing')
  await succeed(lane, 1)
  t.equal(lane.load.limit, 5)
  clock.advance(1000)
  await succeed(lane, 4)
  t.equal(lane.load.limit, 5, 'as many successes as run at once')
  await succeed(lane, 1)
  t.equal(lane.load.limit, 6)
  for (let second = 0; second < 5; second++) {
    clock.advance(1000)
    await succeed(lane, 8)
  }
  t.equal(lane.load.limit, 8, 'and never above the limit')
})

void t.test('attempts that rest let others run beside them, so many at most', async (t) => {
  const lane = new Lane({ limit: 2, maxResting: 3, clock: new FakeClock() })
  const [first, second] = await take(lane, 2)
  first!.rest(true)
  first!.rest(true)
  const [third] = await take(lane, 1)
  t.strictSame(lane.load, { running: 3, waiting: 0, limit: 2 })
  const waiting = lane.acquire()
  first!.rest(false)
  third!.release()
  await settled()
  t.strictSame(lane.load, { running: 2, waiting: 1, limit: 2 }, 'one that moves again counts again')
  first!.rest(true)
  const fourth = await waiting
  for (const slot of [second!, fourth]) slot.rest(true)
  const more = await take(lane, 2)
  for (const slot of more) slot.rest(true)
  const late = lane.acquire()
  t.strictSame(lane.load, { running: 5, waiting: 1, limit: 2 })
  for (const slot of [first!, second!, fourth]) slot.release()
  ;(await late).release()
  for (const slot of more) slot.release()
  await settled()
  t.strictSame(lane.load, { running: 0, waiting: 0, limit: 2 })
})

void t.test(
  'a service that bears less than the limit is not asked for more by attempts that rest',
  async (t) => {
    const lane = new Lane({ limit: 4, maxResting: 4, clock: new FakeClock() })
    const slots = await take(lane, 4)
    slots[0]!.throttled()
    for (const slot of slots) slot.rest(true)
    const waiting = lane.acquire()
    t.strictSame(lane.load, { running: 4, waiting: 1, limit: 2 })
    for (const slot of slots) slot.release()
    await waiting
  },
)

/** `through`: how many a millisecond the service lets through; each waits `latencyMs` at least. */
async function work(
  clock: FakeClock,
  lane: Lane,
  { through, latencyMs, count }: { through: number; latencyMs: number; count: number },
): Promise<number> {
  let done = 0
  let most = 0
  let freeAt = 0
  const all = Array.from({ length: count }, async () => {
    const slot = await lane.acquire()
    most = Math.max(most, lane.load.running)
    freeAt = Math.max(freeAt, clock.now()) + 1 / through
    await new Promise<void>((resolve) => clock.after(Math.max(latencyMs, freeAt - clock.now()), resolve))
    slot.succeeded()
    slot.release()
    done += 1
  })
  while (done < count) {
    await settled()
    clock.advance(1)
  }
  await Promise.all(all)
  return most
}

void t.test('while more wait than run, the number grows as long as that lets more through', async (t) => {
  const clock = new FakeClock()
  const lane = new Lane({ limit: 128, start: 16, clock })
  t.equal(await work(clock, lane, { through: 100, latencyMs: 40, count: 2000 }), 128, 'up to the limit')
  t.ok(lane.level > 80)
})

void t.test('a step that brings nothing is taken back', async (t) => {
  const clock = new FakeClock()
  const lane = new Lane({ limit: 128, start: 16, clock })
  const most = await work(clock, lane, { through: 1, latencyMs: 40, count: 2000 })
  t.ok(most >= 40 && most <= 81, `${most} at once where 40 fill the link`)
  t.ok(lane.level < most)
})

void t.test('what nobody waits for leaves some slots to others', async (t) => {
  const clock = new FakeClock()
  const lane = new Lane({ limit: 128, start: 32, clock })
  const ahead = Array.from({ length: 40 }, () => lane.acquire({ priority: -1 }))
  await settled()
  t.strictSame(lane.load, { running: 28, waiting: 12, limit: 32 })
  const [slot] = await take(lane, 1)
  slot!.release()
  for (const each of ahead) void each.then((held) => held.release())
  await settled()
  t.match(lane.load, { running: 0, waiting: 0 })
})

void t.test('a few that follow each other say nothing of how many could be at once', async (t) => {
  const clock = new FakeClock()
  const lane = new Lane({ limit: 128, start: 4, clock })
  for (let count = 0; count < 50; count++) await work(clock, lane, { through: 100, latencyMs: 40, count: 3 })
  t.equal(lane.load.limit, 4)
})

void t.test('once the service has refused, it grows by one at a time', async (t) => {
  const clock = new FakeClock()
  const lane = new Lane({ limit: 128, start: 32, clock })
  const [slot] = await take(lane, 1)
  slot!.throttled()
  slot!.release()
  await work(clock, lane, { through: 100, latencyMs: 40, count: 1000 })
  t.ok(lane.load.limit >= 16 && lane.load.limit <= 19, String(lane.load.limit))
})
