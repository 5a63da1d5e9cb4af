/**
 * Programs on a filesystem that tells the prefetch what they do. Layer: test.
 *
 * Invariant: as the filesystem does, it tells before it asks, and asks for what it tells of.
 */
import { join } from 'node:path'
import { ContentCache } from '../../src/cache/content-cache.ts'
import { MetadataCache } from '../../src/cache/metadata-cache.ts'
import { OpenFiles } from '../../src/cache/open-files.ts'
import { Prefetch, type PrefetchOptions } from '../../src/prefetch/prefetch.ts'
import { nameOf, parentOf } from '../../src/remote-path.ts'
import { silentLogger } from '../../src/log.ts'
import { MemoryFiles, type MemoryFilesOptions } from '../contract/memory-files.ts'
import { FakeClock } from '../fake-clock.ts'

export class WalkRig {
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
      openFiles: new OpenFiles(100),
      ownTtlMs: 60_000,
      maxBytes: 1024 ** 3,
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

  async readDirectory(directory: string, thread?: number): Promise<string[]> {
    this.prefetch.didList(directory, thread)
    return [...(await this.listings.list(directory)).entries.keys()]
  }

  async stat(path: string): Promise<{ isDirectory: boolean }> {
    this.prefetch.didEnter(parentOf(path), nameOf(path))
    return (await this.listings.lookup(parentOf(path), nameOf(path))).entry!
  }

  /** Whether a name is there. */
  async test(path: string): Promise<boolean> {
    this.prefetch.didEnter(parentOf(path), nameOf(path))
    return (await this.listings.lookup(parentOf(path), nameOf(path))).entry !== undefined
  }

  async cat(path: string, thread?: number): Promise<string> {
    this.prefetch.didEnter(parentOf(path), nameOf(path))
    const { entry, ...seen } = await this.listings.lookup(parentOf(path), nameOf(path))
    this.prefetch.didOpen(path, thread)
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

export const numbered = (name: string, index: number): string => `${name}${String(index).padStart(4, '0')}`
