/**
 * Answers the kernel's requests about all sessions of an agent: the top by itself, everything below by the session's
 * own filesystem. Layer: mount.
 *
 *     kernel's number of a node or handle = slot × 2^32 + the session's own; below 2^32: the top's
 *
 * Invariant: a session's filesystem sees its own numbers alone, and its root as if it were mounted by itself; the top
 * answers for the attributes of its directory, so that listing them opens none.
 */
import { FilesystemError } from '../filesystem/errors.ts'

import type {
  AllocateRequest,
  AttributeChanges,
  AttributesReply,
  Caller,
  CopyRequest,
  CreateRequest,
  DirectoryEntry,
  Entry,
  FrontEnd,
  HandleId,
  KernelCache,
  MaybePromise,
  NodeId,
  OpenFlags,
  OpenReply,
  RenameRequest,
  Statistics,
  WriteRequest,
} from '../filesystem/front-end.ts'
import { chain } from '../filesystem/maybe-promise.ts'
import type { Slot } from './agent-slot.ts'
import type { Slots } from './agent-slots.ts'
import type { RecordedFrontEnd } from './mountable.ts'

/** Of a node or a handle. */
type KernelId = number

const span = 2 ** 32
const root: NodeId = 1

export interface AgentFrontEndParts {
  readonly top: RecordedFrontEnd
  readonly slots: Slots
  /** Names at the top that are no sessions. */
  readonly specials: ReadonlySet<string>
  /** Makes a session; rejects with `FilesystemError`. */
  readonly makeSession: (name: string, caller: Caller) => Promise<void>
  /** Somebody wants to remove a session, which is refused. */
  readonly onRemoval: (name: string) => void
}

interface Created {
  readonly entry: Entry
  readonly open: OpenReply
}

export class AgentFrontEnd implements RecordedFrontEnd {
  readonly #top: RecordedFrontEnd
  readonly #slots: Slots
  readonly #specials: ReadonlySet<string>
  readonly #makeSession: AgentFrontEndParts['makeSession']
  readonly #onRemoval: AgentFrontEndParts['onRemoval']

  constructor({ top, slots, specials, makeSession, onRemoval }: AgentFrontEndParts) {
    this.#onRemoval = onRemoval
    this.#top = top
    this.#slots = slots
    this.#specials = specials
    this.#makeSession = makeSession
  }

  recordAnew(): void {
    this.#top.recordAnew()
    for (const slot of this.#slots.all) slot.frontEnd?.recordAnew()
  }

  lookup(parent: NodeId, name: string, caller: Caller): MaybePromise<Entry> {
    const slot = this.#slotOf(parent)
    if (slot === undefined) return this.#top.lookup(parent, name, caller)
    return this.#entry(slot, (files) => files.lookup(own(parent), name, caller), caller)
  }

  forget(node: NodeId, count: number): void {
    if (node < span) this.#top.forget(node, count)
    else this.#slots.numbered(slotNumber(node))?.forget(node % span, count)
  }

  getAttributes(node: NodeId, handle: HandleId | undefined, caller: Caller): MaybePromise<AttributesReply> {
    if (node < span) return this.#top.getAttributes(node, handle, caller)
    const slot = this.#known(node)
    const ownHandle = handle === undefined ? undefined : handle % span
    return slot.use((files) => files.getAttributes(node % span, ownHandle, caller), caller.signal)
  }

  setAttributes(
    node: NodeId,
    handle: HandleId | undefined,
    changes: AttributeChanges,
    caller: Caller,
  ): MaybePromise<AttributesReply> {
    const slot = this.#inSession(node)
    const ownHandle = handle === undefined ? undefined : handle % span
    const set = slot.use((files) => files.setAttributes(own(node), ownHandle, changes, caller), caller.signal)
    /* its mode and owner are the session's, its time is the list's */
    return node < span ? chain(set, () => this.#top.getAttributes(node, undefined, caller)) : set
  }

  makeDirectory(parent: NodeId, name: string, mode: number, caller: Caller): MaybePromise<Entry> {
    const slot = this.#slotOf(parent)
    if (slot !== undefined)
      return this.#entry(slot, (files) => files.makeDirectory(own(parent), name, mode, caller), caller)
    /* somebody stays in a session that is gone */
    if (parent !== root) throw new FilesystemError('missing', `${name}: its session is gone`)
    return this.#makeSession(name, caller).then(() => this.#top.lookup(parent, name, caller))
  }

  makeFile(parent: NodeId, name: string, mode: number, caller: Caller): MaybePromise<Entry> {
    return this.#entry(
      this.#inSession(parent),
      (files) => files.makeFile(own(parent), name, mode, caller),
      caller,
    )
  }

  unlink(parent: NodeId, name: string, caller: Caller): MaybePromise<void> {
    return this.#inSession(parent).use((files) => files.unlink(own(parent), name, caller), caller.signal)
  }

  removeDirectory(parent: NodeId, name: string, caller: Caller): MaybePromise<void> {
    if (parent === root) this.#onRemoval(name)
    return this.#inSession(parent).use(
      (files) => files.removeDirectory(own(parent), name, caller),
      caller.signal,
    )
  }

