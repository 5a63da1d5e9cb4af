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
import { joinPath } from './tree.ts'
import type { View } from './view.ts'

export interface RemoteTreeParts {
  readonly listings: Listings
  readonly changes: LocalChanges
  readonly view: View
  readonly clock: Clock
}

/** Every remote entry below, by path relative to `directory`, that the local changes say nothing of. */
export async function remoteTree(
  parts: RemoteTreeParts,
  directory: string,
  limit: RenameLimit,
  signal: AbortSignal,
): Promise<Map<string, RemoteEntry>> {
  if (!parts.view.remoteBelow(directory)) return new Map()
  const late = new AbortController()
  const cancel = parts.clock.after(limit.listingMs, () => late.abort())
  const walk = new Walk(parts, directory, limit, AbortSignal.any([signal, late.signal]))
  try {
    await walk.into('')
    return walk.found
  } catch (error) {
    if (late.signal.aborted && !signal.aborted)
      throw new FilesystemError('crossDevice', `${directory}: takes too long to list`, { cause: error })
    throw error
  } finally {
    cancel()
    late.abort()
  }
}

class Walk {
  readonly found = new Map<string, RemoteEntry>()
  readonly #parts: RemoteTreeParts
  readonly #directory: string
  readonly #limit: RenameLimit
  readonly #signal: AbortSignal
  #files = 0
  #bytes = 0

  constructor(parts: RemoteTreeParts, directory: string, limit: RenameLimit, signal: AbortSignal) {
    this.#parts = parts
    this.#directory = directory
    this.#limit = limit
    this.#signal = signal
  }

  async into(below: string): Promise<void> {
    const { listings, changes } = this.#parts
    const listing = await listings.list(joinBelow(this.#directory, below), { signal: this.#signal })
    const deeper: string[] = []
    for (const [name, entry] of listing.entries) {
      const path = joinPath(below, name)
      const local = changes.get(joinBelow(this.#directory, path))
      if (local === undefined) this.#add(path, entry)
      if (local === undefined ? entry.isDirectory : local.kind === 'directory' && local.remote)
        deeper.push(path)
    }
    /* a directory of ours may be there since the listing, and what is in it known to the service alone by now */
    for (const [name, local] of changes.children(joinBelow(this.#directory, below)))
      if (!listing.entries.has(name) && local.kind === 'directory' && local.remote)
        deeper.push(joinPath(below, name))
    await Promise.all(deeper.map((path) => this.into(path)))
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
