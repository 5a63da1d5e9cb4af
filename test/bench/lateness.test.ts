import t from 'tap'
import { lateness } from '../../scripts/bench/lateness.ts'
import { SlowDirection, type Cargo, type Lane } from '../../scripts/bench/slow-direction.ts'

const link = { jitterMs: 0, lossRate: 0, oneWayMs: 20, seed: 1 }

void t.test('a good link adds nothing', (t) => {
  const late = lateness(link)
  t.same([late(10, true), late(100_000, false)], [0, 0])
  t.end()
})

void t.test('jitter stays within its bound and goes all over it', (t) => {
  const late = lateness({ ...link, jitterMs: 20 })
  const all = Array.from({ length: 1000 }, () => late(10, true))
  t.ok(all.every((ms) => ms >= 0 && ms < 20))
  t.ok(Math.min(...all) < 1 && Math.max(...all) > 19)
  t.end()
})

void t.test('so many packets of a hundred are lost, and more of a big piece', (t) => {
  const lost = (bytes: number): number => {
    const late = lateness({ ...link, lossRate: 0.01 })
    return Array.from({ length: 10_000 }, () => late(bytes, false)).filter((ms) => ms > 0).length
  }
  t.ok(Math.abs(lost(1000) - 100) < 50, `${lost(1000)} of 10,000`)
  t.ok(Math.abs(lost(14_480) - 956) < 200, `${lost(14_480)} of 10,000 pieces of ten packets`)
  t.equal(lost(0), 0, 'what has no bytes is never lost')
  t.end()
})

void t.test('what is lost comes after a round trip, or after the timeout when nothing follows', (t) => {
  const late = lateness({ ...link, lossRate: 1 })
  t.equal(late(1000, false), 40)
  t.equal(late(1000, true), 220)
  t.end()
})

void t.test('the same seed gives the same chances, another seed others', (t) => {
  const some = (seed: number): number[] => {
    const late = lateness({ ...link, jitterMs: 20, seed })
    return Array.from({ length: 10 }, () => late(1, true))
  }
  t.same(some(3), some(3))
  t.notSame(some(3), some(4))
  t.end()
})

void t.test('what is late holds up its own connection and no other, and nothing overtakes it', async (t) => {
  const lateMs = [60, 0, 0]
  const direction = new SlowDirection(1, 1e9, () => lateMs.shift() ?? 0)
  t.teardown(() => direction.close())
  const arrived: string[] = []
  const all = Promise.withResolvers<undefined>()
  const lane = (): Lane => ({
    waiting: [],
    lastDueAt: -Infinity,
    gather: () => undefined,
    deliver: (cargo: Cargo) => {
      arrived.push(String(cargo))
      if (arrived.length === 3) all.resolve(undefined)
    },
  })
  const [one, two] = [lane(), lane()]
  direction.offer(one, Buffer.from('first'))
  direction.offer(one, Buffer.from('second'))
  direction.offer(two, Buffer.from('other'))
  await all.promise
  t.same(arrived, ['other', 'first', 'second'])
})
