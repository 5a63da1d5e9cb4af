import { existsSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openLog, rotateBytes } from '../../src/cli/log-file.ts'
import { LogSink } from '../../src/cli/log-sink.ts'
import { duplicateOnto } from '../../src/fuse/libc.ts'
import { FakeClock } from '../fake-clock.ts'

function logOf(t: Test): { path: string; clock: FakeClock; sink: LogSink; text: () => string } {
  const path = join(t.testdir(), 'logs/mount.log')
  const clock = new FakeClock()
  const descriptor = openLog(path)
  const redirect = (from: number): void => duplicateOnto(from, descriptor)
  const sink = new LogSink(descriptor, clock, { path, redirect })
  return { path, clock, sink, text: () => readFileSync(path, 'utf8') }
}

void t.test('on a full disk lines are dropped and counted, and the count is said when there is room', (t) => {
  const file = join(t.testdir(), 'log')
  const descriptor = openSync('/dev/full', 'a')
  const sink = new LogSink(descriptor, new FakeClock(), undefined)
  for (const line of ['one\n', 'two\n', 'three\n']) sink.write(line)
  duplicateOnto(openSync(file, 'a'), descriptor)
  sink.write('four\n')
  sink.write('five\n')
  const [about = '', ...rest] = readFileSync(file, 'utf8').split('\n')
  t.match(JSON.parse(about), {
    level: 'warn',
    dropped: 3,
    code: 'ENOSPC',
    msg: 'lines of the log could not be written',
  })
  t.same(rest, ['four', 'five', ''])
  t.end()
})

void t.test('a log that has grown too large is set aside while the mount goes on', (t) => {
  const { path, clock, sink, text } = logOf(t)
  writeFileSync(path, 'x'.repeat(rotateBytes))
  clock.advance(1000)
  sink.write('next\n')
  t.equal(text(), 'next\n')
  t.equal(statSync(`${path}.1`).size, rotateBytes)
  t.end()
})

void t.test('a log that is taken away, with its directory or by another program, is made anew', (t) => {
  const { path, clock, sink, text } = logOf(t)
  sink.write('one\n')
  rmSync(join(path, '..'), { recursive: true })
  sink.write('lost\n')
  t.notOk(existsSync(path))
  clock.advance(1000)
  sink.write('two\n')
  t.equal(text(), 'two\n')
  t.equal(statSync(path).mode & 0o777, 0o600)
  renameSync(path, `${path}.old`)
  clock.advance(1000)
  sink.write('three\n')
  t.equal(text(), 'three\n')
  t.equal(readFileSync(`${path}.old`, 'utf8'), 'two\n')
  t.end()
})
