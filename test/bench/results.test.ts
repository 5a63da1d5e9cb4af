import t from 'tap'
import type { Measurement } from '../../scripts/bench/measure.ts'
import { digits, median, Results, table } from '../../scripts/bench/results.ts'
import type { Step } from '../../scripts/bench/workload.ts'

const measured = (returnedSeconds: number, durableSeconds?: number): Measurement => ({
  returnedSeconds,
  durableSeconds,
  cpuSeconds: { client: 1, server: 2, link: 3 },
  clientPeakBytes: 50e6,
  requests: { PUT: 2, LIST: 1 },
  bytes: 0,
})

void t.test('the middle of the values, of an even number the mean of both', (t) => {
  t.equal(median([9, 1, 5]), 5)
  t.equal(median([1, 2, 3, 10]), 2.5)
  t.ok(Number.isNaN(median([])))
  t.end()
})

void t.test('figures have the digits that mean something', (t) => {
  t.same([0.123, 1.23, 12.3].map(digits), ['0.12', '1.2', '12'])
  t.end()
})

void t.test('a table lines up', (t) => {
  t.equal(table(['a', 'long'], [['12', 'x']]), '| a  | long |\n| -- | ---- |\n| 12 | x    |')
  t.end()
})

void t.test('we are compared with the link, the others with us', (t) => {
  const results = new Results(['mount-session', 'peer'], {
    bitsPerSecond: 8e6,
    roundTripMs: 50,
  })
  const step: Step = {
    name: 'copy',
    cold: true,
    script: '',
    isDurable: () => true,
    need: { dependent: 2, content: 400_000 },
  }
  for (const seconds of [3, 2, 1]) results.add('mount-session', step, measured(0.5, seconds))
  results.add('peer', step, measured(0.5, 8))
  results.add('peer', step, { failed: 'it broke' })
  const [, , returned, durable] = results.times().split('\n')
  const cells = (row: string | undefined): string[] =>
    row
      ?.split('|')
      .map((cell) => cell.trim())
      .slice(1, -1) ?? []
  t.same(cells(returned), ['copy: returned', '', '0.50', '0.50 (1.0 ×)'])
  t.same(cells(durable), ['copy: durable', '0.50', '2.0 (4.0 × limit)', '8.0 (4.0 ×)'])
  t.same([...results.seconds('mount-session')], [['copy', 2]])
  t.match(results.requests(), '1 LIST, 2 PUT')
  t.match(results.cpu(), '1.00 + 2.00 + 3.00')
  t.same(results.failures(), ['peer: copy: failed 1 of 2 times: it broke'])
  t.end()
})
