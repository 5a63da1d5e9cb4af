/**
 * The nodes that are alive, and where they are. Layer: filesystem.
 *
 * Invariant: a node lives until it is forgotten, its last handle is closed and nothing below it is alive; its
 * path is always computed from where it is now, never remembered across a wait.
 */
import { FilesystemError } from './errors.ts'
import type { NodeId } from './front-end.ts'
import { InodeNumbers, usualRootInode } from './inode-numbers.ts'
import type { KernelRecord } from './kernel-record.ts'
import type { DirectoryNode, FileNode, Node, SpecialNode } from './node.ts'
import type { Remembered } from './remembered.ts'
import type { SpecialFile } from './special-file.ts'
import { joinPath, pathBelow } from '../remote-path.ts'

export const rootId: NodeId = 1

export class Tree {
  readonly #onGone: (file: FileNode) => void
  readonly #record: KernelRecord | undefined
  /** What of the session the root is; '' for all of it. */
  readonly rootPath: string
  readonly root: DirectoryNode
  readonly #numbers: InodeNumbers
  readonly #nodes = new Map<NodeId, Node>()
  #last: NodeId = rootId

  /** `onGone` is told of a file that is not alive any more; `record` of all that the kernel knows of nodes. */
  constructor(
    onGone: (file: FileNode) => void,
    {
      rootPath = '',
      rootInode = usualRootInode,
    }: { readonly rootPath?: string | undefined; readonly rootInode?: number | undefined } = {},
    record?: KernelRecord,
  ) {
    this.#onGone = onGone
    this.#record = record
    this.root = {
      kind: 'directory',
      id: rootId,
      inode: rootInode,
      parent: undefined,
      name: '',
      lookups: 1,
      handles: new Set(),
      isNoted: false,
      children: new Map(),
    }
    this.#nodes.set(rootId, this.root)
    this.#numbers = new InodeNumbers((place, number) => record?.number(place, number))
    this.rootPath = rootPath
  }

