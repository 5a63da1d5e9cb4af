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
import { bytesOf, type Operation, type OpenMode, slots } from './operations.ts'

interface Handle {
  readonly file: FileObject
  readonly mode: OpenMode
}

/** A pass through a directory: what was there all the time since it began, and what was there at any time. */
interface DirectoryHandle {
  readonly directory: DirectoryObject
  must: Set<string>
  may: Set<string>
}

class Failure extends Error {}

export class Reference {
  readonly #maxFileBytes: number
  readonly #seesSameSize: boolean
  #root: DirectoryObject = newDirectory()
  readonly #handles: (Handle | undefined)[] = Array.from({ length: slots }, () => undefined)
  readonly #passes = new Map<number, DirectoryHandle>()

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
    return [...this.#passes.keys()]
  }

  openSlots(): number[] {
    return this.#handles.flatMap((handle, slot) => (handle === undefined ? [] : [slot]))
  }

  /** Every path with its kind, the root not among them. */
  *paths(directory: DirectoryObject = this.#root, above = ''): Generator<readonly [string, Entry['kind']]> {
    for (const [name, entry] of directory.children) {
      const path = above === '' ? name : `${above}/${name}`
      yield [path, entry.kind]
      if (entry.kind === 'directory') yield* this.paths(entry, path)
    }
  }

  /** What `Subject.tree` should find: by path, `stat` and the bytes of files; and who it is. */
  *tree(): Generator<readonly [path: string, shown: string, object: Entry]> {
    for (const [path] of this.paths()) {
      const entry = this.#find(path)
      const bytes = entry.kind === 'file' ? ` ${digestOf(entry.bytes)}` : ''
      yield [path, describe(entry) + bytes, entry]
    }
  }

  /** What the service holds after a barrier: paths, directories ending in `/`, with digests of files. */
  remoteTree(isScratch: (name: string) => boolean): string[] {
    const tree: string[] = []
    for (const [path, kind] of this.paths()) {
      if (kind === 'directory') tree.push(`${path}/`)
      else if (!isScratch(path.slice(path.lastIndexOf('/') + 1)))
        tree.push(`${path} ${digestOf(this.#file(path).bytes)}`)
    }
    return tree.sort()
  }

