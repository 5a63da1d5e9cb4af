/**
 * A cache of contents over a service in memory, opened and read as the filesystem does. Layer: tests.
 *
 * Invariant: time passes only when a test says so; the service counts what it is asked.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ContentCache, type ContentCacheOptions } from '../../src/cache/content-cache.ts'
import type { Content } from '../../src/cache/contents.ts'
import { MetadataCache } from '../../src/cache/metadata-cache.ts'
import { OpenFiles } from '../../src/cache/open-files.ts'
import type { RemoteEntry } from '../../src/client/session-files.ts'
import { silentLogger } from '../../src/log.ts'
import { MemoryFiles, type MemoryFilesOptions } from '../contract/memory-files.ts'
import { FakeClock } from '../fake-clock.ts'

export class Rig {
  readonly clock: FakeClock
  readonly files: MemoryFiles
  readonly listings: MetadataCache
  readonly contents: ContentCache
  readonly directory: string
  readonly changed: string[] = []

  constructor(
    directory: string,
    options: Partial<ContentCacheOptions> = {},
    files: MemoryFilesOptions = {},
    clock = new FakeClock(),
  ) {
    this.directory = directory
    this.clock = clock
    this.files = new MemoryFiles({ clock: this.clock, chunkBytes: 10, ...files })
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
      openFiles: new OpenFiles(100),
      ttlMs,
      reserveBytes: 0,
      ownTtlMs: 60_000,
      maxBytes: 1024 ** 3,
      ...options,
    })
    this.contents.subscribe((path) => this.changed.push(path))
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

export async function text(content: Content, offset = 0, length = 1_000_000): Promise<string> {
  return Buffer.from(await content.read(offset, length)).toString()
}

export const digits = (count: number): string => '0123456789'.repeat(Math.ceil(count / 10)).slice(0, count)