  /** The nodes of a process before this one, before anything else. */
  restore({ nodes, numbers, lastNode }: Remembered, specials: ReadonlyMap<string, SpecialFile>): void {
    this.#numbers.restore(numbers)
    this.#last = lastNode
    for (const { id, inode, kind, name, lookups, facts } of nodes.values()) {
      const base = { id, inode, parent: undefined, name, lookups, handles: new Set<never>(), isNoted: false }
      const special = kind === 'special' ? specials.get(name) : undefined
      if (kind === 'directory') this.#nodes.set(id, { ...base, kind, children: new Map() })
      else if (special !== undefined) this.#nodes.set(id, { ...base, kind: 'special', file: special })
      else
        this.#nodes.set(id, {
          ...base,
          ...newFile(),
          own: facts.own ?? {},
          replaced: facts.replaced === true,
        })
    }
    for (const { id, parent: above, name, inode } of nodes.values()) {
      const node = this.get(id)
      const parent = this.#nodes.get(above)
      if (parent?.kind === 'directory') {
        node.parent = parent
        parent.children.set(name, node)
      }
      this.#numbers.restoreNode(node.parent?.inode, name, inode)
    }
  }

  /** All that are alive. */
  get nodes(): Iterable<Node> {
    return this.#nodes.values()
  }

  get numbers(): ReadonlyMap<string, number> {
    return this.#numbers.overrides
  }

  /** The highest number that was given to one. */
  get last(): NodeId {
    return this.#last
  }

  /** How many nodes are alive, the root among them. */
  get size(): number {
    return this.#nodes.size
  }

  find(id: NodeId): Node | undefined {
    return this.#nodes.get(id)
  }

  get(id: NodeId): Node {
    const node = this.find(id)
    if (node === undefined) throw new FilesystemError('missing', `no node ${id}`)
    return node
  }

  directory(id: NodeId): DirectoryNode {
    const node = this.get(id)
    if (node.kind !== 'directory') throw new FilesystemError('notDirectory')
    return node
  }

  /** Where a node is now; undefined once it, or a directory above it, has lost its name. */
  findPath(node: Node): string | undefined {
    if (node === this.root) return this.rootPath
    if (node.parent === undefined) return undefined
    const above = this.findPath(node.parent)
    return above === undefined ? undefined : joinPath(above, node.name)
  }

  /** As `findPath`; `missing` where there is none. */
  path(node: Node): string {
    const path = this.findPath(node)
    if (path === undefined) throw new FilesystemError('missing', `${node.name}: its directory was removed`)
    return path
  }

  /** The live directory at a path, if the way to it is alive. */
  findDirectory(path: string): DirectoryNode | undefined {
    let node: DirectoryNode = this.root
    const below = pathBelow(this.rootPath, path)
    if (below === undefined || below === '') return below === undefined ? undefined : node
    for (const name of below.split('/')) {
      const child = node.children.get(name)
      if (child?.kind !== 'directory') return undefined
      node = child
    }
    return node
  }

  /** The same of a directory that may not be alive either. */
  inodeAt(path: string, name: string): number {
    let inode = this.root.inode
    let node: DirectoryNode | undefined = this.root
    for (const part of (pathBelow(this.rootPath, path) ?? '').split('/').filter((each) => each !== '')) {
      const child: Node | undefined = node?.children.get(part)
      inode = child?.inode ?? this.#numbers.of(inode, part)
      node = child?.kind === 'directory' ? child : undefined
    }
    return node?.children.get(name)?.inode ?? this.#numbers.of(inode, name)
  }

  /** The inode number of a name, whether a node is alive for it or not. */
  inodeOf(directory: DirectoryNode, name: string): number {
    return directory.children.get(name)?.inode ?? this.#numbers.of(directory.inode, name)
  }

  /** The node of a name that is of this kind now; one of another kind has lost the name. */
  file(directory: DirectoryNode, name: string): FileNode {
    const there = this.#sameKind(directory, name, 'file')
    if (there?.kind === 'file') return there
    return this.#add({ ...this.#base(directory, name), ...newFile() })
  }

  subdirectory(directory: DirectoryNode, name: string): DirectoryNode {
    const there = this.#sameKind(directory, name, 'directory')
    if (there?.kind === 'directory') return there
    return this.#add({ ...this.#base(directory, name), kind: 'directory', children: new Map() })
  }

  special(file: SpecialFile): SpecialNode {
    const there = this.#sameKind(this.root, file.name, 'special')
    if (there?.kind === 'special') return there
    return this.#add({ ...this.#base(this.root, file.name), kind: 'special', file })
  }

  unnamedFile(): FileNode {
    const id = this.#last + 1
    return this.#add({
      ...{ id, inode: this.#numbers.claimUnnamed(id), parent: undefined, name: '', lookups: 0 },
      ...newFile(),
    })
  }

  /** The node has lost its name, and goes on for those who hold it. */
  detach(node: Node): void {
    const parent = node.parent
    if (parent === undefined) return
    parent.children.delete(node.name)
    node.parent = undefined
    this.#numbers.unnamed(parent.inode, node.name, node.inode)
    this.#record?.changed(node)
    this.settle(node)
    this.settle(parent)
  }

  /** A name is gone, whether a node stood for it or not. */
  vacate(directory: DirectoryNode, name: string): void {
    const node = directory.children.get(name)
    if (node === undefined) this.#numbers.vacated(directory.inode, name)
    else this.detach(node)
  }

  /** The node takes another name, which is free. */
  move(node: Node, directory: DirectoryNode, name: string): void {
    const parent = node.parent
    if (parent === undefined) return
    parent.children.delete(node.name)
    this.#numbers.moved(node.inode, [parent.inode, node.name], [directory.inode, name])
    node.parent = directory
    node.name = name
    directory.children.set(name, node)
    this.#record?.changed(node)
    this.settle(parent)
  }

  /** The live files anywhere below a directory. */
  *filesBelow(directory: DirectoryNode): Generator<FileNode> {
    for (const child of directory.children.values()) {
      if (child.kind === 'file') yield child
      if (child.kind === 'directory') yield* this.filesBelow(child)
    }
  }

  forget(id: NodeId, count: number): void {
    const node = this.#nodes.get(id)
    if (node === undefined) return
    node.lookups = Math.max(0, node.lookups - count)
    this.settle(node)
    if (this.#nodes.has(id)) this.#record?.changed(node)
  }

  /** Lets go of a node that nobody needs any more, and of those above it that only it kept. */
  settle(node: Node): void {
    if (node === this.root || node.lookups > 0 || node.handles.size > 0) return
    if (node.kind === 'directory' && node.children.size > 0) return
    if (!this.#nodes.delete(node.id)) return
    this.#numbers.release(node.inode)
    this.#record?.gone(node)
    if (node.kind === 'file') this.#onGone(node)
    const parent = node.parent
    if (parent?.children.get(node.name) !== node) return
    parent.children.delete(node.name)
    this.settle(parent)
  }

  #sameKind(directory: DirectoryNode, name: string, kind: Node['kind']): Node | undefined {
    const there = directory.children.get(name)
    if (there === undefined || there.kind === kind) return there
    this.detach(there)
    return undefined
  }

  #base(directory: DirectoryNode, name: string): Omit<DirectoryNode, 'kind' | 'children'> {
    const inode = this.#numbers.claim(directory.inode, name)
    return {
      id: this.#last + 1,
      inode,
      parent: directory,
      name,
      lookups: 0,
      handles: new Set(),
      isNoted: false,
    }
  }

  #add<N extends Node>(node: N): N {
    this.#last = node.id
    this.#nodes.set(node.id, node)
    node.parent?.children.set(node.name, node)
    this.#record?.changed(node)
    return node
  }
}

function newFile(): Omit<FileNode, 'id' | 'inode' | 'parent' | 'name' | 'lookups'> {
  return {
    ...{
      kind: 'file',
      handles: new Set(),
      isNoted: false,
      shown: undefined,
      replaced: false,
      own: {},
      retained: undefined,
      pagesOf: undefined,
      awaited: undefined,
    },
    state: { kind: 'clean', content: undefined, staging: undefined },
  }
}
