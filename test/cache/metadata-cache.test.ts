/**
 * Listings are shared, aged from their end, and never answered by a request older than the question.
 */
import t from 'tap'
import type { Listing } from '../../src/cache/listings.ts'
import { MetadataCache } from '../../src/cache/metadata-cache.ts'
import { silentLogger } from '../../src/log.ts'
import { MemoryFiles } from '../contract/memory-files.ts'
import { FakeClock } from '../fake-clock.ts'

interface Rig {
  clock: FakeClock
  files: MemoryFiles
  cache: MetadataCache
  observed: Listing[]
}

function rig(options: { ttlMs?: number; maxEntries?: number; pageSize?: number } = {}): Rig {
  const clock = new FakeClock()
  const files = new MemoryFiles({ clock, pageSize: options.pageSize ?? 100 })
  const observed: Listing[] = []
  const cache = new MetadataCache({
    files,
    clock,
    ttlMs: options.ttlMs ?? 2_000,
    maxEntries: options.maxEntries ?? 100_000,
    logger: silentLogger,
  })
  cache.subscribe({ observe: (listing) => observed.push(listing) })
  return { clock, files, cache, observed }
}

void t.test('one listing answers hits and misses until it is older than the ttl', async (t) => {
  const { clock, files, cache } = rig()
  files.put('d/a', 'aaa')
  t.equal((await cache.lookup('d', 'a')).entry?.size, 3)
  t.equal((await cache.lookup('d', 'b')).entry, undefined)
  t.equal((await cache.list('d')).entries.size, 1)
  t.ok(cache.fresh('d'))
  t.equal(files.count('list'), 1)

  clock.advance(1_999)
  await cache.list('d')
  t.equal(files.count('list'), 1)

  clock.advance(1)
  t.equal(cache.fresh('d'), undefined)
  t.ok(cache.newest('d'), 'still there for those who take any age')
  await cache.list('d')
  t.equal(files.count('list'), 2)
})

void t.test('callers at the same time share one request', async (t) => {
  const { files, cache, observed } = rig()
  files.put('a', '1')
  const gate = files.hold({ verb: 'list' })
  const callers = [cache.list(''), cache.list(''), cache.lookup('', 'a'), cache.lookup('', 'nothing')]
  await gate.arrived()
  gate.release()
  await Promise.all(callers)
  t.equal(files.count('list'), 1)
  t.equal(observed.length, 1)
})

void t.test('a look-up is answered by the page that shows the name, a miss by the last', async (t) => {
  const { files, cache } = rig({ pageSize: 2 })
  for (const name of ['a', 'b', 'c', 'd', 'e']) files.put(name, name)
  const gate = files.hold({ verb: 'list' })
  const first = cache.lookup('', 'b')
  const missing = cache.lookup('', 'zz')
  await gate.arrived(1)
  gate.releaseOne()
  t.equal((await first).entry?.name, 'b')
  await gate.arrived(2)
  t.equal((await cache.lookup('', 'a')).entry?.name, 'a', 'known from the page that is there')
  t.equal(cache.fresh(''), undefined)
  gate.release()
  t.equal((await missing).entry, undefined)
  t.equal(cache.fresh('')?.entries.size, 5)
  t.equal(files.count('list'), 3, 'three pages')
})

void t.test('an answered look-up lets the listing of a big directory come to its end', async (t) => {
  const { clock, files, cache, observed } = rig({ pageSize: 10 })
  for (let index = 0; index < 100; index += 1) files.put(`big/${String(index).padStart(3, '0')}`, 'x')
  const gate = files.hold({ verb: 'list' })
  const found = cache.lookup('big', '005')
  for (let page = 1; page <= 10; page += 1) {
    await gate.arrived(page)
    clock.advance(1_000)
    gate.releaseOne()
  }
  await found
  gate.release()
  await cache.list('big')
  t.equal(files.count('list'), 10)
  t.equal(observed[0]?.durationMs, 10_000)
  clock.advance(49_999)
  t.ok(cache.fresh('big'), 'five times as long as it took')
  clock.advance(1)
  t.equal(cache.fresh('big'), undefined)
})

