/**
 * A tree of files in memory, with the rules of the service: parents come to be with an upload, a directory
 * that is not empty is not deleted. Below `memory-files.ts`.
 *
 * Invariant: nothing here waits; each method is one atomic step of the "service".
 */
import { ServiceError } from '../../src/client/errors.ts'

export interface MemoryFile {
  readonly kind: 'file'
  readonly bytes: Uint8Array
  readonly modifiedSeconds: number
}

export interface MemoryDirectory {
  readonly kind: 'directory'
  readonly children: Map<string, MemoryNode>
}

export type MemoryNode = MemoryFile | MemoryDirectory

const split = (path: string): string[] => (path === '' ? [] : path.split('/'))

export class MemoryTree {
  readonly #root: MemoryDirectory

  constructor(root: MemoryDirectory = { kind: 'directory', children: new Map() }) {
    this.#root = root
  }

  /** As it is now, whatever becomes of this one. */
  copy(): MemoryTree {
    return new MemoryTree(copyOf(this.#root))
  }

  find(path: string): MemoryNode | undefined {
    let node: MemoryNode | undefined = this.#root
    for (const name of split(path)) {
      if (node?.kind !== 'directory') return undefined
      node = node.children.get(name)
    }
    return node
  }

  /** Every file and directory by path, parents first; the root is not among them. */
  *walk(directory = ''): Generator<readonly [path: string, node: MemoryNode]> {
    const start = this.find(directory)
    if (start?.kind !== 'directory') return
    for (const [name, node] of start.children) {
      const path = directory === '' ? name : `${directory}/${name}`
      yield [path, node]
      if (node.kind === 'directory') yield* this.walk(path)
    }
  }

  write(path: string, bytes: Uint8Array, modifiedSeconds: number): void {
    const [parent, name] = this.#locate('upload', path)
    if (parent.children.get(name)?.kind === 'directory') throw conflict('upload', path, 'is a directory')
    parent.children.set(name, { kind: 'file', bytes, modifiedSeconds })
  }

  makeDirectory(path: string): void {
    if (path === '') return
    const [parent, name] = this.#locate('make directory', path)
    const there = parent.children.get(name)
    if (there?.kind === 'file') throw conflict('make directory', path, 'is a file')
    if (there === undefined) parent.children.set(name, { kind: 'directory', children: new Map() })
  }

  remove(path: string, takesAlong = false): void {
    const node = this.find(path)
    if (node === undefined) throw notFound('remove', path)
    if (path === '')
      throw new ServiceError('bad_request', 'remove : the home is not removable', { status: 400 })
    if (node.kind === 'directory' && node.children.size > 0 && !takesAlong)
      throw conflict('remove', path, 'is not empty')
    const [parent, name] = this.#locate('remove', path)
    parent.children.delete(name)
  }

  /** The directory of a path, made where missing, and the last name. */
  #locate(operation: string, path: string): [MemoryDirectory, string] {
    const names = split(path)
    const name = names.pop()
    if (name === undefined) throw conflict(operation, path, 'is a directory')
    let parent = this.#root
    for (const part of names) {
      let next = parent.children.get(part)
      if (next === undefined) {
        next = { kind: 'directory', children: new Map() }
        parent.children.set(part, next)
      }
      if (next.kind === 'file') throw conflict(operation, path, `${part} is a file`)
      parent = next
    }
    return [parent, name]
  }
}

function copyOf(directory: MemoryDirectory): MemoryDirectory {
  const children = [...directory.children].map(
    ([name, node]) => [name, node.kind === 'directory' ? copyOf(node) : node] as const,
  )
  return { kind: 'directory', children: new Map(children) }
}

export function notFound(operation: string, path: string): ServiceError {
  return new ServiceError('not_found', `${operation} ${path}: no such file or directory`, { status: 404 })
}

function conflict(operation: string, path: string, why: string): ServiceError {
  return new ServiceError('conflict', `${operation} ${path}: ${why}`, { status: 409 })
}
