/**
 * Open files and directories. Layer: filesystem.
 *
 * Invariant: a handle belongs to one node from open to release, whatever becomes of the node's name.
 */
import { DirectorySnapshot } from './directory-snapshot.ts'
import { FilesystemError } from './errors.ts'
import type { HandleId, OpenFlags } from './front-end.ts'
import type {
  DirectoryHandle,
  DirectoryNode,
  FileHandle,
  FileNode,
  Handle,
  SpecialHandle,
  SpecialNode,
} from './node.ts'
import type { KernelRecord } from './kernel-record.ts'
import type { Remembered } from './remembered.ts'
import type { OpenSpecialFile } from './special-file.ts'
import type { Tree } from './tree.ts'

export class Handles {
  readonly #all = new Map<HandleId, Handle>()
  readonly #record: KernelRecord | undefined
  #last = 0

  constructor(record?: KernelRecord) {
    this.#record = record
  }

  /** The highest number that was given to one. */
  get last(): HandleId {
    return this.#last
  }

  openFile(node: FileNode, flags: OpenFlags, isOurs = false): FileHandle {
    const fresh = {
      isOurs,
      told: { error: undefined },
      retained: undefined,
      begun: false,
      older: undefined,
      lost: false,
    }
    return this.#add({ kind: 'file', id: ++this.#last, node, flags, ...fresh })
  }

  openDirectory(node: DirectoryNode): DirectoryHandle {
    return this.#add({ kind: 'directory', id: ++this.#last, node, snapshot: undefined })
  }

  openSpecial(node: SpecialNode, opened: OpenSpecialFile): SpecialHandle {
    return this.#add({ kind: 'special', id: ++this.#last, node, opened })
  }

  /** The handles of a process before this one, over nodes that are there again. */
  restore({ handles, lastHandle }: Remembered, tree: Tree): void {
    this.#last = lastHandle
    for (const { id, node: nodeId, flags, facts, pass } of handles.values()) {
      const node = tree.find(nodeId)
      if (node === undefined) continue
      const snapshot = pass === undefined ? undefined : DirectorySnapshot.resumed(pass)
      const begun = facts.begun === true
      const told = { error: undefined }
      const fresh = { isOurs: false, told, retained: undefined, begun, older: undefined }
      const lost = facts.older === true
      if (node.kind === 'directory') this.#keep({ kind: 'directory', id, node, snapshot })
      else if (node.kind === 'file') this.#keep({ kind: 'file', id, node, flags, ...fresh, lost })
      else this.#keep({ kind: 'special', id, node, opened: node.file.reopen(facts.opened ?? '') })
    }
  }

  get all(): Iterable<Handle> {
    return this.#all.values()
  }

  get size(): number {
    return this.#all.size
  }

  find(id: HandleId): Handle | undefined {
    return this.#all.get(id)
  }

  get(id: HandleId): Handle {
    const handle = this.#all.get(id)
    if (handle === undefined) throw new FilesystemError('badHandle', `no open file ${id}`)
    return handle
  }

  /** An open file with bytes of its own, not a directory, not a special file. */
  file(id: HandleId): FileHandle {
    const handle = this.get(id)
    if (handle.kind === 'directory') throw new FilesystemError('isDirectory')
    if (handle.kind === 'special') throw new FilesystemError('invalid', `${handle.node.name} is special`)
    return handle
  }

  directory(id: HandleId): DirectoryHandle {
    const handle = this.get(id)
    if (handle.kind !== 'directory') throw new FilesystemError('notDirectory')
    return handle
  }

  close(handle: Handle): void {
    this.#all.delete(handle.id)
    const ofNode: Set<Handle> = handle.node.handles
    ofNode.delete(handle)
    this.#record?.closed(handle)
  }

  #add<H extends Handle>(handle: H): H {
    this.#record?.opened(handle)
    return this.#keep(handle)
  }

  #keep<H extends Handle>(handle: H): H {
    this.#all.set(handle.id, handle)
    const ofNode: Set<Handle> = handle.node.handles
    ofNode.add(handle)
    return handle
  }
}
