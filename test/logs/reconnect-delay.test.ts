import t from 'tap'
import { reconnectDelayMs } from '../../src/logs/reconnect-delay.ts'

void t.test('the delay doubles up to a minute and lies in the upper half', (t) => {
  t.same(
    [0, 1, 2, 3, 10, 1000].map((attempt) => reconnectDelayMs('failed', attempt, 0)),
    [500, 1_000, 2_000, 4_000, 30_000, 30_000],
  )
  t.ok(reconnectDelayMs('failed', 10, 0.999) <= 60_000)
  t.end()
})

void t.test('a stream that ended is asked for again soon, a refusing session slowly', (t) => {
  t.ok(reconnectDelayMs('ended', 0, 0.999) <= 500)
  t.ok(reconnectDelayMs('refused', 0, 0) >= 15_000)
  t.ok(reconnectDelayMs('refused', 20, 0.999) <= 300_000)
  t.end()
})
