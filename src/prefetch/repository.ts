/**
 * Recognises git at work in a repository and has fetched what its commands read one after the other.
 * Layer: prefetch.
 *
 * Three signs, which no other program gives: `commondir` is looked up beside HEAD, objects and refs (every command
 * does, and goes on with the configuration, the branch and mostly the index); after that the index is opened
 * (status, diff, add and commit go on with the work tree, the other refs and the packs); the lock of the index is
 * looked up (it will be written, and the hooks are looked for). With the index git compares the tree of the commit that
 * HEAD names: each of the two is one more directory and file that only the one before has named.
 *
 * Invariant: nothing is fetched for a file that is read by itself, and nothing that is still good.
 */
import { LRUCache } from 'lru-cache'
import type { RemoteEntry } from '../client/session-files.ts'
import { seenBy, type Listing } from '../cache/listings.ts'
import { commitOf, treeOf } from './git-objects.ts'
import { type WalkSurroundings } from './walk.ts'
import { nameOf, parentOf } from '../remote-path.ts'

/** Bigger ones are left to those who come to them. */
const maxIndexBytes = 8 * 1024 * 1024
const maxPackBytes = 1024 * 1024
const maxOtherBytes = 64 * 1024
/** So many files, and directories, of one directory of refs: with more of them git packs them. */
const maxRefs = 8
const rememberedRepositories = 32
/** A command has read what lies in the repository itself by then. */
const workMs = 10_000

type Wanted = (entry: RemoteEntry) => boolean

export class Repositories {
  readonly #around: WalkSurroundings
  /** Where git is at work, and since when: `Clock.now()` of the last first sign. */
  readonly #at = new LRUCache<string, { readonly since: number; isIndexRead: boolean }>({
    max: rememberedRepositories,
  })
  #controller = new AbortController()

  constructor(around: WalkSurroundings) {
    this.#around = around
  }

  /** A name is looked up in a directory whose listing is at hand. */
  didLookUp(directory: string, name: string): void {
    if (name === 'index.lock' && this.isAtWork(directory))
      queueMicrotask(() => void this.#below(`${directory}/hooks`, () => false))
    if (name !== 'commondir' || !this.#isRepository(directory)) return
    this.#at.set(directory, { since: this.#around.clock.now(), isIndexRead: false })
    /* after the program's own request, which is made next */
    queueMicrotask(() => {
      void this.#files(directory, (entry) => isCommon(entry))
      void this.#below(`${directory}/refs`, () => false)
      void this.#below(`${directory}/refs/heads`, isSmall)
      void this.#below(`${directory}/objects`, () => false)
    })
  }

  /** A file is opened to be read; answers whether git is about to go through the work tree. */
  didOpen(path: string): boolean {
    const directory = parentOf(path)
    const work = this.#at.get(directory)
    if (nameOf(path) !== 'index' || work === undefined || work.isIndexRead) return false
    work.isIndexRead = true
    queueMicrotask(() => {
      void this.#below(`${directory}/info`, isSmall)
      void this.#below(`${directory}/refs/tags`, () => false)
      void this.#below(`${directory}/refs/remotes`, isSmall, 2)
      void this.#below(`${directory}/objects/info`, isSmallPack)
      void this.#below(`${directory}/objects/pack`, isSmallPack)
      void this.#followHead(directory)
    })
    return nameOf(directory) === '.git'
  }

  /** Whether git is at work in this very directory: the order in which it reads files there is no walk. */
  isAtWork(directory: string): boolean {
    const work = this.#at.peek(directory)
    return work !== undefined && this.#around.clock.now() - work.since <= workMs
  }

  /** Ends all that is under way. */
  stop(): void {
    this.#controller.abort()
    this.#controller = new AbortController()
    this.#at.clear()
  }

  #isRepository(directory: string): boolean {
    const entries = this.#around.listings.newest(directory)?.entries
    if (entries?.get('HEAD')?.isDirectory !== false) return false
    return entries.get('objects')?.isDirectory === true && entries.get('refs')?.isDirectory === true
  }

  /** The commit that HEAD names and its tree, as far as they are files of their own and not in a pack. */
  async #followHead(directory: string): Promise<void> {
    const commit = commitOf((name) => this.#peek(`${directory}/${name}`))
    if (commit === undefined) return
    const tree = treeOf(await this.#object(directory, commit))
    if (tree !== undefined) await this.#object(directory, tree)
  }

  async #object(directory: string, id: string): Promise<Uint8Array | undefined> {
    const objects = `${directory}/objects`
    const isLoose = this.#around.listings.newest(objects)?.entries.has(id.slice(0, 2)) === true
    if (!isLoose) return undefined
    const path = `${objects}/${id.slice(0, 2)}/${id.slice(2)}`
    await this.#below(parentOf(path), (entry) => entry.name === nameOf(path) && isSmall(entry))
    return this.#peek(path)
  }

  #peek(path: string): Uint8Array | undefined {
    return this.#around.contents.peek(path, maxOtherBytes)
  }

  /** Lists a directory and fetches files of it; `levels` of directories below it as well, which are not waited for. */
  async #below(directory: string, wanted: Wanted, levels = 1): Promise<void> {
    const { listings, isLocal, load, limits } = this.#around
    if (isLocal(directory) || load.running >= limits.running) return
    const { signal } = this.#controller
    load.running += 1
    let listing: Listing
    try {
      listing = await listings.list(directory, { signal, priority: -1 })
    } catch {
      /* whoever comes to it asks again and is told */
      return
    } finally {
      load.running -= 1
    }
    const files = this.#files(directory, wanted)
    if (levels === 1) return files
    const below = [...listing.entries.values()].filter(({ isDirectory }) => isDirectory)
    for (const { name } of below.slice(0, maxRefs))
      void this.#below(`${directory}/${name}`, wanted, levels - 1)
    return files
  }

  /** Resolves when those that are fetched here have come, or have failed. */
  async #files(directory: string, wanted: Wanted): Promise<void> {
    const { listings, contents, isLocal, load, limits } = this.#around
    const { signal } = this.#controller
    const listing = listings.newest(directory)
    if (listing === undefined) return
    const seen = seenBy(listing)
    const files = [...listing.entries.values()].filter(
      (entry) => !entry.isDirectory && entry.size > 0 && wanted(entry),
    )
    const fetched: Promise<void>[] = []
    for (const entry of files.slice(0, maxRefs)) {
      const path = `${directory}/${entry.name}`
      if (isLocal(path) || contents.isCurrent(path, entry, seen) || load.running >= limits.running) continue
      load.running += 1
      const ended = (): void => {
        load.running -= 1
      }
      fetched.push(contents.fetch(path, entry, seen, signal).then(ended, ended))
    }
    await Promise.all(fetched)
  }
}

function isCommon({ name, size }: RemoteEntry): boolean {
  return name === 'index'
    ? size <= maxIndexBytes
    : (name === 'config' || name === 'packed-refs') && size <= maxPackBytes
}

function isSmall({ size }: RemoteEntry): boolean {
  return size <= maxOtherBytes
}

function isSmallPack({ size }: RemoteEntry): boolean {
  return size <= maxPackBytes
}
