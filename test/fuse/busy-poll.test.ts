import t from 'tap'
import { BusyPoll } from '../../src/fuse/busy-poll.ts'
import { Errno } from '../../src/fuse/errno.ts'
import { FakeClock } from '../fake-clock.ts'

const requestBytes = 56
const none = -Errno.EAGAIN

/** A processor on which a look takes 1 µs, and whoever has it in between `othersTakeMs`; a request comes at `arrivesMs`. */
class Machine {
  readonly clock = new FakeClock()
  othersTakeMs = 0
  arrivesMs = Infinity
  looks = 0
  readonly poll = new BusyPoll({
    clock: this.clock,
    yieldProcessor: () => this.clock.advance(this.othersTakeMs),
    read: () => {
      this.looks += 1
      this.clock.advance(0.001)
      if (this.clock.now() < this.arrivesMs) return none
      this.arrivesMs = Infinity
      return requestBytes
    },
  })

  /** What `next` finds where a program asks again so long after its answer, and how often it looked. */
  next(afterMs: number, isAnswered = true): { length: number; looks: number } {
    this.looks = 0
    this.arrivesMs = this.clock.now() + afterMs
    const length = this.poll.next(isAnswered)
    this.clock.advance(1000)
    return { length, looks: this.looks }
  }
}

void t.test('a program that works alone is waited for', (t) => {
  const machine = new Machine()
  for (let count = 0; count < 100; count++) t.equal(machine.next(0.02).length, requestBytes)
  t.end()
})

void t.test('a poll takes no longer than sleeping would', (t) => {
  const machine = new Machine()
  const before = machine.clock.now()
  machine.poll.next(true)
  t.ok(machine.clock.now() - before < 0.06)
  t.end()
})

void t.test('where nobody asks on, only every 32nd answer is polled after', (t) => {
  const machine = new Machine()
  for (let count = 0; count < 3; count++) t.ok(machine.next(1).looks > 10)
  const looks = Array.from({ length: 64 }, () => machine.next(1).looks)
  t.equal(looks.filter((times) => times > 2).length, 2)
  t.end()
})

void t.test('one request in time, and each answer is polled after again', (t) => {
  const machine = new Machine()
  for (let count = 0; count < 10; count++) machine.next(1)
  for (let count = 0; count < 32; count++) machine.next(0.02)
  t.equal(machine.next(0.02).length, requestBytes)
  t.equal(machine.next(0.02).length, requestBytes)
  t.end()
})

void t.test('what others ask is there at once, also where polls are in vain', (t) => {
  const machine = new Machine()
  for (let count = 0; count < 10; count++) machine.next(1)
  t.same(machine.next(0), { length: requestBytes, looks: 1 })
  t.end()
})

void t.test(
  'a request that came while others had the processor for long is taken, and counts as in vain',
  (t) => {
    const machine = new Machine()
    machine.othersTakeMs = 3
    for (let count = 0; count < 3; count++) t.same(machine.next(0.02), { length: requestBytes, looks: 3 })
    t.same(machine.next(0.02), { length: none, looks: 2 })
    t.end()
  },
)

void t.test('what is not answered yet lets nobody ask on', (t) => {
  t.same(new Machine().next(0.02, false), { length: none, looks: 2 })
  t.end()
})

void t.test('a clock that stands still does not hold it', (t) => {
  const poll = new BusyPoll({ clock: new FakeClock(), yieldProcessor: () => undefined, read: () => none })
  t.equal(poll.next(true), none)
  t.end()
})

void t.test('a failure ends it at once', (t) => {
  let looks = 0
  const read = (): number => (++looks < 5 ? none : -Errno.ENODEV)
  const poll = new BusyPoll({ clock: new FakeClock(), yieldProcessor: () => undefined, read })
  t.equal(poll.next(true), -Errno.ENODEV)
  t.end()
})
