/**
 * One limit at a time, and what rests within it.
 */
import t from 'tap'
import { ProgressWatch, restMs } from '../../src/client/progress-watch.ts'
import { FakeClock } from '../fake-clock.ts'

void t.test('what has not moved rests, and expires at its limit all the same', (t) => {
  const clock = new FakeClock()
  const happened: (string | boolean)[] = []
  const watch = new ProgressWatch(
    clock,
    (message) => happened.push(message),
    (isResting) => happened.push(isResting),
  )
  watch.expect(5_000, 'a byte')
  clock.advance(restMs - 1)
  watch.expect(5_000, 'a byte')
  clock.advance(restMs)
  t.strictSame(happened, [true])
  watch.expect(5_000, 'a byte')
  t.strictSame(happened, [true, false], 'it moves again')
  clock.advance(4_999)
  t.strictSame(happened, [true, false, true])
  clock.advance(1)
  t.strictSame(happened, [true, false, true, 'a byte within 5000 ms'])
  watch.stop()
  t.equal(clock.waiting, 0)
  t.end()
})

void t.test('without a limit it rests, and a short limit leaves no time for it', (t) => {
  const clock = new FakeClock()
  const happened: (string | boolean)[] = []
  const watch = new ProgressWatch(
    clock,
    (message) => happened.push(message),
    (isResting) => happened.push(isResting),
  )
  watch.expect(restMs, 'a byte')
  clock.advance(restMs)
  t.strictSame(happened, [`a byte within ${restMs} ms`])
  watch.expect(0, 'a byte')
  clock.advance(1_000_000)
  t.strictSame(happened.slice(1), [true])
  watch.stop()
  t.strictSame(happened.slice(1), [true, false])
  t.end()
})
