/**
 * What programs do with open files. Layer: filesystem.
 *
 * Invariant: a write goes to the one working copy of its file, an appending one to the end it has then; one
 * that fails has left the file as it was before that request.
 */
import type { WorkingCopy } from '../write-back/local-changes.ts'
import { confirmed } from './confirmation.ts'
import { FilesystemError } from './errors.ts'
import { stopIfInterrupted } from './failures.ts'
import type {
  AllocateRequest,
  Caller,
  CopyRequest,
  HandleId,
  MaybePromise,
  OpenFlags,
  OpenReply,
  WriteRequest,
} from './front-end.ts'
import type { FileHandle, FileNode, Node, SpecialNode } from './node.ts'
import { isDivided, leaveOlder } from './older-contents.ts'
import { chain, isPromise } from './maybe-promise.ts'
import { Stage } from './staging.ts'
import type { FileSight } from './view.ts'
import type { Workbench } from './workbench.ts'

/** One call copies this much at most: the caller asks again, and others get their turn. */
const copyBytes = 8 * 1024 * 1024
const copyStepBytes = 1024 * 1024

/** A download of no more need not end with the program that wanted it. */
const briefBytes = 64 * 1024

export class FileOperations {
  readonly #parts: Workbench
  readonly #stage: Stage

  constructor(workbench: Workbench) {
    this.#parts = workbench
    this.#stage = new Stage(workbench)
  }

  open(node: Node, flags: OpenFlags, caller: Caller): MaybePromise<OpenReply> {
    if (node.kind === 'directory') throw new FilesystemError('isDirectory')
    if (node.kind === 'special') return this.openSpecial(node, flags, caller)
    const { tree, resolver, walks } = this.#parts
    const path = tree.findPath(node)
    if (path === undefined) return this.openSeen(node, flags, undefined)
    if (!flags.write) walks?.didOpen(path, caller.pid)
    return chain(resolver.lookAt(node, caller.signal), (sight) => {
      stopIfInterrupted(caller.signal)
      /* something else has the name: the kernel looks again */
      if (sight === undefined) throw new FilesystemError('stale', `${node.name}: something else is there now`)
      return this.openSeen(node, flags, sight.kind === 'file' ? sight : undefined)
    })
  }

