/**
 * Contents are downloaded once, served while they arrive, and never outlive their proof.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ContentCache, type ContentCacheOptions } from '../../src/cache/content-cache.ts'
import type { Content } from '../../src/cache/contents.ts'
import { MetadataCache } from '../../src/cache/metadata-cache.ts'
import type { RemoteEntry } from '../../src/client/session-files.ts'
import { silentLogger } from '../../src/log.ts'
import { MemoryFiles, type MemoryFilesOptions } from '../contract/memory-files.ts'
import { FakeClock } from '../fake-clock.ts'

class Rig {
  readonly clock = new FakeClock()
  readonly files: MemoryFiles
  readonly listings: MetadataCache
  readonly contents: ContentCache
  readonly directory: string
  readonly changed: string[] = []

  constructor(directory: string, options: Partial<ContentCacheOptions> = {}, files: MemoryFilesOptions = {}) {
    this.directory = directory
    this.files = new MemoryFiles({ clock: this.clock, chunkBytes: 10, ...files })
    const { clock } = this
    const ttlMs = options.ttlMs ?? 2_000
    this.listings = new MetadataCache({
      files: this.files,
      clock,
      ttlMs,
      maxEntries: 1000,
      logger: silentLogger,
    })
    this.contents = new ContentCache({
      files: this.files,
      listings: this.listings,
      clock,
      logger: silentLogger,
      directory: join(directory, 'cache'),
      ttlMs,
      reserveBytes: 0,
      onChanged: (path) => this.changed.push(path),
      ...options,
    })
  }

  /** As the filesystem opens a file at the root: by its name in a listing. */
  async open(name: string): Promise<{ content: Content; unchanged: boolean; listed: RemoteEntry }> {
    const { entry, ...seen } = await this.listings.lookup('', name)
    return { ...this.contents.open(name, entry!, seen), listed: entry! }
  }

  async isCurrent(name: string): Promise<boolean> {
    const { entry, ...seen } = await this.listings.lookup('', name)
    return this.contents.isCurrent(name, entry!, seen)
  }

  /** Opens, reads all, releases. */
  async cat(name: string): Promise<string> {
    const { content } = await this.open(name)
    try {
      return await text(content)
    } finally {
      content.release()
    }
  }

  /** What lies in the cache directory. */
  get stored(): string[] {
    return readdirSync(join(this.directory, 'cache'))
  }

  /** True once no more than `count` files lie there: what is of no use any more is removed soon. */
  async keeps(count: number): Promise<boolean> {
    for (let turn = 0; turn < 10_000; turn += 1) {
      if (this.stored.length <= count) return this.stored.length === count
      await new Promise(setImmediate)
    }
    return false
  }
}

async function text(content: Content, offset = 0, length = 1_000_000): Promise<string> {
  return Buffer.from(await content.read(offset, length)).toString()
}

const digits = (count: number): string => '0123456789'.repeat(Math.ceil(count / 10)).slice(0, count)

void t.test('one download serves all readers and every later open within the ttl', async (t) => {
  const rig = new Rig(t.testdir())
  rig.files.put('a', digits(45))
  const one = await rig.open('a')
  const two = await rig.open('a')
  t.equal(one.unchanged, false)
  t.equal(two.unchanged, true)
  t.same(await Promise.all([text(one.content), text(two.content)]), [digits(45), digits(45)])
  t.ok(one.content.complete)
  t.equal(one.content.size, 45)
  one.content.release()
  two.content.release()
  const three = await rig.open('a')
  t.ok(three.content.read(40, 100) instanceof Uint8Array, 'what is on the disk is answered at once')
  t.equal(await text(three.content, 40), '01234')
  t.equal(await text(three.content, 45), '')
  t.equal(rig.files.count('download'), 1)
})

void t.test('a download starts with the first read', async (t) => {
  const rig = new Rig(t.testdir())
  rig.files.put('a', 'abc')
  const { content } = await rig.open('a')
  t.equal(content.size, 3)
  t.notOk(content.complete)
  content.release()
  t.equal(rig.files.count('download'), 0)
})

void t.test('a read waits for its own part only, near and far', async (t) => {
  const rig = new Rig(t.testdir())
  rig.files.put('a', digits(100))
  const gate = rig.files.hold({ verb: 'download', path: 'a', afterBytes: 50 })
  const { content } = await rig.open('a')
  const far = text(content, 90, 10)
  const near = text(content, 5, 10)
  t.equal(await near, '5678901234')
  await gate.arrived()
  t.equal(await text(content, 40, 10), digits(10))
  t.notOk(content.complete)
  gate.release()
  t.equal(await far, digits(10))
  t.equal(rig.files.count('download'), 1)
})

