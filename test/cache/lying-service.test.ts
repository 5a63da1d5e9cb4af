/**
 * Bodies that are not as long as listed: longer, without a length, without an end.
 */
import t from 'tap'
import { ContentCache } from '../../src/cache/content-cache.ts'
import type { Content } from '../../src/cache/contents.ts'
import { MetadataCache } from '../../src/cache/metadata-cache.ts'
import { OpenFiles } from '../../src/cache/open-files.ts'
import type { Download, RemoteEntry } from '../../src/client/session-files.ts'
import { silentLogger } from '../../src/log.ts'
import { MemoryFiles } from '../contract/memory-files.ts'
import { FakeClock } from '../fake-clock.ts'
import { digits, text } from './content-rig.ts'

const pieceBytes = 64 * 1024

/** One file `a`: listed by the sizes given, one a listing and the last for good; delivered as the body says. */
class Lying {
  readonly clock = new FakeClock()
  readonly files = new MemoryFiles({ clock: this.clock })
  readonly contents: ContentCache
  readonly listings: MetadataCache
  readonly sizes: number[]
  delivered = 0
  ended = 0

  constructor(directory: string, sizes: number[], body: Buffer | 'endless', length: number | undefined) {
    this.sizes = sizes
    const { clock, files } = this
    files.put('a', 'x')
    const list = files.list.bind(files)
    files.list = async function* (path, options) {
      for await (const page of list(path, options)) yield page.map((entry) => ({ ...entry, size: size() }))
    }
    const size = (): number => (this.sizes.length > 1 ? this.sizes.shift()! : this.sizes[0]!)
    const download = files.download.bind(files)
    files.download = async (path, options): Promise<Download> => {
      const { serverDateMs } = await download(path, options)
      return { length, serverDateMs, body: this.#body(body, options?.signal) }
    }
    const common = { files, clock, ttlMs: 2000, logger: silentLogger }
    this.listings = new MetadataCache({ ...common, maxEntries: 10 })
    const openFiles = new OpenFiles(100)
    const sized = { openFiles, ownTtlMs: 60_000, maxBytes: 32 * 1024 * 1024, reserveBytes: 0 }
    this.contents = new ContentCache({ ...common, ...sized, listings: this.listings, directory })
  }

  async *#body(body: Buffer | 'endless', signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    try {
      const piece = Buffer.alloc(pieceBytes, 'e')
      if (body === 'endless')
        for (;;) {
          await new Promise(setImmediate)
          signal?.throwIfAborted()
          this.delivered += piece.length
          yield piece
        }
      this.delivered += body.length
      yield body
    } finally {
      this.ended += 1
    }
  }

  async open(): Promise<{ content: Content; listed: RemoteEntry }> {
    const { entry, ...seen } = await this.listings.lookup('', 'a')
    return { content: this.contents.open('a', entry!, seen).content, listed: entry! }
  }
}

for (const length of [20, undefined])
  void t.test(
    `longer than listed, its length ${length ?? 'not'} given: the delivered length is the file's`,
    async (t) => {
      const service = new Lying(t.testdir(), [10], Buffer.from(digits(20)), length)
      const { content, listed } = await service.open()
      t.equal(await text(content, 0, 10), digits(10))
      t.equal(content.size, 20, 'which is known before the last listed byte is given')
      t.equal(await text(content), digits(20))
      t.equal(service.files.count('list'), 2, 'one more listing')
      t.equal(service.contents.sizeOf('a', listed), 20)
      t.equal(service.contents.sizeOf('a', { ...listed, size: 11 }), 11, 'another file is not')
      content.release()
      t.equal(service.contents.sizeOf('a', listed), 20)
    },
  )

void t.test('listings that flap between two sizes tear nothing: one download, one size', async (t) => {
  const service = new Lying(t.testdir(), [10, 20, 10, 20, 10], Buffer.from(digits(20)), 20)
  for (let open = 0; open < 3; open++) {
    const { content } = await service.open()
    t.equal(await text(content), digits(20))
    t.equal(content.size, 20)
    content.release()
    service.clock.advance(3000)
  }
})

void t.test('a body without an end is stopped, and the file is as long as two listings say', async (t) => {
  const service = new Lying(t.testdir(), [100], 'endless', undefined)
  const { content } = await service.open()
  t.equal(await text(content, 0, 4096), 'e'.repeat(100))
  t.equal(content.size, 100)
  t.equal(service.ended, 1)
  t.equal(service.files.count('list'), 2)
  t.ok(service.delivered <= 1024 * 1024 + 2 * pieceBytes, `${service.delivered} bytes`)
  t.equal(service.contents.bytes, 4096)
  content.release()
})

void t.test('it is followed as far as a newer listing goes', async (t) => {
  const service = new Lying(t.testdir(), [100, 300_000], 'endless', undefined)
  const { content } = await service.open()
  t.equal((await content.read(0, 400_000)).length, 300_000)
  t.equal(content.size, 300_000)
  content.release()
})

void t.test('what is under way counts, and ends when nobody has it open', async (t) => {
  const service = new Lying(t.testdir(), [100], 'endless', 547_000_000)
  const { content } = await service.open()
  const reading = Promise.resolve(content.read(0, 100)).catch((error: unknown) => error)
  while (service.delivered < 4_000_000) await new Promise(setImmediate)
  t.ok(service.contents.bytes > 3_000_000, `${service.contents.bytes} bytes`)
  content.release()
  while (service.ended === 0) await new Promise(setImmediate)
  t.match(await reading, { code: 'aborted' })
  t.equal(service.contents.bytes, 0)
})

void t.test('a read far ahead that is given up costs no more once nobody has the file open', async (t) => {
  const size = 30_000_000
  const service = new Lying(t.testdir(), [size], 'endless', size)
  const head = await service.open()
  t.equal((await head.content.read(0, 4096)).length, 4096)
  head.content.release()
  t.ok(service.delivered <= 4 * pieceBytes, `${service.delivered} bytes for the start`)
  const tail = await service.open()
  const ending = new AbortController()
  const reading = Promise.resolve(tail.content.read(size - 4096, 4096, ending.signal)).catch(String)
  while (service.delivered < 3_000_000) await new Promise(setImmediate)
  ending.abort(new Error('Ctrl-C'))
  t.match(await reading, /interrupted/)
  tail.content.release()
  const { delivered } = service
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
  t.ok(
    service.delivered <= delivered + 2 * pieceBytes,
    `${service.delivered - delivered} bytes after the close`,
  )
  t.equal(service.contents.bytes, 0)
})