  rename(parent: NodeId, request: RenameRequest, caller: Caller): MaybePromise<void> {
    /* not crossDevice: `mv` would copy the session's files into the other and remove them here */
    const slot = this.#inSession(parent)
    if (slot !== this.#slotOf(request.newParent)) throw new FilesystemError('crossDevice')
    const inside = { ...request, newParent: own(request.newParent) }
    return slot.use((files) => files.rename(own(parent), inside, caller), caller.signal)
  }

  create(parent: NodeId, request: CreateRequest, caller: Caller): MaybePromise<Created> {
    return this.#created(parent, (files) => files.create(own(parent), request, caller), caller)
  }

  createUnnamed(parent: NodeId, flags: OpenFlags, mode: number, caller: Caller): MaybePromise<Created> {
    return this.#created(parent, (files) => files.createUnnamed(own(parent), flags, mode, caller), caller)
  }

  open(node: NodeId, flags: OpenFlags, caller: Caller): MaybePromise<OpenReply> {
    if (node < span) return this.#top.open(node, flags, caller)
    const slot = this.#known(node)
    return chain(
      slot.use((files) => files.open(node % span, flags, caller), caller.signal),
      (open) => ({ ...open, handle: shared(slot, open.handle) }),
    )
  }

  read(handle: HandleId, offset: number, length: number, caller: Caller): MaybePromise<Uint8Array> {
    return this.#with(handle, (files) => files.read(handle % span, offset, length, caller), caller)
  }

  write(request: WriteRequest, caller: Caller): MaybePromise<number> {
    const { handle } = request
    if (handle < span) return this.#top.write(request, caller)
    const slot = this.#known(handle)
    /* its bytes are good during the call alone */
    const kept = slot.frontEnd === undefined ? { ...request, data: Buffer.from(request.data) } : request
    return slot.use((files) => files.write({ ...kept, handle: handle % span }, caller), caller.signal)
  }

  allocate(request: AllocateRequest, caller: Caller): MaybePromise<void> {
    const inside = { ...request, handle: request.handle % span }
    return this.#with(request.handle, (files) => files.allocate(inside, caller), caller)
  }

  seek(handle: HandleId, offset: number, whence: 'data' | 'hole', caller: Caller): MaybePromise<number> {
    return this.#with(handle, (files) => files.seek(handle % span, offset, whence, caller), caller)
  }

  copyRange(request: CopyRequest, caller: Caller): MaybePromise<number> {
    const { from, to } = request
    if (slotNumber(from) !== slotNumber(to)) throw new FilesystemError('crossDevice')
    const inside = { ...request, from: from % span, to: to % span }
    return this.#with(from, (files) => files.copyRange(inside, caller), caller)
  }

  flush(handle: HandleId, caller: Caller): MaybePromise<void> {
    return this.#with(handle, (files) => files.flush(handle % span, caller), caller)
  }

  release(handle: HandleId): MaybePromise<void> {
    return this.#with(handle, (files) => files.release(handle % span))
  }

  synchronize(handle: HandleId, caller: Caller): MaybePromise<void> {
    return this.#with(handle, (files) => files.synchronize(handle % span, caller), caller)
  }

  openDirectory(node: NodeId, caller: Caller): MaybePromise<HandleId> {
    const slot = this.#slotOf(node)
    if (slot === undefined) return this.#top.openDirectory(node, caller)
    return chain(
      slot.use((files) => files.openDirectory(own(node), caller), caller.signal),
      (handle) => shared(slot, handle),
    )
  }

  readDirectory(handle: HandleId, offset: number, caller: Caller): MaybePromise<Iterable<DirectoryEntry>> {
    return this.#with(handle, (files) => files.readDirectory(handle % span, offset, caller), caller)
  }

  entryOf(handle: HandleId, name: string): Entry | undefined {
    if (handle < span) return this.#top.entryOf(handle, name)
    const slot = this.#known(handle)
    const entry = slot.frontEnd?.entryOf(handle % span, name)
    return entry === undefined ? undefined : sharedEntry(slot, entry)
  }

  releaseDirectory(handle: HandleId): void {
    if (handle < span) {
      this.#top.releaseDirectory(handle)
      return
    }
    const released = this.#known(handle).use((files) => files.releaseDirectory(handle % span))
    /* why its session cannot be opened is said by the slot */
    if (released instanceof Promise) released.catch(() => undefined)
  }

  synchronizeDirectory(handle: HandleId, caller: Caller): MaybePromise<void> {
    return this.#with(handle, (files) => files.synchronizeDirectory(handle % span, caller), caller)
  }

  statistics(): Statistics {
    return this.#top.statistics()
  }

  comesAgain(request: number, node: NodeId): void {
    this.#top.comesAgain(request, node)
    this.#found(node)?.comesAgain(request)
  }

  replying(request: number, node: NodeId): void {
    this.#top.replying(request, node)
    if (node !== 0) this.#found(node)?.frontEnd?.replying(request)
    else for (const slot of this.#slots.all) slot.frontEnd?.replying(request)
  }

  pathOf(node: NodeId): string | undefined {
    if (node < span) return this.#top.pathOf(node)
    const slot = this.#slots.numbered(slotNumber(node))
    const path = slot?.frontEnd?.pathOf(node % span)
    return slot === undefined || path === undefined ? undefined : `${slot.session}/${path}`
  }

  /** undefined: it is the top's. Throws `missing` where nobody knows it. */
  #slotOf(node: NodeId): Slot | undefined {
    if (node >= span) return this.#known(node)
    if (node === root) return undefined
    const session = this.#top.pathOf(node)
    if (session === undefined || this.#specials.has(session)) return undefined
    const slot = this.#slots.of(session)
    slot.rootNode = node
    return slot
  }

  /** The same for what nobody can be refused. */
  #found(node: NodeId): Slot | undefined {
    return node < span ? this.#slotOf(node) : this.#slots.numbered(slotNumber(node))
  }

  #inSession(node: NodeId): Slot {
    const slot = this.#slotOf(node)
    if (slot === undefined) throw notAtTop()
    return slot
  }

