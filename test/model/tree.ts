/**
 * A tree of files and directories in memory, found by path, with the passes that go through it. Layer: tests.
 *
 * Invariant: a pass tells every name that was there all the time since it began, and none that never was.
 */
import { type DirectoryObject, type Entry, type FileObject, newDirectory, touch } from './entries.ts'

/** A pass through a directory: what was there all the time since it began, and what was there at any time. */
export interface Pass {
  readonly directory: DirectoryObject
  must: Set<string>
  may: Set<string>
}

/** What a program would get: an errno by name. */
export class Failure extends Error {}

export class Tree {
  readonly root: DirectoryObject = newDirectory()
  readonly passes = new Map<number, Pass>()

  find(path: string): Entry {
    let entry: Entry = this.root
    for (const name of path === '' ? [] : path.split('/')) {
      if (entry.kind === 'file') throw new Failure('ENOTDIR')
      const next: Entry | undefined = entry.children.get(name)
      if (next === undefined) throw new Failure('ENOENT')
      entry = next
    }
    return entry
  }

  file(path: string): FileObject {
    const entry = this.find(path)
    if (entry.kind === 'directory') throw new Failure('EISDIR')
    return entry
  }

  directory(path: string): DirectoryObject {
    const entry = this.find(path)
    if (entry.kind === 'file') throw new Failure('ENOTDIR')
    return entry
  }

  place(path: string): [DirectoryObject, string] {
    const cut = path.lastIndexOf('/')
    return [this.directory(path.slice(0, Math.max(0, cut))), path.slice(cut + 1)]
  }

  /** Every path with its kind, the root not among them. */
  *paths(directory: DirectoryObject = this.root, above = ''): Generator<readonly [string, Entry['kind']]> {
    for (const [name, entry] of directory.children) {
      const path = above === '' ? name : `${above}/${name}`
      yield [path, entry.kind]
      if (entry.kind === 'directory') yield* this.paths(entry, path)
    }
  }

  put<E extends Entry>(directory: DirectoryObject, name: string, entry: E): E {
    directory.children.set(name, entry)
    for (const pass of this.passes.values()) if (pass.directory === directory) pass.may.add(name)
    touch(directory)
    return entry
  }

  take(directory: DirectoryObject, name: string): void {
    directory.children.delete(name)
    for (const pass of this.passes.values()) if (pass.directory === directory) pass.must.delete(name)
    touch(directory)
  }

  make(path: string, entry: Entry): void {
    const [directory, name] = this.place(path)
    if (directory.children.has(name)) throw new Failure('EEXIST')
    this.put(directory, name, entry)
  }

  unlink(path: string): void {
    const [directory, name] = this.place(path)
    const entry = directory.children.get(name)
    if (entry === undefined) throw new Failure('ENOENT')
    if (entry.kind === 'directory') throw new Failure('EISDIR')
    this.take(directory, name)
  }

  removeDirectory(path: string): void {
    const [directory, name] = this.place(path)
    const entry = directory.children.get(name)
    if (entry === undefined) throw new Failure('ENOENT')
    if (entry.kind === 'file') throw new Failure('ENOTDIR')
    if (entry.children.size > 0) throw new Failure('ENOTEMPTY')
    this.take(directory, name)
  }

  rename(from: string, to: string, noReplace: boolean): void {
    const [fromDirectory, fromName] = this.place(from)
    const [toDirectory, toName] = this.place(to)
    const source = fromDirectory.children.get(fromName)
    const target = toDirectory.children.get(toName)
    if (source === undefined) throw new Failure('ENOENT')
    if (noReplace && target !== undefined) throw new Failure('EEXIST')
    if (to.startsWith(`${from}/`)) throw new Failure(source.kind === 'directory' ? 'EINVAL' : 'ENOTDIR')
    if (from.startsWith(`${to}/`)) throw new Failure('ENOTEMPTY')
    if (source === target) return
    if (target !== undefined) {
      if (source.kind === 'file' && target.kind === 'directory') throw new Failure('EISDIR')
      if (source.kind === 'directory' && target.kind === 'file') throw new Failure('ENOTDIR')
      if (target.kind === 'directory' && target.children.size > 0) throw new Failure('ENOTEMPTY')
    }
    this.take(fromDirectory, fromName)
    this.put(toDirectory, toName, source)
  }

  /** Whether it has a name. */
  has(entry: Entry, below: DirectoryObject = this.root): boolean {
    for (const child of below.children.values())
      if (child === entry || (child.kind === 'directory' && this.has(entry, child))) return true
    return false
  }
}
