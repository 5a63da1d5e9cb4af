import t, { type Test } from 'tap'
import { sleep, systemClock } from '../src/clock.ts'

/** Node's timers as they were asked for, run by hand. */
function timers(t: Test) {
  const asked: { ms: number; run: () => void; keepsProcess: boolean }[] = []
  let cleared = 0
  const setTimer = (run: () => void, ms: number): object => {
    const timer = { ms, run, keepsProcess: true }
    asked.push(timer)
    return { unref: () => (timer.keepsProcess = false) }
  }
  t.intercept(globalThis, 'setTimeout', { value: setTimer })
  t.intercept(globalThis, 'clearTimeout', { value: () => cleared++ })
  return { asked, cleared: () => cleared }
}

const mostMs = 2 ** 31 - 1

void t.test('a wait of months is no wait of nothing', (t) => {
  const { asked } = timers(t)
  let calls = 0
  systemClock.after(2 * mostMs + 5, () => calls++)
  for (const timer of asked) timer.run()
  t.strictSame(
    asked.map(({ ms }) => ms),
    [mostMs, mostMs, 5],
  )
  t.equal(calls, 1)
  t.end()
})

void t.test('a wait without end ends never, and can be cancelled', (t) => {
  const { asked, cleared } = timers(t)
  const cancel = systemClock.after(Infinity, () => t.fail('never'))
  for (let round = 0; round < 5; round++) asked.at(-1)?.run()
  t.equal(asked.length, 6)
  t.ok(asked.every(({ ms }) => ms === mostMs))
  cancel()
  t.equal(cleared(), 1)
  t.end()
})

void t.test('only what somebody waits for keeps the process', (t) => {
  const { asked } = timers(t)
  systemClock.after(10, () => undefined)
  systemClock.after(2 * mostMs, () => undefined, { isAwaited: true })
  void sleep(systemClock, 30)
  asked[1]?.run()
  t.strictSame(
    asked.map(({ keepsProcess }) => keepsProcess),
    [false, true, true, true],
  )
  t.end()
})
