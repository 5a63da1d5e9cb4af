/**
 * What is where: the local changes laid over the listings of the service. Layer: filesystem.
 *
 * Invariant: what the local side says of a path wins, also over an answer that was under way when it came to
 * say so; no answer may be remembered for longer than the listing it stands on is within the TTL.
 */
import { ServiceError } from '../client/errors.ts'
import { seenBy, type Listing, type Listings, type Seen } from '../cache/listings.ts'
import type { RemoteEntry } from '../client/session-files.ts'
import type { LocalChanges, LocalEntry } from '../write-back/local-changes.ts'
import { FilesystemError } from './errors.ts'
import type { Caller, MaybePromise } from './front-end.ts'
import type { FilesystemParts } from './options.ts'
import { joinPath, nameOf, parentOf } from '../remote-path.ts'

export type LocalFile = Extract<LocalEntry, { kind: 'file' }>

/** What is at a path. */
export type Sight = {
  readonly path: string
  /** For how long from now the answer may be remembered, in milliseconds. */
  readonly ttlMs: number
  /** undefined: as listed. */
  readonly local: LocalEntry | undefined
} & (
  | { readonly kind: 'absent' }
  /* `remote`: the service knows the directory, so it must be asked for what is in it */
  | { readonly kind: 'directory'; readonly remote: boolean; readonly listed: RemoteEntry | undefined }
  | { readonly kind: 'file'; readonly local: LocalFile }
  | {
      readonly kind: 'file'
      readonly local: undefined
      readonly listed: RemoteEntry
      readonly seen: Seen
    }
)

export type FileSight = Extract<Sight, { kind: 'file' }>

export class View {
  readonly #listings: Listings
  readonly #changes: LocalChanges
  readonly #ttlMs: number
  readonly #hidden: ReadonlyMap<string, unknown>
  readonly #rootPath: string
  readonly #walks: FilesystemParts['walks']

  /** `hidden`: names that stand for something else in the directory `rootPath`. */
  constructor(
    { listings, changes, walks }: Pick<FilesystemParts, 'listings' | 'changes' | 'walks'>,
    ttlMs: number,
    hidden: ReadonlyMap<string, unknown>,
    rootPath = '',
  ) {
    this.#listings = listings
    this.#changes = changes
    this.#ttlMs = ttlMs
    this.#hidden = hidden
    this.#rootPath = rootPath
    this.#walks = walks
  }

