/**
 * A filesystem in memory behind the `FrontEnd` interface: for the tests of the protocol layer and for
 * measuring what that layer costs. Layer: test.
 *
 * Invariant: a node lives while it has a name, a look-up that was not forgotten, or a handle.
 */

import { FilesystemError } from '../../src/filesystem/errors.ts'
import type {
  AttributeChanges,
  Attributes,
  AttributesReply,
  Caller,
  DirectoryEntry,
  Entry,
  FrontEnd,
  MaybePromise,
  OpenFlags,
  OpenReply,
  Statistics,
  Time,
} from '../../src/filesystem/front-end.ts'

export interface MemoryNode {
  readonly id: number
  readonly kind: 'file' | 'directory'
  /** Bytes in use are the first `size` of `data`. */
  data: Buffer
  size: number
  readonly children: Map<string, MemoryNode>
  parent: MemoryNode | undefined
  mode: number
  uid: number
  gid: number
  accessed: Time
  modified: Time
  changed: Time
  linkCount: number
  lookups: number
  handles: number
}

interface OpenDirectory {
  readonly node: MemoryNode
  snapshot: DirectoryEntry[]
}

export interface MemoryOptions {
  /** Default 0. */
  readonly entryTtlMs?: number
  readonly attributesTtlMs?: number
  readonly keepCache?: boolean
  readonly directIo?: boolean
}

/** What a test sees of the calls, and where it can make one wait or fail. */
export type Hook = (caller: Caller) => Promise<void> | undefined

export class MemoryFrontEnd implements FrontEnd {
  readonly nodes = new Map<number, MemoryNode>()
  readonly calls: Record<string, number> = {}
  /** By the name of a method; awaited before it does anything. */
  readonly hooks = new Map<string, Hook>()
  readonly readSizes: number[] = []
  readonly writeSizes: number[] = []
  readonly root: MemoryNode
  readonly #options: MemoryOptions
  readonly #files = new Map<number, MemoryNode>()
  readonly #directories = new Map<number, OpenDirectory>()
  #lastNode = 0
  #lastHandle = 0

  constructor(options: MemoryOptions = {}) {
    this.#options = options
    this.root = this.#make('directory', 0o755, process.getuid?.() ?? 0, process.getgid?.() ?? 0)
    this.root.lookups = Infinity
  }

  get openHandles(): number {
    return this.#files.size + this.#directories.size
  }

  /** For preparing a tree; returns the file. */
  put(path: string, content: Uint8Array | string): MemoryNode {
    const names = path.split('/')
    const name = names.pop()!
    let at = this.root
    for (const part of names) {
      at = at.children.get(part) ?? this.#link(at, part, this.#make('directory', 0o755, at.uid, at.gid))
    }
    const file = at.children.get(name) ?? this.#link(at, name, this.#make('file', 0o644, at.uid, at.gid))
    file.data = Buffer.from(content)
    file.size = file.data.length
    file.modified = file.changed = now()
    return file
  }

