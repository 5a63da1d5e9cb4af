import t from 'tap'
import { fitDescriptors } from '../../src/cli/descriptor-limit.ts'
import { defaultValues } from '../../src/options/table.ts'

void t.test('calls at once follow the limit of descriptors', (t) => {
  const { downloads, uploads } = defaultValues()
  const fitted = (limit: number): readonly [number, number] => {
    const values = fitDescriptors({ downloads, uploads }, limit)
    return [values.downloads, values.uploads]
  }
  t.same(fitted(Infinity), [32, 16])
  t.same(fitted(1024), [32, 16])
  t.same(fitted(256), [16, 16])
  t.same(fitted(64), [4, 4])
  t.same(fitted(10), [1, 1])
  t.match(
    fitDescriptors({ downloads: 2, uploads: 1 }),
    { downloads: 2, uploads: 1 },
    'never more than asked for',
  )
  t.end()
})
