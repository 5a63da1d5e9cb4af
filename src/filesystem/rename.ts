/**
 * Renames. Layer: filesystem.
 *
 * Invariant: both names are judged in the turn in which they change; a file that is open goes on under its
 * new name, and one that is renamed over goes on without a name.
 */
import type { LocalAttributes } from '../write-back/local-changes.ts'
import { listedNs, msToNs, toNs } from './attributes.ts'
import { confirmed } from './confirmation.ts'
import { RemoteTree } from './directory-rename.ts'
import { FilesystemError } from './errors.ts'
import { stopIfInterrupted } from './failures.ts'
import type { ForeignChanges } from './foreign-changes.ts'
import type { Caller, MaybePromise } from './front-end.ts'
import type { Naming } from './naming.ts'
import type { DirectoryNode, FileNode } from './node.ts'
import { checkName, type Place } from './resolver.ts'
import { joinPath } from '../remote-path.ts'
import type { FileSight, Sight } from './view.ts'
import type { Workbench } from './workbench.ts'

type DirectorySight = Extract<Sight, { kind: 'directory' }>

export class Rename {
  readonly #parts: Workbench
  readonly #naming: Naming
  readonly #foreign: ForeignChanges

  constructor(workbench: Workbench, naming: Naming, foreign: ForeignChanges) {
    this.#parts = workbench
    this.#naming = naming
    this.#foreign = foreign
  }

  rename(from: Place, to: Place, noReplace: boolean, caller: Caller): MaybePromise<void> {
    const { resolver } = this.#parts
    if (this.#parts.options.readOnly) throw new FilesystemError('readOnly')
    for (const [directory, name] of [from, to]) {
      checkName(name)
      if (resolver.special(directory, name) !== undefined)
        throw new FilesystemError('notPermitted', `${name} belongs to the mount`)
    }
    if (this.#parts.wasCarriedOut(caller)) return this.#renamed(from, to, caller)
    return resolver.acting([from, to], caller.signal, (source, target) => {
      if (source.kind === 'absent')
        throw new FilesystemError('missing', `${from[1]}: no such file or directory`)
      if (noReplace && target.kind !== 'absent') throw new FilesystemError('exists')
      if (source.path === target.path) return
      if (source.kind === 'file') return this.#file(from, to, source, target, caller)
      if (target.kind === 'file') throw new FilesystemError('notDirectory')
      if (target.path.startsWith(`${source.path}/`)) throw new FilesystemError('invalid', 'into itself')
      return this.#directory([from, to], source, target, noReplace, caller)
    })
  }

  #file(from: Place, to: Place, source: FileSight, target: Sight, caller: Caller): MaybePromise<void> {
    const { tree, resolver, bytes, changes, carryOut } = this.#parts
    if (target.kind === 'directory') throw new FilesystemError('isDirectory')
    const node = resolver.nodeFor(...from, source) as FileNode
    if (bytes.copyOf(node) === undefined) changes.checkSize(source.path, bytes.sizeOf(node, source))
    const kept = this.#allOf(node, source)
    const listed = source.local === undefined ? source.listed : undefined
    const over = target.kind === 'file' && target.local === undefined ? target.listed : undefined
    const move = (): void => {
      changes.renameFile(source.path, target.path, listed, over)
      changes.noteAttributes(target.path, kept)
      this.#directoriesChanged(from[0], to[0])
    }
    this.#naming.loseFile(...to, target, () => carryOut(caller, move, [from, to]))
    node.own = {}
    node.shown = undefined
    tree.vacate(...to)
    tree.move(node, ...to)
    tree.settle(node)
    return confirmed(this.#parts, [target.path, source.path], caller)
  }

  async #directory(
    [from, to]: readonly [Place, Place],
    source: DirectorySight,
    target: Sight,
    noReplace: boolean,
    caller: Caller,
  ): Promise<void> {
    const { tree, resolver, bytes, changes, carryOut } = this.#parts
    const isEmpty =
      target.kind === 'absent' || (await this.#naming.empty(...to, target, caller, (isStill) => isStill))
    const below = new RemoteTree(this.#parts, source.path)
    await below.list(caller.signal)
    stopIfInterrupted(caller.signal)
    const remote = below.now()
    if (!isEmpty || remote === undefined || !resolver.stand([from, to], [source, target]))
      return this.rename(from, to, noReplace, caller)
    if (target.kind === 'directory' && this.#parts.view.hasLocalBelow(target.path))
      throw new FilesystemError('notEmpty')
    const node = tree.subdirectory(...from)
    for (const file of tree.filesBelow(node)) {
      bytes.keepTimes(file)
      file.shown = undefined
    }
    const over = target.kind === 'directory' ? target.listed : undefined
    const move = (): void => {
      changes.renameDirectory(source.path, target.path, remote, source.remote, over)
      for (const [path, listed] of remote) this.#keepListedTime(joinPath(target.path, path), listedNs(listed))
      changes.noteAttributes(target.path, { changedNs: msToNs(this.#parts.clock.wallMs()) })
      this.#directoriesChanged(from[0], to[0])
    }
    carryOut(caller, move, [from, to])
    this.#foreign.begun(target.path)
    tree.vacate(...to)
    tree.move(node, ...to)
    tree.settle(node)
    await confirmed(this.#parts, [target.path, source.path], caller)
  }

  /** By a process before this one. */
  #renamed(from: Place, to: Place, caller: Caller): MaybePromise<void> {
    const paths = [to, from].map(([directory, name]) => joinPath(this.#parts.tree.path(directory), name))
    return confirmed(this.#parts, paths, caller)
  }

  /** All that `stat` shows of a file, so that it shows the same under another name. */
  #allOf(node: FileNode, sight: FileSight): LocalAttributes {
    const { mode, uid, gid, modified, accessed } = this.#parts.stat.reply(node, sight).attributes
    const changedNs = msToNs(this.#parts.clock.wallMs())
    return { mode, uid, gid, modifiedNs: toNs(modified), accessedNs: toNs(accessed), changedNs }
  }

  /** Its upload under another name gives it a new time on the service. */
  #keepListedTime(path: string, modifiedNs: bigint | undefined): void {
    const { changes } = this.#parts
    if (modifiedNs === undefined || changes.attributes(path)?.modifiedNs !== undefined) return
    changes.noteAttributes(path, { modifiedNs })
  }

  #directoriesChanged(from: DirectoryNode, to: DirectoryNode): void {
    this.#parts.stat.directoryChanged(from)
    if (to !== from) this.#parts.stat.directoryChanged(to)
  }
}
