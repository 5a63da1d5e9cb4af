/**
 * What a local directory would do: the tree that the mount is compared with. Layer: tests.
 *
 * Invariant: it follows POSIX and the stated limits of the service (file size), and knows nothing of how the
 * mount works. Outcomes are strings: an errno by name, or what a program would see.
 */
import {
  describe,
  digestOf,
  type DirectoryObject,
  type Entry,
  type FileObject,
  newDirectory,
  newFile,
  show,
  showNames,
  someOf,
  touch,
  unspecified,
} from './entries.ts'
import { admitsForeign, applyForeign } from './foreign-changes.ts'
import { bytesOf, type Operation, type OpenMode, slots } from './operations.ts'
import { Failure, Tree } from './tree.ts'

interface Handle {
  readonly file: FileObject
  readonly mode: OpenMode
}

export class Reference {
  readonly #maxFileBytes: number
  readonly #seesSameSize: boolean
  readonly #tree = new Tree()
  readonly #handles: (Handle | undefined)[] = Array.from({ length: slots }, () => undefined)

  /** `seesSameSize`: the agent may replace a file by another one of its size, and it will be seen. */
  constructor(maxFileBytes: number, seesSameSize: boolean) {
    this.#maxFileBytes = maxFileBytes
    this.#seesSameSize = seesSameSize
  }

  /** Of a file; undefined where there is none. */
  sizeOf(path: string): number | undefined {
    for (const [there, , entry] of this.tree())
      if (there === path && entry.kind === 'file') return entry.bytes.length
    return undefined
  }

