/**
 * Walks are fetched ahead of; single steps fetch nothing but themselves.
 */
import { join } from 'node:path'
import t from 'tap'
import { ContentCache } from '../../src/cache/content-cache.ts'
import { MetadataCache } from '../../src/cache/metadata-cache.ts'
import { Prefetch, type PrefetchOptions } from '../../src/cache/prefetch.ts'
import { nameOf, parentOf } from '../../src/cache/walk.ts'
import { silentLogger } from '../../src/log.ts'
import { MemoryFiles, type MemoryFilesOptions } from '../contract/memory-files.ts'
import { FakeClock } from '../fake-clock.ts'

/** Programs on a filesystem that tells the prefetch what they do. */
class Rig {
  readonly clock = new FakeClock()
  readonly files: MemoryFiles
  readonly listings: MetadataCache
  readonly contents: ContentCache
  readonly prefetch: Prefetch

  constructor(directory: string, options: Partial<PrefetchOptions> = {}, files: MemoryFilesOptions = {}) {
    const { clock } = this
    const ttlMs = options.ttlMs ?? 2_000
    this.files = new MemoryFiles({ clock, ...files })
    const common = { files: this.files, clock, ttlMs, logger: silentLogger }
    this.listings = new MetadataCache({ ...common, maxEntries: 100_000 })
    this.contents = new ContentCache({
      ...common,
      listings: this.listings,
      directory: join(directory, 'cache'),
      reserveBytes: 0,
    })
    this.prefetch = new Prefetch({
      clock,
      ttlMs,
      listings: this.listings,
      contents: this.contents,
      ...options,
    })
  }

  /** `directories` of them with `each` files of a few bytes. */
  plant(directories: number, each: number): void {
    for (let index = 0; index < directories; index += 1)
      for (let file = 0; file < each; file += 1)
        this.files.put(`tree/${numbered('dir', index)}/${numbered('file', file)}`, `content ${file}`)
  }

  async readDirectory(directory: string): Promise<string[]> {
    this.prefetch.didList(directory)
    return [...(await this.listings.list(directory)).entries.keys()]
  }

  async stat(path: string): Promise<{ isDirectory: boolean }> {
    this.prefetch.didEnter(parentOf(path))
    return (await this.listings.lookup(parentOf(path), nameOf(path))).entry!
  }

  async cat(path: string): Promise<string> {
    this.prefetch.didEnter(parentOf(path))
    const { entry, ...seen } = await this.listings.lookup(parentOf(path), nameOf(path))
    this.prefetch.didOpen(path)
    const { content } = this.contents.open(path, entry!, seen)
    const bytes = await content.read(0, 1_000_000)
    content.release()
    return Buffer.from(bytes).toString()
  }

  /** As `find` and `grep -r` go: what is in a directory as it comes, into directories at once. */
  async walk(directory: string, visit: (path: string) => Promise<unknown>): Promise<void> {
    for (const name of await this.readDirectory(directory)) {
      const path = `${directory}/${name}`
      this.clock.advance(1)
      if ((await this.stat(path)).isDirectory) await this.walk(path, visit)
      else await visit(path)
    }
  }

  async pause(): Promise<void> {
    this.clock.advance(100)
    await new Promise(setImmediate)
  }
}

const numbered = (name: string, index: number): string => `${name}${String(index).padStart(4, '0')}`

void t.test('reading a tree of directories lists each once, many at a time', async (t) => {
  const rig = new Rig(t.testdir())
  rig.plant(50, 2)
  await rig.walk('tree', () => Promise.resolve())
  t.equal(rig.files.count('list'), 51)
  t.equal(rig.files.count('download'), 0)
  t.ok(rig.files.maxRunning >= 20, `${rig.files.maxRunning} at a time`)
  t.ok(
    rig.files.calls.slice(2).every((call) => call.priority === -1),
    'all but the first two were fetched ahead, after everything else',
  )
})

