import t from 'tap'
import { RunSearch } from '../../src/logs/run-search.ts'
import { randomFrom } from './random.ts'

const keys = (letters: string): number[] => letters.split('').map((letter) => letter.charCodeAt(0))

/** The first place from `least` on, found by looking everywhere. */
function plainly(text: readonly number[], pattern: readonly number[], least: number): number {
  const agrees = (start: number): boolean =>
    pattern.every((key, index) => start + index >= text.length || text[start + index] === key)
  let start = least
  while (!agrees(start)) start++
  return start
}

void t.test('the run is found at the first place, within the text or reaching beyond it', (t) => {
  t.equal(new RunSearch(keys('ababc'), keys('abc')).start, 2)
  t.equal(new RunSearch(keys('ababc'), keys('bcd')).start, 3)
  t.equal(new RunSearch(keys('ababc'), keys('abd')).start, 5, 'nowhere: behind the end')
  t.equal(new RunSearch([], keys('a')).start, 0)
  t.end()
})

void t.test('the last place at which the run lies within the text', (t) => {
  t.equal(new RunSearch(keys('xabxabx'), keys('ab')).moveToLast(), 4)
  t.equal(new RunSearch(keys('aaaa'), keys('aa')).moveToLast(), 2, 'they may overlap')
  t.equal(new RunSearch(keys('abc'), keys('bd')).moveToLast(), undefined)
  t.equal(new RunSearch(keys('ab'), keys('abc')).moveToLast(), undefined, 'longer than the text')
  t.end()
})

void t.test('lines of three kinds at random: as if every place had been looked at', (t) => {
  const random = randomFrom(5)
  const some = (most: number): number[] => Array.from({ length: random(most) }, () => random(3))
  for (let round = 0; round < 3000; round++) {
    const text = some(12)
    const pattern = some(8)
    const search = new RunSearch(text)
    for (const [index, key] of pattern.entries()) {
      search.push(key)
      const expected = plainly(text, pattern.slice(0, index + 1), 0)
      if (search.start !== expected) t.fail(`${text.join('')} ${pattern.join('')}: ${search.start}`)
    }
    const least = random(text.length + 1)
    const from = Math.max(least, search.start)
    search.moveTo(least)
    if (search.start !== plainly(text, pattern, from)) t.fail(`${text.join('')} ${pattern.join('')} ${least}`)
  }
  t.end()
})

void t.test('equal lines, and one that ends them: the text is looked at a few times for each line', (t) => {
  const count = 20_000
  let looks = 0
  const text = new Proxy([...Array<number>(count - 1).fill(1), 2], {
    get: (target, name, receiver) => {
      if (name !== 'length') looks++
      return Reflect.get(target, name, receiver) as unknown
    },
  })
  const search = new RunSearch(text)
  for (let line = 0; line < count; line++) search.push(1)
  search.moveTo(count)
  t.equal(search.start, count)
  t.equal(new RunSearch(text, Array<number>(100).fill(1)).moveToLast(), count - 101)
  t.ok(looks <= 8 * count, `${looks} looks`)
  t.end()
})