void t.test('the download ends with its last holder, and its bytes go', async (t) => {
  const rig = new Rig(t.testdir(), {}, { chunkBytes: 65_536 })
  rig.files.put('a', new Uint8Array(1_000_000))
  const gate = rig.files.hold({ verb: 'download', path: 'a', afterBytes: 131_072 })
  const one = await rig.open('a')
  const two = await rig.open('a')
  t.equal((await one.content.read(0, 100)).length, 100)
  await gate.arrived()
  one.content.release()
  one.content.release()
  t.equal(gate.waiting, 1, 'one still holds it')
  two.content.release()
  t.equal(gate.waiting, 0)
  t.ok(await rig.keeps(0))
  gate.release()
  t.equal(await rig.cat('a').then((all) => all.length), 1_000_000)
  t.equal(rig.files.count('download'), 2)
})

void t.test('a download whose last bytes are on their way is left to end', async (t) => {
  const rig = new Rig(t.testdir())
  rig.files.put('a', digits(100))
  const gate = rig.files.hold({ verb: 'download', path: 'a', afterBytes: 50 })
  const { content } = await rig.open('a')
  await content.read(0, 10)
  await gate.arrived()
  content.release()
  gate.release()
  t.equal(await rig.cat('a'), digits(100))
  t.equal(rig.files.count('download'), 1)
})

void t.test("a reader's signal ends that reader alone", async (t) => {
  const rig = new Rig(t.testdir())
  rig.files.put('a', digits(30))
  const gate = rig.files.hold({ verb: 'download', path: 'a' })
  const { content } = await rig.open('a')
  const controller = new AbortController()
  const gone = Promise.resolve(content.read(0, 10, controller.signal))
  const stays = text(content)
  await gate.arrived()
  controller.abort()
  await t.rejects(gone, { code: 'aborted' })
  await t.rejects(Promise.resolve(content.read(0, 10, AbortSignal.abort())), { code: 'aborted' })
  gate.release()
  t.equal(await stays, digits(30))
})

void t.test('a read fails after 20 s without a byte, and a later one begins again', async (t) => {
  const rig = new Rig(t.testdir())
  rig.files.put('a', digits(100))
  const gate = rig.files.hold({ verb: 'download', path: 'a', afterBytes: 50 })
  const { content } = await rig.open('a')
  t.equal(await text(content, 0, 50), digits(50))
  await gate.arrived()
  const waits = text(content, 50, 10)
  rig.clock.advance(19_999)
  t.equal(gate.waiting, 1)
  rig.clock.advance(1)
  await t.rejects(waits, { code: 'timeout' })
  t.equal(gate.waiting, 0)
  gate.release()
  t.equal(await text(content, 50, 10), digits(10))
  t.equal(rig.files.count('download'), 2)
})

void t.test('whoever began to wait later gets the whole limit', async (t) => {
  const rig = new Rig(t.testdir())
  rig.files.put('a', digits(100))
  const gate = rig.files.hold({ verb: 'download', path: 'a', afterBytes: 50 })
  const { content } = await rig.open('a')
  const early = text(content, 50, 10)
  await gate.arrived()
  rig.clock.advance(15_000)
  const late = text(content, 50, 10)
  rig.clock.advance(5_000)
  await t.rejects(early, { code: 'timeout' })
  await gate.arrived(2)
  gate.release()
  t.equal(await late, digits(10))
})

void t.test('unproven content is fetched again after the ttl, proven content is not', async (t) => {
  const rig = new Rig(t.testdir(), {}, { modified: 'real' })
  rig.files.put('a', 'abc')
  rig.clock.advance(10_000)
  t.equal(await rig.cat('a'), 'abc')
  rig.clock.advance(3_000)
  t.equal(await rig.cat('a'), 'abc')
  const { content, unchanged } = await rig.open('a')
  t.ok(unchanged)
  content.release()
  t.equal(rig.files.count('download'), 1)
  rig.files.modified = 'zero'
  rig.clock.advance(3_000)
  t.notOk(await rig.isCurrent('a'), 'another time is another file')
  t.equal(await rig.cat('a'), 'abc')
  rig.clock.advance(2_000)
  t.notOk(await rig.isCurrent('a'))
  t.equal(await rig.cat('a'), 'abc')
  t.equal(rig.files.count('download'), 3)
  t.same(rig.changed, [], 'the bytes were the same')
})

