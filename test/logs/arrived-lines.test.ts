import t from 'tap'
import { ArrivedLines } from '../../src/logs/arrived-lines.ts'
import { turns } from './scripted-stream.ts'

void t.test('lines wait in order, and whoever waits is woken', async (t) => {
  const seen: string[] = []
  const lines = new ArrivedLines((arrived) => seen.push(...arrived))
  const more = lines.more()
  lines.append(['a', 'b'])
  t.equal(await more, true)
  lines.append(['c'])
  t.strictSame(lines.take(), ['a', 'b', 'c'])
  t.strictSame(seen, ['a', 'b', 'c'])
  const nudged = lines.more()
  lines.nudge()
  t.equal(await nudged, true)
  t.strictSame(lines.take(), [])
})

void t.test('what has come is taken before an end or a failure is told', async (t) => {
  const ended = new ArrivedLines()
  ended.append(['a'])
  ended.end()
  t.ok(ended.isOver)
  t.equal(await ended.more(), true)
  ended.take()
  t.equal(await ended.more(), false)

  const failed = new ArrivedLines()
  const waiting = failed.more()
  failed.fail(new Error('first'))
  failed.fail(new Error('second'))
  await t.rejects(waiting, { message: 'first' })
  failed.append(['a'])
  t.equal(await failed.more(), true)
  failed.take()
  await t.rejects(failed.more(), { message: 'first' })
})

void t.test('there is no room from 4 Mi characters on, until they are taken', async (t) => {
  const lines = new ArrivedLines()
  lines.append(['x'.repeat(4 * 1024 * 1024)])
  t.equal(lines.room(), undefined)
  lines.append(['y'])
  let hasRoom = false
  void lines.room()?.then(() => (hasRoom = true))
  lines.append(['z'])
  await turns()
  t.notOk(hasRoom)
  t.equal(lines.take().length, 3)
  await turns()
  t.ok(hasRoom)
  t.equal(lines.room(), undefined)
})
