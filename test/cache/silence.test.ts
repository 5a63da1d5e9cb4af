/**
 * Names while the service does not answer: what was listed before will do for those who say so.
 */
import t from 'tap'
import { MetadataCache } from '../../src/cache/metadata-cache.ts'
import { ServiceError } from '../../src/client/errors.ts'
import { silentLogger } from '../../src/log.ts'
import { MemoryFiles } from '../contract/memory-files.ts'
import { FakeClock } from '../fake-clock.ts'

interface Rig {
  readonly clock: FakeClock
  readonly files: MemoryFiles
  readonly cache: MetadataCache
  readonly said: string[]
  /** Lets time pass, and what waits go on. */
  readonly pass: (ms: number) => Promise<void>
}

const will = { olderWillDo: true } as const

/** `d` was listed with the name `old`, longer ago than the TTL. */
async function rig(pageSize = 100): Promise<Rig> {
  const clock = new FakeClock()
  const files = new MemoryFiles({ clock, pageSize })
  const said: string[] = []
  const say = (_fields: object, message: string): void => void said.push(message)
  const logger = { ...silentLogger, info: say, warn: say }
  const cache = new MetadataCache({ files, clock, ttlMs: 2_000, maxEntries: 100_000, logger })
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms)
    await new Promise((resolve) => setImmediate(resolve))
  }
  files.put('d/old', 'o')
  files.put('e/old', 'o')
  await cache.list('d')
  await cache.list('e')
  await pass(60_000)
  return { clock, files, cache, said, pass }
}

void t.test('the listing before serves once there was no answer for 20 s, then at once', async (t) => {
  const { files, cache, said, pass } = await rig()
  const gate = files.hold({ verb: 'list' })
  files.put('d/new', 'n')
  const waits = [cache.lookup('d', 'old', will), cache.list('d', will), cache.lookup('d', 'x', will)] as const
  await gate.arrived()
  await pass(19_999)
  t.equal(cache.silentMs, undefined)
  await pass(1)
  t.equal((await waits[0]).entry?.name, 'old')
  t.same([...(await waits[1]).entries.keys()], ['old'])
  const miss = await waits[2]
  t.equal(miss.entry, undefined)
  t.equal(cache.remainingMs(miss.seenAt, miss.durationMs), 0, 'which nobody may remember')
  t.ok(cache.silentMs)
  files.resetCalls()
  t.equal((await cache.lookup('e', 'old', will)).entry?.name, 'old', 'of another directory, at once')
  t.equal(files.count('list'), 0, 'and nothing was asked so soon')
  t.match(said, ['the service does not answer: names are shown as they were listed before'])
  gate.release()
  await pass(0)
  t.equal(cache.silentMs, undefined)
  t.equal((await cache.lookup('d', 'new', will)).entry?.name, 'new')
  t.match(said[1], /answers again/)
})

void t.test('while it is silent it is asked by whoever comes, every ten seconds at most', async (t) => {
  const { files, cache, pass } = await rig()
  files.fail({ verb: 'list', error: 'network', times: Infinity })
  await cache.list('d', will)
  files.resetCalls()
  for (let second = 0; second < 30; second++) {
    await cache.list('d', will)
    await cache.lookup('e', 'old', will)
    await pass(1_000)
  }
  t.equal(files.count('list'), 2)
  files.resetCalls()
  await pass(600_000)
  t.equal(files.count('list'), 0, 'and not at all when nobody does')
  files.clearFaults()
  files.put('d/new', 'n')
  t.ok((await cache.list('d', will)).entries.has('new'), 'who asks waits for a moment')
  t.equal(cache.silentMs, undefined)
})

void t.test('who asks again while it is silent waits two seconds', async (t) => {
  const { files, cache, pass } = await rig()
  files.fail({ verb: 'list', error: 'network' })
  await cache.list('d', will)
  await pass(10_000)
  const gate = files.hold({ verb: 'list' })
  let ended = false
  const asks = cache.list('d', will).finally(() => (ended = true))
  await gate.arrived()
  await pass(1_999)
  t.notOk(ended)
  await pass(1)
  t.ok((await asks).entries.has('old'))
  gate.release()
})