void t.test('a change of the same size without a time is told by its bytes', async (t) => {
  const rig = new Rig(t.testdir())
  rig.files.put('a', digits(40))
  t.equal(await rig.cat('a'), digits(40))
  rig.files.put('a', `${digits(35)}xxxxx`)
  t.equal(await rig.cat('a'), digits(40), 'within the ttl')
  rig.clock.advance(2_000)
  const { content, unchanged } = await rig.open('a')
  t.notOk(unchanged)
  t.equal(await text(content), `${digits(35)}xxxxx`)
  t.same(rig.changed, ['a'])
})

void t.test('an empty file needs no download', async (t) => {
  const rig = new Rig(t.testdir())
  rig.files.put('a', '')
  const { content } = await rig.open('a')
  t.ok(content.complete)
  t.equal(await text(content), '')
  t.equal(readFileSync(await content.whole()).length, 0)
  rig.clock.advance(100_000)
  t.ok(await rig.isCurrent('a'))
  t.equal(rig.files.count('download'), 0)
})

void t.test('our own upload is trusted for a minute while the size agrees', async (t) => {
  const rig = new Rig(t.testdir())
  const spool = join(rig.directory, 'spool')
  writeFileSync(spool, 'ours')
  rig.files.put('a', 'ours')
  rig.contents.adopt('a', spool, 4)
  writeFileSync(spool + '2', 'x')
  rig.clock.advance(60_000)
  t.ok(await rig.isCurrent('a'))
  t.equal(await rig.cat('a'), 'ours')
  t.equal(rig.files.count('download'), 0)
  rig.clock.advance(1)
  t.notOk(await rig.isCurrent('a'))
  t.equal(await rig.cat('a'), 'ours')
  t.equal(rig.files.count('download'), 1)
  rig.contents.adopt('a', spool, 4)
  rig.files.put('a', 'theirs')
  rig.clock.advance(3_000)
  t.equal(await rig.cat('a'), 'theirs')
})

void t.test('our own upload that is overwritten within the same size shows by its time', async (t) => {
  const rig = new Rig(t.testdir(), {}, { modified: 'real' })
  const spool = join(rig.directory, 'spool')
  writeFileSync(spool, 'ours')
  rig.files.put('a', 'ours')
  rig.contents.adopt('a', spool, 4)
  t.equal(await rig.cat('a'), 'ours')
  rig.clock.advance(3_000)
  rig.files.put('a', 'them')
  t.equal(await rig.cat('a'), 'them')
})

void t.test('a file that grows is taken at the length that came', async (t) => {
  const rig = new Rig(t.testdir())
  rig.files.put('a', digits(40))
  const { content } = await rig.open('a')
  rig.files.put('a', digits(60))
  t.equal(await text(content), digits(60))
  t.equal(content.size, 60)
  t.equal(rig.files.count('list'), 2)
  t.equal(rig.files.count('download'), 1)
  t.ok(await rig.isCurrent('a'))
})

void t.test('less than a stable listed size, twice, is a failure that names the cut', async (t) => {
  const rig = new Rig(t.testdir())
  rig.files.put('a', digits(40))
  rig.files.fail({ verb: 'download', error: 'truncated', afterBytes: 20, times: 2 })
  const { content } = await rig.open('a')
  await t.rejects(text(content), { code: 'truncated', message: /20 of 40/ })
  t.equal(await text(content, 0, 20), digits(20), 'what came can be read')
  await t.rejects(text(content), { code: 'truncated' })
  t.equal(rig.files.count('download'), 2)
  t.equal(await rig.cat('a'), digits(40), 'a new open tries again')
})

void t.test('a body that breaks goes on from a new download that agrees', async (t) => {
  const rig = new Rig(t.testdir())
  rig.files.put('a', digits(40))
  rig.files.fail({ verb: 'download', error: 'network', afterBytes: 25 })
  const { content } = await rig.open('a')
  t.equal(await text(content, 0, 5), '01234')
  t.equal(await text(content), digits(40))
  t.equal(rig.files.count('download'), 2)
})

void t.test('a new download that contradicts what was handed out fails', async (t) => {
  const rig = new Rig(t.testdir())
  rig.files.put('a', digits(40))
  const gate = rig.files.hold({ verb: 'download', path: 'a', afterBytes: 25 })
  rig.files.fail({ verb: 'download', error: 'network', afterBytes: 25 })
  const { content } = await rig.open('a')
  t.equal(await text(content, 0, 20), digits(20))
  await gate.arrived()
  rig.files.put('a', `${digits(15)}${digits(25)}`)
  const rest = text(content)
  gate.release()
  await t.rejects(rest, { code: 'truncated' })
  t.equal(await rig.cat('a'), `${digits(15)}${digits(25)}`)
})

