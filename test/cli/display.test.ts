import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { showBytes, showCount, showDuration } from '../../src/cli/amounts.ts'
import { describeLeftover } from '../../src/cli/leftovers.ts'
import { showProgress } from '../../src/cli/progress.ts'
import { describeStatus } from '../../src/cli/status.ts'
import type { StatusReport } from '../../src/control/protocol.ts'
import { leftover, statusReport } from '../control/rig.ts'
import { FakeClock } from '../fake-clock.ts'

/** A stream of which only what is written is looked at. */
const output = (isTTY: boolean) => {
  const written: string[] = []
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 100 })
  stream.setEncoding('utf8').on('data', (text: string) => written.push(text))
  return { written, stream: stream as unknown as NodeJS.WriteStream }
}

void t.test('amounts are short', (t) => {
  t.same([0, 12, 3500, 52_428_800, 2 ** 40].map(showBytes), ['0 B', '12 B', '3.4 KiB', '50 MiB', '1.0 TiB'])
  t.same([400, 12_000, 180_000, 7_200_000, 2e8].map(showDuration), ['0.4 s', '12 s', '3 min', '2 h', '2 d'])
  t.same([showCount(1, 'path'), showCount(2, 'path')], ['1 path', '2 paths'])
  t.end()
})

void t.test(
  'on a terminal a bar is drawn with files, bytes, rate and time left, and gone at the end',
  async (t) => {
    const { written, stream } = output(true)
    const clock = new FakeClock()
    const display = showProgress(stream, 'uploading', clock)
    display.show({ paths: 4, bytes: 4096 })
    t.strictSame(written, [], 'nothing of what is done at once')
    clock.advance(1000)
    display.show({ paths: 3, bytes: 3072 })
    while (written.length === 0) await once(stream, 'data')
    clock.advance(1000)
    display.show({ paths: 2, bytes: 2048, waitingFor: 'a new login' })
    display.end()
    /* a bar is drawn ten times a second at most, and with its end */
    t.match(
      written.join(''),
      /uploading \[=+ +\] 2\/4 files, 2\.0 KiB of 4\.0 KiB, 1\.0 KiB\/s, 2\.0 s left; waiting for a new login/,
    )
    t.match(written.at(-1) ?? '', /\u001b\[/, 'the line is cleared')
  },
)

void t.test(
  'elsewhere a line is written every five seconds, none before and none when nothing is left',
  (t) => {
    const { written, stream } = output(false)
    const clock = new FakeClock()
    const display = showProgress(stream, 'uploading', clock)
    display.show({ paths: 0, bytes: 0 })
    display.show({ paths: 9, bytes: 9 })
    clock.advance(5000)
    display.show({ paths: 8, bytes: 8 })
    display.show({ paths: 7, bytes: 7 })
    clock.advance(5000)
    display.show({ paths: 6, bytes: 6, waitingFor: 'a new login' })
    clock.advance(5000)
    display.show({ paths: 0, bytes: 0 })
    display.end()
    t.strictSame(written, [
      'uploading: 8 files, 8 B left\n',
      'uploading: 6 files, 6 B left; waiting for a new login\n',
    ])
    t.end()
  },
)

void t.test('what is left is one line a path, whatever is in the name or the error', (t) => {
  t.equal(describeLeftover(leftover), '  a/b  12 B  parked for 0.0 s: 409')
  t.equal(
    describeLeftover({ ...leftover, path: 'a\n\u001b[31mb', wanted: 'nothing', error: 'one\ntwo' }),
    '  "a\\n\\u001b[31mb"  to be deleted  parked for 0.0 s: one two',
  )
  t.end()
})

void t.test('status reads well', (t) => {
  const report = statusReport({
    service: { state: 'paused', reason: 'the token was refused', sinceMs: 60_000 },
    paths: [leftover],
    calls: { upload: { 201: 3, 429: 1 }, list: { 200: 2 } },
    latencies: { list: { median: 40.4, p95: 80, max: 90 } },
    bytes: { uploaded: 2048, downloaded: 1024 },
    cache: { listingHits: 8, listingMisses: 2, contentHits: 0, contentMisses: 1, bytes: 1024 },
  })
  t.equal(
    describeStatus(report, Date.parse(report.mountedAt) + 180_000),
    `agent/session at /mnt/s
  endpoint  https://example.test/api/projects/p
  daemon    pid 4711, version 0.1.0, mounted for 3 min
  service   paused for 60 s: the token was refused
  traffic   2.0 KiB up, 1.0 KiB down
  cache     1.0 KiB; listings 8 of 10 from here, contents 0 of 1 from here
  list      2 × 200; 40 ms median, 80 ms p95, 90 ms max
  upload    3 × 201, 1 × 429
1 path, 12 B, not uploaded yet:
  a/b  12 B  parked for 0.0 s: 409
`,
  )
  t.match(describeStatus(statusReport()), /everything is uploaded\n$/)
  const at = '2026-01-02T03:05:05.000Z'
  t.match(
    describeStatus(statusReport({ restarts: [{ at, why: 'it was killed' }] }), Date.parse(at) + 5000),
    /started {3}again once, last 5(\.0)? s ago: it was killed\n/,
  )
  t.match(
    describeStatus(statusReport({ silent: { sinceMs: 120_000 } })),
    /\n {2}silent {4}for 2 min: names are shown as they were listed before\n/,
  )
  t.end()
})

void t.test('status of all sessions of an agent has a line for each, those that need somebody first', (t) => {
  const paused = { state: 'paused', reason: 'the token\nwas refused', sinceMs: 60_000 } as const
  const sessions = [
    { session: 'at-rest', state: 'resting', paths: 0 },
    { session: 'at-work', state: 'open', service: { state: 'ready' }, paths: 2 },
    { session: 'asleep', state: 'open', service: paused, paths: 1 },
    { session: 'gone', state: 'refused', reason: 'it was deleted', paths: 0 },
  ] as const
  const report = statusReport({ session: undefined, sessions, paths: [{ ...leftover, path: 'at-work/a' }] })
  const lines = describeStatus(report).split('\n')
  t.equal(lines[0], 'agent/ at /mnt/s')
  t.strictSame(lines.slice(lines.indexOf('4 sessions:'), -1), [
    '4 sessions:',
    '  gone  refused: it was deleted',
    '  asleep  open, paused for 60 s: the token was refused, 1 path not uploaded yet',
    '  at-work  open, 2 paths not uploaded yet',
    '  at-rest  resting',
    '1 path, 12 B, not uploaded yet:',
    '  at-work/a  12 B  parked for 0.0 s: 409',
  ])
  const many = Array.from({ length: 30 }, (_, number) => ({ ...sessions[0], session: `s${number}` }))
  const long = describeStatus(statusReport({ session: undefined, sessions: [...many, sessions[3]] }))
  t.match(long, /\n31 sessions:\n {2}gone [^]*\n {2}… and 11 more \(--json lists all\)\neverything/)
  t.match(describeStatus(statusReport({ sessions: [] })), /\nno program has gone into a session yet\n/)
  t.end()
})

void t.test('status tells of the console once somebody has asked for it', (t) => {
  const console = { mode: 'open', openHandles: 1, connections: 2, lines: 1 } as const
  const told = (changes: Pick<StatusReport['console'], 'state' | 'lastEnd'>): string | undefined =>
    describeStatus(statusReport({ console: { ...console, ...changes } }))
      .split('\n')
      .find((line) => line.startsWith('  console'))
  t.equal(told({ state: 'open', lastEnd: 'the service ended the stream' }), '  console   connected; 1 line')
  t.equal(
    told({ state: 'backingOff', lastEnd: 'status 503' }),
    '  console   to be connected again: status 503; 1 line',
  )
  t.equal(told({ state: 'idle' }), '  console   idle; 1 line')
  t.notMatch(describeStatus(statusReport()), /console/)
  t.end()
})

void t.test('a long list of what is left ends, and begins with what needs somebody', (t) => {
  const waiting = { state: 'waiting', wanted: 'file', bytes: 1, ageMs: 1000 } as const
  const paths = Array.from({ length: 500 }, (_, number) => ({ ...waiting, path: `f${number}` }))
  const parked = { ...waiting, state: 'parked', path: 'refused', error: '400 no such name' } as const
  const lines = describeStatus(statusReport({ paths: [...paths, parked] })).split('\n')
  const list = lines.slice(lines.findIndex((line) => line.startsWith('501 paths')) + 1)
  t.match(list[0], /^ {2}refused .*parked/)
  t.equal(list.at(-2), '  … and 481 more (--json lists all)')
  t.equal(list.length, 22)
  t.end()
})
