import t from 'tap'
import { prefetchPartsLeftOut, withoutPrefetchVariable } from '../../src/cli/without-prefetch.ts'

void t.test('without the variable nothing is left out', (t) => {
  t.equal(prefetchPartsLeftOut({}), undefined)
  t.equal(prefetchPartsLeftOut({ [withoutPrefetchVariable]: '' }), undefined)
  t.end()
})

void t.test('it names one part or several', (t) => {
  t.same(prefetchPartsLeftOut({ [withoutPrefetchVariable]: 'walks,pace' }), new Set(['walks', 'pace']))
  t.end()
})

void t.test('a part that there is not is refused, with those that there are', (t) => {
  t.throws(() => prefetchPartsLeftOut({ [withoutPrefetchVariable]: 'magic' }), {
    message: /magic: not NAME.* of: walks, repositories, pace/,
  })
  t.end()
})
