/**
 * What the service has below a directory that is to be renamed. Layer: filesystem.
 *
 * The service cannot rename, so every file below must travel. Invariant: nothing has changed when the limits
 * are found to be exceeded (`crossDevice`, on which `mv` copies) or a file could not travel at all (`tooLarge`).
 */
import type { Listing, ListingObserver } from '../cache/listings.ts'
import type { RemoteEntry } from '../client/session-files.ts'
import { FilesystemError } from './errors.ts'
import type { Ground } from './ground.ts'
import { joinPath } from '../remote-path.ts'

/**
 * What the service has below `directory`, all of it listed: the files and directories, by path relative to it,
 * that the local changes say nothing of. `now` is undefined when something came up that was not listed.
 *
 * While one directory is listed a file of ours in another may come to be on the service, and its local entry give
 * way to that one's newer listing: so it is put together in the turn in which it is used, of the newest.
 */
export class RemoteTree implements ListingObserver {
  readonly #ground: Ground
  readonly #directory: string
  /** The newest listing of each directory that was asked for. */
  readonly #listed = new Map<string, Listing>()
  #found = new Map<string, RemoteEntry>()
  /** Directories that have to be listed. */
  #missing: string[] = []
  #files = 0
  #bytes = 0

  constructor(ground: Ground, directory: string) {
    this.#ground = ground
    this.#directory = directory
  }

  /** Resolves when everything below was listed. */
  async list(signal: AbortSignal): Promise<void> {
    const { clock, options } = this.#ground
    const late = new AbortController()
    const cancel = clock.after(options.renameLimit.listingMs, () => late.abort())
    const either = AbortSignal.any([signal, late.signal])
    const unsubscribe = this.#ground.listings.subscribe(this)
    try {
      while (this.now() === undefined)
        await Promise.all(this.#missing.map((below) => this.#list(below, either)))
    } catch (error) {
      if (late.signal.aborted && !signal.aborted)
        throw new FilesystemError('crossDevice', `${this.#directory}: takes too long to list`, {
          cause: error,
        })
      throw error
    } finally {
      unsubscribe()
      cancel()
      late.abort()
    }
  }

  now(): ReadonlyMap<string, RemoteEntry> | undefined {
    this.#found = new Map()
    this.#missing = []
    this.#files = 0
    this.#bytes = 0
    if (this.#ground.view.remoteBelow(this.#directory)) this.#walk('')
    return this.#missing.length > 0 ? undefined : this.#found
  }

  async #list(below: string, signal: AbortSignal): Promise<void> {
    const at = joinBelow(this.#directory, below)
    const listing = await this.#ground.listings.list(at, { signal, olderWillDo: true })
    this.#note(listing)
  }

  /** A newer listing of a directory that was listed already. */
  observe(listing: Listing): void {
    if (this.#listed.has(listing.directory)) this.#note(listing)
  }

  #note(listing: Listing | undefined): void {
    if (listing === undefined) return
    const known = this.#listed.get(listing.directory)
    if (known === undefined || known.begunOrder < listing.begunOrder)
      this.#listed.set(listing.directory, listing)
  }

  #walk(below: string): void {
    const { changes, listings } = this.#ground
    const directory = joinBelow(this.#directory, below)
    if (this.#listed.has(directory)) this.#note(listings.newest(directory))
    const listing = this.#listed.get(directory)
    if (listing === undefined) {
      this.#missing.push(below)
      return
    }
    for (const [name, entry] of listing.entries) {
      const path = joinPath(below, name)
      const local = changes.get(joinPath(directory, name))
      if (local === undefined) this.#add(path, entry)
      if (local === undefined ? entry.isDirectory : local.kind === 'directory' && local.remote)
        this.#walk(path)
    }
    /* a directory of ours may be there since the listing, and what is in it known to the service alone by now */
    for (const [name, local] of changes.children(directory))
      if (!listing.entries.has(name) && local.kind === 'directory' && local.remote)
        this.#walk(joinPath(below, name))
  }

  #add(path: string, entry: RemoteEntry): void {
    const { changes, options } = this.#ground
    this.#found.set(path, entry)
    if (entry.isDirectory) return
    changes.checkSize(joinPath(this.#directory, path), entry.size)
    this.#files++
    this.#bytes += entry.size
    if (this.#files > options.renameLimit.files || this.#bytes > options.renameLimit.bytes)
      throw new FilesystemError('crossDevice', `${this.#directory}: too much below it to be renamed at once`)
  }
}

function joinBelow(directory: string, below: string): string {
  return below === '' ? directory : joinPath(directory, below)
}
