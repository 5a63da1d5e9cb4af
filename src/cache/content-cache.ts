/**
 * The contents of the session's files, remembered on the local disk. Layer: cache; implements `Contents`.
 *
 * Invariant: each path has at most one current content; one that somebody holds is never removed, the
 * others go when there is no room, the one not used for longest first.
 */
import { LRUCache } from 'lru-cache'
import type { RemoteEntry, SessionFiles } from '../client/session-files.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { CacheRoom, diskBytes, heldBytes, type Lodger } from './cache-room.ts'
import { judge, type ProofRules } from './content-proof.ts'
import { CacheDiskError, type Content, type Contents } from './contents.ts'
import { DiskStore } from './disk-store.ts'
import type { Listings, Seen } from './listings.ts'
import { OpenContent } from './open-content.ts'
import type { OpenFiles } from './open-files.ts'
import { entryNow } from './size-check.ts'
import { StreamedContent, type ContentSurroundings } from './streamed-content.ts'

export interface ContentCacheOptions {
  readonly files: SessionFiles
  readonly listings: Listings
  readonly clock: Clock
  readonly logger: Logger
  /** A directory for this mount alone; what is in it is removed. */
  readonly directory: string
  /** Shared with whoever else keeps files open. */
  readonly openFiles: OpenFiles
  /** How old an unproven content may be when it is opened, in milliseconds; 0: every open asks. */
  readonly ttlMs: number
  /** How long our own confirmed upload is trusted, in milliseconds. */
  readonly ownTtlMs: number
  /** See `ProofRules`. */
  readonly contentTtlMs?: number | undefined
  readonly immutable?: boolean | undefined
  /** Bytes on the disk, exceeded only by what is open; for a room of its own. */
  readonly maxBytes: number
  /** The room that it shares with other caches, whose directories lie on the same disk; default: one of its own. */
  readonly room?: CacheRoom | undefined
  /** Bytes of the disk that stay free; default 256 MiB. */
  readonly reserveBytes?: number
  /** How long a read waits without a byte, in milliseconds; default 20,000. */
  readonly stallMs?: number
}

/** So many files whose download is longer than they are listed are remembered by that. */
const maxLonger = 4096