void t.test('a slow start does not make a listing last', async (t) => {
  const { clock, files, cache } = rig()
  files.put('a', '1')
  const gate = files.hold({ verb: 'list' })
  const listing = cache.list('')
  await gate.arrived()
  clock.advance(60_000)
  gate.release()
  t.equal((await listing).durationMs, 2_000)
})

void t.test('whoever wants one begun later shares exactly one further request', async (t) => {
  const { files, cache } = rig()
  files.put('a', '1')
  const gate = files.hold({ verb: 'list' })
  const first = cache.list('')
  await gate.arrived(1)
  files.put('b', '2')
  const later = [cache.list('', { maxAgeMs: 0 }), cache.list('', { maxAgeMs: 0 })]
  const found = cache.lookup('', 'b', { maxAgeMs: 0 })
  gate.releaseOne()
  const early = await first
  await gate.arrived(2)
  gate.release()
  const [one, two] = await Promise.all(later)
  t.equal(one, two)
  t.ok(one!.begunOrder > early.begunOrder)
  t.equal((await found).entry?.name, 'b')
  t.equal(files.count('list'), 2)
})

void t.test('a request that nobody waits for makes way for a later one', async (t) => {
  const { files, cache } = rig({ pageSize: 1 })
  for (const name of ['a', 'b', 'c']) files.put(name, name)
  const gate = files.hold({ verb: 'list' })
  const first = cache.lookup('', 'a')
  await gate.arrived(1)
  gate.releaseOne()
  await first
  await gate.arrived(2)
  const later = cache.list('', { maxAgeMs: 0 })
  await gate.arrived(3)
  gate.release()
  t.equal((await later).entries.size, 3)
  t.equal(files.count('list'), 5, 'two pages of the first, three of the second')
})

void t.test('with ttl 0 each call sees a listing begun after it', async (t) => {
  const { files, cache } = rig({ ttlMs: 0 })
  files.put('a', '1')
  await cache.list('')
  t.equal(cache.fresh(''), undefined)
  files.put('b', '2')
  t.equal((await cache.lookup('', 'b')).entry?.name, 'b')
  t.equal(files.count('list'), 2)
  const gate = files.hold({ verb: 'list' })
  const one = cache.list('')
  await gate.arrived()
  files.put('c', '3')
  const two = cache.list('')
  const three = cache.list('')
  gate.release()
  await one
  t.ok((await two).entries.has('c'))
  t.equal(await two, await three)
  t.equal(files.count('list'), 4)
  t.equal(cache.remainingMs(0, 0), 0)
})

void t.test('a directory that is not there is remembered as missing', async (t) => {
  const { files, cache } = rig()
  const listing = await cache.list('nowhere')
  t.ok(listing.missing)
  t.equal(listing.entries.size, 0)
  t.equal((await cache.lookup('nowhere', 'x')).entry, undefined)
  t.equal(files.count('list'), 1)
})

void t.test('a failure goes to those who wait and is not remembered', async (t) => {
  const { files, cache } = rig()
  files.put('a', '1')
  files.fail({ verb: 'list', error: 'server_error' })
  await t.rejects(cache.list(''), { code: 'server_error' })
  t.equal((await cache.list('')).entries.size, 1)
})

void t.test('an aborted caller leaves the others waiting', async (t) => {
  const { files, cache } = rig()
  files.put('a', '1')
  const gate = files.hold({ verb: 'list' })
  const controller = new AbortController()
  const gone = cache.list('', { signal: controller.signal })
  const stays = cache.list('')
  await gate.arrived()
  controller.abort()
  await t.rejects(gone, { code: 'aborted' })
  gate.release()
  t.equal((await stays).entries.size, 1)
  t.equal(files.count('list'), 1)
})

