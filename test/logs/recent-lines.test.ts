import t from 'tap'
import { RecentLines } from '../../src/logs/recent-lines.ts'

void t.test('the newest lines are remembered in order, and that there were older ones', (t) => {
  const recent = new RecentLines(3)
  for (const line of ['a', 'b', 'c']) recent.add(line)
  t.notOk(recent.forgotten)
  for (const line of ['d', 'e', 'f', 'g']) recent.add(line)
  t.ok(recent.forgotten)
  t.same(
    recent.keys(),
    ['e', 'f', 'g'].map((line) => recent.keyOf(line)),
  )
  t.end()
})

void t.test('frames about the connection are remembered apart, a bounded number of them', (t) => {
  const recent = new RecentLines()
  const frame = (number: number) => JSON.stringify({ stream: 'status', number })
  for (let number = 0; number < 2000; number++) recent.add(frame(number))
  t.same(recent.keys(), [])
  t.ok(recent.hasFrame(frame(1999)))
  t.notOk(recent.hasFrame(frame(0)))
  t.end()
})
