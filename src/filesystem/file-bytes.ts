/**
 * Where the bytes of a file are now, for all who have it open. Layer: filesystem; the states are drawn in
 * `node.ts`.
 *
 * Invariant: one file has one current content, which every open gets. When a newer one is adopted the kernel drops its
 * pages, and the handles move to it unless one of them has begun to read (`older-contents.ts`); a working copy with
 * unsent bytes adopts nothing.
 */
import type { Contents } from '../cache/contents.ts'
import type { Listings } from '../cache/listings.ts'
import { ServiceError } from '../client/errors.ts'
import type { RemoteEntry } from '../client/session-files.ts'
import type { Clock } from '../clock.ts'
import type { LocalChanges, WorkingCopy } from '../write-back/local-changes.ts'
import { listedNs, msToNs } from './attributes.ts'
import { FilesystemError } from './errors.ts'
import { orDirectory } from './failures.ts'
import type { MaybePromise } from './front-end.ts'
import type { FileHandle, FileNode } from './node.ts'
import type { Ground } from './ground.ts'
import { isSameIdentity } from './identity.ts'
import { HeldContent } from './held-content.ts'
import { release, retain } from './keepers.ts'
import type { KernelRecord } from './kernel-record.ts'
import type { KernelNews } from './kernel-news.ts'
import { NamelessFiles } from './nameless-files.ts'
import { isDivided, leaveOlder, OlderContents } from './older-contents.ts'
import { chain, isPromise } from './maybe-promise.ts'
import type { Tree } from './tree.ts'
import type { FileSight, View } from './view.ts'

export class FileBytes {
  readonly #tree: Tree
  readonly #view: View
  readonly #changes: LocalChanges
  readonly #contents: Contents
  readonly #listings: Listings
  readonly #news: KernelNews
  readonly #clock: Clock
  readonly #older: OlderContents
  /** What becomes of files that lose their name. */
  readonly nameless: NamelessFiles
  readonly #record: KernelRecord | undefined

  constructor(ground: Ground) {
    this.#tree = ground.tree
    this.#view = ground.view
    this.#changes = ground.changes
    this.#contents = ground.contents
    this.#listings = ground.listings
    this.#news = ground.news
    this.#clock = ground.clock
    this.#record = ground.record
    this.nameless = new NamelessFiles(ground, this)
    this.#older = new OlderContents((node) => this.#loseNameElsewhere(node), ground.record)
  }

  /** The working copy that has the bytes now; undefined while they are what the service has. */
  copyOf(node: FileNode): WorkingCopy | undefined {
    const { state } = node
    const path = this.#tree.findPath(node)
    const local = path === undefined ? undefined : this.#changes.get(path)
    if (local?.kind === 'file' && local.content.from === 'spool') return local.content.copy
    if (state.kind !== 'working') return undefined
    if (path === undefined) return state.copy
    const isKept = state.copy.current && [...node.handles].some((handle) => handle.retained === state.copy)
    return isKept ? state.copy : undefined
  }

  /** The file follows its copy, which may have come or gone by a change of its name's or by an upload. */
  catchUp(node: FileNode): void {
    const copy = this.copyOf(node)
    if (copy !== undefined) {
      this.work(node, copy)
    } else if (node.state.kind === 'working') {
      for (const handle of node.handles) release(handle)
      node.state = { kind: 'clean', content: undefined, staging: undefined }
    }
  }

  /** From now on the bytes are in this copy. */
  work(node: FileNode, copy: WorkingCopy): void {
    const { state } = node
    if (state.kind === 'working' && state.copy === copy) return
    if (state.kind === 'clean') state.content?.drop()
    /* without a name nothing else keeps it */
    if (this.#tree.findPath(node) === undefined) retain(node, copy)
    for (const handle of node.handles) {
      if (handle.retained !== undefined) retain(handle, copy)
      handle.begun = false
      this.#record?.changedHandle(handle)
    }
    node.state = { kind: 'working', copy }
    node.shown = undefined
    this.#record?.changed(node)
  }

  /** The handle keeps the working copy from being put away. */
  retain(handle: FileHandle, copy: WorkingCopy): void {
    if (handle.retained === copy) return
    retain(handle, copy)
    this.#record?.changedHandle(handle)
  }

  /** Bytes; by the best that is known without asking. */
  sizeOf(node: FileNode, sight: FileSight | undefined): number {
    const copy = this.copyOf(node)
    if (copy !== undefined) return copy.size
    if (node.state.kind === 'clean' && node.state.content !== undefined)
      return node.state.content.content.size
    if (sight === undefined) return node.shown?.size ?? 0
    if (sight.local !== undefined) return sight.local.size
    return this.#contents.sizeOf(sight.path, sight.listed)
  }

  /** Opens what the service has, for reading. Answers whether the kernel's pages are still right. */
  open(node: FileNode, sight: FileSight): boolean {
    this.catchUp(node)
    const copy = this.copyOf(node)
    if (copy !== undefined) return hadPagesOf(node, copy)
    const remote = this.remote(sight)
    const { content, unchanged } = this.#contents.open(...remote)
    if (node.state.kind !== 'clean') throw new FilesystemError('internal', 'a working copy came from nowhere')
    const before = node.state.content
    if (before === undefined) this.#loseBegun(node, sight)
    this.#show(node, sight)
    if (unchanged && before?.content.path === content.path) {
      content.release()
    } else {
      node.state.content = new HeldContent(content, remote[1])
      if (before !== undefined) this.#older.keep(node, before)
      before?.drop()
      if (before !== undefined) this.#news.pages(node.id)
    }
    const had = hadPagesOf(node, content.path)
    return unchanged && had && !isDivided(node)
  }

  /** Of a content that was begun in a process before this one nothing is left here, and the service has another now. */
  #loseBegun(node: FileNode, sight: FileSight): void {
    const { shown } = node
    if (sight.local !== undefined || shown === undefined || isSameIdentity(shown, sight.listed)) return
    /* one that is longer may have been appended to */
    if (sight.listed.size > shown.size) return
    for (const handle of node.handles) {
      if (!handle.begun) continue
      handle.lost = true
      this.#record?.changedHandle(handle)
      this.#news.pages(node.id)
    }
  }

