/**
 * The room that cached contents have on the disk and in memory, for one cache or for many. Layer: cache.
 *
 * Invariant: together they have no more than the limits, but for what somebody holds; what was not used for longest
 * makes way first, whichever cache it is of.
 */
import { LRUCache } from 'lru-cache'
import type { DiskLook } from './disk-store.ts'
import type { StreamedContent } from './streamed-content.ts'

/** Small contents that nobody holds stay in memory up to so many bytes together. */
const defaultMemoryBytes = 32 * 1024 * 1024

/** What the disk takes for a file, at least. */
const blockBytes = 4096

/** A cache, as its room sees it. */
export interface Lodger {
  /** What of it somebody holds. */
  readonly held: Iterable<StreamedContent>
  /** Bytes of what nobody holds; the room keeps count. */
  idleBytes: number
  /** It makes way. */
  forget(content: StreamedContent): void
  /** It makes way in memory. */
  spill(content: StreamedContent): void
  /** Resolves when what it has forgotten is off the disk. */
  removed(): Promise<void> | undefined
}

export class CacheRoom {
  /** Bytes on the disk. */
  readonly maxBytes: number
  /** The caches lie on one disk. */
  readonly look: DiskLook = { creditBytes: 0, at: -Infinity }
  /** What is whole and held by nobody. */
  readonly #idle: LRUCache<StreamedContent, Lodger>
  /** Those of them that are in memory. */
  readonly #small: LRUCache<StreamedContent, Lodger>
  readonly #lodgers = new Set<Lodger>()

  /** Bytes on the disk, exceeded only by what is held, and of small contents in memory, default 32 MiB. */
  constructor(maxBytes: number, memoryBytes = defaultMemoryBytes) {
    this.maxBytes = maxBytes
    // after: what forgets a content deletes it from both again, which must not come in the midst of an eviction
    this.#idle = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: (_lodger, content) => diskBytes(content),
      dispose: (lodger, content) => {
        lodger.idleBytes -= diskBytes(content)
      },
      disposeAfter: (lodger, content, reason) => {
        if (reason === 'evict') lodger.forget(content)
      },
    })
    this.#small = new LRUCache({
      maxSize: memoryBytes,
      sizeCalculation: (_lodger, content) => Math.max(1, content.size),
      disposeAfter: (lodger, content, reason) => {
        if (reason === 'evict') lodger.spill(content)
      },
    })
  }

  enter(lodger: Lodger): void {
    this.#lodgers.add(lodger)
  }

  /** It has forgotten all that was idle. */
  leave(lodger: Lodger): void {
    this.#lodgers.delete(lodger)
  }

  /** Bytes that the contents of all caches have on the disk. */
  get bytes(): number {
    let bytes = this.#idle.calculatedSize
    for (const lodger of this.#lodgers) bytes += heldBytes(lodger)
    return bytes
  }

  /** It is whole, no bigger than the room, and nobody holds it any more: used last of all that make way. */
  keep(lodger: Lodger, content: StreamedContent): void {
    if (!this.#idle.has(content)) lodger.idleBytes += diskBytes(content)
    this.#idle.set(content, lodger)
    if (content.file.isInMemory) this.#small.set(content, lodger)
    this.trim()
  }

  /** It makes way for nobody: somebody holds it, or it is gone. */
  take(content: StreamedContent): void {
    this.#idle.delete(content)
    this.#small.delete(content)
  }

  /** What is held counts too: the others make way for it. */
  trim(): void {
    let excess = this.bytes - this.maxBytes
    while (excess > 0 && this.makeWay() !== undefined) excess = this.bytes - this.maxBytes
  }

  /** The content that was not used for longest makes way. Answers whose it was; undefined: there was none. */
  makeWay(): Lodger | undefined {
    return this.#idle.pop()
  }
}

/** Bytes on the disk of what is held of a cache. */
export function heldBytes({ held }: Lodger): number {
  let bytes = 0
  for (const content of held) bytes += diskBytes(content)
  return bytes
}

/** What a content takes of the disk. */
export function diskBytes(content: StreamedContent): number {
  const bytes = Math.max(content.size, content.file.received)
  return Math.max(1, Math.ceil(bytes / blockBytes)) * blockBytes
}
