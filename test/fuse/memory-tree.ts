/**
 * The nodes of a filesystem in memory: names, bytes and times. Layer: test.
 *
 * Invariant: a node lives while it has a name, a look-up that was not forgotten, or a handle.
 */

import { FilesystemError } from '../../src/filesystem/errors.ts'
import { joinPath } from '../../src/remote-path.ts'
import type {
  Attributes,
  Caller,
  DirectoryEntry,
  RenameRequest,
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

export class MemoryTree {
  readonly nodes = new Map<number, MemoryNode>()
  #lastNode = 0

  make(kind: 'file' | 'directory', mode: number, uid: number, gid: number): MemoryNode {
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

  link(directory: MemoryNode, name: string, node: MemoryNode): MemoryNode {
    directory.children.set(name, node)
    node.parent = directory
    directory.modified = directory.changed = node.changed
    return node
  }

  add(parent: number, name: string, kind: 'file' | 'directory', mode: number, caller: Caller): MemoryNode {
    const directory = this.directory(parent)
    if (directory.children.has(name)) throw new FilesystemError('exists')
    if (Buffer.byteLength(name) > 255) throw new FilesystemError('nameTooLong')
    return this.link(directory, name, this.make(kind, mode, caller.uid, caller.gid))
  }

  rename(parent: number, { name, newParent, newName, noReplace }: RenameRequest): void {
    const from = this.directory(parent)
    const to = this.directory(newParent)
    const node = from.children.get(name)
    if (node === undefined) throw new FilesystemError('missing')
    const replaced = to.children.get(newName)
    if (replaced === node) return
    if (replaced !== undefined) {
      if (noReplace) throw new FilesystemError('exists')
      if (replaced.kind !== node.kind) {
        throw new FilesystemError(replaced.kind === 'directory' ? 'isDirectory' : 'notDirectory')
      }
      if (replaced.children.size > 0) throw new FilesystemError('notEmpty')
      this.unlinkChild(to, newName, replaced)
    }
    from.children.delete(name)
    to.children.set(newName, node)
    node.parent = to
    node.changed = from.modified = to.modified = now()
  }

  unlinkChild(directory: MemoryNode, name: string, child: MemoryNode): void {
    directory.children.delete(name)
    directory.modified = directory.changed = now()
    child.linkCount = 0
    this.drop(child)
  }

  drop(node: MemoryNode): void {
    if (node.linkCount === 0 && node.lookups === 0 && node.handles === 0) this.nodes.delete(node.id)
  }

  node(id: number): MemoryNode {
    const node = this.nodes.get(id)
    if (node === undefined) throw new FilesystemError('missing')
    return node
  }

  pathOf(id: number): string | undefined {
    const node = this.nodes.get(id)
    if (node?.parent === undefined) return node === undefined || node.linkCount === 0 ? undefined : ''
    const name = [...node.parent.children].find(([, child]) => child === node)?.[0]
    const above = this.pathOf(node.parent.id)
    return name === undefined || above === undefined ? undefined : joinPath(above, name)
  }

  directory(id: number): MemoryNode {
    const node = this.node(id)
    if (node.kind !== 'directory') throw new FilesystemError('notDirectory')
    return node
  }
}

export function attributesOf(node: MemoryNode): Attributes {
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

export function now(): Time {
  const ms = Date.now()
  const seconds = Math.floor(ms / 1000)
  return { seconds, nanoseconds: (ms - seconds * 1000) * 1_000_000 }
}

export function given(time: Time | 'now'): Time {
  return time === 'now' ? now() : time
}

export function reserve(node: MemoryNode, size: number): void {
  if (node.data.length >= size) return
  const grown = Buffer.alloc(Math.max(size, node.data.length * 2))
  node.data.copy(grown, 0, 0, node.size)
  node.data = grown
}

export function resize(node: MemoryNode, size: number): void {
  if (size < node.size) node.data.fill(0, size, node.size)
  reserve(node, size)
  node.size = size
  node.modified = node.changed = now()
}

export function snapshot(node: MemoryNode): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [
    { name: '.', kind: 'directory', inode: node.id, nextOffset: 1 },
    { name: '..', kind: 'directory', inode: (node.parent ?? node).id, nextOffset: 2 },
  ]
  for (const [name, child] of node.children) {
    entries.push({ name, kind: child.kind, inode: child.id, nextOffset: entries.length + 1 })
  }
  return entries
}

export function* from(entries: readonly DirectoryEntry[], offset: number): Iterable<DirectoryEntry> {
  for (let i = offset; i < entries.length; i++) yield entries[i]!
}
