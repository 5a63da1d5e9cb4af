import t from 'tap'
import {
  listing,
  physicalSeconds,
  reading,
  removing,
  writing,
  type Line,
} from '../../scripts/bench/limits.ts'

const tree = { files: 1000, directories: 50, bytes: 4096 }
const line: Line = { bitsPerSecond: 100e6, roundTripMs: 40 }

void t.test('only what is named by an answer waits for it', (t) => {
  t.equal(listing(tree).dependent, 3, 'the root, the tree, its directories')
  t.equal(reading(tree).dependent, 4, 'and the files')
  t.equal(removing(tree).dependent, 5, 'the files go, then the directories')
  t.equal(writing(1).dependent, 2, 'the root, the files')
  t.end()
})

void t.test('pages of one directory wait for each other', (t) => {
  t.equal(listing({ files: 1000, directories: 1, bytes: 0 }).dependent, 12)
  t.end()
})

void t.test('the physical limit of a thousand small files is their bytes and four round trips', (t) => {
  const seconds = physicalSeconds(reading(tree), line)
  t.equal(seconds.toFixed(2), (0.16 + (1000 * 4096 * 8 + 1050 * 20 * 8) / 100e6).toFixed(2))
  t.end()
})
