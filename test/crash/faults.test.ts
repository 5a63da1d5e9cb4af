/**
 * Every way in which the service is known to fail, between the real client and the emulator, under a write-back
 * without a mount: nothing that was written is lost, nothing is there twice, and what is given up is named.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SessionClient } from '../../src/client/session-client.ts'
import { sessionFiles } from '../../src/client/remote-files.ts'
import { systemClock } from '../../src/clock.ts'
import type { FaultRule } from '../../src/emulator/faults.ts'
import { silentLogger } from '../../src/log.ts'
import type { WriteBack } from '../../src/write-back/write-back.ts'
import { assembleOver } from '../assembly.ts'
import { agent, files, session, startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { eventually } from '../mount/programs.ts'
import { failureOf } from '../write-back/rig.ts'

/* they wait most of the time */
t.jobs = 12

interface Connected {
  readonly emulator: TestEmulator
  readonly changes: WriteBack
  readonly write: (path: string, text: string) => void
  /** `''` as a barrier, with a limit of its own. */
  readonly sync: () => Promise<void>
  readonly served: (path: string) => string | undefined
}

async function connect(t: Test, timeoutMs = 20_000): Promise<Connected> {
  const emulator = await startTestEmulator(t)
  const directory = mkdtempSync(join(tmpdir(), 'write-back-faults-'))
  const clock = systemClock
  const logger = silentLogger
  const { endpoint, token } = emulator
  const client = new SessionClient({ endpoint, credential: { token }, clock, logger })
  const remote = sessionFiles(client, agent, session)
  const { changes } = await assembleOver({ directory, files: remote, clock, timeoutMs })
  t.teardown(async () => {
    await changes.close()
    await client.close()
    rmSync(directory, { recursive: true, force: true })
  })
  return {
    emulator,
    changes,
    write(path, text) {
      const copy = changes.create(path, undefined)
      copy.retain()
      copy.write(0, Buffer.from(text))
      copy.flush()
      copy.release()
    },
    sync: () => changes.barrier('', AbortSignal.timeout(60_000)),
    served: (path) => files(emulator)[path]?.toString(),
  }
}

const passing: Readonly<Record<string, FaultRule>> = {
  '429 with Retry-After': { verb: 'upload', kind: 'status', status: 429, retryAfter: 1, times: 2 },
  'a 500': { verb: 'upload', kind: 'status', status: 500, times: 2 },
  'a 503': { verb: 'upload', kind: 'status', status: 503, times: 2 },
  'a reset before the commit': { verb: 'upload', kind: 'reset', when: 'before-commit', times: 1 },
  'a reset after the commit': { verb: 'upload', kind: 'reset', when: 'after-commit', times: 1 },
  'an upload that becomes visible in part': { verb: 'upload', kind: 'partial', bytes: 3, times: 1 },
  '401 once': { verb: 'upload', kind: 'status', status: 401, times: 1 },
  '424 for a while': { verb: 'upload', kind: 'status', status: 424, times: 3 },
}

for (const [name, rule] of Object.entries(passing)) {
  void t.test(`${name} passes: the barrier waits, and the service has the file once`, async (t) => {
    const { emulator, write, sync, served } = await connect(t)
    emulator.fault(rule)
    write('d/f', 'the content')
    // a session that refuses ends a barrier; the background goes on
    await sync().catch(() => undefined)
    t.ok(await eventually(() => served('d/f') === 'the content'))
    await sync()
    t.same(Object.keys(files(emulator)).sort(), ['d', 'd/f'])
  })
}

for (const [name, status] of [
  ['a conflict', 409],
  ['too large for the service', 413],
  ['a bad request', 400],
] as const) {
  void t.test(
    `${name} parks the path: named by every barrier, kept, and tried again on demand`,
    async (t) => {
      const { emulator, changes, write, sync, served } = await connect(t)
      const clear = emulator.fault({ verb: 'upload', path: 'f', kind: 'status', status })
      write('f', 'kept')
      write('other', 'goes')
      t.match(await failureOf(sync), { reason: 'parked', path: 'f' })
      t.match(await failureOf(sync), { reason: 'parked', path: 'f' })
      t.match(changes.status().paths, [{ path: 'f', state: 'parked', size: 4 }])
      t.ok(await eventually(() => served('other') === 'goes'))
      clear()
      changes.retry()
      await sync()
      t.equal(served('f'), 'kept')
    },
  )
}

for (const [name, status] of [
  ['401 for good', 401],
  ['403', 403],
] as const) {
  void t.test(`${name} pauses all behind one probe, and heals`, async (t) => {
    const { emulator, changes, write, sync, served } = await connect(t)
    const clear = emulator.fault({ verb: 'upload', kind: 'status', status })
    for (let number = 0; number < 10; number++) write(`f${number}`, 'x')
    t.match(await failureOf(sync), { reason: 'session' })
    t.ok(changes.status().paused)
    clear()
    t.ok(await eventually(() => served('f9') === 'x'))
    await sync()
  })
}

void t.test('an expired token pauses, and a login heals', async (t) => {
  const { emulator, write, sync, served } = await connect(t)
  const { token } = emulator
  emulator.setToken('another')
  write('f', 'x')
  t.match(await failureOf(sync), { reason: 'session' })
  emulator.setToken(token)
  await sync()
  t.equal(served('f'), 'x')
})

void t.test('a session that is gone keeps what was written, and says so', async (t) => {
  const { emulator, changes, write, sync } = await connect(t)
  write('f', 'x')
  await emulator.deleteSession(agent, session)
  t.match(await failureOf(sync), { reason: 'session' })
  t.match(changes.get('f'), { kind: 'file', size: 1 })
})

void t.test(
  'an upload that comes late does not win over what was written after it',
  { timeout: 100_000 },
  async (t) => {
    const { emulator, write, sync, served } = await connect(t)
    emulator.fault({ verb: 'upload', kind: 'late-commit', afterMs: 4000, times: 1 })
    write('f', 'first')
    t.ok(await eventually(() => emulator.counts()['upload'] === 1))
    write('f', 'second, longer')
    await sync()
    t.equal(served('f'), 'second, longer')
    t.ok(await eventually(() => served('f') === 'first'), 'the late one wins for a moment')
    t.ok(await eventually(() => served('f') === 'second, longer'), 'and is found')
  },
)

void t.test('a stalled upload ends a barrier by lack of progress, and stays under way', async (t) => {
  const { emulator, changes, write, sync } = await connect(t, 2000)
  emulator.fault({ verb: 'upload', kind: 'stall', where: 'headers', times: 1 })
  write('f', 'x')
  t.match(await failureOf(sync), { reason: 'timedOut', path: 'f' })
  t.match(await failureOf(sync), { reason: 'timedOut', path: 'f' })
  t.match(changes.status().paths, [{ path: 'f', state: 'uploading' }])
})

void t.test('many at once after a 429 all arrive', async (t) => {
  const { emulator, write, sync } = await connect(t)
  emulator.fault({ verb: 'upload', kind: 'status', status: 429, retryAfter: 1, times: 20 })
  for (let number = 0; number < 60; number++) write(`f${number}`, `content ${number}`)
  await sync()
  t.equal(Object.keys(files(emulator)).length, 60)
  t.equal(readFileSync(join(emulator.home, 'f59'), 'utf8'), 'content 59')
})