void t.test('a new download may replace what nobody has seen', async (t) => {
  const rig = new Rig(t.testdir())
  rig.files.put('a', digits(40))
  const gate = rig.files.hold({ verb: 'download', path: 'a', afterBytes: 25 })
  rig.files.fail({ verb: 'download', error: 'network', afterBytes: 25 })
  const { content } = await rig.open('a')
  t.equal(await text(content, 0, 10), digits(10))
  await gate.arrived()
  rig.files.put('a', `${digits(15)}${digits(25)}`)
  const rest = text(content)
  gate.release()
  t.equal(await rest, `${digits(15)}${digits(25)}`)
})

void t.test('a big content that begins again is compared with what is on the disk', async (t) => {
  const rig = new Rig(t.testdir(), {}, { chunkBytes: 65_536 })
  const before = digits(300_000)
  for (const name of ['same', 'seen', 'unseen']) rig.files.put(name, before)
  rig.files.fail({ verb: 'download', path: 'same', error: 'network', afterBytes: 200_000 })
  t.equal(await rig.cat('same'), before)
  for (const [name, place] of [
    ['unseen', 150_000],
    ['seen', 90_000],
  ] as const) {
    const gate = rig.files.hold({ verb: 'download', path: name, afterBytes: 200_000 })
    rig.files.fail({ verb: 'download', path: name, error: 'network', afterBytes: 200_000 })
    const { content } = await rig.open(name)
    t.equal(await text(content, 0, 100_000), digits(100_000))
    await gate.arrived()
    const after = `${before.slice(0, place)}x${before.slice(place + 1)}`
    rig.files.put(name, after)
    const all = text(content)
    gate.release()
    if (name === 'seen') await t.rejects(all, { code: 'truncated' })
    else t.equal(await all, after)
    content.release()
  }
})

void t.test('a failure that is not for good leaves the content to a later read', async (t) => {
  const rig = new Rig(t.testdir())
  rig.files.put('a', digits(40))
  rig.files.fail({ verb: 'download', error: 'server_error' })
  const { content } = await rig.open('a')
  await t.rejects(text(content), { code: 'server_error' })
  t.equal(rig.files.count('download'), 1, 'the start has had the attempts of the client')
  t.equal(await text(content), digits(40))
})

void t.test('what we uploaded and the service gives back cut is served from our own bytes', async (t) => {
  const rig = new Rig(t.testdir())
  const spool = join(rig.directory, 'spool')
  writeFileSync(spool, digits(40))
  rig.files.put('a', digits(40))
  rig.contents.adopt('a', spool, 40)
  rig.clock.advance(60_001)
  rig.files.fail({ verb: 'download', error: 'truncated', afterBytes: 20, times: 2 })
  t.equal(await rig.cat('a'), digits(40))
  rig.clock.advance(1_000_000)
  t.equal(await rig.cat('a'), digits(40))
  t.equal(rig.files.count('download'), 2, 'and the service is not asked again')
  t.ok(await rig.keeps(1))
  rig.files.put('a', digits(50))
  rig.clock.advance(2_000)
  t.equal(await rig.cat('a'), digits(50))
})

void t.test('our own bytes are not served where those that came differ', async (t) => {
  const rig = new Rig(t.testdir())
  const spool = join(rig.directory, 'spool')
  writeFileSync(spool, digits(40))
  rig.files.put('a', `x${digits(39)}`)
  rig.contents.adopt('a', spool, 40)
  rig.clock.advance(60_001)
  rig.files.fail({ verb: 'download', error: 'truncated', afterBytes: 20, times: 2 })
  await t.rejects(rig.cat('a'), { code: 'truncated' })
  t.same(rig.changed, ['a'])
})

void t.test('the least recently used contents make way, those that are open never', async (t) => {
  const rig = new Rig(t.testdir(), { maxBytes: 3 * 4096 })
  for (const name of ['a', 'b', 'c', 'd']) rig.files.put(name, name)
  const { content } = await rig.open('a')
  await text(content)
  for (const name of ['b', 'c', 'd']) await rig.cat(name)
  t.equal(rig.contents.bytes, 3 * 4096, 'b went')
  t.equal(await text(content), 'a')
  await rig.cat('c')
  await rig.cat('d')
  t.equal(rig.files.count('download'), 4)
  await rig.cat('b')
  t.equal(rig.files.count('download', 'b'), 2)
  content.release()
  t.ok(rig.contents.bytes <= 3 * 4096)
})

