/**
 * Looking names up and reading directories. Layer: filesystem.
 *
 * Invariant: an entry that is answered from a pass through a directory is as old as the listing it came with,
 * and costs no request.
 */
import { DirectorySnapshot } from './directory-snapshot.ts'
import { stopIfInterrupted } from './failures.ts'
import type { Caller, DirectoryEntry, Entry, HandleId, MaybePromise } from './front-end.ts'
import { chain } from './maybe-promise.ts'
import type { DirectoryNode } from './node.ts'
import { checkName } from './resolver.ts'
import { joinPath } from '../remote-path.ts'
import type { Sight } from './view.ts'
import type { Workbench } from './workbench.ts'

export class DirectoryOperations {
  readonly #parts: Workbench

  constructor(workbench: Workbench) {
    this.#parts = workbench
  }

  lookup(directory: DirectoryNode, name: string, caller: Caller): MaybePromise<Entry> {
    const { tree, resolver, stat } = this.#parts
    checkName(name)
    const special = resolver.special(directory, name)
    if (special !== undefined) return stat.entry(tree.special(special), undefined)
    return resolver.acting([[directory, name]], caller.signal, (sight) => {
      if (sight.kind !== 'absent') return stat.entry(resolver.nodeFor(directory, name, sight), sight)
      resolver.absent(directory, name)
      return stat.noEntry(sight.ttlMs)
    })
  }

  read(id: HandleId, offset: number, caller: Caller): MaybePromise<Iterable<DirectoryEntry>> {
    const { tree, handles, view, clock, specials, options, record } = this.#parts
    const handle = handles.directory(id)
    const { node } = handle
    const inodeOf = (name: string): number => this.#inodeOf(node, name)
    if (offset > 0 && handle.snapshot !== undefined) return handle.snapshot.from(offset, inodeOf)
    return chain(
      view.entries(() => tree.path(node), caller),
      (entries) => {
        stopIfInterrupted(caller.signal)
        const shown = node === tree.root && options.showSpecial ? specials.keys() : []
        handle.snapshot = DirectorySnapshot.of(entries, clock.now(), shown)
        record?.changedHandle(handle)
        return handle.snapshot.from(offset, inodeOf)
      },
    )
  }

  entryOf(id: HandleId, name: string): Entry | undefined {
    const { tree, handles, resolver, stat } = this.#parts
    const { node, snapshot } = handles.directory(id)
    const above = tree.findPath(node)
    if (name === '.' || name === '..' || above === undefined) return undefined
    const special = resolver.special(node, name)
    if (special !== undefined) return stat.entry(tree.special(special), undefined)
    const sight = this.#sightOf(above, name, snapshot)
    if (sight === undefined || sight.kind === 'absent') return undefined
    return stat.entry(resolver.nodeFor(node, name, sight), sight)
  }

  /** What is known now, else what the pass began with if nothing of ours has changed it since. */
  #sightOf(above: string, name: string, snapshot: DirectorySnapshot | undefined): Sight | undefined {
    const { view, clock } = this.#parts
    const known = view.glance(above, name)
    if (known !== undefined) return known
    const sight = snapshot?.find(name)
    if (snapshot === undefined || sight?.path !== joinPath(above, name) || !view.holds(sight))
      return undefined
    return { ...sight, ttlMs: Math.max(0, sight.ttlMs - (clock.now() - snapshot.takenAt)) }
  }

  #inodeOf(node: DirectoryNode, name: string): number {
    if (name === '.') return node.inode
    if (name === '..') return (node.parent ?? node).inode
    return this.#parts.tree.inodeOf(node, name)
  }
}
