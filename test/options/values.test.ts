import t from 'tap'
import { count, duration, list, oneOf, permissionMask, size, text } from '../../src/options/values.ts'

const refuses = (t: Tap, parse: (text: string) => unknown, ...wrong: readonly string[]): void => {
  for (const value of wrong) {
    t.throws(() => parse(value), { name: 'OptionValueError' }, JSON.stringify(value))
  }
}
type Tap = Pick<typeof t, 'throws'>

void t.test('durations are seconds unless they say otherwise', (t) => {
  t.same(['2', '2s', '500ms', '5m', '1.5h', '24d', '0'].map(duration), [
    2000,
    2000,
    500,
    300_000,
    5_400_000,
    24 * 86_400_000,
    0,
  ])
  refuses(t, duration, '', 's', '-1', '1 week', '2ss', '1e3', '9'.repeat(20))
  refuses(t, duration, '25d', '9'.repeat(400)) /* a timer of Node's that long would fire at once */
  t.end()
})

void t.test('sizes are bytes unless they say otherwise, in units of 1024', (t) => {
  t.same(['0', '52428800', '64M', '64MiB', '1G', '1gb', '1.5k'].map(size), [
    0,
    52_428_800,
    2 ** 26,
    2 ** 26,
    2 ** 30,
    2 ** 30,
    1536,
  ])
  refuses(t, size, '', 'M', '-1', '1X', '1 G B', '9'.repeat(20))
  t.end()
})

void t.test('counts, masks, words, texts and lists', (t) => {
  t.equal(count(1, 5)('5'), 5)
  refuses(t, count(1, 5), '0', '6', '2.5', '', 'x', '0x2')
  t.equal(permissionMask('0027'), 0o027)
  refuses(t, permissionMask, '', '8', '1777', 'rwx')
  t.equal(oneOf('a', 'b')('b'), 'b')
  refuses(t, oneOf('a', 'b'), 'c', '')
  t.equal(text('x y'), 'x y')
  refuses(t, text, '', 'a\r\nb')
  t.same(list('a,,b'), ['a', 'b'])
  t.same(list(''), [])
  t.end()
})
