/**
 * The filesystem: the front end's operations over listings, contents and local changes. Layer: filesystem.
 *
 * It reads as the table of contents: what an operation does stands in the file that it names. Invariant: every
 * failure leaves as a `FilesystemError`, logged here once and nowhere else.
 */
import type { Logger } from '../log.ts'
import type { LocalChanges } from '../write-back/local-changes.ts'
import { DirectoryOperations } from './directory-operations.ts'
import { FilesystemError, type Reason } from './errors.ts'
import { stopIfInterrupted, toFilesystemError } from './failures.ts'
import { FileBytes } from './file-bytes.ts'
import { FileOperations } from './file-operations.ts'
import { ForeignChanges } from './foreign-changes.ts'
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
  MaybePromise,
  NodeId,
  OpenFlags,
  OpenReply,
  RenameRequest,
  Statistics,
  WriteRequest,
} from './front-end.ts'
import { Handles } from './handles.ts'
import type { FileNode, SpecialHandle } from './node.ts'
import { goOn } from './go-on.ts'
import type { CarryOut } from './ground.ts'
import { KernelRecord } from './kernel-record.ts'
import type { Remembered } from './remembered.ts'
import { KernelNews } from './kernel-news.ts'
import { chain, isPromise } from './maybe-promise.ts'
import { type Created, Naming } from './naming.ts'
import type { FilesystemOptions, FilesystemParts } from './options.ts'
import { maxNameBytes, Resolver } from './resolver.ts'
import { Rename } from './rename.ts'
import { Stat } from './stat.ts'
import { Tree } from './tree.ts'
import { View } from './view.ts'

export class Filesystem implements FrontEnd {
  readonly #logger: Logger
  readonly #tree: Tree
  readonly #handles: Handles
  readonly #record: KernelRecord | undefined
  /** The newest reply of a process before this one, which may not have left it. */
  #lastReply: Remembered['lastReply'] | undefined
  readonly #resolver: Resolver
  readonly #stat: Stat
  readonly #files: FileOperations
  readonly #directories: DirectoryOperations
  readonly #naming: Naming
  readonly #rename: Rename
  readonly #changes: LocalChanges
  readonly #options: FilesystemOptions

  constructor(given: FilesystemParts, options: FilesystemOptions) {
    const { changes, specialFiles = [] } = given
    const specials = new Map(specialFiles.map((file) => [file.name, file]))
    const { recordSink, remembered } = given
    const news = new KernelNews(given.kernelCache)
    const record = recordSink && new KernelRecord(recordSink)
    const onGone = (file: FileNode): void => bytes.nameless.letGo(file)
    const tree = new Tree(onGone, options, record)
    const handles = new Handles(record)
    const appended = new Set<number>()
    const carryOut: CarryOut = ({ request }, work, move) => {
      if (move !== undefined) record?.moving(request, ...move)
      return changes.together(work, record === undefined ? undefined : request)
    }
    const wasCarriedOut = ({ resent, request }: Caller): boolean => resent && changes.wasCarriedOut(request)
    given.walks?.sortedBy((directory, name) => tree.inodeAt(directory, name))
    const view = new View(given, options.ttlMs, specials, options.rootPath)
    const memory = { tree, handles, record, carryOut, wasCarriedOut, appended }
    const ground = { ...given, ...memory, options, view, news, specials }
    const bytes = new FileBytes(ground)
    const resolver = new Resolver(ground, bytes)
    const workbench = { ...ground, bytes, resolver, stat: new Stat(ground, bytes) }
    this.#logger = given.logger
    this.#changes = changes
    this.#tree = tree
    this.#handles = handles
    this.#record = record
    this.#options = options
    this.#resolver = resolver
    this.#stat = workbench.stat
    this.#files = new FileOperations(workbench)
    this.#directories = new DirectoryOperations(workbench)
    const foreign = new ForeignChanges(workbench)
    given.listings.subscribe(foreign)
    given.contents.subscribe((path) => foreign.contentChanged(path))
    this.#naming = new Naming(workbench, this.#files, foreign)
    this.#rename = new Rename(workbench, this.#naming, foreign)
    record?.over({
      nodes: () => tree.nodes,
      handles: () => handles.all,
      numbers: () => tree.numbers,
      pathOf: (node) => tree.findPath(node),
    })
    if (remembered !== undefined) goOn(remembered, ground, bytes, appended)
    this.#lastReply = remembered?.lastReply
    record?.renew()
  }

  /** What is known of the kernel is written down anew: somebody has taken it away. */
  recordAnew(): void {
    this.#record?.renew()
  }