void t.test('reading all files of a tree downloads each once, many at a time', async (t) => {
  const rig = new Rig(t.testdir())
  rig.plant(50, 20)
  const seen: string[] = []
  await rig.walk('tree', async (path) => seen.push(await rig.cat(path)))
  t.equal(seen.length, 1000)
  t.equal(rig.files.count('list'), 51)
  t.equal(rig.files.count('download'), 1000)
  t.ok(rig.files.maxRunning >= 20, `${rig.files.maxRunning} at a time`)
  const waited = rig.files.calls.filter((call) => call.verb === 'download' && call.priority === 0)
  t.ok(waited.length <= 5, `${waited.length} were waited for`)
})

void t.test('a second walk over what is still good sends nothing', async (t) => {
  const rig = new Rig(t.testdir(), { ttlMs: 60_000 })
  rig.plant(10, 20)
  const visit = (path: string): Promise<string> => rig.cat(path)
  await rig.walk('tree', visit)
  rig.files.resetCalls()
  await rig.walk('tree', visit)
  t.equal(rig.files.count(), 0)
})

void t.test('a walk after the ttl asks for each thing once more', async (t) => {
  const rig = new Rig(t.testdir())
  rig.plant(10, 20)
  const visit = (path: string): Promise<string> => rig.cat(path)
  await rig.walk('tree', visit)
  rig.clock.advance(10_000)
  rig.files.resetCalls()
  await rig.walk('tree', visit)
  t.equal(rig.files.count('list'), 11)
  t.equal(rig.files.count('download'), 200)
  t.ok(rig.files.maxRunning >= 20, `${rig.files.maxRunning} at a time`)
})

void t.test('one directory among siblings is one listing', async (t) => {
  const rig = new Rig(t.testdir())
  rig.plant(50, 2)
  await rig.readDirectory('tree')
  await rig.pause()
  rig.files.resetCalls()
  await rig.stat('tree/dir0000')
  await rig.readDirectory('tree/dir0000')
  await rig.pause()
  await rig.readDirectory('tree/dir0017')
  await rig.pause()
  t.equal(rig.files.count('list'), 2)
})

void t.test('one file among a thousand is one download', async (t) => {
  const rig = new Rig(t.testdir())
  rig.plant(1, 1000)
  await rig.readDirectory('tree/dir0000')
  await rig.pause()
  await rig.cat('tree/dir0000/file0000')
  await rig.pause()
  await rig.cat('tree/dir0000/file0500')
  await rig.pause()
  t.equal(rig.files.count('download'), 2)
})

void t.test('two neighbours fetch little ahead, a row of them more and more', async (t) => {
  const rig = new Rig(t.testdir())
  rig.plant(1, 200)
  for (const index of [10, 11]) await rig.cat(`tree/dir0000/${numbered('file', index)}`)
  await rig.pause()
  t.equal(rig.files.count('download'), 4)
  for (let index = 12; index < 30; index += 1) await rig.cat(`tree/dir0000/${numbered('file', index)}`)
  await rig.pause()
  t.ok(rig.files.count('download') >= 45, `${rig.files.count('download')} so far`)
  for (let index = 30; index < 200; index += 1) await rig.cat(`tree/dir0000/${numbered('file', index)}`)
  t.equal(rig.files.count('download'), 190)
})

void t.test('steps that are far apart in time are no walk', async (t) => {
  const rig = new Rig(t.testdir())
  rig.plant(1, 20)
  for (const index of [1, 2, 3, 4]) {
    await rig.cat(`tree/dir0000/${numbered('file', index)}`)
    rig.clock.advance(2_001)
  }
  t.equal(rig.files.count('download'), 4)
})

void t.test('a walk by name through a service that lists otherwise is followed, too', async (t) => {
  const rig = new Rig(t.testdir(), {}, { order: (names) => names.sort().reverse() })
  rig.plant(1, 100)
  const names = (await rig.readDirectory('tree/dir0000')).sort()
  for (const name of names) await rig.cat(`tree/dir0000/${name}`)
  t.equal(rig.files.count('download'), 100)
  const waited = rig.files.calls.filter((call) => call.verb === 'download' && call.priority === 0)
  t.ok(waited.length <= 3, `${waited.length} were waited for`)
})

