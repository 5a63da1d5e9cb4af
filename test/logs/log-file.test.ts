import { appendFileSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { LogFile } from '../../src/logs/log-file.ts'

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

void t.test('lines can be read from any offset, and are there after a restart', (t) => {
  const directory = join(t.testdir(), 'state', 'logs')
  const file = new LogFile({ directory })
  t.equal(file.size, 0)
  t.equal(text(file.read(0, 100)), '')
  file.append(['first', '', 'größer'])
  t.equal(file.size, 16)
  t.equal(text(file.read(0, 1000)), 'first\n\ngrößer\n')
  t.equal(text(file.read(2, 3)), 'rst')
  t.equal(text(file.read(17, 10)), '', 'beyond the end')
  file.close()
  t.equal(statSync(directory).mode & 0o777, 0o700)
  t.equal(statSync(join(directory, 'console.log')).mode & 0o777, 0o600)

  const again = new LogFile({ directory })
  t.equal(again.size, 16)
  again.append(['next'])
  t.equal(text(again.read(16, 100)), 'next\n')
  t.same(
    again.recent.keys(),
    ['first', '', 'größer', 'next'].map((line) => again.recent.keyOf(line)),
  )
  t.notOk(again.recent.forgotten)
  again.close()
  t.end()
})

void t.test('a full log starts again from nothing, and keeps what it held beside it', (t) => {
  const directory = t.testdir()
  const file = new LogFile({ directory, maxBytes: 20 })
  file.append(['12345678', '12345678', 'x'])
  t.equal(file.size, 20)
  file.append(['a', 'b'])
  t.equal(text(file.read(0, 100)), 'a\nb\n')
  t.equal(readFileSync(join(directory, 'console.log.1'), 'utf8'), '12345678\n12345678\nx\n')
  file.append(['a line longer than the whole log may be'])
  t.equal(text(file.read(0, 100)), 'a line longer than the whole log may be\n')
  file.append(['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11'])
  t.equal(text(file.read(0, 100)), '10\n11\n', 'within one call too')
  file.close()
  t.end()
})

void t.test('what was kept aside takes part in the comparison after a restart', (t) => {
  const directory = t.testdir()
  const before = new LogFile({ directory, maxBytes: 8 })
  before.append(['1', '2', '3', '4', '5'])
  before.close()
  const file = new LogFile({ directory, maxBytes: 8 })
  t.same(
    file.recent.keys(),
    ['1', '2', '3', '4', '5'].map((line) => file.recent.keyOf(line)),
  )
  t.ok(file.recent.forgotten, 'there may have been older ones')
  file.close()
  t.end()
})

void t.test('half a line that a killed process left is cut off', (t) => {
  const directory = t.testdir()
  const path = join(directory, 'console.log')
  for (const [content, kept] of [
    ['whole\nhal', 'whole\n'],
    ['hal', ''],
    [`whole\n${'x'.repeat(200_000)}`, 'whole\n'],
    ['whole\n', 'whole\n'],
  ] as const) {
    writeFileSync(path, content)
    const file = new LogFile({ directory })
    t.equal(text(file.read(0, 300_000)), kept)
    file.close()
  }
  t.end()
})

void t.test('of a huge log only the newest part is read back', (t) => {
  const directory = t.testdir()
  const path = join(directory, 'console.log')
  writeFileSync(path, '')
  const line = 'x'.repeat(1023)
  for (let mebibyte = 0; mebibyte < 5; mebibyte++) appendFileSync(path, `${line}\n`.repeat(1024))
  const file = new LogFile({ directory })
  t.ok(file.recent.forgotten)
  t.equal(file.recent.keys().length, 4 * 1024 - 1)
  file.close()
  t.end()
})

void t.test('a line that the disk does not take leaves nothing behind', (t) => {
  const directory = t.testdir()
  const file = new LogFile({ directory })
  file.append(['whole'])
  file.close()
  t.throws(() => file.append(['lost']), { code: 'EBADF' })
  t.equal(readFileSync(join(directory, 'console.log'), 'utf8'), 'whole\n')
  t.equal(file.size, 6)
  t.end()
})

void t.test('removed, also with its directory, it comes back with the next line and with all of it', (t) => {
  const directory = join(t.testdir(), 'cache', 'logs')
  const file = new LogFile({ directory, maxBytes: 20 })
  file.append(['one'])
  rmSync(join(directory, '..'), { recursive: true })
  t.equal(text(file.read(0, 100)), 'one\n', 'until then it can be read')
  file.append(['two'])
  t.equal(text(file.read(0, 100)), 'one\ntwo\n')
  t.equal(readFileSync(join(directory, 'console.log'), 'utf8'), 'one\ntwo\n')
  t.equal(statSync(join(directory, 'console.log')).mode & 0o777, 0o600)
  rmSync(directory, { recursive: true })
  file.append(['a line that is too long for what is there'])
  t.equal(text(file.read(0, 100)), 'a line that is too long for what is there\n', 'it starts again')
  t.equal(readFileSync(join(directory, 'console.log'), 'utf8'), text(file.read(0, 100)))
  file.close()
  t.end()
})

void t.test('removed where it cannot be made again, it goes on without a name', (t) => {
  const directory = join(t.testdir(), 'cache', 'logs')
  const file = new LogFile({ directory, maxBytes: 20 })
  file.append(['one'])
  rmSync(join(directory, '..'), { recursive: true })
  writeFileSync(join(directory, '..'), 'in the way')
  file.append(['two'])
  t.equal(text(file.read(0, 100)), 'one\ntwo\n')
  file.append(['a line that is too long'])
  t.equal(text(file.read(0, 100)), 'a line that is too long\n')
  rmSync(join(directory, '..'))
  file.append(['and then it has one'])
  t.equal(readFileSync(join(directory, 'console.log'), 'utf8'), 'and then it has one\n')
  file.close()
  t.end()
})
