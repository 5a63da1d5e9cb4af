import t from 'tap'
import { RecordLines } from '../../src/filesystem/record-lines.ts'

void t.test('what it writes is what JSON.stringify writes', (t) => {
  const numbers = [0, 7, 10, 99_999_999, 100_000_000, 100_000_001, 4_294_967_296, 2 ** 53 - 1]
  for (let digits = 1; digits < 16; digits++) numbers.push(10 ** digits - 1, 10 ** digits)
  for (const value of numbers) t.equal(new RecordLines().number(value).toString(), JSON.stringify(value))
  t.equal(new RecordLines().numbers(numbers).toString(), JSON.stringify(numbers))
  t.equal(new RecordLines().numbers([]).toString(), '[]')
  const names = [
    '',
    'plain.txt',
    'with "quotes"',
    'back\\slash',
    'tab\t',
    'line\n',
    'é',
    '日本語',
    '😀',
    '\u007f',
    '\ud800',
  ]
  for (const name of names) t.equal(new RecordLines().string(name).toString(), JSON.stringify(name))
  t.end()
})

void t.test('a line of any length goes in behind the others, and all of them come out', (t) => {
  const lines = new RecordLines()
  const long = 'é'.repeat(100_000)
  lines
    .ascii('[')
    .number(1)
    .ascii(',')
    .string('x'.repeat(70_000))
    .ascii(',')
    .text(JSON.stringify(long))
    .ascii(']')
  t.same(JSON.parse(lines.toString()), [1, 'x'.repeat(70_000), long])
  const target = Buffer.alloc(lines.length + 2)
  lines.copyTo(target, 1)
  t.equal(target.toString('utf8', 1, lines.length + 1), lines.toString())
  lines.clear()
  t.equal(lines.length, 0)
  t.end()
})