void t.test(
  'when the last caller is interrupted the request goes on, and the next one finds it',
  async (t) => {
    const { files, cache } = rig()
    files.put('a', '1')
    const gate = files.hold({ verb: 'list' })
    const controller = new AbortController()
    const gone = cache.lookup('', 'a', { signal: controller.signal })
    await gate.arrived()
    controller.abort()
    await t.rejects(gone, { code: 'aborted' })
    const again = cache.lookup('', 'a')
    gate.release()
    t.equal((await again).entry?.name, 'a')
    t.equal((await cache.list('')).entries.size, 1)
    t.equal(files.count('list'), 1)
  },
)

void t.test('what was only asked for ahead ends with whoever wanted it', async (t) => {
  const { files, cache } = rig()
  files.put('a', '1')
  const gate = files.hold({ verb: 'list' })
  const controller = new AbortController()
  const gone = cache.list('', { signal: controller.signal, priority: -1 })
  await gate.arrived()
  controller.abort()
  await t.rejects(gone, { code: 'aborted' })
  gate.release()
  t.equal(files.running, 0)
  t.equal((await cache.list('')).entries.size, 1)
  await t.rejects(cache.list('other', { signal: AbortSignal.abort() }), { code: 'aborted' })
  t.equal(files.count('list'), 2, 'an aborted caller sends nothing')
})

void t.test('an aborted caller of a later request takes it away', async (t) => {
  const { files, cache } = rig()
  const gate = files.hold({ verb: 'list' })
  const first = cache.list('')
  await gate.arrived()
  const controller = new AbortController()
  const later = cache.list('', { maxAgeMs: 0, signal: controller.signal })
  controller.abort()
  await t.rejects(later, { code: 'aborted' })
  gate.release()
  await first
  t.equal(files.count('list'), 1)
})

void t.test('a dropped directory is asked for again, also past a request under way', async (t) => {
  const { files, cache } = rig()
  files.put('a', '1')
  await cache.list('')
  cache.drop('')
  t.equal(cache.newest(''), undefined)
  const gate = files.hold({ verb: 'list' })
  const before = cache.list('')
  await gate.arrived(1)
  cache.drop('')
  const after = cache.list('')
  gate.releaseOne()
  await before
  t.equal(cache.newest(''), undefined, 'the answer that was under way is not kept')
  await gate.arrived(2)
  gate.release()
  await after
  t.ok(cache.newest(''))
  t.equal(files.count('list'), 3)
})

void t.test('the number of remembered names is bounded, oldest used directory first', async (t) => {
  const { files, cache } = rig({ maxEntries: 10 })
  for (const directory of ['x', 'y', 'z'])
    for (const name of ['1', '2', '3']) files.put(`${directory}/${name}`, name)
  await cache.list('x')
  await cache.list('y')
  t.ok(cache.fresh('x'))
  await cache.list('z')
  t.equal(cache.newest('y'), undefined)
  t.ok(cache.newest('x'))
  for (let index = 0; index < 50; index += 1) files.put(`huge/${index}`, 'x')
  await cache.list('huge')
  t.equal(cache.fresh('huge')?.entries.size, 50, 'one that is over the bound by itself is remembered alone')
  t.equal(cache.newest('x'), undefined)
})

void t.test('who tries again by themselves is told of a failure at once, others are not', async (t) => {
  const { files, cache } = rig()
  files.put('a', 'a')
  const gate = files.hold({ verb: 'list', path: '' })
  const once = cache.list('', { retry: false, maxAgeMs: 0 })
  const again = cache.list('', { retry: false, maxAgeMs: 10_000 })
  const reader = cache.list('', { maxAgeMs: 10_000 })
  gate.release()
  t.equal(await once, await again, 'both share one request')
  t.equal((await reader).entries.size, 1)
  t.same(
    files.calls.map(({ retry }) => retry),
    [false, true],
    'a reader waits for one that is repeated where it fails',
  )
  const patient = cache.list('', { maxAgeMs: 0 })
  const joined = cache.list('', { retry: false, maxAgeMs: 10_000 })
  await Promise.all([patient, joined])
  t.equal(files.count('list'), 3)
})
