/**
 * The nodes that the kernel has been told of, and the way to them: every name of a path is looked up, and every
 * answer counts. Layer: tests.
 *
 * Invariant: a node is forgotten as often as it was told, never while it is open.
 */
import { FilesystemError } from '../../src/filesystem/errors.ts'
import type { Filesystem } from '../../src/filesystem/filesystem.ts'
import type { Attributes, Entry, NodeId } from '../../src/filesystem/front-end.ts'
import { caller } from '../filesystem/rig.ts'
import type { PassingTime } from './passing-time.ts'

export class KnownNodes {
  readonly #fs: Filesystem
  readonly #time: PassingTime
  readonly #lookups = new Map<NodeId, number>()

  constructor(fs: Filesystem, time: PassingTime) {
    this.#fs = fs
    this.#time = time
  }

  async find(path: string): Promise<[NodeId, { kind: 'file' | 'directory' }]> {
    let found: [NodeId, { kind: 'file' | 'directory' }] = [1, { kind: 'directory' }]
    for (const name of path === '' ? [] : path.split('/')) {
      if (found[1].kind === 'file') throw new FilesystemError('notDirectory')
      const next = await this.lookup(found[0], name)
      if (next === undefined) throw new FilesystemError('missing')
      found = next
    }
    return found
  }

  async place(path: string): Promise<[NodeId, string]> {
    const cut = path.lastIndexOf('/')
    const [node, { kind }] = await this.find(path.slice(0, Math.max(0, cut)))
    if (kind === 'file') throw new FilesystemError('notDirectory')
    return [node, path.slice(cut + 1)]
  }

  async lookup(directory: NodeId, name: string): Promise<[NodeId, Attributes] | undefined> {
    const entry = await this.#time.soon(this.#fs.lookup(directory, name, caller))
    this.count(entry)
    return entry.attributes === undefined ? undefined : [entry.node, entry.attributes]
  }

  count({ node }: Entry): void {
    if (node !== 0) this.#lookups.set(node, (this.#lookups.get(node) ?? 0) + 1)
  }

  /** All but those that are open. */
  forget(open: ReadonlySet<NodeId>): void {
    for (const [node, count] of [...this.#lookups].reverse()) {
      if (open.has(node)) continue
      this.#fs.forget(node, count)
      this.#lookups.delete(node)
    }
  }
}
