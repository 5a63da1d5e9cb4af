/**
 * Listings and contents without a memory: every question is a call. Layer: cache.
 *
 * What stands in the place of `MetadataCache` and `ContentCache` where nothing is to be remembered, and what the
 * filesystem's suites run over as well, so that they show what the memory brings. Some of the two interfaces is about
 * memory alone: `fresh`, `newest`, `isCurrent`, `fetch`, `adopt`, `drop`, `restMs` and what is known of a new directory
 * have nothing to do or to say here, and no answer may be used again (`remainingMs` is 0).
 *
 * Invariant: an answer was begun after its question; a content lasts from `open` to `release`.
 */
import type { RemoteEntry, SessionFiles } from '../client/session-files.ts'
import type { Clock } from '../clock.ts'
import { nameOf, parentOf } from '../remote-path.ts'
import { CacheDiskError, type Content, type Contents } from './contents.ts'
import { DiskStore } from './disk-store.ts'
import { ListingRequest } from './listing-request.ts'
import type { Listing, ListingObserver, ListingOptions, Listings, LookupAnswer, Seen } from './listings.ts'
import { OpenContent } from './open-content.ts'
import { OpenFiles } from './open-files.ts'
import { entryNow } from './size-check.ts'
import { StreamedContent, type ContentSurroundings } from './streamed-content.ts'

/** Bytes of the disk that stay free, and how long a read waits without a byte, in milliseconds. */
const reserveBytes = 256 * 1024 * 1024
const stallMs = 20_000
const maxOpenFiles = 100

export class PlainListings implements Listings {
  readonly #files: SessionFiles
  readonly #clock: Clock
  readonly #observers = new Set<ListingObserver>()

  constructor(files: SessionFiles, clock: Clock) {
    this.#files = files
    this.#clock = clock
  }

  subscribe(observer: ListingObserver): () => void {
    this.#observers.add(observer)
    return () => this.#observers.delete(observer)
  }

  list(directory: string, { priority = 0, signal }: ListingOptions = {}): Promise<Listing> {
    const request = this.#request(directory)
    const listing = request.list(priority, signal)
    request.begin()
    return listing
  }

  lookup(
    directory: string,
    name: string,
    { priority = 0, signal }: ListingOptions = {},
  ): Promise<LookupAnswer> {
    const request = this.#request(directory)
    const answer = request.lookup(name, priority, signal)
    request.begin()
    return answer
  }

  fresh(): undefined {}

  newest(): undefined {}

  remainingMs(): number {
    return 0
  }

  knowEmpty(): void {}

  knowPresent(): void {}

  drop(): void {}

  #request(directory: string): ListingRequest {
    const request: ListingRequest = new ListingRequest({
      directory,
      files: this.#files,
      clock: this.#clock,
      isFile: async (signal) => {
        if (directory === '') return false
        const { entry } = await this.lookup(parentOf(directory), nameOf(directory), { signal })
        return entry?.isDirectory === false
      },
      onListing: (listing) => {
        for (const observer of this.#observers) observer.before?.(listing)
        for (const observer of this.#observers) observer.observe(listing)
      },
      onIdle: () => request.cancel(),
      onEnd: () => undefined,
    })
    return request
  }
}

export class PlainContents implements Contents {
  readonly #around: ContentSurroundings
  readonly #observers = new Set<(path: string) => void>()

  /** `directory` is for this mount alone; what is in it is removed. */
  constructor(files: SessionFiles, listings: Listings, clock: Clock, directory: string) {
    const store = new DiskStore(directory, new OpenFiles(maxOpenFiles), clock, reserveBytes)
    this.#around = {
      ...{ files, clock, store, stallMs },
      makeRoom: async (bytes) => {
        if (!(await store.hasRoom(bytes)))
          throw new CacheDiskError('diskFull', 'the disk under the cache directory has only its reserve left')
      },
      lookAgain: (path, signal) => entryNow(listings, path, signal),
      onChanged: (path) => this.#observers.forEach((observer) => observer(path)),
      onSettled: () => undefined,
    }
  }

  subscribe(observer: (path: string) => void): () => void {
    this.#observers.add(observer)
    return () => this.#observers.delete(observer)
  }

  open(path: string, listed: RemoteEntry, seen: Seen): { content: Content; unchanged: boolean } {
    const content = new StreamedContent(this.#around, path, listed)
    if (listed.size === 0) content.becomeEmpty(seen.begunOrder, seen.seenAt)
    return { content: new OpenContent(content, 0, () => content.release()), unchanged: false }
  }

  sizeOf(_path: string, listed: RemoteEntry): number {
    return listed.size
  }

  peek(): undefined {
    return undefined
  }

  isCurrent(): boolean {
    return false
  }

  async fetch(): Promise<void> {}

  adopt(): void {}

  drop(): void {}

  restMs(): number {
    return 0
  }
}