  /** An open takes what is there now, also of a file whose handles were to rest. */
  #show(node: FileNode, sight: FileSight): void {
    const before = node.shown
    node.shown = sight.local === undefined ? sight.listed : undefined
    if (node.handles.size > 0) this.#record?.changed(node)
    if (before === undefined || node.shown === undefined || isSameIdentity(before, node.shown)) return
    this.changedElsewhere(sight.path, node.shown)
    this.#news.attributes(node.id)
  }

  read(handle: FileHandle, offset: number, length: number, signal: AbortSignal): MaybePromise<Uint8Array> {
    if (handle.lost) throw lost(handle)
    if (handle.older !== undefined) {
      const current = (): MaybePromise<HeldContent | undefined> => this.held(handle.node, signal)
      const older = this.#older.read(handle, { offset, length }, current, signal)
      return chain(older, (bytes) => bytes ?? this.read(handle, offset, length, signal))
    }
    const { node } = handle
    this.catchUp(node)
    const copy = this.copyOf(node)
    if (copy !== undefined) return copy.read(offset, length)
    return chain(this.held(node, signal), (held) => {
      if (held === undefined || handle.lost) return this.read(handle, offset, length, signal)
      if (!handle.begun) this.#record?.changedHandle(handle)
      handle.begun = true
      const size = held.content.size
      const bytes = held.read(offset, length, signal)
      if (!isPromise(bytes)) return bytes
      return bytes.then(
        (arrived) => {
          /* or whoever reads on would stop where the listing said that the file ends */
          return held.content.size === size ? arrived : this.#news.resized(node.id).then(() => arrived)
        },
        async (error: unknown) => {
          const cause = await this.failure(node, error, signal)
          return this.#readAgain(node, held, cause, () => this.read(handle, offset, length, signal))
        },
      )
    })
  }

  /**
   * Whether a look at the file shows another one in its place while somebody reads it: one that is longer may
   * have been appended to.
   */
  isReplaced(node: FileNode, sight: FileSight): boolean {
    const { shown, state } = node
    if (sight.local !== undefined || shown === undefined || isSameIdentity(shown, sight.listed)) return false
    this.catchUp(node)
    if (state.kind !== 'clean' || state.content === undefined || sight.listed.size > shown.size) return false
    return [...node.handles].some((handle) => handle.begun)
  }

  /** What a handle that is about to write has read is what it writes to, or it fails with `stale`. */
  writer(handle: FileHandle, signal: AbortSignal): MaybePromise<void> {
    if (handle.lost) throw lost(handle)
    if (handle.node.replaced) throw new FilesystemError('stale', `${handle.node.name}: replaced by the agent`)
    if (handle.older === undefined) return
    return chain(
      this.#older.catchUp(handle, () => this.held(handle.node, signal), signal),
      (isSame) => {
        if (!isSame) throw new FilesystemError('stale', `${handle.node.name}: changed since it was read`)
      },
    )
  }

  /** The content of a clean file, opened again if need be; undefined when it is not clean any more. */
  held(node: FileNode, signal: AbortSignal): MaybePromise<HeldContent | undefined> {
    this.catchUp(node)
    if (node.state.kind !== 'clean') return undefined
    if (node.state.content !== undefined) return node.state.content
    const { parent, name } = node
    if (parent === undefined) throw new FilesystemError('missing', 'the file is gone from the service')
    return chain(
      this.#view.look(() => this.#tree.path(parent), name, signal),
      (sight) => {
        if (node.parent !== parent || node.name !== name) return this.held(node, signal)
        if (sight.kind !== 'file')
          throw new FilesystemError('missing', `${sight.path}: gone from the service`)
        this.notice(node, sight)
        this.catchUp(node)
        if (node.state.kind === 'clean') this.open(node, sight)
        return this.held(node, signal)
      },
    )
  }

  /** Empties a file without fetching what it was. */
  empty(node: FileNode, sight: FileSight | undefined): WorkingCopy {
    this.catchUp(node)
    const copy = this.copyOf(node)
    if (copy !== undefined) {
      copy.truncate(0)
      return copy
    }
    if (sight === undefined) {
      const unnamed = this.#changes.createUnnamed()
      this.work(node, unnamed)
      return unnamed
    }
    const kept = this.#changes.attributes(sight.path)
    const fresh = this.#changes.create(sight.path, sight.local === undefined ? sight.listed : undefined)
    if (kept !== undefined) this.#changes.noteAttributes(sight.path, kept)
    this.work(node, fresh)
    return fresh
  }

  /** A look at the file: if somebody else changed it, what is open moves on. */
  notice(node: FileNode, sight: FileSight): void {
    if (sight.local !== undefined) {
      node.shown = undefined
      return
    }
    const before = node.shown
    this.catchUp(node)
    if (node.state.kind === 'working') return
    const isSame = before === undefined || isSameIdentity(before, sight.listed)
    const isOpen = node.state.content !== undefined
    /* one that grows all the time is followed for a part of the time; until then it is what it was */
    if (!isSame && isOpen && this.#contents.restMs(sight.path) > 0) return
    if (!isOpen) this.#loseBegun(node, sight)
    node.shown = sight.listed
    if (isSame) return
    if (node.handles.size > 0) this.#record?.changed(node)
    this.changedElsewhere(sight.path, sight.listed)
    node.own = {}
    node.pagesOf = undefined
    if (isOpen) this.open(node, sight)
    this.#news.pages(node.id)
  }

  /** Programs that go by times (make, git, rsync) must see that it is another content. */
  changedElsewhere(path: string, listed: RemoteEntry): void {
    /* the service's own time is shown as it is, unless an older one of ours lies over it */
    if (listedNs(listed) !== undefined && this.#changes.attributes(path) === undefined) return
    const nowNs = msToNs(this.#clock.wallMs())
    this.#changes.noteAttributes(path, { modifiedNs: listedNs(listed) ?? nowNs, changedNs: nowNs })
  }

  /** Times that a write moved are kept when the writer pauses, not with each write. */
  keepTimes(node: FileNode): void {
    const path = this.#tree.findPath(node)
    if (path === undefined || Object.keys(node.own).length === 0) return
    this.#changes.noteAttributes(path, node.own)
    node.own = {}
    this.#record?.changed(node)
  }

  modified(node: FileNode): void {
    const nowNs = msToNs(this.#clock.wallMs())
    /* programs go by it: it does not go back with a process that ends */
    if (node.own.modifiedNs === nowNs) this.#record?.written(node)
    else this.#record?.changed(node)
    node.own = { ...node.own, modifiedNs: nowNs, changedNs: nowNs }
  }

  /** After the handle is closed. */
  closed(handle: FileHandle): void {
    const { node } = handle
    release(handle)
    leaveOlder(handle)
    if (node.handles.size === 0 && this.#tree.findPath(node) !== undefined) this.nameless.letGo(node)
  }

  /** Another file has its name: whoever looks next finds that one. */
  #loseNameElsewhere(node: FileNode): void {
    const { parent, name } = node
    if (parent === undefined) return
    node.replaced = true
    this.nameless.loseName(node, undefined)
    this.#tree.detach(node)
    this.#news.entry(parent.id, name)
  }

  /** What the service has of a file, as the cache is asked for it. */
  remote(sight: FileSight): Parameters<Contents['open']> {
    if (sight.local === undefined) return [sight.path, sight.listed, sight.seen]
    const { content } = sight.local
    if (content.from !== 'remote') throw new FilesystemError('internal', 'a working copy came from nowhere')
    /* what the local side knows of it proves nothing newer than the content itself does */
    return [content.path, content.listed, { begunOrder: 0, seenAt: this.#clock.now() }]
  }

  /** Why the service does not give a file. */
  failure(node: FileNode, error: unknown, signal: AbortSignal): Promise<unknown> {
    return orDirectory(this.#listings, this.#tree.findPath(node), error, signal)
  }

  /** A failed content is not tried again as it is: the bytes may have moved, or come another time. */
  #readAgain<T>(
    node: FileNode,
    held: HeldContent,
    error: unknown,
    read: () => MaybePromise<T>,
  ): MaybePromise<T> {
    if (error instanceof ServiceError && error.concerns !== 'caller') {
      this.catchUp(node)
      if (node.state.kind === 'working') return read()
      if (node.state.content === held && this.#tree.findPath(node) !== undefined) {
        node.state.content = undefined
        held.drop()
      }
    }
    throw error
  }
}

function lost({ node }: FileHandle): FilesystemError {
  return new FilesystemError(
    'stale',
    `${node.name}: changed while it was read, and the older content is gone`,
  )
}

/** Notes what the kernel will have pages of, and answers whether it was the same before. */
function hadPagesOf(node: FileNode, source: WorkingCopy | string): boolean {
  const had = node.pagesOf === source
  node.pagesOf = source
  return had
}