void t.test('who never said that an older one will do waits for an answer or a failure', async (t) => {
  const { files, cache, pass } = await rig()
  files.fail({ verb: 'list', error: 'network', times: 4 })
  await t.rejects(cache.list('d'), { code: 'network' })
  await t.rejects(cache.list('d', { maxAgeMs: 0 }), { code: 'network' })
  await cache.list('d', will)
  await t.rejects(cache.list('d'), { code: 'network' }, 'also while it is known to be silent')
  const gate = files.hold({ verb: 'list' })
  let ended = false
  const asked = cache.list('d', { maxAgeMs: 0 }).finally(() => (ended = true))
  await gate.arrived()
  await pass(120_000)
  t.notOk(ended)
  gate.release()
  await asked
})

void t.test('a directory that was never listed fails within a minute of silence, then at once', async (t) => {
  const { files, cache, pass } = await rig()
  const gate = files.hold({ verb: 'list' })
  const first = cache.lookup('f', 'x', will)
  const failed = t.rejects(first, { code: 'timeout', message: /list f: the service does not answer/ })
  await gate.arrived()
  await pass(30_000)
  const second = t.rejects(cache.list('g', will), { code: 'timeout' })
  await pass(30_000)
  await failed
  files.resetCalls()
  await t.rejects(cache.lookup('f', 'x', will), { code: 'timeout' })
  await t.rejects(cache.list('h', will), { code: 'timeout' })
  t.equal(files.count('list'), 0)
  t.ok((await cache.list('d', will)).entries.has('old'))
  gate.release()
  await pass(30_000)
  await second
  t.ok((await cache.list('h', will)).missing, 'and is asked for again')
})

void t.test('what the service refuses is told, and is an answer', async (t) => {
  const { files, cache } = await rig()
  files.fail({ verb: 'list', error: 'network' })
  await cache.list('d', will)
  t.not(cache.silentMs, undefined)
  const forbidden = new ServiceError('forbidden', 'list: 403', { status: 403 })
  files.fail({ verb: 'list', error: forbidden, times: Infinity })
  await t.rejects(cache.list('d'), { code: 'forbidden' })
  t.equal(cache.silentMs, undefined)
  await t.rejects(cache.list('d', will), { code: 'forbidden' })
})

void t.test('a directory that takes long, and one that gets no answer alone, are no silence', async (t) => {
  const { files, cache, said, pass } = await rig(1)
  files.put('d/second', 's')
  const gate = files.hold({ verb: 'list', path: 'd' })
  const whole = cache.list('d', will)
  await gate.arrived(1)
  await pass(15_000)
  gate.releaseOne()
  await gate.arrived(2)
  await pass(15_000)
  gate.release()
  t.equal((await whole).entries.size, 2, 'it is patient from page to page')
  await pass(600_000)
  const other = files.hold({ verb: 'list', path: 'd' })
  const older = cache.list('d', will)
  await other.arrived(1)
  await pass(10_000)
  await cache.list('e', will)
  await pass(10_000)
  t.equal((await older).entries.size, 2)
  t.equal(cache.silentMs, undefined)
  t.match(said.at(-1), /a directory cannot be listed/)
  other.release()
})

void t.test('who is interrupted waits no longer and gets nothing', async (t) => {
  const { clock, files, cache, pass } = await rig()
  const gate = files.hold({ verb: 'list' })
  const controller = new AbortController()
  const waits = cache.list('d', { ...will, signal: controller.signal })
  await gate.arrived()
  controller.abort()
  await t.rejects(waits, { code: 'aborted' })
  await pass(60_000)
  t.equal(cache.silentMs, undefined)
  gate.release()
  t.equal(clock.waiting, 0)
})

void t.test(
  'where something else on the link is silent, what was listed before serves at once',
  async (t) => {
    const { clock, files, cache, pass } = await rig()
    const common = { files, clock, ttlMs: 2_000, maxEntries: 100, logger: silentLogger }
    const other = new MetadataCache({ ...common, widerSilence: cache.silence })
    await other.list('e')
    await pass(60_000)
    const gate = files.hold({ verb: 'list' })
    const waits = cache.lookup('d', 'old', will)
    await gate.arrived()
    await pass(20_000)
    t.equal((await waits).entry?.name, 'old')

    files.resetCalls()
    const probing = other.lookup('e', 'old', will)
    await pass(2_000)
    t.equal((await probing).entry?.name, 'old', 'one asks, and waits a moment')
    t.equal((await other.lookup('e', 'old', will)).entry?.name, 'old', 'the others do not wait')
    t.equal(files.count('list'), 1)
    gate.release()
    await pass(60_000)
    await other.list('e')
    t.equal(cache.silentMs, undefined, 'an answer to one is one to both')
  },
)