  openDirectorySlots(): number[] {
    return [...this.#tree.passes.keys()]
  }

  openSlots(): number[] {
    return this.#handles.flatMap((handle, slot) => (handle === undefined ? [] : [slot]))
  }

  /** Every path with its kind, the root not among them. */
  paths(): Iterable<readonly [string, Entry['kind']]> {
    return this.#tree.paths()
  }

  /** What `Subject.tree` should find: by path, `stat` and the bytes of files; and who it is. */
  *tree(): Generator<readonly [path: string, shown: string, object: Entry]> {
    for (const [path] of this.#tree.paths()) {
      const entry = this.#tree.find(path)
      const bytes = entry.kind === 'file' ? ` ${digestOf(entry.bytes)}` : ''
      yield [path, describe(entry) + bytes, entry]
    }
  }

  /** What the service holds after a barrier: paths, directories ending in `/`, with digests of files. */
  remoteTree(isScratch: (name: string) => boolean): string[] {
    const tree: string[] = []
    for (const [path, kind] of this.#tree.paths()) {
      if (kind === 'directory') tree.push(`${path}/`)
      else if (!isScratch(path.slice(path.lastIndexOf('/') + 1)))
        tree.push(`${path} ${digestOf(this.#tree.file(path).bytes)}`)
    }
    return tree.sort()
  }

  /** The daemon was killed: handles are gone, names and bytes are not. */
  crash(): void {
    /* the time of a write is kept when the writer pauses */
    for (const handle of this.#handles) if (handle !== undefined && handle.mode !== 'r') handle.file.version++
    this.#handles.fill(undefined)
    this.#tree.passes.clear()
  }

  apply(operation: Operation): string {
    try {
      return this.#apply(operation)
    } catch (error) {
      if (error instanceof Failure) return error.message
      throw error
    }
  }

  /** Whether what comes of an operation is specified. */
  admits(operation: Operation, isScratch: (name: string) => boolean): boolean {
    switch (operation.do) {
      case 'copy': {
        const [from, to] = [this.#handles[operation.from]?.file, this.#handles[operation.to]?.file]
        if (from !== undefined && from === to && operation.fromOffset !== operation.toOffset) return false
        return from?.lost !== true && to?.lost !== true
      }
      case 'foreignWrite':
        if (!admitsForeign(this.#tree, operation, isScratch)) return false
        return this.sizeOf(operation.path) !== operation.bytes.length || this.#showsSameSize(operation.path)
      case 'foreignRemove':
      case 'foreignMkdir':
        return admitsForeign(this.#tree, operation, isScratch)
      default:
        return true
    }
  }

  /** While somebody may write to it our own copy is what is shown, as long as it is not told apart. */
  #showsSameSize(path: string): boolean {
    const file = this.#tree.file(path)
    const isWritten = this.#handles.some((handle) => handle?.file === file && handle.mode !== 'r')
    return this.#seesSameSize && !isWritten
  }

  #apply(operation: Operation): string {
    switch (operation.do) {
      case 'write': {
        const file = this.#forWriting(operation.path)
        file.bytes = Buffer.alloc(0)
        touch(file)
        return this.#write(file, 0, bytesOf(operation.bytes))
      }
      case 'append': {
        const file = this.#forWriting(operation.path)
        return this.#write(file, file.bytes.length, bytesOf(operation.bytes))
      }
      case 'read':
        return show(this.#tree.file(operation.path).bytes)
      case 'stat':
        return describe(this.#tree.find(operation.path))
      case 'list':
        return this.#list(this.#tree.directory(operation.path))
      case 'truncate':
        return this.#resize(this.#tree.file(operation.path), operation.size)
      case 'chmod':
        this.#tree.find(operation.path).mode = operation.mode
        return 'ok'
      case 'chown':
        this.#tree.find(operation.path).owner = `${operation.owner}:${operation.owner}`
        return 'ok'
      case 'utimes':
        touch(this.#tree.find(operation.path), operation.seconds)
        return 'ok'
      case 'unlink':
        this.#tree.unlink(operation.path)
        return 'ok'
      case 'mkdir':
        this.#tree.make(operation.path, newDirectory(0o755))
        return 'ok'
      case 'mknod':
        this.#tree.make(operation.path, newFile())
        return 'ok'
      case 'rmdir':
        this.#tree.removeDirectory(operation.path)
        return 'ok'
      case 'rename':
        this.#tree.rename(operation.from, operation.to, operation.noReplace)
        return 'ok'
      case 'open':
        return this.#open(operation.slot, operation.path, operation.mode)
      case 'close':
        this.#handle(operation.slot)
        this.#handles[operation.slot] = undefined
        return 'ok'
      case 'pread': {
        const { file, mode } = this.#handle(operation.slot)
        if (mode === 'w' || mode === 'a') throw new Failure('EBADF')
        if (file.lost) return unspecified
        return show(file.bytes.subarray(operation.offset, operation.offset + operation.length))
      }
      case 'pwrite': {
        const { file, mode } = this.#handle(operation.slot)
        if (mode === 'r') throw new Failure('EBADF')
        if (file.lost) return unspecified
        const offset = mode.startsWith('a') ? file.bytes.length : operation.offset
        return this.#write(file, offset, bytesOf(operation.bytes))
      }
      case 'ftruncate': {
        const { file, mode } = this.#handle(operation.slot)
        if (mode === 'r') throw new Failure('EINVAL')
        return file.lost ? unspecified : this.#resize(file, operation.size)
      }
      case 'punch': {
        const { file, mode } = this.#handle(operation.slot)
        if (mode === 'r') throw new Failure('EBADF')
        if (file.lost) return unspecified
        file.bytes = Buffer.from(file.bytes)
        file.bytes.subarray(operation.offset, operation.offset + operation.length).fill(0)
        touch(file)
        return 'ok'
      }
      case 'copy':
        return this.#copy(this.#handle(operation.from), this.#handle(operation.to), operation)
      case 'map': {
        const { file, mode } = this.#handle(operation.slot)
        if (!['r+', 'w+', 'a+', 'x+'].includes(mode)) throw new Failure('EACCES')
        if (file.lost) return unspecified
        const room = Math.max(0, file.bytes.length - operation.offset)
        return this.#write(file, operation.offset, bytesOf(operation.bytes).subarray(0, room))
      }
      case 'allocate': {
        const { file, mode } = this.#handle(operation.slot)
        if (mode === 'r') throw new Failure('EBADF')
        if (file.lost) return unspecified
        const end = operation.offset + operation.length
        if (end > this.#maxFileBytes) throw new Failure('EFBIG')
        touch(file)
        return operation.keepSize ? 'ok' : this.#resize(file, Math.max(file.bytes.length, end))
      }
      case 'seek': {
        const { file } = this.#handle(operation.slot)
        if (file.lost) return unspecified
        if (operation.offset >= file.bytes.length) throw new Failure('ENXIO')
        return `at ${operation.whence === 'data' ? operation.offset : file.bytes.length}`
      }
      case 'fchmod': {
        const { file } = this.#handle(operation.slot)
        if (file.lost) return unspecified
        file.mode = operation.mode
        return 'ok'
      }
      case 'fchown': {
        const { file } = this.#handle(operation.slot)
        if (file.lost) return unspecified
        file.owner = `${operation.owner}:${operation.owner}`
        return 'ok'
      }
      case 'futimes': {
        const { file } = this.#handle(operation.slot)
        if (file.lost) return unspecified
        touch(file, operation.seconds)
        return 'ok'
      }
      case 'openUnnamed':
        if (this.#handles[operation.slot] !== undefined) return 'EBUSY'
        this.#tree.directory(operation.path)
        this.#handles[operation.slot] = { file: newFile(), mode: 'w+' }
        return 'ok'
      case 'fstat': {
        const { file } = this.#handle(operation.slot)
        return file.lost ? unspecified : `${describe(file)} ${this.#tree.has(file) ? 1 : 0}`
      }
      case 'openDirectory': {
        if (this.#tree.passes.has(operation.slot)) return 'EBUSY'
        const directory = this.#tree.directory(operation.path)
        const names = directory.children.keys()
        const must = new Set(names)
        this.#tree.passes.set(operation.slot, { directory, must, may: new Set(must) })
        return 'ok'
      }
      case 'readRest':
      case 'rewind': {
        const pass = this.#tree.passes.get(operation.slot)
        if (pass === undefined) throw new Failure('EBADF')
        const { directory, must, may } = pass
        if (directory.lost || (directory !== this.#tree.root && !this.#tree.has(directory)))
          return unspecified
        if (operation.do === 'readRest') return someOf(must, may)
        pass.must = new Set(directory.children.keys())
        pass.may = new Set(pass.must)
        return someOf(pass.must, pass.may)
      }
      case 'closeDirectory':
        if (!this.#tree.passes.delete(operation.slot)) throw new Failure('EBADF')
        return 'ok'
      case 'syncDirectory':
        this.#tree.directory(operation.path)
        return 'ok'
      case 'fsync':
        return this.#handle(operation.slot).file.lost ? unspecified : 'ok'
      case 'foreignWrite':
      case 'foreignRemove':
      case 'foreignMkdir':
        applyForeign(this.#tree, operation)
        return 'ok'
      case 'check':
      case 'barrier':
      case 'pass':
      case 'forget':
      case 'crash':
      case 'kill':
      case 'remount':
      case 'fault':
      case 'refuse':
      case 'hold':
      case 'letGo':
        return 'ok'
    }
  }

  #open(slot: number, path: string, mode: OpenMode): string {
    if (this.#handles[slot] !== undefined) return 'EBUSY'
    const [directory, name] = this.#tree.place(path)
    const there = directory.children.get(name)
    if (mode === 'x+' && there !== undefined) throw new Failure('EEXIST')
    if (there?.kind === 'directory') throw new Failure('EISDIR')
    const creates = mode !== 'r' && mode !== 'r+'
    if (there === undefined && !creates) throw new Failure('ENOENT')
    const file = there ?? this.#tree.put(directory, name, newFile())
    if (mode.startsWith('w')) {
      file.bytes = Buffer.alloc(0)
      touch(file)
    }
    this.#handles[slot] = { file, mode }
    return 'ok'
  }

  #copy(
    from: Handle,
    to: Handle,
    { length, fromOffset = 0, toOffset = 0 }: Extract<Operation, { do: 'copy' }>,
  ): string {
    if (from.mode === 'w' || from.mode === 'a' || to.mode === 'r') throw new Failure('EBADF')
    if (to.mode.startsWith('a')) throw new Failure('EBADF')
    if (from.file === to.file) {
      /* onto itself: refused or nothing to do, by the size */
      touch(to.file)
      return unspecified
    }
    const copied = Buffer.from(from.file.bytes.subarray(fromOffset, fromOffset + length))
    return this.#write(to.file, toOffset, copied)
  }

  #write(file: FileObject, offset: number, bytes: Buffer): string {
    if (bytes.length === 0) return 'ok'
    if (offset + bytes.length > this.#maxFileBytes) throw new Failure('EFBIG')
    const size = Math.max(file.bytes.length, offset + bytes.length)
    const grown = Buffer.alloc(size)
    file.bytes.copy(grown)
    bytes.copy(grown, offset)
    file.bytes = grown
    touch(file)
    return 'ok'
  }

  #resize(file: FileObject, size: number): string {
    if (size > this.#maxFileBytes) throw new Failure('EFBIG')
    const resized = Buffer.alloc(size)
    file.bytes.copy(resized)
    file.bytes = resized
    touch(file)
    return 'ok'
  }

  #forWriting(path: string): FileObject {
    const [directory, name] = this.#tree.place(path)
    const there = directory.children.get(name)
    if (there?.kind === 'directory') throw new Failure('EISDIR')
    return there ?? this.#tree.put(directory, name, newFile())
  }

  #list(directory: DirectoryObject): string {
    return showNames([...directory.children].map(([name, { kind }]) => (kind === 'file' ? name : `${name}/`)))
  }

  #handle(slot: number): Handle {
    const handle = this.#handles[slot]
    if (handle === undefined) throw new Failure('EBADF')
    return handle
  }
}
