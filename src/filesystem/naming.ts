/**
 * Making and removing names. Layer: filesystem; renames are in `rename.ts`.
 *
 * Invariant: each call acts in the turn in which it knows what is at the name, first in the journal, then in
 * the tree; with `sync` it returns when the service has it.
 */
import { confirmed } from './confirmation.ts'
import { FilesystemError } from './errors.ts'
import { stopIfInterrupted } from './failures.ts'
import type { FileOperations } from './file-operations.ts'
import type { ForeignChanges } from './foreign-changes.ts'
import type { Caller, CreateRequest, Entry, MaybePromise, OpenFlags, OpenReply } from './front-end.ts'
import { chain } from './maybe-promise.ts'
import type { DirectoryNode, FileNode } from './node.ts'
import { checkName } from './resolver.ts'
import { joinPath } from '../remote-path.ts'
import type { Sight } from './view.ts'
import type { Workbench } from './workbench.ts'

export interface Created {
  readonly entry: Entry
  readonly open: OpenReply
}

export class Naming {
  readonly #parts: Workbench
  readonly #files: FileOperations
  readonly #foreign: ForeignChanges

  constructor(workbench: Workbench, files: FileOperations, foreign: ForeignChanges) {
    this.#parts = workbench
    this.#files = files
    this.#foreign = foreign
  }

  create(directory: DirectoryNode, request: CreateRequest, caller: Caller): MaybePromise<Created> {
    const { name, flags, mode } = request
    const { tree, resolver, stat, bytes, handles, wasCarriedOut } = this.#parts
    const special = resolver.special(directory, name)
    if (special !== undefined) {
      if (flags.exclusive) throw new FilesystemError('exists')
      const node = tree.special(special)
      const opening = this.#files.openSpecial(node, flags, caller)
      return chain(opening, (open) => ({ entry: stat.entry(node, undefined), open }))
    }
    const wasMade = wasCarriedOut(caller)
    return resolver.acting([[directory, name]], caller.signal, (sight) => {
      if (sight.kind === 'absent') {
        this.#mayChange()
        const node = this.#newFile(directory, name, mode, caller)
        const handle = handles.openFile(node, flags)
        const copy = bytes.copyOf(node)
        if (copy !== undefined) bytes.retain(handle, copy)
        const open = { handle: handle.id, keepCache: false, directIo: false }
        return { entry: stat.entry(node, undefined), open }
      }
      if (flags.exclusive && !wasMade) throw new FilesystemError('exists')
      if (sight.kind === 'directory') throw new FilesystemError('isDirectory')
      const node = resolver.nodeFor(directory, name, sight) as FileNode
      const open = this.#files.openSeen(node, flags, sight)
      return { entry: stat.entry(node, sight), open }
    })
  }

  makeFile(directory: DirectoryNode, name: string, mode: number, caller: Caller): MaybePromise<Entry> {
    return this.#making(directory, name, caller, (path) => {
      const node = this.#newFile(directory, name, mode, caller)
      /* nobody has it open: what there is of it may go */
      const copy = this.#parts.bytes.copyOf(node)
      copy?.retain()
      copy?.flush()
      copy?.release()
      return chain(confirmed(this.#parts, [path], caller), () => this.#parts.stat.entry(node, undefined))
    })
  }

  makeDirectory(directory: DirectoryNode, name: string, mode: number, caller: Caller): MaybePromise<Entry> {
    const { tree, stat, changes, resolver, carryOut } = this.#parts
    return this.#making(directory, name, caller, (path) => {
      resolver.absent(directory, name)
      const ownership = stat.ownership(directory, 'directory', mode, caller)
      carryOut(caller, () => {
        changes.makeDirectory(path, undefined)
        stat.made(path, ownership)
        stat.directoryChanged(directory)
      })
      this.#foreign.begun(path)
      const node = tree.subdirectory(directory, name)
      return chain(confirmed(this.#parts, [path], caller), () => stat.entry(node, undefined))
    })
  }

  createUnnamed(directory: DirectoryNode, flags: OpenFlags, mode: number, caller: Caller): Created {
    const { tree, stat, changes, bytes, handles } = this.#parts
    this.#mayChange()
    tree.path(directory)
    const copy = changes.createUnnamed()
    const node = tree.unnamedFile()
    bytes.work(node, copy)
    const ownership = stat.ownership(directory, 'file', mode, caller)
    stat.set(node, { ...ownership, accessed: 'now', modified: 'now' })
    const handle = handles.openFile(node, flags)
    bytes.retain(handle, copy)
    const open = { handle: handle.id, keepCache: false, directIo: false }
    return { entry: stat.entry(node, undefined), open }
  }