export class ContentCache implements Contents {
  readonly #options: ContentCacheOptions
  readonly #rules: ProofRules
  readonly #store: DiskStore
  readonly #around: ContentSurroundings
  /** Has those current contents that are whole and that nobody holds. */
  readonly #room: CacheRoom
  readonly #lodger: Lodger
  /** The current content of each path. */
  readonly #current = new Map<string, StreamedContent>()
  /** All that somebody holds, current or not. */
  readonly #held = new Set<StreamedContent>()
  /** How long a file really is, where that is not what its entry says. */
  readonly #longer = new LRUCache<string, { readonly listed: RemoteEntry; readonly size: number }>({
    max: maxLonger,
  })
  readonly #observers = new Set<(path: string) => void>()
  #isClosed = false
  /** Opens served by a content that was there, and those that made a new one; for display. */
  hits = 0
  misses = 0

  constructor(options: ContentCacheOptions) {
    const { clock, directory, openFiles, ttlMs, ownTtlMs, contentTtlMs, immutable } = options
    this.#options = options
    this.#rules = { ttlMs, ownTtlMs, contentTtlMs, immutable }
    this.#room = options.room ?? new CacheRoom(options.maxBytes)
    const reserveBytes = options.reserveBytes ?? 256 * 1024 * 1024
    this.#store = new DiskStore(directory, openFiles, clock, reserveBytes, this.#room.look)
    this.#lodger = {
      held: this.#held,
      idleBytes: 0,
      forget: (content) => this.#forget(content),
      spill: (content) => this.#spill(content),
      removed: () => this.#store.removed(),
    }
    this.#room.enter(this.#lodger)
    this.#around = {
      files: options.files,
      clock,
      store: this.#store,
      stallMs: options.stallMs ?? 20_000,
      makeRoom: (bytes) => this.#makeRoom(bytes),
      lookAgain: (path, signal) => entryNow(options.listings, path, signal),
      onChanged: (path) => this.#observers.forEach((observer) => observer(path)),
      onSettled: (content) => this.#settled(content),
    }
  }

  subscribe(observer: (path: string) => void): () => void {
    this.#observers.add(observer)
    return () => this.#observers.delete(observer)
  }

  open(path: string, listed: RemoteEntry, seen: Seen): { content: Content; unchanged: boolean } {
    const content = this.#find(path, listed, seen)
    const unchanged = content.handedOut
    if (content.complete) this.hits++
    else this.misses++
    content.handedOut = true
    return { content: this.#hold(content, 0), unchanged }
  }

  sizeOf(path: string, listed: RemoteEntry): number {
    const known = this.#longer.get(path)
    const isSame =
      known?.listed.size === listed.size && known.listed.modifiedSeconds === listed.modifiedSeconds
    return isSame ? known.size : listed.size
  }

  isCurrent(path: string, listed: RemoteEntry, seen: Seen, inMs = 0): boolean {
    const content = this.#current.get(path)
    return content !== undefined && this.#serves(content, listed, seen, inMs)
  }

  async fetch(path: string, listed: RemoteEntry, seen: Seen, signal: AbortSignal, inMs = 0): Promise<void> {
    const content = this.#find(path, listed, seen, inMs)
    const hold = this.#hold(content, -1)
    try {
      await content.arrival(-1, signal)
    } finally {
      hold.release()
    }
  }

  peek(path: string, maxBytes: number): Uint8Array | undefined {
    const content = this.#current.get(path)
    if (content?.complete !== true || content.size > maxBytes || !content.file.secure()) return undefined
    try {
      return content.file.peek(0, content.size)
    } catch {
      return undefined /* its file was cut, or the disk failed: who reads it is told */
    } finally {
      if (content.readers === 0) content.file.close()
    }
  }

  adopt(path: string, bytes: Uint8Array | string, size: number): void {
    this.drop(path)
    const listed: RemoteEntry = { name: path, isDirectory: false, size, modifiedSeconds: 0 }
    const content = new StreamedContent(this.#around, path, listed)
    try {
      content.becomeOwn(typeof bytes === 'string' ? this.#store.take(bytes) : bytes, size)
    } catch (error) {
      this.#options.logger.debug({ path, error }, 'our own upload is not kept in the cache')
      content.release()
      return
    }
    this.#current.set(path, content)
    this.#rest(content)
  }

  drop(path: string): void {
    const content = this.#current.get(path)
    if (content !== undefined) this.#forget(content)
  }

  restMs(path: string): number {
    return this.#current.get(path)?.restMs ?? 0
  }

  /** Bytes that the cached contents have on the disk, for display. */
  get bytes(): number {
    return this.#lodger.idleBytes + heldBytes(this.#lodger)
  }

  /**
   * Ends what is under way and keeps nothing any more. A room that others share is given back when it resolves, but
   * for what somebody still holds; what lies in a room of its own goes at the next start.
   */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const content of this.#held) content.stop()
    this.#store.closeFiles()
    if (this.#options.room === undefined) return
    for (const content of [...this.#current.values()]) this.#forget(content)
    this.#room.leave(this.#lodger)
    await this.#store.removed()
  }

  #serves(content: StreamedContent, listed: RemoteEntry, seen: Seen, inMs: number): boolean {
    if (content.failed) return false
    const sighting = { listed, begunOrder: seen.begunOrder }
    return judge(content.provenance, sighting, this.#options.clock.now() + inMs, this.#rules) !== 'stale'
  }

  /** The current content where it may be served, else a new one in its place. */
  #find(path: string, listed: RemoteEntry, seen: Seen, inMs = 0): StreamedContent {
    const before = this.#current.get(path)
    /* somebody who tidies up may have removed its file */
    const isThere = before === undefined || !before.complete || before.file.secure()
    if (before !== undefined && isThere && this.#serves(before, listed, seen, inMs)) {
      if (seen.begunOrder > (before.provenance.endedOrder ?? Infinity)) before.noteListed(listed)
      return before
    }
    const previous = before?.complete === true && isThere ? before : undefined
    const content = new StreamedContent(this.#around, path, listed, previous)
    if (listed.size === 0) content.becomeEmpty(seen.begunOrder, seen.seenAt)
    if (before !== undefined) this.#forget(before)
    this.#current.set(path, content)
    return content
  }

  #hold(content: StreamedContent, priority: number): Content {
    content.retain()
    content.readers += 1
    this.#held.add(content)
    if (this.#current.get(content.path) === content) this.#room.take(content)
    return new OpenContent(content, priority, () => this.#released(content))
  }

  #released(content: StreamedContent): void {
    content.readers -= 1
    if (content.readers === 0 && !content.nearlyWhole) this.#rest(content)
    content.release()
  }

  #settled(content: StreamedContent): void {
    const { path, listed, size } = content
    if (content.complete && size > listed.size) this.#longer.set(path, { listed, size })
    else if (content.complete) this.#longer.delete(path)
    if (content.failed && this.#current.get(content.path) === content) this.#forget(content)
    else if (content.readers === 0) this.#rest(content)
  }

  /** Nobody holds it: kept if it is whole and current, else it ends here. */
  #rest(content: StreamedContent): void {
    this.#held.delete(content)
    content.file.close()
    if (this.#current.get(content.path) !== content) return
    const isKept = !this.#isClosed && content.complete && diskBytes(content) <= this.#room.maxBytes
    if (isKept) this.#room.keep(this.#lodger, content)
    else this.#forget(content)
  }

  /** From memory to the disk; where that fails it is not worth keeping. */
  #spill(content: StreamedContent): void {
    const closed = (): void => {
      if (content.readers === 0) content.file.close()
    }
    content.file.spill().then(closed, () => {
      if (content.readers === 0 && this.#current.get(content.path) === content) this.#forget(content)
    })
  }

  /** It is not the current content of its path any more. */
  #forget(content: StreamedContent): void {
    this.#current.delete(content.path)
    this.#room.take(content)
    if (content.readers === 0) this.#held.delete(content)
    content.release()
  }

  async #makeRoom(bytes: number): Promise<void> {
    this.#room.trim()
    while (!(await this.#store.hasRoom(bytes))) {
      const lodger = this.#room.makeWay()
      if (lodger === undefined)
        throw new CacheDiskError('diskFull', 'the disk under the cache directory has only its reserve left')
      await lodger.removed()
    }
  }
}
