/**
 * A filesystem in memory behind the `FrontEnd` interface: for the tests of the protocol layer and for
 * measuring what that layer costs. Layer: test.
 *
 * Invariant: each call is counted, and may be made to wait or fail before it does anything.
 */

import { FilesystemError } from '../../src/filesystem/errors.ts'
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
  MaybePromise,
  OpenFlags,
  OpenReply,
  RenameRequest,
  Statistics,
  WriteRequest,
} from '../../src/filesystem/front-end.ts'
import {
  attributesOf,
  from,
  given,
  type MemoryNode,
  MemoryTree,
  now,
  reserve,
  resize,
  snapshot,
} from './memory-tree.ts'

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
  readonly #tree = new MemoryTree()
  readonly nodes = this.#tree.nodes
  readonly calls: Record<string, number> = {}
  /** By the name of a method; awaited before it does anything. */
  readonly hooks = new Map<string, Hook>()
  readonly readSizes: number[] = []
  readonly writeSizes: number[] = []
  readonly root: MemoryNode
  readonly #options: MemoryOptions
  readonly #files = new Map<number, MemoryNode>()
  readonly #directories = new Map<number, OpenDirectory>()
  #lastHandle = 0

  constructor(options: MemoryOptions = {}) {
    this.#options = options
    this.root = this.#tree.make('directory', 0o755, process.getuid?.() ?? 0, process.getgid?.() ?? 0)
    this.root.lookups = Infinity
  }

  comesAgain(): void {
    /* no process goes on with it */
  }

  replying(): void {
    /* nor is anything written down for one */
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
      at =
        at.children.get(part) ??
        this.#tree.link(at, part, this.#tree.make('directory', 0o755, at.uid, at.gid))
    }
    const file =
      at.children.get(name) ?? this.#tree.link(at, name, this.#tree.make('file', 0o644, at.uid, at.gid))
    file.data = Buffer.from(content)
    file.size = file.data.length
    file.modified = file.changed = now()
    return file
  }

  lookup(parent: number, name: string, caller: Caller): MaybePromise<Entry> {
    return this.#run('lookup', caller, () => {
      if (Buffer.byteLength(name) > 255) throw new FilesystemError('nameTooLong')
      const directory = this.#tree.directory(parent)
      const child = name === '..' ? (directory.parent ?? directory) : directory.children.get(name)
      return child === undefined ? this.#missing() : this.#entry(child)
    })
  }

  forget(id: number, count: number): void {
    this.#count('forget')
    const node = this.nodes.get(id)
    if (node === undefined) return
    node.lookups -= count
    this.#tree.drop(node)
  }

  getAttributes(id: number, _handle: number | undefined, caller: Caller): MaybePromise<AttributesReply> {
    return this.#run('getAttributes', caller, () => this.#attributesReply(this.#tree.node(id)))
  }

  setAttributes(
    id: number,
    _handle: number | undefined,
    changes: AttributeChanges,
    caller: Caller,
  ): MaybePromise<AttributesReply> {
    return this.#run('setAttributes', caller, () => {
      const node = this.#tree.node(id)
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
      this.#entry(this.#tree.add(parent, name, 'directory', mode, caller)),
    )
  }

  makeFile(parent: number, name: string, mode: number, caller: Caller): MaybePromise<Entry> {
    return this.#run('makeFile', caller, () =>
      this.#entry(this.#tree.add(parent, name, 'file', mode, caller)),
    )
  }

  unlink(parent: number, name: string, caller: Caller): MaybePromise<void> {
    return this.#run('unlink', caller, () => {
      const directory = this.#tree.directory(parent)
      const child = directory.children.get(name)
      if (child === undefined) throw new FilesystemError('missing')
      if (child.kind === 'directory') throw new FilesystemError('isDirectory')
      this.#tree.unlinkChild(directory, name, child)
    })
  }

  removeDirectory(parent: number, name: string, caller: Caller): MaybePromise<void> {
    return this.#run('removeDirectory', caller, () => {
      const directory = this.#tree.directory(parent)
      const child = directory.children.get(name)
      if (child === undefined) throw new FilesystemError('missing')
      if (child.kind === 'file') throw new FilesystemError('notDirectory')
      if (child.children.size > 0) throw new FilesystemError('notEmpty')
      this.#tree.unlinkChild(directory, name, child)
    })
  }

  rename(parent: number, request: RenameRequest, caller: Caller): MaybePromise<void> {
    return this.#run('rename', caller, () => this.#tree.rename(parent, request))
  }

  create(
    parent: number,
    { name, flags, mode }: CreateRequest,
    caller: Caller,
  ): MaybePromise<{ entry: Entry; open: OpenReply }> {
    return this.#run('create', caller, () => {
      const existing = this.#tree.directory(parent).children.get(name)
      if (existing !== undefined && flags.exclusive) throw new FilesystemError('exists')
      const node = existing ?? this.#tree.add(parent, name, 'file', mode, caller)
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
      const node = this.#tree.make('file', mode, caller.uid, caller.gid)
      node.linkCount = 0
      return { entry: this.#entry(node), open: this.#open(node) }
    })
  }

  open(id: number, flags: OpenFlags, caller: Caller): MaybePromise<OpenReply> {
    return this.#run('open', caller, () => {
      const node = this.#tree.node(id)
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

  write({ handle, offset, data, append }: WriteRequest, caller: Caller): MaybePromise<number> {
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

  allocate({ handle, mode, offset, length }: AllocateRequest, caller: Caller): MaybePromise<void> {
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

  copyRange({ from, fromOffset, to, toOffset, length }: CopyRequest, caller: Caller): MaybePromise<number> {
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
    this.#tree.drop(node)
  }

  synchronize(_handle: number, caller: Caller): MaybePromise<void> {
    return this.#run('synchronize', caller, () => undefined)
  }

  openDirectory(id: number, caller: Caller): MaybePromise<number> {
    return this.#run('openDirectory', caller, () => {
      const node = this.#tree.directory(id)
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
    this.#tree.drop(node)
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

  pathOf(id: number): string | undefined {
    return this.#tree.pathOf(id)
  }

  #count(method: string): void {
    this.calls[method] = (this.calls[method] ?? 0) + 1
  }

  #run<T>(method: string, caller: Caller, work: () => T): MaybePromise<T> {
    this.#count(method)
    const waiting = this.hooks.get(method)?.(caller)
    return waiting === undefined ? work() : waiting.then(work)
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

  #attributesReply(node: MemoryNode): AttributesReply {
    return { attributes: attributesOf(node), ttlMs: this.#options.attributesTtlMs ?? 0 }
  }

  #missing(): Entry {
    return { node: 0, attributes: undefined, entryTtlMs: this.#options.entryTtlMs ?? 0, attributesTtlMs: 0 }
  }

  #entry(node: MemoryNode): Entry {
    node.lookups++
    return {
      node: node.id,
      attributes: attributesOf(node),
      entryTtlMs: this.#options.entryTtlMs ?? 0,
      attributesTtlMs: this.#options.attributesTtlMs ?? 0,
    }
  }
}
