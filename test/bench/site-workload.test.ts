import t from 'tap'
import { siteFileBytes } from '../../scripts/bench/site-workload.ts'

void t.test('the site has the sizes of the one that was published', (t) => {
  const sizes = Array.from({ length: 6400 }, (_, index) => siteFileBytes(index))
  t.equal(Math.min(...sizes), 500)
  t.equal(Math.max(...sizes), 300_000)
  const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length
  t.ok(Math.abs(mean - 30_000) < 300, `${mean} bytes on average`)
  t.end()
})