  comesAgain(request: number): void {
    const last = this.#lastReply
    if (last?.request !== request) return
    this.#lastReply = undefined
    for (const id of last.handles) if (this.#handles.find(id) !== undefined) this.#files.release(id)
    for (const id of last.nodes) this.#tree.forget(id, 1)
  }

  replying(request: number): void {
    this.#record?.replying(request)
  }

  /** How many nodes the kernel keeps alive; for status and tests. */
  get nodes(): number {
    return this.#tree.size
  }

  /** The highest numbers that were given to nodes and handles. */
  get numbered(): Pick<Remembered, 'lastNode' | 'lastHandle'> {
    return { lastNode: this.#tree.last, lastHandle: this.#handles.last }
  }

  /** How many files and directories are open. */
  get openHandles(): number {
    return this.#handles.size
  }

  /** The inode number of a name at the root, whether a node is alive for it or not. */
  inodeOf(name: string): number {
    return this.#tree.inodeAt(this.#tree.rootPath, name)
  }

  lookup(parent: NodeId, name: string, caller: Caller): MaybePromise<Entry> {
    return this.#run('lookup', name, () =>
      this.#directories.lookup(this.#tree.directory(parent), name, caller),
    )
  }

  forget(node: NodeId, count: number): void {
    this.#tree.forget(node, count)
  }

  getAttributes(id: NodeId, handle: HandleId | undefined, caller: Caller): MaybePromise<AttributesReply> {
    return this.#run('getattr', id, () => {
      const node = this.#tree.get(id)
      if (node === this.#tree.root) return this.#stat.reply(node, undefined)
      if (node.kind === 'special')
        return { attributes: this.#stat.ofSpecial(node, this.#findHandle(handle)), ttlMs: 0 }
      const hadName = this.#tree.findPath(node) !== undefined
      return chain(this.#resolver.lookAt(node, caller.signal), (sight) => {
        /* gone by somebody else's doing: those who have it open still see it */
        if (sight === undefined && hadName && node.handles.size === 0)
          throw new FilesystemError('missing', `${node.name}: no such file or directory`)
        return this.#stat.reply(node, sight)
      })
    })
  }