  #known(id: KernelId): Slot {
    const slot = this.#slots.numbered(slotNumber(id))
    if (slot === undefined) throw new FilesystemError('missing', `no session ${slotNumber(id)}`)
    return slot
  }

  #with<T>(handle: HandleId, work: (files: FrontEnd) => MaybePromise<T>, caller?: Caller): MaybePromise<T> {
    return handle < span ? work(this.#top) : this.#known(handle).use(work, caller?.signal)
  }

  #entry(slot: Slot, work: (files: FrontEnd) => MaybePromise<Entry>, caller: Caller): MaybePromise<Entry> {
    return chain(slot.use(work, caller.signal), (entry) => sharedEntry(slot, entry))
  }

  #created(
    parent: NodeId,
    work: (files: FrontEnd) => MaybePromise<Created>,
    caller: Caller,
  ): MaybePromise<Created> {
    const slot = this.#inSession(parent)
    return chain(slot.use(work, caller.signal), ({ entry, open }) => ({
      entry: sharedEntry(slot, entry),
      open: { ...open, handle: shared(slot, open.handle) },
    }))
  }
}

/** What a slot tells the kernel, by the kernel's numbers. */
export function kernelCacheOf(kernelCache: KernelCache, slot: Slot): KernelCache {
  return {
    invalidateNode: (node, offset, length) =>
      /* the attributes of the session's directory are the top's */
      node === root ? undefined : kernelCache.invalidateNode(shared(slot, node), offset, length),
    invalidateEntry: (parent, name) => {
      const node = parent === root ? slot.rootNode : shared(slot, parent)
      if (node !== undefined) kernelCache.invalidateEntry(node, name)
    },
  }
}

const slotNumber = (id: KernelId): number => Math.floor(id / span)

/** What a session calls a node; its directory is its root. */
const own = (node: NodeId): NodeId => (node < span ? root : node % span)

const shared = (slot: Slot, id: KernelId): number => slot.number * span + id

function sharedEntry(slot: Slot, entry: Entry): Entry {
  return entry.node === 0 ? entry : { ...entry, node: shared(slot, entry.node) }
}

function notAtTop(): FilesystemError {
  return new FilesystemError('notPermitted', 'nothing but sessions can be at the top, and only be made there')
}
