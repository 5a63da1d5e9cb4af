/**
 * Open files and directories. Layer: filesystem.
 *
 * Invariant: a handle belongs to one node from open to release, whatever becomes of the node's name.
 */
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
import type { OpenSpecialFile } from './special-file.ts'

export class Handles {
  readonly #all = new Map<HandleId, Handle>()
  #last = 0

  openFile(node: FileNode, flags: OpenFlags): FileHandle {
    const fresh = { told: { error: undefined }, retained: undefined, begun: false, older: undefined }
    return this.#add({ kind: 'file', id: ++this.#last, node, flags, ...fresh })
  }

  openDirectory(node: DirectoryNode): DirectoryHandle {
    return this.#add({ kind: 'directory', id: ++this.#last, node, snapshot: undefined })
  }

  openSpecial(node: SpecialNode, opened: OpenSpecialFile): SpecialHandle {
    return this.#add({ kind: 'special', id: ++this.#last, node, opened })
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
  }

  #add<H extends Handle>(handle: H): H {
    this.#all.set(handle.id, handle)
    const ofNode: Set<Handle> = handle.node.handles
    ofNode.add(handle)
    return handle
  }
}
