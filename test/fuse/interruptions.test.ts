import t from 'tap'
import { Interruptions } from '../../src/fuse/interruptions.ts'
import { Request } from '../../src/fuse/request.ts'
import { FakeClock } from '../fake-clock.ts'

const nothing = 'State:\tD (disk sleep)\n'
const alarm = `${nothing}SigPnd:\t0000000000002000\nSigCgt:\t0000000000002002\n`
const interrupt = `${nothing}ShdPnd:\t0000000000002002\nSigCgt:\t0000000000002002\n`

function request(thread: number): Request {
  const bytes = Buffer.alloc(40)
  bytes.writeUInt32LE(thread, 32)
  return new Request(new DataView(bytes.buffer, bytes.byteOffset))
}

/** `statuses` is what each thread shows; every look is counted. */
function rig(statuses: Record<number, string | undefined>): {
  clock: FakeClock
  interruptions: Interruptions
  looks: () => number
} {
  let looks = 0
  const clock = new FakeClock()
  const interruptions = new Interruptions(clock, (thread) => {
    looks += 1
    return statuses[thread]
  })
  return { clock, interruptions, looks: () => looks }
}

void t.test('a signal that the program handles leaves its request waiting', (t) => {
  const { clock, interruptions, looks } = rig({ 7: alarm })
  const waiting = request(7)
  interruptions.asked(waiting)
  t.notOk(waiting.interrupted)
  clock.advance(10_000)
  t.notOk(waiting.interrupted)
  interruptions.answered(waiting)
  const before = looks()
  clock.advance(10_000)
  t.equal(looks(), before, 'nothing is looked at once it is answered')
  t.equal(clock.waiting, 0)
  t.end()
})

void t.test('Ctrl-C ends it at once, and soon where another signal came before', (t) => {
  const statuses: Record<number, string> = { 7: interrupt, 8: alarm }
  const { clock, interruptions } = rig(statuses)
  const [first, second] = [request(7), request(8)]
  interruptions.asked(first)
  interruptions.asked(second)
  t.ok(first.interrupted)
  t.notOk(second.interrupted)
  clock.advance(1000)
  statuses[8] = interrupt
  clock.advance(100)
  t.ok(second.interrupted, 'the kernel says it once')
  t.equal(clock.waiting, 0)
  t.end()
})

void t.test('who cannot be seen is interrupted as the kernel says', (t) => {
  const statuses: Record<number, string> = { 8: alarm, 9: alarm }
  const { clock, interruptions, looks } = rig(statuses)
  const [outside, hidden, gone, other] = [request(0), request(7), request(8), request(9)]
  interruptions.asked(outside)
  t.equal(looks(), 0, 'number 0 is nobody')
  for (const each of [hidden, gone, other]) interruptions.asked(each)
  t.ok(outside.interrupted && hidden.interrupted)
  Reflect.deleteProperty(statuses, 8)
  statuses[9] = alarm.replace('D (disk sleep)', 'S (sleeping)')
  clock.advance(100)
  t.ok(gone.interrupted)
  t.ok(other.interrupted, 'whoever waits is in the deep sleep: that number means another thread to us')
  t.end()
})

void t.test('nothing is looked at after the end', (t) => {
  const { clock, interruptions, looks } = rig({ 7: alarm })
  interruptions.asked(request(7))
  interruptions.close()
  clock.advance(1000)
  t.equal(looks(), 1)
  t.end()
})
