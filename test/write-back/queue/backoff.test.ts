import t from 'tap'
import { backoffMs } from '../../../src/write-back/queue/backoff.ts'

void t.test('it doubles from a second to a minute, the later half of each step at random', (t) => {
  const steps = [1, 2, 3, 4, 5, 6, 7, 20, 2000]
  t.same(
    steps.map((failures) => backoffMs(failures, undefined, 0)),
    [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000],
  )
  t.ok(steps.every((failures) => backoffMs(failures, undefined, 0.999) <= 60_000))
  t.end()
})

void t.test('it is never sooner than the service asked for, and a minute at most', (t) => {
  t.equal(backoffMs(1, 40_000, 0), 40_000)
  t.equal(backoffMs(1, 90_000, 0), 60_000)
  t.equal(backoffMs(1, 30 * 24 * 3_600_000, 0), 60_000)
  t.equal(backoffMs(9, 10, 0), 30_000)
  t.end()
})
