/**
 * Room for so many at once.
 */
import t from 'tap'
import { Slots } from '../../src/client/slots.ts'

void t.test('so many begin at once, then whoever has the highest priority, then who came first', (t) => {
  const slots = new Slots(1)
  const begun: string[] = []
  const come = (name: string, priority?: number): unknown => slots.enter(() => begun.push(name), priority)
  come('first')
  come('second')
  come('ahead', -1)
  come('third')
  come('urgent', 1)
  t.strictSame(begun, ['first'])
  t.equal(slots.tryEnter(), false, 'nobody passes those who wait')
  for (let count = 0; count < 4; count++) slots.leave()
  t.strictSame(begun, ['first', 'urgent', 'second', 'third', 'ahead'])
  t.equal(slots.running, 1)
  slots.leave()
  t.equal(slots.tryEnter(), true)
  t.end()
})

void t.test('who is withdrawn never begins, and who is raised begins once', (t) => {
  const slots = new Slots(1)
  const begun: string[] = []
  const first = slots.enter(() => begun.push('first'))
  const gone = slots.enter(() => begun.push('gone'))
  slots.enter(() => begun.push('second'))
  const raised = slots.enter(() => begun.push('raised'))
  t.equal(slots.withdraw(first), false, 'it has begun')
  t.equal(slots.withdraw(gone), true)
  slots.raise(raised, 1)
  t.equal(slots.raise(first, 1), first)
  slots.leave()
  slots.leave()
  t.strictSame(begun, ['first', 'raised', 'second'])
  t.end()
})

void t.test('nobody begins while it is paused, and a higher limit lets more begin at once', async (t) => {
  const slots = new Slots(1)
  let begun = 0
  slots.pause()
  for (let count = 0; count < 4; count++) slots.enter(() => (begun += 1))
  t.equal(slots.tryEnter(), false)
  t.equal(begun, 0)
  slots.start()
  t.equal(begun, 1)
  slots.limit = 3
  t.equal(begun, 3)
  slots.clear()
  const idle = slots.onIdle()
  for (let count = 0; count < 3; count++) slots.leave()
  await idle
  t.equal(begun, 3, 'who was cleared away never begins')
})
