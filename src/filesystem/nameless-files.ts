/**
 * The bytes of files that lose their name, or have none: whoever has one open goes on with it. Layer: filesystem.
 *
 * Invariant: until nobody has it open any more its bytes are on this machine, or are kept on the service for as long as
 * it takes to fetch them; where another process may go on with the mount, they come to lie in the spool.
 */
import type { Contents } from '../cache/contents.ts'
import type { Clock } from '../clock.ts'
import type { LocalChanges, WorkingCopy } from '../write-back/local-changes.ts'
import { overlaid } from './attributes.ts'
import type { Ground } from './ground.ts'
import { HeldContent } from './held-content.ts'
import { release, retain, unused } from './keepers.ts'
import type { KernelRecord } from './kernel-record.ts'
import type { FileNode } from './node.ts'
import type { RememberedNode } from './remembered.ts'
import type { Tree } from './tree.ts'
import type { FileSight } from './view.ts'

/** What it needs of `FileBytes`. */
export interface Bytes {
  catchUp(node: FileNode): void
  copyOf(node: FileNode): WorkingCopy | undefined
  work(node: FileNode, copy: WorkingCopy): void
  open(node: FileNode, sight: FileSight): boolean
  remote(sight: FileSight): Parameters<Contents['open']>
}

export class NamelessFiles {
  readonly #bytes: Bytes
  readonly #tree: Tree
  readonly #changes: LocalChanges
  readonly #contents: Contents
  readonly #clock: Clock
  readonly #record: KernelRecord | undefined

  constructor({ tree, changes, contents, clock, record }: Ground, bytes: Bytes) {
    this.#bytes = bytes
    this.#tree = tree
    this.#changes = changes
    this.#contents = contents
    this.#clock = clock
    this.#record = record
  }

  /**
   * Before the file loses its name: those who have it open, or have looked it up and open it now, go on with what
   * it is. Without a handle nothing is fetched for it.
   */
  loseName(node: FileNode, sight: FileSight | undefined): void {
    const path = this.#tree.findPath(node)
    this.#bytes.catchUp(node)
    const copy = this.#bytes.copyOf(node) ?? node.retained
    const isOpen = node.handles.size > 0
    if (path !== undefined) node.own = overlaid(this.#changes.attributes(path), node.own)
    this.#record?.changed(node)
    if (copy !== undefined) {
      retain(node, copy)
      if (isOpen) this.#record?.keepNow()
      return
    }
    if (node.state.kind !== 'clean') return
    if (sight === undefined) {
      const { content } = node.state
      if (isOpen && content?.content.complete === true) void this.#preserve(node, content)
      return
    }
    if (!isOpen && !this.#contents.isCurrent(...this.#bytes.remote(sight))) return
    if (node.state.content === undefined) this.#bytes.open(node, sight)
    const held = node.state.content
    if (held === undefined) return
    if (!isOpen) {
      if (!held.content.complete) this.letGo(node)
      return
    }
    if (this.#record !== undefined || !held.content.complete) this.#await(node, held)
  }

  /** The bytes of a file that is about to lose its name stay on the service until they are here. */
  #await(node: FileNode, held: HeldContent): void {
    node.awaited = { path: held.content.path, listed: held.listed }
    this.#record?.changed(node)
    this.#record?.keepNow()
    const letGo = this.#changes.hold(held.content.path)
    const here = this.#record === undefined ? held.whole(() => undefined) : this.#preserve(node, held)
    /* a failure shows in the reads that it is for */
    void here.then(letGo, letGo)
  }

  /** What is open without a name goes to the spool, where a process after this one finds it. */
  async #preserve(node: FileNode, held: HeldContent): Promise<void> {
    if (this.#record === undefined) return
    const copy = await held.whole((file) => this.#changes.importUnnamed(file))
    const isStill = node.state.kind === 'clean' && node.state.content === held && node.handles.size > 0
    if (!isStill || this.#tree.findPath(node) !== undefined) {
      unused(copy)
      return
    }
    node.awaited = undefined
    this.#bytes.work(node, copy)
    this.#record.keepNow()
  }

  /** What a process before this one knew of the bytes of a file. */
  restore(node: FileNode, { generation, shown, awaited }: RememberedNode['facts']): void {
    const path = this.#tree.findPath(node)
    if (shown !== undefined) {
      const [size, modifiedSeconds] = shown
      node.shown = { name: node.name, isDirectory: false, size, modifiedSeconds }
    }
    /* the name may have been taken from it without that being written down as well */
    const isNameless = path === undefined || this.#changes.get(path)?.kind === 'absent'
    if (!isNameless) return
    const copy = generation === undefined ? undefined : this.#changes.adoptUnnamed(generation)
    if (copy !== undefined) {
      this.#bytes.work(node, copy)
      retain(node, copy)
    } else if (awaited !== undefined && node.state.kind === 'clean') {
      const { content } = this.#contents.open(awaited.path, awaited.listed, {
        begunOrder: 0,
        seenAt: this.#clock.now(),
      })
      node.state.content = new HeldContent(content, awaited.listed)
      this.#await(node, node.state.content)
    }
  }

  /** Whether a file without a name has bytes to open. */
  isKept(node: FileNode): boolean {
    return node.retained !== undefined || (node.state.kind === 'clean' && node.state.content !== undefined)
  }

  /** After all the file has kept its name. */
  keptName(node: FileNode): void {
    release(node)
    if (node.handles.size === 0) this.letGo(node)
  }

  /** Nobody has the file open, and its name or nobody leads to it. */
  letGo(node: FileNode): void {
    release(node)
    node.awaited = undefined
    if (node.state.kind !== 'clean') return
    node.state.content?.drop()
    node.state.content = undefined
  }
}