  unlink(directory: DirectoryNode, name: string, caller: Caller): MaybePromise<void> {
    const { resolver } = this.#parts
    this.#mayChange()
    this.#notSpecial(directory, name)
    if (this.#parts.wasCarriedOut(caller)) return this.#removed(directory, name, caller)
    return resolver.acting([[directory, name]], caller.signal, (sight) => {
      if (sight.kind === 'absent') throw this.#missing(directory, name)
      if (sight.kind === 'directory') throw new FilesystemError('isDirectory')
      const over = sight.local === undefined ? sight.listed : undefined
      const { changes, stat, tree, carryOut } = this.#parts
      const remove = (): void => {
        changes.removeFile(sight.path, over)
        stat.directoryChanged(directory)
      }
      this.loseFile(directory, name, sight, () => carryOut(caller, remove, [[directory, name]]))
      tree.vacate(directory, name)
      return confirmed(this.#parts, [sight.path], caller)
    })
  }

  removeDirectory(directory: DirectoryNode, name: string, caller: Caller): MaybePromise<void> {
    const { resolver, tree, changes, stat, carryOut } = this.#parts
    this.#mayChange()
    this.#notSpecial(directory, name)
    if (this.#parts.wasCarriedOut(caller)) return this.#removed(directory, name, caller)
    return resolver.acting([[directory, name]], caller.signal, (sight) => {
      if (sight.kind === 'absent') throw this.#missing(directory, name)
      if (sight.kind === 'file') throw new FilesystemError('notDirectory')
      return this.empty(directory, name, sight, caller, (isStill) => {
        if (!isStill) return this.removeDirectory(directory, name, caller)
        const remove = (): void => {
          changes.removeDirectory(sight.path, sight.remote)
          stat.directoryChanged(directory)
        }
        carryOut(caller, remove, [[directory, name]])
        tree.vacate(directory, name)
        return confirmed(this.#parts, [sight.path], caller)
      })
    })
  }

  /** Throws `notEmpty`, else acts in the turn in which it is known; false: what was seen is not there any more. */
  empty<T>(
    directory: DirectoryNode,
    name: string,
    sight: Sight,
    caller: Caller,
    act: (isStill: boolean) => MaybePromise<T>,
  ): MaybePromise<T> {
    const { view, tree, resolver } = this.#parts
    const where = (): string => joinPath(tree.path(directory), name)
    return chain(view.entries(where, caller), (entries) => {
      stopIfInterrupted(caller.signal)
      if (!resolver.stand([[directory, name]], [sight])) return act(false)
      if (entries.size > 0 || view.hasLocalBelow(sight.path))
        throw new FilesystemError('notEmpty', `${sight.path}: directory not empty`)
      return act(true)
    })
  }

  /** `take` takes its name from a file that may be there: those who have it open or looked up go on. */
  loseFile(directory: DirectoryNode, name: string, sight: Sight, take: () => void): void {
    const { bytes } = this.#parts
    const node = directory.children.get(name)
    if (node?.kind !== 'file' || sight.kind !== 'file') {
      take()
      return
    }
    bytes.nameless.loseName(node, sight)
    try {
      take()
    } catch (error) {
      bytes.nameless.keptName(node)
      throw error
    }
  }

  #making(
    directory: DirectoryNode,
    name: string,
    caller: Caller,
    make: (path: string) => MaybePromise<Entry>,
  ): MaybePromise<Entry> {
    const { resolver, stat } = this.#parts
    const wasMade = this.#parts.wasCarriedOut(caller)
    this.#mayChange()
    if (resolver.special(directory, name) !== undefined) throw new FilesystemError('exists')
    return resolver.acting([[directory, name]], caller.signal, (sight) => {
      if (sight.kind === 'absent') return make(sight.path)
      if (!wasMade) throw new FilesystemError('exists')
      const node = resolver.nodeFor(directory, name, sight)
      return chain(confirmed(this.#parts, [sight.path], caller), () => stat.entry(node, sight))
    })
  }

  #newFile(directory: DirectoryNode, name: string, mode: number, caller: Caller): FileNode {
    const { tree, resolver, changes, stat, bytes, carryOut } = this.#parts
    const path = joinPath(tree.path(directory), name)
    resolver.absent(directory, name)
    const ownership = stat.ownership(directory, 'file', mode, caller)
    const copy = carryOut(caller, () => {
      const made = changes.create(path, undefined)
      stat.made(path, ownership)
      stat.directoryChanged(directory)
      return made
    })
    const node = tree.file(directory, name)
    bytes.work(node, copy)
    return node
  }

  #mayChange(): void {
    if (this.#parts.options.readOnly) throw new FilesystemError('readOnly')
  }

  #notSpecial(directory: DirectoryNode, name: string): void {
    checkName(name)
    if (this.#parts.resolver.special(directory, name) !== undefined)
      throw new FilesystemError('notPermitted', `${name} belongs to the mount`)
  }

  /** A process before this one has removed it. */
  #removed(directory: DirectoryNode, name: string, caller: Caller): MaybePromise<void> {
    return confirmed(this.#parts, [joinPath(this.#parts.tree.path(directory), name)], caller)
  }

  #missing(directory: DirectoryNode, name: string): FilesystemError {
    this.#parts.resolver.absent(directory, name)
    return new FilesystemError('missing', `${name}: no such file or directory`)
  }
}
