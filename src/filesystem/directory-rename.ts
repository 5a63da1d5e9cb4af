/**
 * What the service has below a directory that is to be renamed. Layer: filesystem.
 *
 * The service cannot rename, so every file below must travel. Invariant: nothing has changed when the limits
 * are found to be exceeded (`crossDevice`, on which `mv` copies) or a file could not travel at all (`tooLarge`).
 */
import type { Listings } from '../cache/listings.ts'
import type { RemoteEntry } from '../client/session-files.ts'
import type { Clock } from '../clock.ts'
import type { LocalChanges } from '../write-back/local-changes.ts'
import { FilesystemError } from './errors.ts'
import type { RenameLimit } from './options.ts'
import { joinPath } from '../remote-path.ts'
import type { View } from './view.ts'

export interface RemoteTreeParts {
  readonly listings: Listings
  readonly changes: LocalChanges
  readonly view: View
  readonly clock: Clock
}

/**
 * What the service has below `directory`, all of it listed: the files and directories, by path relative to it,
 * that the local changes say nothing of. `now` is undefined when something came up that was not listed.
 *
 * While one directory is listed a file of ours in another may come to be on the service, and its local entry give
 * way to that one's newer listing: so it is put together in the turn in which it is used, of the newest.
 */
export class RemoteTree {
  readonly #parts: RemoteTreeParts
  readonly #directory: string
  readonly #limit: RenameLimit
  readonly #listed = new Set<string>()

  constructor(parts: RemoteTreeParts, directory: string, limit: RenameLimit) {
    this.#parts = parts
    this.#directory = directory
    this.#limit = limit
  }

  /** Resolves when everything below was listed. */
  async list(signal: AbortSignal): Promise<void> {
    const late = new AbortController()
    const cancel = this.#parts.clock.after(this.#limit.listingMs, () => late.abort())
    const either = AbortSignal.any([signal, late.signal])
    try {
      for (let missing = this.#walk().missing; missing.length > 0; missing = this.#walk().missing)
        await Promise.all(missing.map((below) => this.#list(below, either)))
    } catch (error) {
      if (late.signal.aborted && !signal.aborted)
        throw new FilesystemError('crossDevice', `${this.#directory}: takes too long to list`, {
          cause: error,
        })
      throw error
    } finally {
      cancel()
      late.abort()
    }
  }

  now(): Map<string, RemoteEntry> | undefined {
    const { found, missing } = this.#walk()
    return missing.length > 0 ? undefined : found
  }

  async #list(below: string, signal: AbortSignal): Promise<void> {
    await this.#parts.listings.list(joinBelow(this.#directory, below), { signal })
    this.#listed.add(below)
  }

  #walk(): Walk {
    const walk = new Walk(this.#parts, this.#directory, this.#limit, this.#listed)
    if (this.#parts.view.remoteBelow(this.#directory)) walk.into('')
    return walk
  }
}

class Walk {
  readonly found = new Map<string, RemoteEntry>()
  /** Directories that have to be listed. */
  readonly missing: string[] = []
  readonly #parts: RemoteTreeParts
  readonly #directory: string
  readonly #limit: RenameLimit
  readonly #listed: ReadonlySet<string>
  #files = 0
  #bytes = 0

  constructor(parts: RemoteTreeParts, directory: string, limit: RenameLimit, listed: ReadonlySet<string>) {
    this.#parts = parts
    this.#directory = directory
    this.#limit = limit
    this.#listed = listed
  }

  into(below: string): void {
    const { listings, changes } = this.#parts
    const listing = this.#listed.has(below) ? listings.newest(joinBelow(this.#directory, below)) : undefined
    if (listing === undefined) {
      this.missing.push(below)
      return
    }
    for (const [name, entry] of listing.entries) {
      const path = joinPath(below, name)
      const local = changes.get(joinBelow(this.#directory, path))
      if (local === undefined) this.#add(path, entry)
      if (local === undefined ? entry.isDirectory : local.kind === 'directory' && local.remote)
        this.into(path)
    }
    /* a directory of ours may be there since the listing, and what is in it known to the service alone by now */
    for (const [name, local] of changes.children(joinBelow(this.#directory, below)))
      if (!listing.entries.has(name) && local.kind === 'directory' && local.remote)
        this.into(joinPath(below, name))
  }

  #add(path: string, entry: RemoteEntry): void {
    this.found.set(path, entry)
    if (entry.isDirectory) return
    if (entry.size > this.#parts.changes.maxFileBytes)
      throw new FilesystemError('tooLarge', `${path} below ${this.#directory}: too large to be renamed`)
    this.#files++
    this.#bytes += entry.size
    if (this.#files > this.#limit.files || this.#bytes > this.#limit.bytes)
      throw new FilesystemError('crossDevice', `${this.#directory}: too much below it to be renamed at once`)
  }
}

function joinBelow(directory: string, below: string): string {
  return below === '' ? directory : joinPath(directory, below)
}