  lookup(parent: number, name: string, caller: Caller): MaybePromise<Entry> {
    return this.#run('lookup', caller, () => {
      if (Buffer.byteLength(name) > 255) throw new FilesystemError('nameTooLong')
      const directory = this.#directory(parent)
      const child = name === '..' ? (directory.parent ?? directory) : directory.children.get(name)
      return child === undefined ? this.#missing() : this.#entry(child)
    })
  }

  forget(id: number, count: number): void {
    this.#count('forget')
    const node = this.nodes.get(id)
    if (node === undefined) return
    node.lookups -= count
    this.#drop(node)
  }

  getAttributes(id: number, _handle: number | undefined, caller: Caller): MaybePromise<AttributesReply> {
    return this.#run('getAttributes', caller, () => this.#attributesReply(this.#node(id)))
  }

  setAttributes(
    id: number,
    _handle: number | undefined,
    changes: AttributeChanges,
    caller: Caller,
  ): MaybePromise<AttributesReply> {
    return this.#run('setAttributes', caller, () => {
      const node = this.#node(id)
      if (changes.size !== undefined) resize(node, changes.size)
      node.mode = changes.mode ?? node.mode
      node.uid = changes.uid ?? node.uid
      node.gid = changes.gid ?? node.gid
      if (changes.accessed !== undefined) node.accessed = given(changes.accessed)
      if (changes.modified !== undefined) node.modified = given(changes.modified)
      node.changed = now()
      return this.#attributesReply(node)
    })
  }

  makeDirectory(parent: number, name: string, mode: number, caller: Caller): MaybePromise<Entry> {
    return this.#run('makeDirectory', caller, () =>
      this.#entry(this.#add(parent, name, 'directory', mode, caller)),
    )
  }

  makeFile(parent: number, name: string, mode: number, caller: Caller): MaybePromise<Entry> {
    return this.#run('makeFile', caller, () => this.#entry(this.#add(parent, name, 'file', mode, caller)))
  }

  unlink(parent: number, name: string, caller: Caller): MaybePromise<void> {
    return this.#run('unlink', caller, () => {
      const directory = this.#directory(parent)
      const child = directory.children.get(name)
      if (child === undefined) throw new FilesystemError('missing')
      if (child.kind === 'directory') throw new FilesystemError('isDirectory')
      this.#unlinkChild(directory, name, child)
    })
  }

  removeDirectory(parent: number, name: string, caller: Caller): MaybePromise<void> {
    return this.#run('removeDirectory', caller, () => {
      const directory = this.#directory(parent)
      const child = directory.children.get(name)
      if (child === undefined) throw new FilesystemError('missing')
      if (child.kind === 'file') throw new FilesystemError('notDirectory')
      if (child.children.size > 0) throw new FilesystemError('notEmpty')
      this.#unlinkChild(directory, name, child)
    })
  }

  rename(
    parent: number,
    name: string,
    newParent: number,
    newName: string,
    options: { readonly noReplace: boolean },
    caller: Caller,
  ): MaybePromise<void> {
    return this.#run('rename', caller, () => {
      const from = this.#directory(parent)
      const to = this.#directory(newParent)
      const node = from.children.get(name)
      if (node === undefined) throw new FilesystemError('missing')
      const replaced = to.children.get(newName)
      if (replaced === node) return
      if (replaced !== undefined) {
        if (options.noReplace) throw new FilesystemError('exists')
        if (replaced.kind !== node.kind) {
          throw new FilesystemError(replaced.kind === 'directory' ? 'isDirectory' : 'notDirectory')
        }
        if (replaced.children.size > 0) throw new FilesystemError('notEmpty')
        this.#unlinkChild(to, newName, replaced)
      }
      from.children.delete(name)
      to.children.set(newName, node)
      node.parent = to
      node.changed = from.modified = to.modified = now()
    })
  }

  create(
    parent: number,
    name: string,
    flags: OpenFlags,
    mode: number,
    caller: Caller,
  ): MaybePromise<{ entry: Entry; open: OpenReply }> {
    return this.#run('create', caller, () => {
      const existing = this.#directory(parent).children.get(name)
      if (existing !== undefined && flags.exclusive) throw new FilesystemError('exists')
      const node = existing ?? this.#add(parent, name, 'file', mode, caller)
      if (flags.truncate) resize(node, 0)
      return { entry: this.#entry(node), open: this.#open(node) }
    })
  }

  createUnnamed(
    _parent: number,
    _flags: OpenFlags,
    mode: number,
    caller: Caller,
  ): MaybePromise<{ entry: Entry; open: OpenReply }> {
    return this.#run('createUnnamed', caller, () => {
      const node = this.#make('file', mode, caller.uid, caller.gid)
      node.linkCount = 0
      return { entry: this.#entry(node), open: this.#open(node) }
    })
  }

  open(id: number, flags: OpenFlags, caller: Caller): MaybePromise<OpenReply> {
    return this.#run('open', caller, () => {
      const node = this.#node(id)
      if (flags.truncate) resize(node, 0)
      return this.#open(node)
    })
  }

  read(handle: number, offset: number, length: number, caller: Caller): MaybePromise<Uint8Array> {
    this.readSizes.push(length)
    return this.#run('read', caller, () => {
      const node = this.#file(handle)
      return node.data.subarray(offset, Math.min(node.size, offset + length))
    })
  }

  write(
    handle: number,
    offset: number,
    data: Uint8Array,
    caller: Caller,
    append: boolean,
  ): MaybePromise<number> {
    this.writeSizes.push(data.length)
    const kept = this.hooks.has('write') ? Buffer.from(data) : data
    return this.#run('write', caller, () => {
      const node = this.#file(handle)
      const start = append ? node.size : offset
      const end = start + kept.length
      reserve(node, end)
      node.data.set(kept, start)
      node.size = Math.max(node.size, end)
      node.modified = node.changed = now()
      return kept.length
    })
  }

  allocate(
    handle: number,
    mode: 'extend' | 'keepSize' | 'punchHole',
    offset: number,
    length: number,
    caller: Caller,
  ): MaybePromise<void> {
    return this.#run('allocate', caller, () => {
      const node = this.#file(handle)
      if (mode === 'extend' && offset + length > node.size) resize(node, offset + length)
      if (mode === 'punchHole') node.data.fill(0, offset, Math.min(node.size, offset + length))
      node.modified = node.changed = now()
    })
  }

  seek(handle: number, offset: number, whence: 'data' | 'hole', caller: Caller): MaybePromise<number> {
    return this.#run('seek', caller, () => {
      const { size } = this.#file(handle)
      if (offset >= size) throw new FilesystemError('noData')
      return whence === 'data' ? offset : size
    })
  }

  copyRange(
    from: number,
    fromOffset: number,
    to: number,
    toOffset: number,
    length: number,
    caller: Caller,
  ): MaybePromise<number> {
    return this.#run('copyRange', caller, () => {
      const source = this.#file(from)
      const bytes = source.data.subarray(fromOffset, Math.min(source.size, fromOffset + length))
      const target = this.#file(to)
      reserve(target, toOffset + bytes.length)
      target.data.set(bytes, toOffset)
      target.size = Math.max(target.size, toOffset + bytes.length)
      return bytes.length
    })
  }

  flush(_handle: number, caller: Caller): MaybePromise<void> {
    return this.#run('flush', caller, () => undefined)
  }

  release(handle: number): MaybePromise<void> {
    this.#count('release')
    const node = this.#file(handle)
    this.#files.delete(handle)
    node.handles--
    this.#drop(node)
  }

  synchronize(_handle: number, caller: Caller): MaybePromise<void> {
    return this.#run('synchronize', caller, () => undefined)
  }

  openDirectory(id: number, caller: Caller): MaybePromise<number> {
    return this.#run('openDirectory', caller, () => {
      const node = this.#directory(id)
      node.handles++
      this.#directories.set(++this.#lastHandle, { node, snapshot: [] })
      return this.#lastHandle
    })
  }

  readDirectory(handle: number, offset: number, caller: Caller): MaybePromise<Iterable<DirectoryEntry>> {
    return this.#run('readDirectory', caller, () => {
      const open = this.#openDirectoryOf(handle)
      if (offset === 0) open.snapshot = snapshot(open.node)
      return from(open.snapshot, offset)
    })
  }

  entryOf(handle: number, name: string): Entry | undefined {
    const child = this.#openDirectoryOf(handle).node.children.get(name)
    return child === undefined ? undefined : this.#entry(child)
  }

  releaseDirectory(handle: number): void {
    this.#count('releaseDirectory')
    const { node } = this.#openDirectoryOf(handle)
    this.#directories.delete(handle)
    node.handles--
    this.#drop(node)
  }

  synchronizeDirectory(_handle: number, caller: Caller): MaybePromise<void> {
    return this.#run('synchronizeDirectory', caller, () => undefined)
  }

  statistics(): Statistics {
    this.#count('statistics')
    return {
      blockSize: 4096,
      blocks: 1 << 20,
      freeBlocks: 1 << 19,
      availableBlocks: 1 << 19,
      files: 1 << 16,
      freeFiles: (1 << 16) - this.nodes.size,
      nameLength: 255,
    }
  }

  #count(method: string): void {
    this.calls[method] = (this.calls[method] ?? 0) + 1
  }

  #run<T>(method: string, caller: Caller, work: () => T): MaybePromise<T> {
    this.#count(method)
    const waiting = this.hooks.get(method)?.(caller)
    return waiting === undefined ? work() : waiting.then(work)
  }

  #make(kind: 'file' | 'directory', mode: number, uid: number, gid: number): MemoryNode {
    const time = now()
    const node: MemoryNode = {
      id: ++this.#lastNode,
      kind,
      data: Buffer.alloc(0),
      size: 0,
      children: new Map(),
      parent: undefined,
      mode,
      uid,
      gid,
      accessed: time,
      modified: time,
      changed: time,
      linkCount: 1,
      lookups: 0,
      handles: 0,
    }
    this.nodes.set(node.id, node)
    return node
  }

  #link(directory: MemoryNode, name: string, node: MemoryNode): MemoryNode {
    directory.children.set(name, node)
    node.parent = directory
    directory.modified = directory.changed = node.changed
    return node
  }

  #add(parent: number, name: string, kind: 'file' | 'directory', mode: number, caller: Caller): MemoryNode {
    const directory = this.#directory(parent)
    if (directory.children.has(name)) throw new FilesystemError('exists')
    if (Buffer.byteLength(name) > 255) throw new FilesystemError('nameTooLong')
    return this.#link(directory, name, this.#make(kind, mode, caller.uid, caller.gid))
  }

  #unlinkChild(directory: MemoryNode, name: string, child: MemoryNode): void {
    directory.children.delete(name)
    directory.modified = directory.changed = now()
    child.linkCount = 0
    this.#drop(child)
  }

  #drop(node: MemoryNode): void {
    if (node.linkCount === 0 && node.lookups === 0 && node.handles === 0) this.nodes.delete(node.id)
  }

  #node(id: number): MemoryNode {
    const node = this.nodes.get(id)
    if (node === undefined) throw new FilesystemError('missing')
    return node
  }

  #directory(id: number): MemoryNode {
    const node = this.#node(id)
    if (node.kind !== 'directory') throw new FilesystemError('notDirectory')
    return node
  }

  #open(node: MemoryNode): OpenReply {
    node.handles++
    this.#files.set(++this.#lastHandle, node)
    const { keepCache = false, directIo = false } = this.#options
    return { handle: this.#lastHandle, keepCache, directIo }
  }

  #file(handle: number): MemoryNode {
    const node = this.#files.get(handle)
    if (node === undefined) throw new FilesystemError('badHandle')
    return node
  }

  #openDirectoryOf(handle: number): OpenDirectory {
    const open = this.#directories.get(handle)
    if (open === undefined) throw new FilesystemError('badHandle')
    return open
  }

  #attributes(node: MemoryNode): Attributes {
    return {
      inode: node.id,
      kind: node.kind,
      size: node.size,
      blocks: Math.ceil(node.size / 512),
      mode: node.mode,
      uid: node.uid,
      gid: node.gid,
      linkCount: node.linkCount,
      accessed: node.accessed,
      modified: node.modified,
      changed: node.changed,
    }
  }

  #attributesReply(node: MemoryNode): AttributesReply {
    return { attributes: this.#attributes(node), ttlMs: this.#options.attributesTtlMs ?? 0 }
  }

  #missing(): Entry {
    return { node: 0, attributes: undefined, entryTtlMs: this.#options.entryTtlMs ?? 0, attributesTtlMs: 0 }
  }

  #entry(node: MemoryNode): Entry {
    node.lookups++
    return {
      node: node.id,
      attributes: this.#attributes(node),
      entryTtlMs: this.#options.entryTtlMs ?? 0,
      attributesTtlMs: this.#options.attributesTtlMs ?? 0,
    }
  }
}

