import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { silentLogger } from '../../src/log.ts'
import type { OpenSessionOptions } from '../../src/options/mount-options.ts'
import { defaultValues } from '../../src/options/table.ts'
import { openSession, type OpenSession } from '../../src/session/open-session.ts'
import { newSharedParts, type SharedParts } from '../../src/session/shared-parts.ts'
import { agent, startTestEmulator, type TestEmulator } from '../emulator-server.ts'

const [one, other] = ['session-one-0001', 'session-other-0001']
const logger = silentLogger
const megabyte = 'x'.repeat(1024 * 1024)

interface Setup {
  readonly emulator: TestEmulator
  readonly options: (session: string) => OpenSessionOptions
  readonly shared: SharedParts
  readonly levelsFile: string
  /** Connections that were dialed since the start. */
  readonly dialed: () => number
}

async function setup(t: Test): Promise<Setup> {
  const seed = [one, other].map((session) => ({ agent, session }))
  const emulator = await startTestEmulator(t, { seed })
  const { endpoint, token } = emulator
  const root = t.testdir()
  const roots = { stateRoot: join(root, 'state'), cacheRoot: join(root, 'cache') }
  const common = { ...defaultValues(), endpoint, token, ...roots, localNames: [], logFile: undefined }
  let count = 0
  const onSocket = (): void => {
    count += 1
  }
  subscribe('net.client.socket', onSocket)
  t.teardown(() => unsubscribe('net.client.socket', onSocket))
  const shared = newSharedParts(common, { clock: systemClock, logger })
  t.teardown(() => shared.close())
  return {
    emulator,
    options: (session) => ({ ...common, agent, session }),
    shared,
    levelsFile: join(roots.cacheRoot, 'levels.json'),
    dialed: () => count,
  }
}

async function read({ listings, contents }: OpenSession, name: string): Promise<string> {
  const { entry, ...seen } = await listings.lookup('', name, { maxAgeMs: 0 })
  if (entry === undefined) throw new Error(`${name} is not there`)
  const { content } = contents.open(name, entry, seen)
  try {
    return Buffer.from(await content.read(0, entry.size)).toString()
  } finally {
    content.release()
  }
}

async function write({ changes }: OpenSession, name: string, text: string): Promise<void> {
  const copy = changes.create(name, undefined)
  copy.retain()
  copy.write(0, Buffer.from(text))
  copy.flush()
  copy.release()
  await changes.drain(new AbortController().signal)
}

void t.test('two sessions share a client, its connections and its count of calls', async (t) => {
  const { emulator, options, shared, levelsFile, dialed } = await setup(t)
  const first = await openSession(options(one), { logger, shared })
  t.equal(dialed(), 1)
  const second = await openSession(options(other), { logger, shared })
  t.equal(first.client, shared.client)
  t.equal(second.client, shared.client)
  t.equal(second.statistics, shared.statistics)
  await write(first, 'a', 'of one')
  await write(second, 'a', 'of the other')
  t.equal(await read(first, 'a'), 'of one')
  t.equal(await read(second, 'a'), 'of the other')
  t.equal(dialed(), 1, 'one connection served them both')
  const calls = emulator.calls()
  t.equal(calls.filter(({ verb }) => verb === 'upload').length, 2)
  t.same(shared.statistics.calls['upload'], { 201: 2 })
  await second.close()
  await first.close()
  t.notOk(existsSync(levelsFile), 'what the service bears is remembered by who made the client')
  await shared.close()
  t.ok(existsSync(levelsFile))
})

void t.test('a session that is closed leaves the other at work, and can be opened again', async (t) => {
  const { options, shared } = await setup(t)
  const { openFiles, room } = await shared.caches()
  const first = await openSession(options(one), { logger, shared })
  const second = await openSession(options(other), { logger, shared })
  for (const session of [first, second]) {
    await write(session, 'a', megabyte)
    await read(session, 'a')
  }
  t.equal(room.bytes, 2 * megabyte.length)
  const { entry, ...seen } = await second.listings.lookup('', 'a', { maxAgeMs: 0 })
  const { content } = second.contents.open('a', entry!, seen)
  await content.read(0, 10)
  const open = openFiles.size
  t.ok(open > 0)
  await first.close()
  t.ok(openFiles.size > 0, 'the files of the other stay open')
  t.equal(room.bytes, megabyte.length)
  t.strictSame(readdirSync(join(first.directories.cache, 'contents')), [])
  t.equal(Buffer.from(await content.read(0, megabyte.length)).toString(), megabyte)
  content.release()
  await write(second, 'b', 'more')
  t.equal(await read(second, 'b'), 'more')

  const again = await openSession(options(one), { logger, shared })
  t.equal(await read(again, 'a'), megabyte)
  await write(again, 'c', 'once more')
  t.equal(await read(again, 'c'), 'once more')
  await again.close()
  await second.close()
  t.equal(openFiles.size, 0)
  t.equal(room.bytes, 0)
})

void t.test('what a closed session was asking for ends with it', async (t) => {
  const { emulator, options, shared } = await setup(t)
  const first = await openSession(options(one), { logger, shared })
  const hold = emulator.hold({ verb: 'list' })
  const listing = first.listings.list('')
  await hold.reached
  await Promise.all([t.rejects(listing, { code: 'aborted' }), first.close()])
  hold.release()
  const second = await openSession(options(other), { logger, shared })
  t.equal((await second.listings.list('')).entries.size, 0)
  await second.close()
})

void t.test('a session that cannot be opened leaves what is shared as it is', async (t) => {
  const { options, shared } = await setup(t)
  await t.rejects(openSession(options('session-none-0001'), { logger, shared }), { code: 'unknownSession' })
  const first = await openSession(options(one), { logger, shared })
  await t.rejects(openSession(options(one), { logger, shared }), { code: 'held' })
  await write(first, 'a', 'text')
  t.equal(await read(first, 'a'), 'text')
  await first.close()
})

void t.test('a session with nothing shared has a client of its own, which ends with it', async (t) => {
  const { options, levelsFile } = await setup(t)
  const session = await openSession(options(one), { logger })
  t.equal((await session.listings.list('')).entries.size, 0)
  await session.close()
  t.ok(existsSync(levelsFile))
  await t.rejects(session.client.getSession(agent, one))
})
