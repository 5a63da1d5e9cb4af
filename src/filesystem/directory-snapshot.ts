/**
 * One pass through a directory. Layer: filesystem.
 *
 * Invariant: an entry keeps its place for as long as the pass lasts, whatever is made or removed meanwhile, so
 * that none that stays is left out or given twice.
 */
import type { DirectoryEntry } from './front-end.ts'
import type { Sight } from './view.ts'

const dots = ['.', '..']

export class DirectorySnapshot {
  /** `Clock.now()` from which the sights' times to live count. */
  readonly takenAt: number
  readonly #names: readonly string[]
  readonly #sights: ReadonlyMap<string, Sight>

  /** `specials`: names of special files to show as well. */
  constructor(sights: ReadonlyMap<string, Sight>, takenAt: number, specials: Iterable<string> = []) {
    this.takenAt = takenAt
    this.#sights = sights
    this.#names = [...dots, ...specials, ...sights.keys()]
  }

  find(name: string): Sight | undefined {
    return this.#sights.get(name)
  }

  /** The entries from a place on; 0 is the first, which is `.`, as `..` is the second. */
  *from(offset: number, inodeOf: (name: string) => number): Generator<DirectoryEntry> {
    for (let place = offset; place < this.#names.length; place++) {
      const name = this.#names[place] ?? ''
      const isFile = place >= dots.length && this.#sights.get(name)?.kind !== 'directory'
      const kind = isFile ? 'file' : 'directory'
      yield { name, kind, inode: inodeOf(name), nextOffset: place + 1 }
    }
  }
}
