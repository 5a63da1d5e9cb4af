/**
 * What a new listing shows that somebody else did. Layer: filesystem.
 *
 * Invariant: a difference is somebody else's only if the local changes explain it neither before nor after
 * they have seen the listing; then times move, open files adopt the new content, and the kernel is told.
 */
import { joinPath, nameOf, parentOf } from '../remote-path.ts'
import { LRUCache } from 'lru-cache'
import { seenBy, type Listing, type ListingObserver } from '../cache/listings.ts'
import type { RemoteEntry } from '../client/session-files.ts'
import type { LocalEntry } from '../write-back/local-changes.ts'
import { msToNs } from './attributes.ts'
import { isSameIdentity } from './identity.ts'
import type { FileSight } from './view.ts'
import type { Workbench } from './workbench.ts'

/** Directories whose last listing is remembered, to tell what is new in the next. */
const rememberedDirectories = 4096

export class ForeignChanges implements ListingObserver {
  readonly #parts: Workbench
  readonly #last = new LRUCache<string, Listing>({ max: rememberedDirectories })
  /** Names of special files that hide some of the agent's, and were named. */
  readonly #hidden = new Set<string>()
  /** What the local side said of the names of the listing that is being told, before it had seen it. */
  #before: ReadonlyMap<string, LocalEntry | undefined> | undefined

  constructor(workbench: Workbench) {
    this.#parts = workbench
  }

  before(listing: Listing): void {
    const previous = this.#last.get(listing.directory)
    const isOld = previous !== undefined && previous.begunOrder > listing.begunOrder
    this.#before = isOld ? undefined : this.#candidates(listing, previous)
  }

  observe(listing: Listing): void {
    const { changes, tree } = this.#parts
    const { directory } = listing
    if (directory === tree.rootPath) this.#nameHidden(listing)
    const before = this.#before
    if (before === undefined) return
    const previous = this.#last.get(directory)
    this.#last.set(directory, listing)
    let hasChanged = false
    for (const [name, local] of before) if (this.#compare(listing, name, local, previous)) hasChanged = true
    if (!hasChanged || previous === undefined) return
    const nowNs = msToNs(this.#parts.clock.wallMs())
    changes.noteAttributes(directory, { modifiedNs: nowNs, changedNs: nowNs })
    const node = tree.findDirectory(directory)
    if (node !== undefined) this.#parts.news.attributes(node.id)
  }

  /** Once for each name. */
  #nameHidden({ entries }: Listing): void {
    const { specials, logger } = this.#parts
    for (const name of specials.keys()) {
      if (!entries.has(name) || this.#hidden.has(name)) continue
      this.#hidden.add(name)
      const remedy = 'mount with -o special=PREFIX to reach it'
      logger.warn({ name }, `the agent has a file named as one of the mount, which hides it: ${remedy}`)
    }
  }

  /** A directory has come to be here: what was last listed of its name, or below, was another one's. */
  begun(directory: string): void {
    this.#last.delete(directory)
    for (const path of this.#last.keys()) if (path.startsWith(`${directory}/`)) this.#last.delete(path)
  }

  /** The same size and time, but other bytes: programs that go by times must see it. */
  contentChanged(path: string): void {
    const { changes, tree, news, clock } = this.#parts
    if (changes.get(path) !== undefined) return
    const nowNs = msToNs(clock.wallMs())
    changes.noteAttributes(path, { modifiedNs: nowNs, changedNs: nowNs })
    const node = tree.findDirectory(parentOf(path))?.children.get(nameOf(path))
    if (node !== undefined) news.attributes(node.id)
  }

  /** The names worth a look, with what the local side says of them before it has seen the listing. */
  #candidates(listing: Listing, previous: Listing | undefined): Map<string, LocalEntry | undefined> {
    const { changes, tree } = this.#parts
    const { directory, entries } = listing
    const names = new Map<string, LocalEntry | undefined>(changes.children(directory))
    const add = (name: string): void => {
      if (!names.has(name)) names.set(name, undefined)
    }
    for (const name of tree.findDirectory(directory)?.children.keys() ?? []) add(name)
    if (previous === undefined) return names
    for (const [name, entry] of entries) {
      const old = previous.entries.get(name)
      if (old === undefined || !isSameIdentity(old, entry)) add(name)
    }
    for (const name of previous.entries.keys()) if (!entries.has(name)) add(name)
    return names
  }

  /** Whether a name came or went by somebody else's doing; what is at it is brought up to date. */
  #compare(
    listing: Listing,
    name: string,
    local: LocalEntry | undefined,
    previous: Listing | undefined,
  ): boolean {
    const { changes, bytes } = this.#parts
    const path = joinPath(listing.directory, name)
    if (changes.get(path) !== undefined) return false
    const entry = listing.entries.get(name)
    const was = local === undefined ? previous?.entries.get(name) : undefined
    const isTold = this.#updateNode(listing, name, entry)
    if (local !== undefined) {
      const isOurs = local.kind === 'file' && entry?.isDirectory === false && local.size === entry.size
      if (entry?.isDirectory === false && local.kind === 'file' && !isOurs)
        bytes.changedElsewhere(path, entry)
      return entry === undefined ? local.kind !== 'absent' : local.kind === 'absent'
    }
    if (previous === undefined) return false
    if (entry === undefined) return was !== undefined
    if (was !== undefined && isSameIdentity(was, entry)) return false
    if (!entry.isDirectory && !isTold) bytes.changedElsewhere(path, entry)
    return was === undefined
  }

  /** Answers whether the node has looked after itself. */
  #updateNode(listing: Listing, name: string, entry: RemoteEntry | undefined): boolean {
    const { tree, view, bytes, resolver, news } = this.#parts
    const directory = tree.findDirectory(listing.directory)
    const node = directory?.children.get(name)
    if (directory === undefined || node === undefined || node.kind === 'special') return false
    const path = joinPath(listing.directory, name)
    if (node.kind === 'file' && entry?.isDirectory === false) {
      const hadShown = node.shown !== undefined
      const sight: FileSight = {
        kind: 'file',
        path,
        ttlMs: 0,
        local: undefined,
        listed: entry,
        seen: seenBy(listing),
      }
      if (bytes.isReplaced(node, sight)) {
        resolver.replaced(node)
        news.entry(directory.id, name)
        return false
      }
      bytes.notice(node, sight)
      return hadShown
    }
    const isDirectory = entry?.isDirectory === true || view.isOnItsWay(path, entry)
    if (node.kind === 'directory' && isDirectory) return true
    resolver.lost(node)
    news.entry(directory.id, name)
    return false
  }
}