  /** The daemon was killed: handles are gone, names and bytes are not. */
  crash(): void {
    /* the time of a write is kept when the writer pauses */
    for (const handle of this.#handles) if (handle !== undefined && handle.mode !== 'r') handle.file.version++
    this.#handles.fill(undefined)
    this.#passes.clear()
  }

  apply(operation: Operation): string {
    try {
      return this.#apply(operation)
    } catch (error) {
      if (error instanceof Failure) return error.message
      throw error
    }
  }

  /**
   * Whether what comes of an operation is specified. Of the agent's: names only we have, and ways through files,
   * are left alone.
   */
  admits(operation: Operation, isScratch: (name: string) => boolean): boolean {
    if (operation.do === 'copy') {
      const [from, to] = [this.#handles[operation.from]?.file, this.#handles[operation.to]?.file]
      if (from !== undefined && from === to && operation.fromOffset !== operation.toOffset) return false
      return from?.lost !== true && to?.lost !== true
    }
    if (!operation.do.startsWith('foreign') || !('path' in operation)) return true
    const { path } = operation
    if (path.split('/').some(isScratch)) return false
    let entry: Entry = this.#root
    const all = path.split('/')
    for (const name of all.slice(0, -1)) {
      const next: Entry | undefined = entry.children.get(name)
      if (next === undefined) return operation.do !== 'foreignRemove'
      if (next.kind === 'file') return false
      entry = next
    }
    const there = entry.children.get(all.at(-1) ?? '')
    if (there?.kind === 'directory') {
      for (const [below] of this.paths(there)) if (below.split('/').some(isScratch)) return false
      return operation.do !== 'foreignMkdir'
    }
    if (operation.do === 'foreignWrite' && there?.bytes.length === operation.bytes.length) {
      /* while somebody may write to it our own copy is what is shown, as long as it is not told apart */
      const isWritten = this.#handles.some((handle) => handle?.file === there && handle.mode !== 'r')
      return this.#seesSameSize && !isWritten
    }
    if (operation.do === 'foreignWrite') return true
    return operation.do === 'foreignMkdir' || there !== undefined
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
        return show(this.#file(operation.path).bytes)
      case 'stat':
        return describe(this.#find(operation.path))
      case 'list':
        return this.#list(this.#directory(operation.path))
      case 'truncate':
        return this.#resize(this.#file(operation.path), operation.size)
      case 'chmod':
        this.#find(operation.path).mode = operation.mode
        return 'ok'
      case 'utimes':
        touch(this.#find(operation.path), operation.seconds)
        return 'ok'
      case 'unlink': {
        const [directory, name] = this.#place(operation.path)
        const entry = directory.children.get(name)
        if (entry === undefined) throw new Failure('ENOENT')
        if (entry.kind === 'directory') throw new Failure('EISDIR')
        this.#take(directory, name)
        return 'ok'
      }
      case 'mkdir': {
        const [directory, name] = this.#place(operation.path)
        if (directory.children.has(name)) throw new Failure('EEXIST')
        this.#put(directory, name, newDirectory(0o755))
        return 'ok'
      }
      case 'mknod': {
        const [directory, name] = this.#place(operation.path)
        if (directory.children.has(name)) throw new Failure('EEXIST')
        this.#put(directory, name, newFile())
        return 'ok'
      }
      case 'rmdir': {
        const [directory, name] = this.#place(operation.path)
        const entry = directory.children.get(name)
        if (entry === undefined) throw new Failure('ENOENT')
        if (entry.kind === 'file') throw new Failure('ENOTDIR')
        if (entry.children.size > 0) throw new Failure('ENOTEMPTY')
        this.#take(directory, name)
        return 'ok'
      }
      case 'rename':
        return this.#rename(operation.from, operation.to, operation.noReplace)
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
      case 'futimes': {
        const { file } = this.#handle(operation.slot)
        if (file.lost) return unspecified
        touch(file, operation.seconds)
        return 'ok'
      }
      case 'openUnnamed':
        if (this.#handles[operation.slot] !== undefined) return 'EBUSY'
        this.#directory(operation.path)
        this.#handles[operation.slot] = { file: newFile(), mode: 'w+' }
        return 'ok'
      case 'fstat': {
        const { file } = this.#handle(operation.slot)
        return file.lost ? unspecified : `${describe(file)} ${this.#has(file) ? 1 : 0}`
      }
      case 'openDirectory': {
        if (this.#passes.has(operation.slot)) return 'EBUSY'
        const directory = this.#directory(operation.path)
        const names = directory.children.keys()
        const must = new Set(names)
        this.#passes.set(operation.slot, { directory, must, may: new Set(must) })
        return 'ok'
      }
      case 'readRest':
      case 'rewind': {
        const pass = this.#passes.get(operation.slot)
        if (pass === undefined) throw new Failure('EBADF')
        const { directory, must, may } = pass
        if (directory.lost || (directory !== this.#root && !this.#has(directory))) return unspecified
        if (operation.do === 'readRest') return someOf(must, may)
        pass.must = new Set(directory.children.keys())
        pass.may = new Set(pass.must)
        return someOf(pass.must, pass.may)
      }
      case 'closeDirectory':
        if (!this.#passes.delete(operation.slot)) throw new Failure('EBADF')
        return 'ok'
      case 'syncDirectory':
        this.#directory(operation.path)
        return 'ok'
      case 'fsync':
        return this.#handle(operation.slot).file.lost ? unspecified : 'ok'
      case 'foreignWrite':
        this.#foreignWrite(operation.path, bytesOf(operation.bytes))
        return 'ok'
      case 'foreignRemove': {
        const [directory, name] = this.#place(operation.path)
        this.#lose(directory.children.get(name))
        this.#take(directory, name)
        return 'ok'
      }
      case 'foreignMkdir': {
        const [directory, name] = this.#foreignPlace(operation.path)
        this.#lose(directory.children.get(name))
        this.#put(directory, name, newDirectory())
        return 'ok'
      }
      case 'check':
      case 'barrier':
      case 'pass':
      case 'forget':
      case 'crash':
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
    const [directory, name] = this.#place(path)
    const there = directory.children.get(name)
    if (mode === 'x+' && there !== undefined) throw new Failure('EEXIST')
    if (there?.kind === 'directory') throw new Failure('EISDIR')
    const creates = mode !== 'r' && mode !== 'r+'
    if (there === undefined && !creates) throw new Failure('ENOENT')
    const file = there ?? this.#put(directory, name, newFile())
    if (mode.startsWith('w')) {
      file.bytes = Buffer.alloc(0)
      touch(file)
    }
    this.#handles[slot] = { file, mode }
    return 'ok'
  }

  #rename(from: string, to: string, noReplace: boolean): string {
    const [fromDirectory, fromName] = this.#place(from)
    const [toDirectory, toName] = this.#place(to)
    const source = fromDirectory.children.get(fromName)
    const target = toDirectory.children.get(toName)
    if (source === undefined) throw new Failure('ENOENT')
    if (noReplace && target !== undefined) throw new Failure('EEXIST')
    if (to.startsWith(`${from}/`)) throw new Failure(source.kind === 'directory' ? 'EINVAL' : 'ENOTDIR')
    if (from.startsWith(`${to}/`)) throw new Failure('ENOTEMPTY')
    if (source === target) return 'ok'
    if (target !== undefined) {
      if (source.kind === 'file' && target.kind === 'directory') throw new Failure('EISDIR')
      if (source.kind === 'directory' && target.kind === 'file') throw new Failure('ENOTDIR')
      if (target.kind === 'directory' && target.children.size > 0) throw new Failure('ENOTEMPTY')
    }
    this.#take(fromDirectory, fromName)
    this.#put(toDirectory, toName, source)
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
    const [directory, name] = this.#place(path)
    const there = directory.children.get(name)
    if (there?.kind === 'directory') throw new Failure('EISDIR')
    return there ?? this.#put(directory, name, newFile())
  }

  #foreignWrite(path: string, bytes: Buffer): void {
    const [directory, name] = this.#foreignPlace(path)
    const there = directory.children.get(name)
    if (there?.kind === 'file') {
      there.bytes = bytes
      touch(there)
      return
    }
    this.#lose(there)
    this.#put(directory, name, { ...newFile(), bytes, mode: undefined })
  }

  /** Ways are made as the service makes them. */
  #foreignPlace(path: string): [DirectoryObject, string] {
    const all = path.split('/')
    let directory = this.#root
    for (const name of all.slice(0, -1)) {
      let next = directory.children.get(name)
      if (next === undefined) {
        next = this.#put(directory, name, newDirectory())
      }
      if (next.kind === 'file') throw new Failure('ENOTDIR')
      directory = next
    }
    touch(directory)
    return [directory, all.at(-1) ?? '']
  }

  #lose(entry: Entry | undefined): void {
    if (entry !== undefined) entry.lost = true
    if (entry?.kind === 'directory') for (const child of entry.children.values()) this.#lose(child)
  }

  #take(directory: DirectoryObject, name: string): void {
    directory.children.delete(name)
    for (const pass of this.#passes.values()) if (pass.directory === directory) pass.must.delete(name)
    touch(directory)
  }

  #put<E extends Entry>(directory: DirectoryObject, name: string, entry: E): E {
    directory.children.set(name, entry)
    for (const pass of this.#passes.values()) if (pass.directory === directory) pass.may.add(name)
    touch(directory)
    return entry
  }

  #list(directory: DirectoryObject): string {
    return showNames([...directory.children].map(([name, { kind }]) => (kind === 'file' ? name : `${name}/`)))
  }

  /** Whether it has a name. */
  #has(entry: Entry, below: DirectoryObject = this.#root): boolean {
    for (const child of below.children.values())
      if (child === entry || (child.kind === 'directory' && this.#has(entry, child))) return true
    return false
  }

  #handle(slot: number): Handle {
    const handle = this.#handles[slot]
    if (handle === undefined) throw new Failure('EBADF')
    return handle
  }

  #find(path: string): Entry {
    let entry: Entry = this.#root
    for (const name of path === '' ? [] : path.split('/')) {
      if (entry.kind === 'file') throw new Failure('ENOTDIR')
      const next: Entry | undefined = entry.children.get(name)
      if (next === undefined) throw new Failure('ENOENT')
      entry = next
    }
    return entry
  }

  #file(path: string): FileObject {
    const entry = this.#find(path)
    if (entry.kind === 'directory') throw new Failure('EISDIR')
    return entry
  }

  #directory(path: string): DirectoryObject {
    const entry = this.#find(path)
    if (entry.kind === 'file') throw new Failure('ENOTDIR')
    return entry
  }

  #place(path: string): [DirectoryObject, string] {
    const cut = path.lastIndexOf('/')
    return [this.#directory(path.slice(0, Math.max(0, cut))), path.slice(cut + 1)]
  }
}
