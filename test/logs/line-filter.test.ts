import t from 'tap'
import { lineFilter, streamOf, type LineFilterOptions } from '../../src/logs/line-filter.ts'
import { toFrame } from '../../src/logs/log-frames.ts'

const nowMs = Date.UTC(2026, 0, 2)
const at = (seconds: number): string => new Date(nowMs + seconds * 1000).toISOString()
const said = (seconds: number, stream: string, message: string): string =>
  JSON.stringify({ timestamp: at(seconds), stream, message })
const opening = (seconds: number): string =>
  JSON.stringify({ timestamp: at(seconds), session_id: 's', session_state: 'Running' })

function kept(lines: readonly string[], options: Omit<LineFilterOptions, 'nowMs'>): readonly string[] {
  const isWanted = lineFilter({ nowMs, ...options })
  return lines.filter((line) => isWanted(toFrame(line)))
}

void t.test('each line has one of three streams', (t) => {
  const streams = [
    opening(0),
    said(0, 'status', ''),
    said(0, 'stderr', ''),
    said(0, 'stdout', ''),
    'plain',
    '{}',
  ]
  t.strictSame(
    streams.map((line) => streamOf(toFrame(line))),
    ['status', 'status', 'stderr', 'stdout', 'stdout', 'stdout'],
  )
  t.end()
})

void t.test('by stream; what is of no known form goes with stdout', (t) => {
  const lines = [opening(0), said(0, 'status', 'a'), said(1, 'stdout', 'b'), 'plain', said(2, 'stderr', 'c')]
  t.strictSame(kept(lines, {}), lines)
  t.strictSame(kept(lines, { streams: ['status'] }), lines.slice(0, 2))
  t.strictSame(kept(lines, { streams: ['stdout'] }), lines.slice(2, 4))
  t.strictSame(kept(lines, { streams: ['stderr'] }), lines.slice(4))
  t.end()
})

void t.test('by time; a line without one is left out until the console has said something newer', (t) => {
  const lines = [opening(9), said(1, 'stdout', 'old'), 'plain', said(5, 'stderr', 'new'), 'also plain']
  t.strictSame(kept(lines, { sinceMs: nowMs + 5000 }), [opening(9), said(5, 'stderr', 'new'), 'also plain'])
  t.strictSame(
    kept(lines, { sinceMs: nowMs + 5000, streams: ['stdout'] }),
    ['also plain'],
    'also where the newer one is of another stream',
  )
  t.end()
})

void t.test(
  'only what is new: by the clock of the service, or by ours where it does not tell its time',
  (t) => {
    const lines = [
      opening(-3000),
      said(-3001, 'stdout', 'before'),
      'plain',
      said(-2999, 'stdout', 'after'),
      'more',
    ]
    t.strictSame(kept(lines, { onlyNew: true }), [opening(-3000), said(-2999, 'stdout', 'after'), 'more'])
    const untold = [said(-1, 'stdout', 'before'), said(1, 'stdout', 'after')]
    t.strictSame(kept(untold, { onlyNew: true }), untold.slice(1))
    t.end()
  },
)