  /** What is known without a request. */
  glance(directory: string, name: string): Sight | undefined {
    const path = joinPath(directory, name)
    const local = this.#changes.get(path)
    if (local !== undefined && local.confirmed !== true) return this.#local(path, local, this.#ttlMs)
    if (!this.remoteBelow(directory))
      return local
        ? this.#local(path, local, this.#ttlMs)
        : { kind: 'absent', path, ttlMs: this.#ttlMs, local }
    const listing = this.#listings.fresh(directory)
    if (listing === undefined) return this.#ownWay(directory, name, path)
    const ttlMs = this.#remainingMs(listing)
    if (local !== undefined) return this.#local(path, local, ttlMs)
    return this.#listed(path, listing.entries.get(name), seenBy(listing), ttlMs)
  }

  /** A directory that leads to unsent files of ours, which are there whether the service can be asked or not. */
  #ownWay(directory: string, name: string, path: string): Sight | undefined {
    if (!this.#changes.hasUploadsBelow(path)) return undefined
    const local = this.#changes.get(path)
    if (local !== undefined) return this.#local(path, local, this.#ttlMs)
    const listed = this.#listings.newest(directory)?.entries.get(name)
    if (listed?.isDirectory === false) return undefined
    return { kind: 'directory', path, ttlMs: this.#ttlMs, local, remote: true, listed }
  }

  /** What is known, or a request. `directory` says where the directory is at the time. */
  look(directory: () => string, name: string, signal: AbortSignal): MaybePromise<Sight> {
    const above = directory()
    this.#walks?.didEnter(above, name)
    return this.glance(above, name) ?? this.#ask(directory, name, signal)
  }

  /** All names of a directory. `missing` where there is none. */
  entries(
    directory: () => string,
    { signal, pid }: Pick<Caller, 'signal' | 'pid'>,
  ): MaybePromise<Map<string, Sight>> {
    const path = directory()
    this.#walks?.didList(path, pid)
    if (!this.remoteBelow(path)) return this.#merge(path, undefined)
    const listing = this.#listings.fresh(path)
    return listing === undefined ? this.#askAll(directory, signal) : this.#merge(path, listing)
  }

  /** Whether a sight from before a wait still stands, as far as the local side is concerned. */
  holds(sight: Sight): boolean {
    return isSame(this.#changes.get(sight.path), sight.local)
  }

  /** Whether the service may know what is in a directory: no local change above it hides it. */
  remoteBelow(directory: string): boolean {
    for (let path = directory; ; path = parentOf(path)) {
      const local = this.#changes.get(path)
      if (local !== undefined) return local.kind === 'directory' && local.remote
      if (path === '') return true
      if (this.#changes.hasUploadsBelow(path) && this.#isListedAsFile(path)) return false
    }
  }

  /** Whether anything of ours is directly in a directory. */
  hasLocalBelow(directory: string): boolean {
    for (const [, entry] of this.#changes.children(directory)) if (entry.kind !== 'absent') return true
    return false
  }

  /**
   * Whether a directory is there although the service does not show it, or shows a file of its name: something of
   * ours is going below it.
   */
  isOnItsWay(directory: string, listed: RemoteEntry | undefined): boolean {
    if (this.#changes.hasUploadsBelow(directory)) return true
    return listed === undefined && this.hasLocalBelow(directory)
  }

  async #ask(directory: () => string, name: string, signal: AbortSignal): Promise<Sight> {
    for (;;) {
      const above = directory()
      const path = joinPath(above, name)
      if (this.#changes.get(path)?.confirmed === true) {
        const listing = await this.#listOrNothing(above, signal)
        if (directory() !== above) continue
        const local = this.#changes.get(path)
        if (local !== undefined) return this.#local(path, local, listing ? this.#remainingMs(listing) : 0)
        if (listing === undefined) continue
        return this.#listed(path, listing.entries.get(name), seenBy(listing), this.#remainingMs(listing))
      }
      const answer = await this.#listings
        .lookup(above, name, { signal, olderWillDo: true })
        .catch((error: unknown) => this.#unlessOurs(above, error))
      if (answer === undefined) {
        const local = this.#changes.get(path)
        return local ? this.#local(path, local, 0) : { kind: 'absent', path, ttlMs: 0, local }
      }
      if (directory() !== above) continue
      if (this.#changes.get(path) === undefined && this.remoteBelow(above))
        return this.#listed(
          path,
          answer.entry,
          answer,
          this.#listings.remainingMs(answer.seenAt, answer.durationMs),
        )
      const known = this.glance(above, name)
      if (known !== undefined) return known
    }
  }

  async #askAll(directory: () => string, signal: AbortSignal | undefined): Promise<Map<string, Sight>> {
    for (;;) {
      const path = directory()
      const listing = await this.#listings
        .list(path, { signal, olderWillDo: true })
        .catch((error: unknown) => this.#unlessOurs(path, error))
      if (directory() === path) return this.#merge(path, this.remoteBelow(path) ? listing : undefined)
    }
  }

  /** Of a directory that the service was never known to have, and whose name it refuses, it has nothing to tell. */
  #unlessOurs(directory: string, error: unknown): undefined {
    const local = this.#changes.get(directory)
    const isRefused = error instanceof ServiceError && error.concerns === 'path'
    if (!isRefused || local?.kind !== 'directory' || local.confirmed === true) throw error
    return undefined
  }

  /** What is ours is shown even when the service cannot be asked. */
  async #listOrNothing(directory: string, signal: AbortSignal): Promise<Listing | undefined> {
    try {
      return await this.#listings.list(directory, { signal, olderWillDo: true })
    } catch (error) {
      if (signal.aborted) throw error
      return undefined
    }
  }

  #merge(directory: string, listing: Listing | undefined): Map<string, Sight> {
    const entries = new Map<string, Sight>()
    const local = new Map(this.#changes.children(directory))
    if (listing?.missing === true && directory !== '' && local.size === 0 && !this.#changes.get(directory))
      throw new FilesystemError('missing', `${directory}: no such directory`)
    const ttlMs = listing === undefined ? this.#ttlMs : this.#remainingMs(listing)
    const seen = listing === undefined ? { begunOrder: 0, seenAt: 0 } : seenBy(listing)
    for (const [name, entry] of listing?.entries ?? [])
      if (!local.has(name)) entries.set(name, this.#listed(joinPath(directory, name), entry, seen, ttlMs))
    for (const [name, entry] of local) {
      const sight = this.#local(joinPath(directory, name), entry, entry.confirmed ? ttlMs : this.#ttlMs)
      if (sight.kind !== 'absent') entries.set(name, sight)
    }
    if (directory === this.#rootPath) for (const name of this.#hidden.keys()) entries.delete(name)
    return entries
  }

  #local(path: string, local: LocalEntry, ttlMs: number): Sight {
    switch (local.kind) {
      case 'absent':
        return { kind: 'absent', path, ttlMs, local }
      case 'directory':
        return { kind: 'directory', path, ttlMs, local, remote: local.remote, listed: undefined }
      case 'file':
        return { kind: 'file', path, ttlMs, local }
    }
  }

  #listed(path: string, listed: RemoteEntry | undefined, seen: Seen, ttlMs: number): Sight {
    const local = undefined
    if (listed?.isDirectory === true) return { kind: 'directory', path, ttlMs, local, remote: true, listed }
    if (this.isOnItsWay(path, listed)) {
      return { kind: 'directory', path, ttlMs, local, remote: listed === undefined, listed: undefined }
    }
    if (listed !== undefined) return { kind: 'file', path, ttlMs, local, listed, seen }
    return { kind: 'absent', path, ttlMs, local }
  }

  #isListedAsFile(path: string): boolean {
    return this.#listings.newest(parentOf(path))?.entries.get(nameOf(path))?.isDirectory === false
  }

  #remainingMs(listing: Listing): number {
    return this.#listings.remainingMs(listing.endedAt, listing.durationMs)
  }
}

function isSame(a: LocalEntry | undefined, b: LocalEntry | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  if (a.kind === 'file' && b.kind === 'file') return contentOf(a) === contentOf(b)
  return a.kind === b.kind
}

function contentOf(file: LocalFile): unknown {
  return file.content.from === 'spool' ? file.content.copy : file.content.path
}
