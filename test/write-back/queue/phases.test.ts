import { readFileSync } from 'node:fs'
import t from 'tap'
import { enter, waysOut } from '../../../src/write-back/queue/phases.ts'
import type { PathRecord, Phase } from '../../../src/write-back/record.ts'

void t.test('the diagram in the header of the record is the table of the phases', (t) => {
  const header = /^\/\*\*[^]*?\*\//.exec(
    readFileSync(new URL('../../../src/write-back/record.ts', import.meta.url), 'utf8'),
  )
  const drawn = [...(header?.[0] ?? '').matchAll(/(\w+) ─ [^─]+ ─▶ (\w+)/g)].map(
    ([, from, to]) => `${from} to ${to}`,
  )
  const legal = Object.entries(waysOut).flatMap(([from, ways]) => ways.map((to) => `${from} to ${to}`))
  t.same(drawn.sort(), legal.sort())
  t.end()
})

void t.test('a way that the table does not have is told, and one that it has is not', (t) => {
  const work = { phase: { is: 'idle' }, notBefore: 0, failures: 0, failingSince: undefined, urgent: false }
  const record = { path: 'd/f', work } as PathRecord
  const told: string[] = []
  const go = (phase: Phase): void => enter(record, phase, (error) => told.push(error.message))
  go({ is: 'ready', queued: true })
  go({ is: 'calling', since: 0, what: 'upload' })
  t.same(told, [])
  go({ is: 'settling', cancel: () => undefined })
  t.same(told, ['d/f: no way leads from calling to settling'])
  t.equal(record.work.phase.is, 'settling', 'what is told and not refused happens')
  t.end()
})