  setAttributes(
    id: NodeId,
    handle: HandleId | undefined,
    changes: AttributeChanges,
    caller: Caller,
  ): MaybePromise<AttributesReply> {
    return this.#run('setattr', id, () => {
      const node = this.#tree.get(id)
      if (this.#options.readOnly) throw new FilesystemError('readOnly')
      if (node.kind === 'special') throw new FilesystemError('notPermitted')
      const { size, ...others } = changes
      if (node.kind === 'directory' && size !== undefined) throw new FilesystemError('isDirectory')
      const hadName = this.#tree.findPath(node) !== undefined
      return chain(this.#resolver.lookAt(node, caller.signal), (sight) => {
        stopIfInterrupted(caller.signal)
        if (sight === undefined && hadName && node !== this.#tree.root && node.handles.size === 0)
          throw new FilesystemError('missing', `${node.name}: no such file or directory`)
        const file = sight?.kind === 'file' ? sight : undefined
        const isResized = size !== undefined && node.kind === 'file'
        const resized = isResized ? this.#files.resize(node, handle, size, file, caller) : undefined
        return chain(resized, () => {
          if (Object.keys(others).length > 0) this.#stat.set(node, others)
          return this.#stat.reply(node, sight)
        })
      })
    })
  }

  makeDirectory(parent: NodeId, name: string, mode: number, caller: Caller): MaybePromise<Entry> {
    return this.#run('mkdir', name, () =>
      this.#naming.makeDirectory(this.#tree.directory(parent), name, mode, caller),
    )
  }

  makeFile(parent: NodeId, name: string, mode: number, caller: Caller): MaybePromise<Entry> {
    return this.#run('mknod', name, () =>
      this.#naming.makeFile(this.#tree.directory(parent), name, mode, caller),
    )
  }

  unlink(parent: NodeId, name: string, caller: Caller): MaybePromise<void> {
    return this.#run('unlink', name, () => this.#naming.unlink(this.#tree.directory(parent), name, caller))
  }

  removeDirectory(parent: NodeId, name: string, caller: Caller): MaybePromise<void> {
    return this.#run('rmdir', name, () =>
      this.#naming.removeDirectory(this.#tree.directory(parent), name, caller),
    )
  }

  rename(parent: NodeId, request: RenameRequest, caller: Caller): MaybePromise<void> {
    return this.#run('rename', request.name, () => {
      const from = [this.#tree.directory(parent), request.name] as const
      const to = [this.#tree.directory(request.newParent), request.newName] as const
      return this.#rename.rename(from, to, request.noReplace, caller)
    })
  }

  create(parent: NodeId, request: CreateRequest, caller: Caller): MaybePromise<Created> {
    return this.#run('create', request.name, () =>
      this.#naming.create(this.#tree.directory(parent), request, caller),
    )
  }

  createUnnamed(parent: NodeId, flags: OpenFlags, mode: number, caller: Caller): MaybePromise<Created> {
    return this.#run('tmpfile', parent, () =>
      this.#naming.createUnnamed(this.#tree.directory(parent), flags, mode, caller),
    )
  }

  open(node: NodeId, flags: OpenFlags, caller: Caller): MaybePromise<OpenReply> {
    return this.#run('open', node, () => this.#files.open(this.#tree.get(node), flags, caller))
  }

  read(handle: HandleId, offset: number, length: number, caller: Caller): MaybePromise<Uint8Array> {
    return this.#run('read', handle, () => this.#files.read(handle, offset, length, caller))
  }

  write(request: WriteRequest, caller: Caller): MaybePromise<number> {
    return this.#run('write', request.handle, () => this.#files.write(request, caller))
  }

  allocate(request: AllocateRequest, caller: Caller): MaybePromise<void> {
    return this.#run('fallocate', request.handle, () => this.#files.allocate(request, caller))
  }

  seek(handle: HandleId, offset: number, whence: 'data' | 'hole', caller: Caller): MaybePromise<number> {
    return this.#run('lseek', handle, () => this.#files.seek(handle, offset, whence, caller))
  }

  copyRange(request: CopyRequest, caller: Caller): MaybePromise<number> {
    return this.#run('copy_file_range', request.from, () => this.#files.copyRange(request, caller))
  }

  flush(handle: HandleId, caller: Caller): MaybePromise<void> {
    return this.#run('flush', handle, () => this.#files.flush(handle, caller))
  }

  release(handle: HandleId): MaybePromise<void> {
    return this.#run('release', handle, () => this.#files.release(handle))
  }

  synchronize(handle: HandleId, caller: Caller): MaybePromise<void> {
    return this.#run('fsync', handle, () => this.#files.synchronize(handle, caller))
  }

  openDirectory(node: NodeId): MaybePromise<HandleId> {
    return this.#run('opendir', node, () => this.#handles.openDirectory(this.#tree.directory(node)).id)
  }

  readDirectory(handle: HandleId, offset: number, caller: Caller): MaybePromise<Iterable<DirectoryEntry>> {
    return this.#run('readdir', handle, () => this.#directories.read(handle, offset, caller))
  }

  entryOf(handle: HandleId, name: string): Entry | undefined {
    try {
      return this.#directories.entryOf(handle, name)
    } catch (error) {
      throw this.#failed('readdirplus', name, error)
    }
  }

  releaseDirectory(handle: HandleId): void {
    this.#files.release(handle)
  }

  synchronizeDirectory(handle: HandleId, caller: Caller): MaybePromise<void> {
    return this.#run('fsyncdir', handle, () => {
      const path = this.#tree.findPath(this.#handles.directory(handle).node)
      return path === undefined ? undefined : this.#changes.barrier(path, caller.signal)
    })
  }

  /** The service states no figures: a figure that no program stops at, and no request for it. */
  statistics(): Statistics {
    const blocks = 2 ** 40 / blockSize
    const free = { freeBlocks: blocks, availableBlocks: blocks }
    return { blockSize, blocks, ...free, files: maxFiles, freeFiles: maxFiles, nameLength: maxNameBytes }
  }

  pathOf(id: NodeId): string | undefined {
    const node = this.#tree.find(id)
    return node === undefined ? undefined : this.#tree.findPath(node)
  }

  #findHandle(id: HandleId | undefined): SpecialHandle | undefined {
    const handle = id === undefined ? undefined : this.#handles.get(id)
    return handle?.kind === 'special' ? handle : undefined
  }

  #run<T>(operation: string, subject: string | number, work: () => MaybePromise<T>): MaybePromise<T> {
    try {
      const result = work()
      if (!isPromise(result)) return result
      return result.catch((error: unknown) => {
        throw this.#failed(operation, subject, error)
      })
    } catch (error) {
      throw this.#failed(operation, subject, error)
    }
  }

  #failed(operation: string, subject: string | number, error: unknown): FilesystemError {
    const failure = toFilesystemError(error)
    const fields = { operation, subject, reason: failure.reason, err: failure }
    if (failure.reason === 'internal') this.#logger.error(fields, 'a fault of this program')
    else if (notable.has(failure.reason)) this.#logger.warn(fields, `${operation} failed: ${failure.message}`)
    else this.#logger.debug(fields, `${operation}: ${failure.message}`)
    return failure
  }
}

const blockSize = 4096
const maxFiles = 2 ** 32

/** What somebody would look for in the log; the rest is the ordinary life of programs. */
const notable: ReadonlySet<Reason> = new Set([
  'accessDenied',
  'sessionGone',
  'diskFull',
  'timedOut',
  'serviceFailed',
])
