import t from 'tap'
import { DueTogether, togetherMs } from '../../../src/write-back/queue/due-together.ts'
import { FakeClock } from '../../fake-clock.ts'

/** What went off so far, and when; `start`: some time at which a round of `togetherMs` begins. */
function rig(): {
  clock: FakeClock
  due: DueTogether
  start: number
  calls: string[]
  note: (name: string) => () => void
} {
  const clock = new FakeClock()
  const calls: string[] = []
  const start = Math.ceil(clock.now() / togetherMs) * togetherMs + 4 * togetherMs
  const note = (name: string) => (): void => void calls.push(`${name} ${clock.now() - start}`)
  return { clock, due: new DueTogether(clock), start, calls, note }
}

void t.test('what is due within one round goes off with the first of it, and the next with its own', (t) => {
  const { clock, due, start, calls, note } = rig()
  due.at(start + 1, note('a'))
  due.at(start + 3, note('b'))
  due.at(start + togetherMs - 1, note('c'))
  due.at(start + togetherMs, note('d'))
  clock.advance(10 * togetherMs)
  t.strictSame(calls, ['a 1', 'b 1', 'c 1', `d ${togetherMs}`])
  t.end()
})

void t.test('nothing is late for another that was asked for before it', (t) => {
  const { clock, due, start, calls, note } = rig()
  due.at(start + 9, note('later'))
  due.at(start + 2, note('sooner'))
  due.at(start + 5, note('between'))
  clock.advance(10 * togetherMs)
  t.strictSame(calls, ['sooner 2', 'between 2', 'later 9'])
  t.end()
})

void t.test('what is taken back does not go off, and the rest does', (t) => {
  const { clock, due, start, calls, note } = rig()
  const takeBack = [due.at(start, note('a')), due.at(start, note('b'))]
  due.at(start + 1, note('c'))
  for (const each of takeBack) each()
  const last = due.at(start + togetherMs, note('d'))
  last()
  last()
  due.at(start + togetherMs, note('e'))
  clock.advance(10 * togetherMs)
  t.strictSame(calls, ['c 0', `e ${togetherMs}`])
  t.end()
})

void t.test('one that is taken back by another of its round does not go off either', (t) => {
  const { clock, due, start, calls, note } = rig()
  due.at(start, () => takeBack())
  const takeBack = due.at(start, note('b'))
  due.at(start, () => void due.at(start, note('again')))
  clock.advance(10 * togetherMs)
  t.strictSame(calls, ['again 0'])
  t.end()
})