void t.test('looking up one name in one directory after the other is a walk', async (t) => {
  const rig = new Rig(t.testdir())
  rig.plant(40, 1)
  await rig.readDirectory('tree')
  for (let index = 0; index < 40; index += 1) await rig.stat(`tree/${numbered('dir', index)}/file0000`)
  t.equal(rig.files.count('list'), 41)
  t.ok(rig.files.maxRunning >= 8, `${rig.files.maxRunning} at a time`)
})

void t.test('what is fetched ahead ends when the walk does', async (t) => {
  const rig = new Rig(t.testdir())
  rig.plant(50, 2)
  await rig.readDirectory('tree')
  const gate = rig.files.hold({ verb: 'list' })
  const first = rig.readDirectory('tree/dir0000')
  await gate.arrived(20)
  gate.releaseOne()
  await first
  rig.clock.advance(2_000)
  await rig.pause()
  t.equal(gate.waiting, 0)
  gate.release()
  await rig.pause()
  t.equal(rig.files.running, 0)
  t.equal(rig.clock.waiting, 0, 'no timer is left')
})

void t.test('a walk that leaves out most files is given up', async (t) => {
  const rig = new Rig(t.testdir())
  rig.plant(1, 500)
  await rig.readDirectory('tree/dir0000')
  await rig.cat('tree/dir0000/file0000')
  for (let index = 10; index < 500; index += 10) {
    rig.clock.advance(300)
    await rig.cat(`tree/dir0000/${numbered('file', index)}`)
  }
  t.ok(rig.files.count('download') < 50 + 128, `${rig.files.count('download')} downloads for 50 files`)
})

void t.test('what is ahead stays within its bytes, and big files are left out', async (t) => {
  const rig = new Rig(t.testdir(), { limits: { bytes: 10_000, fileBytes: 4_000 } })
  for (let index = 0; index < 20; index += 1)
    rig.files.put(`d/${numbered('file', index)}`, new Uint8Array(3_000))
  rig.files.put('d/file0000a', new Uint8Array(5_000))
  await rig.readDirectory('d')
  await rig.cat('d/file0000')
  await rig.pause()
  t.equal(rig.files.count('download'), 5)
  t.equal(rig.files.count('download', 'd/file0000a'), 0)
})

void t.test('what the local side knows better is not fetched', async (t) => {
  const rig = new Rig(t.testdir(), { isLocal: (path) => path.endsWith('2') })
  rig.plant(1, 5)
  await rig.readDirectory('tree/dir0000')
  await rig.cat('tree/dir0000/file0000')
  await rig.pause()
  t.equal(rig.files.count('download'), 4)
})

void t.test('with ttl 0 nothing is fetched ahead', async (t) => {
  const rig = new Rig(t.testdir(), { ttlMs: 0 })
  rig.plant(3, 3)
  await rig.walk('tree', (path) => rig.cat(path))
  t.equal(rig.files.count('download'), 9)
  t.ok(rig.files.calls.every((call) => call.priority === 0))
})

void t.test('the way ahead is looked at once, not at every step', async (t) => {
  let looks = 0
  const rig = new Rig(t.testdir(), { ttlMs: 60_000 })
  rig.plant(1, 2_000)
  const names = await rig.readDirectory('tree/dir0000')
  const prefetch = new Prefetch({
    clock: rig.clock,
    ttlMs: 60_000,
    listings: rig.listings,
    contents: {
      isCurrent: () => {
        looks += 1
        return true
      },
      fetch: () => Promise.reject(new Error('nothing is to be fetched')),
    },
  })
  for (const name of names) prefetch.didOpen(`tree/dir0000/${name}`)
  t.ok(looks <= 2_000, `${looks} looks at 2000 files`)
})
