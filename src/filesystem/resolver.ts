/**
 * From a node and a name to what is there. Layer: filesystem.
 *
 * Invariant: where something is, is asked again after every wait, since its directories may have been renamed
 * meanwhile; a node that turns out to be gone has lost its name before anybody is answered.
 */
import { FilesystemError } from './errors.ts'
import { stopIfInterrupted } from './failures.ts'
import type { FileBytes } from './file-bytes.ts'
import type { MaybePromise } from './front-end.ts'
import type { Ground } from './ground.ts'
import { isPromise } from './maybe-promise.ts'
import type { DirectoryNode, FileNode, Node } from './node.ts'
import type { SpecialFile } from './special-file.ts'
import { type Tree } from './tree.ts'
import { joinPath } from '../remote-path.ts'
import type { Sight, View } from './view.ts'

/** The service's own limit, and that of local filesystems. */
export const maxNameBytes = 255

export type Place = readonly [directory: DirectoryNode, name: string]

/** One sight for each place. */
type Sights<P extends readonly Place[]> = { -readonly [K in keyof P]: Sight }

export class Resolver {
  readonly #tree: Tree
  readonly #view: View
  readonly #bytes: FileBytes
  readonly #specials: ReadonlyMap<string, SpecialFile>

  constructor({ tree, view, specials }: Ground, bytes: FileBytes) {
    this.#tree = tree
    this.#view = view
    this.#bytes = bytes
    this.#specials = specials
  }

  special(directory: DirectoryNode, name: string): SpecialFile | undefined {
    return directory === this.#tree.root ? this.#specials.get(name) : undefined
  }

  /**
   * Does something to one or more names by what is there, in the same turn in which that is certain: what
   * changed while the last answer was awaited is looked at again.
   */
  acting<const P extends readonly Place[], T>(
    places: P,
    signal: AbortSignal,
    act: (...sights: Sights<P>) => MaybePromise<T>,
  ): MaybePromise<T> {
    const sights = places.map(([directory, name]) => this.look(directory, name, signal))
    if (!sights.some(isPromise)) return act(...(sights as Sights<P>))
    return Promise.all(sights.map((sight) => Promise.resolve(sight))).then((known) => {
      stopIfInterrupted(signal)
      return this.stand(places, known) ? act(...(known as Sights<P>)) : this.acting(places, signal, act)
    })
  }

  /** Whether sights from before a wait are still what is there, as far as this machine is concerned. */
  stand(places: readonly Place[], sights: readonly Sight[]): boolean {
    return places.every(([directory, name], index) => {
      const sight = sights[index]
      const above = this.#tree.findPath(directory)
      if (sight === undefined || above === undefined) return false
      return joinPath(above, name) === sight.path && this.#view.holds(sight)
    })
  }

  /** What is at a name that is not a special file's. */
  look(directory: DirectoryNode, name: string, signal: AbortSignal): MaybePromise<Sight> {
    checkName(name)
    return this.#view.look(() => this.#tree.path(directory), name, signal)
  }

  /** What is at a node's place now; undefined when it has none. */
  lookAt(node: FileNode | DirectoryNode, signal: AbortSignal): MaybePromise<Sight | undefined> {
    const { parent, name } = node
    if (parent === undefined || this.#tree.findPath(parent) === undefined) return undefined
    const sight = this.look(parent, name, signal)
    if (!isPromise(sight)) return this.#noticed(node, sight)
    return sight.then((later) =>
      node.parent === parent && node.name === name ? this.#noticed(node, later) : this.lookAt(node, signal),
    )
  }

  /** The node for what was seen at a name; the sight must be of now. */
  nodeFor(directory: DirectoryNode, name: string, sight: Exclude<Sight, { kind: 'absent' }>): Node {
    const there = directory.children.get(name)
    if (there !== undefined && there.kind !== sight.kind) this.lost(there)
    if (sight.kind === 'directory') return this.#tree.subdirectory(directory, name)
    if (there?.kind === 'file' && this.#bytes.isReplaced(there, sight)) this.replaced(there)
    const node = this.#tree.file(directory, name)
    this.#bytes.notice(node, sight)
    return node
  }

  /** What was at a name is not there any more, by somebody else's doing. */
  absent(directory: DirectoryNode, name: string): void {
    const there = directory.children.get(name)
    if (there !== undefined) this.lost(there)
  }

  /** The node has lost its name, and with a directory all that is below it; open files go on. */
  lost(node: Node): void {
    if (node.kind === 'file') this.#bytes.nameless.loseName(node, undefined)
    if (node.kind === 'directory')
      for (const file of this.#tree.filesBelow(node)) this.#bytes.nameless.loseName(file, undefined)
    this.#tree.detach(node)
  }

  /** Another file has its name, by somebody else's doing; those who read it go on with what it was. */
  replaced(node: FileNode): void {
    node.replaced = true
    this.lost(node)
  }

  #noticed(node: FileNode | DirectoryNode, sight: Sight): Sight | undefined {
    if (node.kind === 'file' && sight.kind === 'file' && this.#bytes.isReplaced(node, sight)) {
      this.replaced(node)
      return undefined
    }
    if (sight.kind !== node.kind) {
      this.lost(node)
      return undefined
    }
    if (node.kind === 'file' && sight.kind === 'file') this.#bytes.notice(node, sight)
    return sight
  }
}

export function checkName(name: string): void {
  if (name === '' || name === '.' || name === '..' || name.includes('/'))
    throw new FilesystemError('invalid', `${name}: is no name`)
  if (Buffer.byteLength(name) > maxNameBytes)
    throw new FilesystemError('nameTooLong', `${name}: name too long`)
}
