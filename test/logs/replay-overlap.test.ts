import t from 'tap'
import { RecentLines } from '../../src/logs/recent-lines.ts'
import { ReplayOverlap } from '../../src/logs/replay-overlap.ts'
import { randomFrom } from './random.ts'

function recent(lines: readonly string[], limit?: number): RecentLines {
  const remembered = new RecentLines(limit)
  for (const line of lines) remembered.add(line)
  return remembered
}

/** What a connection gives out, of lines that arrive in one burst. */
function given(recorded: readonly string[], arriving: readonly string[], limit?: number): string[] {
  const overlap = new ReplayOverlap(recent(recorded, limit))
  const pushed = arriving.flatMap((line) => overlap.push(line))
  return [...pushed, ...overlap.settle()]
}

const status = (at: number) => JSON.stringify({ timestamp: at, stream: 'status', message: 'connected' })
const letters = (text: string) => text.split('')

void t.test('all, some or no lines are sent again', (t) => {
  t.same(given([], letters('abc')), letters('abc'), 'nothing recorded')
  t.same(given(letters('abc'), letters('abcde')), letters('de'), 'all')
  t.same(given(letters('abc'), letters('cde')), letters('de'), 'the last one')
  t.same(given(letters('abc'), letters('bc')), [], 'some, and nothing new')
  t.same(given(letters('abc'), letters('de')), letters('de'), 'none')
  t.end()
})

void t.test('of several overlaps the longest counts', (t) => {
  t.same(given(letters('xyxy'), letters('xyxyz')), ['z'])
  t.same(given(letters('axyxy'), letters('xyxyxy')), letters('xy'))
  t.same(given(letters('aab'), letters('aabaab')), letters('aab'), 'a repetition after the replay is new')
  t.same(given(letters('xxxx'), letters('xx')), [], 'a short replay of equal lines')
  t.end()
})

void t.test('lines that agree for a while and then do not are new, all of them', (t) => {
  t.same(given(letters('abcde'), letters('bcx')), letters('bcx'))
  t.same(given(letters('abcab'), letters('abx')), ['x'], 'unless the beginning of them was an overlap')
  t.same(given(letters('abcde'), letters('bc')), letters('bc'), 'the burst ended before it got there')
  t.end()
})

void t.test('frames about the connection take no part and keep their place', (t) => {
  const recorded = [status(1), 'a', 'b', status(2)]
  t.same(given(recorded, [status(3), 'a', status(4), 'b', 'c']), [status(3), status(4), 'c'])
  t.same(given(recorded, [status(1), 'a', 'b', status(2), status(5)]), [status(5)], 'replayed word for word')
  t.same(given(recorded, [status(3), 'b', status(4), 'x', status(5)]), [status(3), status(4), 'x', status(5)])
  t.end()
})

void t.test('a decision is made as soon as it can be', (t) => {
  const overlap = new ReplayOverlap(recent(letters('abc')))
  t.equal(overlap.phase, 'waiting')
  t.same(overlap.push('b'), [])
  t.equal(overlap.phase, 'agreeing')
  t.same(overlap.push('c'), [])
  t.equal(overlap.phase, 'decided')
  t.same(overlap.push('c'), ['c'], 'live from here on')
  t.end()
})

void t.test('a connection that breaks in the middle of a replay gives out nothing of it', (t) => {
  const overlap = new ReplayOverlap(recent(letters('abcd')))
  for (const line of ['a', status(9), 'b']) t.same(overlap.push(line), [])
  t.same(overlap.abandon(), [status(9)])
  t.end()
})

void t.test('a replay that begins before what is remembered', (t) => {
  t.same(given(letters('abcdefgh'), letters('abcdefghij'), 4), letters('ij'))
  t.same(given(letters('abcdefgh'), letters('ghij'), 4), letters('ij'))
  t.same(given(letters('abcdefgh'), letters('xyz'), 4), letters('xyz'), 'none of it is known')
  t.same(given(letters('abcdefgh'), letters('abcxefghi'), 4), ['i'], 'what is remembered is all there')
  t.same(given(letters('abcdefgh'), letters('abcdefxhi'), 4), letters('abcdefxhi'), 'and here it is not')
  t.end()
})

void t.test('what is held is bounded, and a long replay is recognised all the same', (t) => {
  const lines = Array.from({ length: 5000 }, (_, number) => `line ${number} ${'.'.repeat(50)}`)
  const remembered = recent(lines.slice(0, 4000), 500)
  const overlap = new ReplayOverlap(remembered, 64 * 1024)
  const fresh = lines.flatMap((line) => overlap.push(line))
  t.same([...fresh, ...overlap.settle()], lines.slice(4000))
  t.end()
})