function now(): Time {
  const ms = Date.now()
  const seconds = Math.floor(ms / 1000)
  return { seconds, nanoseconds: (ms - seconds * 1000) * 1_000_000 }
}

function given(time: Time | 'now'): Time {
  return time === 'now' ? now() : time
}

function reserve(node: MemoryNode, size: number): void {
  if (node.data.length >= size) return
  const grown = Buffer.alloc(Math.max(size, node.data.length * 2))
  node.data.copy(grown, 0, 0, node.size)
  node.data = grown
}

function resize(node: MemoryNode, size: number): void {
  if (size < node.size) node.data.fill(0, size, node.size)
  reserve(node, size)
  node.size = size
  node.modified = node.changed = now()
}

function snapshot(node: MemoryNode): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [
    { name: '.', kind: 'directory', inode: node.id, nextOffset: 1 },
    { name: '..', kind: 'directory', inode: (node.parent ?? node).id, nextOffset: 2 },
  ]
  for (const [name, child] of node.children) {
    entries.push({ name, kind: child.kind, inode: child.id, nextOffset: entries.length + 1 })
  }
  return entries
}

function* from(entries: readonly DirectoryEntry[], offset: number): Iterable<DirectoryEntry> {
  for (let i = offset; i < entries.length; i++) yield entries[i]!
}
