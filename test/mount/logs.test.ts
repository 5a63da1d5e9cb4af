/**
 * The console of the session as `.logs`, read by ordinary programs, whatever happens to the stream behind it.
 */

import t from 'tap'
import { agent, session } from '../emulator-server.ts'
import { type MountedEmulator, type MountOptions, mountEmulator } from './rig.ts'
import type { Teardown } from './rig.ts'
import { eventually } from './programs.ts'

interface Console extends MountedEmulator {
  say(...lines: readonly string[]): void
}

async function mountConsole(t: Teardown, options: MountOptions = {}): Promise<Console> {
  const mounted = await mountEmulator(t, options)
  return { ...mounted, say: (...lines) => mounted.emulator.appendLog(agent, session, lines) }
}

const numbered = (from: number, to: number): readonly string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => `line ${from + i}`)

/** What the agent said, in the order in which it stands in a text of `.logs`. */
const saidIn = (text: string): readonly string[] => [...text.matchAll(/line \d+/g)].map(([line]) => line)

void t.test('cat, tail -n, grep and wc read what was said before', async (t) => {
  const mounted = await mountConsole(t)
  mounted.say(...numbered(1, 40))
  t.strictSame(saidIn(await mounted.ok('cat .logs')), numbered(1, 40), 'the first open waits for the burst')
  t.strictSame(saidIn(await mounted.ok('tail -n 3 .logs')), numbered(38, 40))
  t.strictSame(saidIn(await mounted.ok("grep -E 'line (7|21)\\b' .logs")), ['line 7', 'line 21'])
  t.ok(Number(await mounted.ok('wc -l < .logs')) >= 40)
  t.match(await mounted.ok('head -n 1 .logs'), /session_id/)
  for (const line of (await mounted.ok('cat .logs')).trim().split('\n')) JSON.parse(line)
  t.equal(mounted.emulator.counts().logStream, 1, 'one connection for all of them')
})

void t.test('it is found by name, not listed, and cannot be changed', async (t) => {
  const mounted = await mountConsole(t)
  await mounted.ok('test -f .logs; test -r .logs; ls -l .logs')
  t.strictSame(await mounted.ok('ls -A; find . -mindepth 1'), '')
  const refusals = [
    'echo > .logs',
    'rm .logs',
    'mv .logs x',
    'touch other; mv other .logs',
    'mkdir .logs',
    ': >> .logs',
  ]
  for (const refused of refusals) t.not((await mounted.sh(refused)).code, 0, refused)
  t.equal(mounted.emulator.counts().logStream, 0, 'looking at it wakes nobody')
})

void t.test('tail -f shows lines as they come, and several readers see the same', async (t) => {
  const mounted = await mountConsole(t)
  mounted.say(...numbered(1, 3))
  const readers = [1, 2].map(() => mounted.startSh('exec tail -n +1 -f .logs'))
  await Promise.all(readers.map((reader) => reader.until((text) => text.includes('line 3'))))
  for (const line of numbered(4, 8)) mounted.say(line)
  await Promise.all(readers.map((reader) => reader.until((text) => text.includes('line 8'))))
  for (const { child, ended, stdout } of readers) {
    child.kill('SIGTERM')
    await ended
    t.strictSame(saidIn(stdout()), numbered(1, 8))
  }
})

void t.test('tail -F and less +F end at a signal while nothing is said', async (t) => {
  const mounted = await mountConsole(t)
  mounted.say('line 1')
  const tail = mounted.startSh('exec tail -F .logs')
  await tail.until((text) => text.includes('line 1'))
  tail.child.kill('SIGINT')
  t.equal((await tail.ended).signal, 'SIGINT')
  const less = mounted.startSh("exec script -qec 'less +F .logs' /dev/null")
  await less.until((text) => text.includes('Waiting for data'))
  less.child.kill('SIGTERM')
  await less.ended
})

/* The server sends its last 50 lines again on each connection. */
for (const how of ['ended', 'reset'] as const) {
  void t.test(`no line is lost or doubled when the stream is ${how} again and again`, async (t) => {
    const mounted = await mountConsole(t, {
      emulator: { logStream: { splitFrames: true, replayLines: 50 } },
    })
    mounted.say(...numbered(1, 20))
    const reader = mounted.startSh('exec tail -n +1 -f .logs')
    await reader.until((text) => text.includes('line 20'))
    for (let round = 0; round < 3; round++) {
      const first = 21 + round * 20
      const connections = mounted.emulator.counts().logStream
      mounted.say(...numbered(first, first + 9))
      mounted.emulator.closeLogStreams({ reset: how === 'reset' })
      mounted.say(...numbered(first + 10, first + 19))
      t.ok(await eventually(() => mounted.emulator.counts().logStream > connections), 'it connects again')
      await reader.until((text) => text.includes(`line ${first + 19}`))
    }
    reader.child.kill('SIGTERM')
    await reader.ended
    t.strictSame(saidIn(reader.stdout()), numbered(1, 80))
    t.strictSame(saidIn(await mounted.ok('cat .logs')), numbered(1, 80))
  })
}

void t.test('a service that refuses the stream for a while is asked again', async (t) => {
  const mounted = await mountConsole(t)
  mounted.emulator.fault({ verb: 'logStream', kind: 'status', status: 503, times: 1 })
  mounted.say('line 1')
  const reader = mounted.startSh('exec tail -n +1 -f .logs')
  await reader.until((text) => text.includes('line 1'))
  mounted.emulator.fault({ verb: 'logStream', kind: 'reset', when: 'before-commit', times: 1 })
  mounted.emulator.closeLogStreams({ reset: true })
  mounted.say('line 2')
  await reader.until((text) => text.includes('line 2'))
  reader.child.kill('SIGTERM')
  await reader.ended
  t.strictSame(saidIn(reader.stdout()), ['line 1', 'line 2'])
})

void t.test('a line of a megabyte comes whole', async (t) => {
  const mounted = await mountConsole(t)
  mounted.say(`line 1 ${'x'.repeat(1024 * 1024)} end`, 'line 2')
  t.ok(Number(await mounted.ok('grep -m 1 "line 1" .logs | wc -c')) > 1024 * 1024)
  t.strictSame(saidIn(await mounted.ok('cat .logs')), ['line 1', 'line 2'])
})

void t.test('-o logs=off has no console, -o show-special lists it', async (t) => {
  const mounted = await mountConsole(t, { args: ['-o', 'logs=off,show-special'] })
  mounted.say('line 1')
  t.equal((await mounted.ok('ls -A')).trim(), '.logs\n.status')
  t.equal(await mounted.ok('cat .logs'), '')
  t.equal(mounted.emulator.counts().logStream, 0)
  t.equal((JSON.parse(await mounted.ok('cat .status')) as { pid: number }).pid, mounted.pid)
})