void t.test('many equal lines are decided quickly', (t) => {
  const overlap = new ReplayOverlap(recent(Array.from({ length: 20_000 }, () => 'x')))
  for (let count = 0; count < 10_000; count++) overlap.push('x')
  t.same(overlap.push('y'), ['y'])
  t.end()
})

/*
 * A server with a history, whose connections begin with a replay and break anywhere; what the client has
 * recorded in the end is compared with what the server said. Seeds of failures are added as cases.
 */
interface Server {
  readonly replay: (history: readonly string[]) => readonly string[]
  readonly line: (number: number) => string
  readonly remembered?: number
}

const distinct = (number: number): string => `{"timestamp":${number},"message":"x"}`

function play(seed: number, server: Server): { recorded: string[]; said: string[]; delivered: Set<string> } {
  const random = randomFrom(seed)
  const history: string[] = []
  const recorded: string[] = []
  const delivered = new Set<string>()
  const remembered = new RecentLines(server.remembered)
  const say = (): string => {
    const line = server.line(history.length)
    history.push(line)
    return line
  }
  const record = (lines: readonly string[]): void => {
    for (const line of lines) remembered.add(line)
    recorded.push(...lines)
  }
  const connections = 2 + random(8)
  for (let connection = 0; connection < connections; connection++) {
    for (let offline = random(6); offline > 0; offline--) say()
    const overlap = new ReplayOverlap(remembered)
    record(overlap.push(status(connection)))
    const replay = server.replay(history)
    const isLast = connection === connections - 1
    /* a replay of forgotten lines is recognised when it is whole */
    const broken = !isLast && random(3) === 0 && server.remembered === undefined
    for (const line of broken ? replay.slice(0, random(replay.length + 1)) : replay) {
      if (random(5) === 0) record(overlap.push(status(1000 * connection + random(1e6) + 100)))
      delivered.add(line)
      record(overlap.push(line))
    }
    if (broken) {
      record(overlap.abandon())
      continue
    }
    const phase = overlap.phase
    if (phase === 'agreeing' || phase === 'searching') record(overlap.settle())
    for (let live = random(12); live > 0; live--) {
      const line = say()
      delivered.add(line)
      record(overlap.push(line))
    }
    record(overlap.abandon())
  }
  const isOutput = (line: string): boolean => !line.includes('"status"')
  return { recorded: recorded.filter(isOutput), said: history, delivered }
}

const rounds = 400

/** The first seed for which what was recorded is not what was delivered, once and in order. */
function firstMismatch(server: (seed: number) => Server): number | undefined {
  for (let seed = 1; seed <= rounds; seed++) {
    const { recorded, said, delivered } = play(seed, server(seed))
    if (recorded.join() !== said.filter((line) => delivered.has(line)).join()) return seed
  }
  return undefined
}

const all = (history: readonly string[]): readonly string[] => [...history]
const none = (): readonly string[] => []
const last = (count: number) => (history: readonly string[]) => history.slice(-count)

void t.test('a server that sends all lines again: each once, in order, equal lines too', (t) => {
  t.equal(
    firstMismatch(() => ({ replay: all, line: distinct })),
    undefined,
    'distinct lines',
  )
  t.equal(
    firstMismatch(() => ({ replay: all, line: () => 'x' })),
    undefined,
    'equal lines',
  )
  const letters = (seed: number): Server => {
    const random = randomFrom(seed + 7)
    return { replay: all, line: () => 'ab'.charAt(random(2)) }
  }
  t.equal(firstMismatch(letters), undefined, 'lines that repeat')
  t.end()
})

void t.test('a server that sends the last lines again: each that was sent once, in order', (t) => {
  t.equal(
    firstMismatch((seed) => ({ replay: last(1 + (seed % 9)), line: distinct })),
    undefined,
  )
  t.end()
})

void t.test('a server that sends nothing again: each that was sent once, in order', (t) => {
  t.equal(
    firstMismatch(() => ({ replay: none, line: distinct })),
    undefined,
  )
  t.end()
})

void t.test('with only the newest lines remembered, all of the above holds for whole replays', (t) => {
  for (const replay of [all, last(3), last(17), none]) {
    t.equal(
      firstMismatch(() => ({ replay, line: distinct, remembered: 5 })),
      undefined,
    )
  }
  t.end()
})