void t.test('a small content that is fetched ahead takes no file', async (t) => {
  const rig = new Rig(t.testdir())
  rig.files.put('a', 'content')
  const { entry, ...seen } = await rig.listings.lookup('', 'a')
  await rig.contents.fetch('a', entry!, seen, new AbortController().signal)
  t.strictSame(rig.stored, [])
  t.equal(await rig.cat('a'), 'content')
  t.equal(rig.files.count('download'), 1)
  t.strictSame(rig.stored, [])
})

void t.test('small contents beyond what memory is for lie on the disk', async (t) => {
  const rig = new Rig(t.testdir(), {}, { chunkBytes: 65_536 })
  for (let index = 0; index < 600; index += 1) rig.files.put(`f${index}`, digits(60_000))
  for (let index = 0; index < 600; index += 1) await rig.cat(`f${index}`)
  t.ok(rig.stored.length > 0)
  t.equal(await rig.cat('f0'), digits(60_000))
  t.equal(rig.files.count('download'), 600)
})

void t.test('the reserve of the disk is left alone', async (t) => {
  const rig = new Rig(t.testdir(), { reserveBytes: Number.MAX_SAFE_INTEGER })
  rig.files.put('a', new Uint8Array(100_000))
  rig.files.put('b', 'abc')
  const failure: unknown = await rig.cat('a').catch((error: unknown) => error)
  t.match(failure, { name: 'CacheDiskError', reason: 'diskFull' })
  t.ok(await rig.keeps(0))
  t.equal(await rig.cat('b'), 'abc', 'a small file needs no disk')
})

void t.test('a local file of all of it stays until the release, whatever happens to the path', async (t) => {
  const rig = new Rig(t.testdir())
  rig.files.put('a', digits(40))
  const { content } = await rig.open('a')
  const path = await content.whole()
  rig.contents.drop('a')
  t.equal(readFileSync(path, 'utf8'), digits(40))
  content.release()
  t.ok(await rig.keeps(0))
})

void t.test('what a run before has left is removed', (t) => {
  const directory = t.testdir()
  mkdirSync(join(directory, 'cache'))
  writeFileSync(join(directory, 'cache', 'old'), 'x')
  t.same(new Rig(directory).stored, [])
  t.end()
})

void t.test('a fetch ahead goes last, is joined by a reader, and ends with its signal', async (t) => {
  const rig = new Rig(t.testdir())
  rig.files.put('a', digits(40))
  const gate = rig.files.hold({ verb: 'download', path: 'a' })
  const { entry, ...seen } = await rig.listings.lookup('', 'a')
  const controller = new AbortController()
  const ahead = rig.contents.fetch('a', entry!, seen, controller.signal)
  await gate.arrived()
  t.equal(rig.files.calls.at(-1)?.priority, -1)
  const { content, unchanged } = await rig.open('a')
  t.notOk(unchanged)
  const read = text(content)
  controller.abort()
  await t.rejects(ahead, { code: 'aborted' })
  gate.release()
  t.equal(await read, digits(40))
  content.release()
  t.equal(rig.files.count('download'), 1)

  rig.clock.advance(5_000)
  const held = rig.files.hold({ verb: 'download', path: 'a' })
  const again = new AbortController()
  const answer = await rig.listings.lookup('', 'a')
  const alone = rig.contents.fetch('a', answer.entry!, answer, again.signal)
  await held.arrived()
  again.abort()
  await t.rejects(alone, { code: 'aborted' })
  t.equal(held.waiting, 0)
})

void t.test('with ttl 0 an open never joins what was asked for before it', async (t) => {
  const rig = new Rig(t.testdir(), { ttlMs: 0 })
  rig.files.put('a', 'one')
  t.equal(await rig.cat('a'), 'one')
  rig.files.put('a', 'two')
  t.equal(await rig.cat('a'), 'two')
  t.equal(rig.files.count('download'), 2)
})

void t.test(
  'open handles stay with a content while it arrives, and for nine parts of ten after',
  async (t) => {
    const rig = new Rig(t.testdir())
    rig.files.put('a', digits(45))
    t.equal(rig.contents.restMs('a'), 0)
    const gate = rig.files.hold({ verb: 'download' })
    const { content } = await rig.open('a')
    t.equal(rig.contents.restMs('a'), 0, 'nothing has begun')
    const reading = text(content)
    await gate.arrived(1)
    rig.clock.advance(300)
    t.equal(rig.contents.restMs('a'), Infinity)
    gate.release()
    await reading
    t.equal(rig.contents.restMs('a'), 3_000)
    rig.clock.advance(3_000)
    t.equal(rig.contents.restMs('a'), 0)
    content.release()
  },
)
