/**
 * `ls DIR`: which sessions are there, with what times, and what that costs. Layer: test.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { agent } from '../emulator-server.ts'
import { eventually } from '../mount/programs.ts'
import { countsOf, makeSession, mountAgent, one, other } from './rig.ts'

const many = Array.from({ length: 200 }, (_, i) => `session-${String(i).padStart(4, '0')}`)
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '')

void t.test('200 sessions listed cost the pages of their list and no call about a session', async (t) => {
  const { emulator, top } = await mountAgent(t, { sessions: many, args: ['--ttl', '3s'] })
  t.strictSame(countsOf(emulator), { listSessions: 2 })
  const isListedAnew = async (): Promise<boolean> => (await top('ls -l'), emulator.counts().listSessions > 2)
  t.ok(await eventually(isListedAnew))
  t.strictSame(countsOf(emulator), { listSessions: 4 })
  const listed = lines(await top('ls -l'))
  t.equal(listed.filter((line) => line.startsWith('drwx')).length, 200)
  t.strictSame(lines(await top('ls')), many)
  t.strictSame(countsOf(emulator), { listSessions: 4 }, 'listing again within the TTL costs nothing')
  await makeSession(emulator, 'session-made-elsewhere')
  emulator.resetCounts()
  t.ok(
    await eventually(async () => (await top('ls')).includes('session-made-elsewhere')),
    'one made elsewhere shows after the TTL',
  )
  t.strictSame(countsOf(emulator), { listSessions: 3 }, '201 have a third page')
})

void t.test('a session is looked up in the list, and so is what is none', async (t) => {
  const { emulator, top } = await mountAgent(t, { args: ['--ttl', '60s'] })
  await top(`stat ${one} >/dev/null; for i in 1 2 3; do test ! -e session-none-000$i; done`)
  t.strictSame(countsOf(emulator), { listSessions: 1 }, 'that of the mount')
})

/* the times of an emulator are whole seconds and its own: sessions of other times are written to its disk */
void t.test('ls -t shows the session that was used last first', async (t) => {
  const data = t.testdir()
  const first = await startEmulator({
    data,
    seed: [one, other, 'third-session'].map((session) => ({ agent, session })),
  })
  await first.close()
  const used = { [one]: 1_700_000_000, [other]: 1_700_086_400, 'third-session': 1_690_000_000 }
  for (const [session, lastAccessedAt] of Object.entries(used)) {
    const file = join(data, 'agents', agent, 'sessions', session, 'session.json')
    const record = JSON.parse(fs.readFileSync(file, 'utf8')) as object
    fs.writeFileSync(file, JSON.stringify({ ...record, createdAt: 1_690_000_000, lastAccessedAt }))
  }
  const { top, emulator } = await mountAgent(t, {
    sessions: [],
    emulator: { data },
    args: ['--ttl', '200ms'],
  })
  t.strictSame(lines(await top('ls -t')), [other, one, 'third-session'])
  t.strictSame(lines(await top('stat -c "%n %Y" *')), [
    `${one} 1700000000`,
    `${other} 1700086400`,
    'third-session 1690000000',
  ])
  await top('ls third-session')
  t.ok(
    await eventually(async () => lines(await top('ls -t'))[0] === 'third-session', 10_000),
    'one that is gone into is used',
  )
  t.equal(emulator.counts().getSession, 1)
})

void t.test('-o status=active shows only the sessions that are active', async (t) => {
  const { emulator, top } = await mountAgent(t, { args: ['-o', 'status=active', '--ttl', '200ms'] })
  t.strictSame(lines(await top('ls')), [one, other])
  emulator.sleepSession(agent, other)
  t.ok(await eventually(async () => lines(await top('ls')).join() === one, 10_000), 'one that stops goes')
  t.match(await failureOf(top, `stat ${other}`), 'No such file or directory')
})

void t.test('a session that is stopped is there, and wakes when a program goes in', async (t) => {
  const { emulator, top, home } = await mountAgent(t, { emulator: { wakeMs: 500 } })
  fs.writeFileSync(join(home(other), 'kept'), 'through the stop\n')
  emulator.sleepSession(agent, other)
  t.strictSame(lines(await top('ls')), [one, other])
  t.equal(emulator.counts().list, 0)
  t.equal(await top(`cat ${other}/kept`), 'through the stop\n')
  await top(`echo new >${other}/new; ls ${one}`)
})

void t.test('a session that is deleted or has expired goes from the listing', async (t) => {
  const { emulator, top } = await mountAgent(t, {
    sessions: [one, other, 'third-session'],
    args: ['--ttl', '200ms'],
  })
  await top(`ls ${one} ${other}`)
  await emulator.deleteSession(agent, one)
  emulator.expireSession(agent, 'third-session')
  t.ok(await eventually(async () => lines(await top('ls')).join() === other, 10_000))
  t.match(await failureOf(top, `ls ${one}`), 'No such file or directory')
  t.match(await failureOf(top, 'ls third-session'), 'No such file or directory')
  await top(`echo on >${other}/file`)
})

async function failureOf(top: (script: string) => Promise<string>, script: string): Promise<string> {
  return top(`! ${script} 2>&1`)
}
