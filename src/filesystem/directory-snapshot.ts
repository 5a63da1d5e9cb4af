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
  readonly names: readonly string[]
  /** One letter for each name: `d` for a directory, `f` for a file. */
  readonly kinds: string
  readonly #sights: ReadonlyMap<string, Sight>

  /** `specials`: names of special files to show as well; `takenAt` by the clock. */
  static of(
    sights: ReadonlyMap<string, Sight>,
    takenAt: number,
    specials: Iterable<string> = [],
  ): DirectorySnapshot {
    const names = [...dots, ...specials, ...sights.keys()]
    const isDirectory = (name: string, place: number): boolean =>
      place < dots.length || sights.get(name)?.kind === 'directory'
    const kinds = names.map((name, place) => (isDirectory(name, place) ? 'd' : 'f')).join('')
    return new DirectorySnapshot({ names, kinds }, sights, takenAt)
  }

  /** A pass that a process before this one began: its order is kept, what it knew of the names is not. */
  static resumed(pass: { readonly names: readonly string[]; readonly kinds: string }): DirectorySnapshot {
    return new DirectorySnapshot(pass, new Map(), 0)
  }

  private constructor(
    { names, kinds }: { readonly names: readonly string[]; readonly kinds: string },
    sights: ReadonlyMap<string, Sight>,
    takenAt: number,
  ) {
    this.takenAt = takenAt
    this.names = names
    this.kinds = kinds
    this.#sights = sights
  }

  find(name: string): Sight | undefined {
    return this.#sights.get(name)
  }

  /** The entries from a place on; 0 is the first, which is `.`, as `..` is the second. */
  *from(offset: number, inodeOf: (name: string) => number): Generator<DirectoryEntry> {
    for (let place = offset; place < this.names.length; place++) {
      const name = this.names[place] ?? ''
      const kind = this.kinds[place] === 'd' ? 'directory' : 'file'
      yield { name, kind, inode: inodeOf(name), nextOffset: place + 1 }
    }
  }
}