  /** `sight` undefined: the file has no name any more; it opens as long as its bytes are kept. */
  openSeen(node: FileNode, flags: OpenFlags, sight: FileSight | undefined): OpenReply {
    const { bytes, changes, handles } = this.#parts
    if (this.#parts.options.readOnly && (flags.write || flags.truncate)) throw new FilesystemError('readOnly')
    bytes.catchUp(node)
    const copy = bytes.copyOf(node)
    if (sight === undefined && node.handles.size === 0 && !bytes.nameless.isKept(node))
      throw new FilesystemError('stale', `${node.name}: it has lost its name since it was looked up`)
    if (flags.truncate) {
      const emptied = bytes.empty(node, sight)
      bytes.modified(node)
      const handle = handles.openFile(node, flags)
      bytes.retain(handle, emptied)
      return { handle: handle.id, keepCache: false, directIo: false }
    }
    /* a larger one of the service can only be read or replaced */
    if (flags.write && copy === undefined) changes.checkSize(node.name, bytes.sizeOf(node, sight))
    const keepCache = sight === undefined ? false : bytes.open(node, sight)
    const directIo = isDivided(node)
    const handle = handles.openFile(node, flags)
    /* what is read from the kernel's pages is not seen here */
    handle.begun = keepCache && copy === undefined
    if (copy !== undefined && (flags.write || sight === undefined)) bytes.retain(handle, copy)
    const isHereSoon = copy !== undefined || bytes.sizeOf(node, sight) <= briefBytes
    const noFlush = !flags.write && sight !== undefined && isHereSoon
    return { handle: handle.id, keepCache, directIo, noFlush }
  }

  openSpecial(node: SpecialNode, flags: OpenFlags, caller: Caller): MaybePromise<OpenReply> {
    if (flags.write || flags.truncate)
      throw new FilesystemError('accessDenied', `${node.name} can only be read`)
    return chain(node.file.open(caller.signal), (opened) => {
      const handle = this.#parts.handles.openSpecial(node, opened)
      return { handle: handle.id, keepCache: false, directIo: true }
    })
  }

  read(id: HandleId, offset: number, length: number, caller: Caller): MaybePromise<Uint8Array> {
    const handle = this.#parts.handles.get(id)
    switch (handle.kind) {
      case 'directory':
        throw new FilesystemError('isDirectory')
      case 'special':
        return handle.opened.read(offset, length, caller.signal)
      case 'file':
        return this.#parts.bytes.read(handle, offset, length, caller.signal)
    }
  }

  write(request: WriteRequest, caller: Caller): MaybePromise<number> {
    const { offset, data, append } = request
    const handle = this.#writer(request.handle)
    if (!append) this.#parts.changes.checkSize(handle.node.name, offset + data.length)
    this.#parts.bytes.catchUp(handle.node)
    const copy = this.#parts.bytes.copyOf(handle.node)
    if (copy !== undefined && handle.older === undefined) {
      this.#parts.bytes.retain(handle, copy)
      return this.#write(handle, copy, request, caller)
    }
    const kept = { ...request, data: Uint8Array.from(data) }
    return this.#changing(handle, caller, (staged) => this.#write(handle, staged, kept, caller))
  }

  allocate(request: AllocateRequest, caller: Caller): MaybePromise<void> {
    const { mode, offset, length } = request
    const handle = this.#writer(request.handle)
    if (length <= 0 || offset < 0) throw new FilesystemError('invalid')
    if (mode !== 'punchHole') this.#parts.changes.checkSize(handle.node.name, offset + length)
    /* a working copy has its room when it is written, and the service none to set aside */
    if (mode === 'keepSize') return
    return this.#changing(handle, caller, (copy) => {
      if (mode === 'punchHole') copy.punchHole(offset, length)
      else if (offset + length > copy.size) copy.truncate(offset + length)
      this.#parts.bytes.modified(handle.node)
    })
  }

  seek(id: HandleId, offset: number, whence: 'data' | 'hole', caller: Caller): MaybePromise<number> {
    const { handles, bytes, resolver } = this.#parts
    const { node } = handles.file(id)
    return chain(resolver.lookAt(node, caller.signal), (sight) => {
      const size = bytes.sizeOf(node, sight?.kind === 'file' ? sight : undefined)
      if (offset < 0 || offset >= size) throw new FilesystemError('noData')
      return whence === 'data' ? offset : size
    })
  }

  async copyRange(request: CopyRequest, caller: Caller): Promise<number> {
    const { fromOffset, to, toOffset } = request
    const from = this.#parts.handles.file(request.from)
    this.#writer(to)
    const wanted = Math.min(request.length, copyBytes)
    let copied = 0
    while (copied < wanted) {
      const step = Math.min(copyStepBytes, wanted - copied)
      const data = await this.#parts.bytes.read(from, fromOffset + copied, step, caller.signal)
      if (data.length === 0) break
      copied += await this.write({ handle: to, offset: toOffset + copied, data, append: false }, caller)
    }
    return copied
  }

  /** `truncate(2)`, or `ftruncate(2)` by the handle that it came with. */
  resize(
    node: FileNode,
    handleId: HandleId | undefined,
    size: number,
    sight: FileSight | undefined,
    caller: Caller,
  ): MaybePromise<void> {
    const { handles, changes } = this.#parts
    changes.checkSize(node.name, size)
    const given = handleId === undefined ? undefined : handles.get(handleId)
    if (given?.kind === 'file' && given.node === node && given.flags.write)
      return this.#resize(given, size, sight, caller)
    const own = handles.openFile(node, writeOnly, true)
    const failed = (error: unknown): never => {
      this.release(own.id)
      throw error
    }
    try {
      const resized = chain(this.#resize(own, size, sight, caller), () => this.flush(own.id, caller))
      if (isPromise(resized)) return resized.then(() => this.release(own.id), failed)
      this.release(own.id)
    } catch (error) {
      return failed(error)
    }
  }

  #resize(
    handle: FileHandle,
    size: number,
    sight: FileSight | undefined,
    caller: Caller,
  ): MaybePromise<void> {
    const { bytes, changes, record } = this.#parts
    const { node } = handle
    const before = bytes.sizeOf(node, sight)
    record?.cutting(node)
    bytes.catchUp(node)
    const copy = bytes.copyOf(node)
    if (size === 0) {
      leaveOlder(handle)
      bytes.retain(handle, bytes.empty(node, sight))
    } else if (copy !== undefined || before !== size) {
      if (copy === undefined) changes.checkSize(node.name, before)
      return chain(
        this.#changing(handle, caller, (staged) => staged.truncate(size)),
        () => bytes.modified(node),
      )
    }
    bytes.modified(node)
  }

  flush(id: HandleId, caller: Caller): MaybePromise<void> {
    const { handles, bytes } = this.#parts
    const handle = handles.get(id)
    if (handle.kind !== 'file') return
    bytes.keepTimes(handle.node)
    const copy = handle.retained
    if (copy === undefined) return
    copy.flush()
    copy.report(handle.told)
    return confirmed(this.#parts, [copy], caller)
  }

  release(id: HandleId): void {
    const { handles, bytes, tree } = this.#parts
    const handle = handles.get(id)
    if (handle.kind === 'special') handle.opened.close()
    if (handle.kind === 'file') bytes.keepTimes(handle.node)
    handles.close(handle)
    if (handle.kind === 'file') bytes.closed(handle)
    tree.settle(handle.node)
  }

  /** Any handle will do, also one that only reads: it is the file that is waited for. */
  synchronize(id: HandleId, caller: Caller): MaybePromise<void> {
    const { handles, bytes, changes, tree } = this.#parts
    const handle = handles.get(id)
    if (handle.kind !== 'file') return
    bytes.keepTimes(handle.node)
    /* a copy knows whether it is to travel: its name may be hidden by what somebody else put there */
    const copy = bytes.copyOf(handle.node)
    if (copy !== undefined) return copy.barrier(caller.signal)
    const path = tree.findPath(handle.node)
    return path === undefined ? undefined : changes.barrier(path, caller.signal)
  }

  #writer(id: HandleId): FileHandle {
    const handle = this.#parts.handles.file(id)
    if (!handle.flags.write)
      throw new FilesystemError('badHandle', `${handle.node.name}: not open for writing`)
    return handle
  }

  #changing<T>(handle: FileHandle, caller: Caller, change: (copy: WorkingCopy) => T): MaybePromise<T> {
    const { signal } = caller
    const ready = chain(this.#parts.bytes.writer(handle, signal), () => this.#stage.writable(handle, signal))
    return chain(ready, (copy) => {
      stopIfInterrupted(caller.signal)
      const { bytes } = this.#parts
      bytes.catchUp(handle.node)
      return change(bytes.copyOf(handle.node) ?? copy)
    })
  }

  #write(
    handle: FileHandle,
    copy: WorkingCopy,
    { offset, data, append }: WriteRequest,
    caller: Caller,
  ): number {
    if (append && caller.resent && this.#parts.appended.has(caller.request)) {
      this.#parts.news.pages(handle.node.id)
      return data.length
    }
    copy.report(handle.told)
    if (append) this.#parts.record?.appending(caller.request, handle.node.id, copy.size, data.length)
    const at = copy.write(append ? undefined : offset, data)
    this.#parts.bytes.modified(handle.node)
    /* the kernel filed the bytes under the offset that it took for the end */
    if (at !== offset) this.#parts.news.pages(handle.node.id)
    return data.length
  }
}

const writeOnly: OpenFlags = { read: false, write: true, append: false, truncate: false, exclusive: false }
