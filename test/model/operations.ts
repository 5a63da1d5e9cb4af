/**
 * The operations of the model tests: what programs do, and what befalls them. Layer: tests.
 *
 * Invariant: an operation is plain data that means the same whatever came before it, so that a sequence can be
 * printed, replayed and shrunk by leaving operations out.
 */
import { randomFrom } from '../logs/random.ts'
import type { Reference } from './reference.ts'

export type OpenMode = 'r' | 'r+' | 'w' | 'w+' | 'a' | 'a+' | 'x+'

/** Bytes by a rule: `length` of them, from `fill` on. */
export interface Bytes {
  readonly fill: number
  readonly length: number
}

export type Verb = 'list' | 'download' | 'upload' | 'remove' | 'makeDirectory'

export type Operation =
  /* by path */
  | { readonly do: 'write'; readonly path: string; readonly bytes: Bytes }
  | { readonly do: 'append'; readonly path: string; readonly bytes: Bytes }
  | { readonly do: 'read'; readonly path: string }
  | { readonly do: 'stat'; readonly path: string }
  | { readonly do: 'list'; readonly path: string }
  | { readonly do: 'truncate'; readonly path: string; readonly size: number }
  | { readonly do: 'chmod'; readonly path: string; readonly mode: number }
  | { readonly do: 'utimes'; readonly path: string; readonly seconds: number }
  | { readonly do: 'unlink'; readonly path: string }
  | { readonly do: 'mkdir'; readonly path: string }
  | { readonly do: 'rmdir'; readonly path: string }
  | { readonly do: 'rename'; readonly from: string; readonly to: string; readonly noReplace: boolean }
  /* by handle */
  | { readonly do: 'open'; readonly slot: number; readonly path: string; readonly mode: OpenMode }
  | { readonly do: 'close'; readonly slot: number }
  | { readonly do: 'pread'; readonly slot: number; readonly offset: number; readonly length: number }
  | { readonly do: 'pwrite'; readonly slot: number; readonly offset: number; readonly bytes: Bytes }
  | { readonly do: 'ftruncate'; readonly slot: number; readonly size: number }
  | { readonly do: 'punch'; readonly slot: number; readonly offset: number; readonly length: number }
  | { readonly do: 'copy'; readonly from: number; readonly to: number; readonly length: number }
  | { readonly do: 'fstat'; readonly slot: number }
  | { readonly do: 'fsync'; readonly slot: number }
  /* what befalls them */
  | { readonly do: 'check' }
  | { readonly do: 'barrier' }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'forget' }
  | { readonly do: 'crash' }
  /** The next calls of a verb that changes something fail; `first` and `late` change it all the same. */
  | {
      readonly do: 'fault'
      readonly verb: Verb
      readonly applied: 'never' | 'first' | 'late'
      readonly times: number
    }
  /** The next call that only asks fails: the operation that meets it fails and changes nothing. */
  | { readonly do: 'refuse'; readonly verb: 'list' | 'download' }
  | { readonly do: 'hold'; readonly verb: Verb }
  | { readonly do: 'letGo' }
  /* the agent's doing, when nothing of ours is on its way */
  | { readonly do: 'foreignWrite'; readonly path: string; readonly bytes: Bytes }
  | { readonly do: 'foreignRemove'; readonly path: string }
  | { readonly do: 'foreignMkdir'; readonly path: string }

export const slots = 4
/** Of the service in the model tests: small, so that it is met. */
export const maxFileBytes = 100_000
export const scratchPattern = '.*.swp'

const names = ['a', 'b', 'c', 'd', 'Ä ö']
const scratchName = '.a.swp'

export function bytesOf({ fill, length }: Bytes): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let at = 0; at < length; at++) bytes[at] = 1 + ((fill + at * 7 + (at >> 8)) % 250)
  return bytes
}

export type Kind = Operation['do']

/** How often each kind is drawn; a kind that is left out is not drawn. */
export type Weights = Partial<Readonly<Record<Kind, number>>>

export const programs: Weights = {
  ...{
    write: 10,
    append: 4,
    read: 8,
    stat: 4,
    list: 4,
    truncate: 3,
    chmod: 1,
    utimes: 2,
    unlink: 6,
    mkdir: 6,
  },
  ...{ rmdir: 4, rename: 12, open: 10, close: 6, pread: 6, pwrite: 10, ftruncate: 3, punch: 1, copy: 2 },
  ...{ fstat: 3, fsync: 1, check: 2 },
}

/** Draws operations that make sense on the tree as it is, and some that do not. */
export class Generator {
  readonly #random: (below: number) => number
  readonly #kinds: readonly Kind[]
  #count = 0

  constructor(seed: number, weights: Weights) {
    this.#random = randomFrom(seed)
    this.#kinds = Object.entries(weights).flatMap(([kind, weight]) =>
      Array.from({ length: weight }, () => kind as Kind),
    )
  }

  next(tree: Reference): Operation {
    this.#count++
    const kind = this.#pick(this.#kinds)
    const slot = this.#random(slots)
    switch (kind) {
      case 'write':
      case 'append':
        return { do: kind, path: this.#path(tree, 'file'), bytes: this.#bytes() }
      case 'read':
      case 'stat':
      case 'unlink':
        return { do: kind, path: this.#path(tree, 'file') }
      case 'list':
      case 'rmdir':
      case 'mkdir':
        return { do: kind, path: this.#path(tree, kind === 'mkdir' ? 'new' : 'directory') }
      case 'truncate':
        return { do: kind, path: this.#path(tree, 'file'), size: this.#size() }
      case 'chmod':
        return { do: kind, path: this.#path(tree, 'any'), mode: this.#pick([0o644, 0o600, 0o755, 0o640]) }
      case 'utimes':
        return { do: kind, path: this.#path(tree, 'any'), seconds: 1_000_000_000 + this.#random(1000) }
      case 'rename': {
        const from = this.#path(tree, this.#random(3) === 0 ? 'directory' : 'file')
        return {
          do: kind,
          from,
          to: this.#path(tree, this.#pick(['new', 'any'])),
          noReplace: this.#random(6) === 0,
        }
      }
      case 'open':
        return { do: kind, slot, path: this.#path(tree, 'file'), mode: this.#mode() }
      case 'close':
      case 'fstat':
      case 'fsync':
        return { do: kind, slot: this.#slot(tree) }
      case 'pread':
        return { do: kind, slot: this.#slot(tree), offset: this.#size(), length: 1 + this.#random(5000) }
      case 'pwrite':
        return { do: kind, slot: this.#slot(tree), offset: this.#size(), bytes: this.#bytes() }
      case 'ftruncate':
        return { do: kind, slot: this.#slot(tree), size: this.#size() }
      case 'punch':
        return { do: kind, slot: this.#slot(tree), offset: this.#size(), length: 1 + this.#random(3000) }
      case 'copy':
        return { do: kind, from: this.#slot(tree), to: this.#slot(tree), length: this.#size() }
      case 'pass':
        return { do: kind, ms: this.#pick([50, 100, 500, 1000, 2000, 5000, 11_000, 61_000]) }
      case 'fault': {
        const verb = this.#pick(['upload', 'remove', 'makeDirectory'] as const)
        const applied = this.#pick(['never', 'first', 'late'] as const)
        return { do: kind, verb, applied, times: 1 + this.#random(2) }
      }
      case 'refuse':
        return { do: kind, verb: this.#pick(['list', 'download'] as const) }
      case 'hold':
        return { do: kind, verb: this.#pick(['upload', 'remove', 'makeDirectory'] as const) }
      case 'foreignWrite':
        return {
          do: kind,
          path: this.#path(tree, 'any'),
          bytes: { fill: this.#count % 250, length: this.#random(4000) },
        }
      case 'foreignRemove':
      case 'foreignMkdir':
        return { do: kind, path: this.#path(tree, 'any') }
      case 'check':
      case 'barrier':
      case 'forget':
      case 'crash':
      case 'letGo':
        return { do: kind }
    }
  }

  #path(tree: Reference, wanted: 'file' | 'directory' | 'any' | 'new'): string {
    if (wanted !== 'new' && this.#random(5) > 0) {
      const there = [...tree.paths()].filter(([, kind]) => wanted === 'any' || kind === wanted)
      const found = there.length === 0 ? undefined : this.#pick(there)
      if (found !== undefined) return found[0]
    }
    const above = ['', ...[...tree.paths()].filter(([, kind]) => kind === 'directory').map(([path]) => path)]
    const shallow = above.filter((path) => path.split('/').length < 4)
    const directory = this.#random(20) === 0 ? this.#pick(names) : this.#pick(shallow)
    const name = wanted === 'file' && this.#random(12) === 0 ? scratchName : this.#pick(names)
    return directory === '' ? name : `${directory}/${name}`
  }

  #slot(tree: Reference): number {
    const open = tree.openSlots()
    return open.length > 0 && this.#random(10) > 0 ? this.#pick(open) : this.#random(slots)
  }

  #mode(): OpenMode {
    return this.#pick(['r', 'r', 'r+', 'r+', 'r+', 'w', 'w+', 'a', 'a+', 'x+'])
  }

  #bytes(): Bytes {
    const length = this.#random(25) === 0 ? 60_000 + this.#random(50_000) : this.#random(3000)
    return { fill: this.#count % 250, length }
  }

  #size(): number {
    const sizes = [
      0,
      0,
      this.#random(100),
      this.#random(4000),
      this.#random(4000),
      4096,
      70_000 + this.#random(40_000),
    ]
    return this.#pick(sizes)
  }

  #pick<T>(of: readonly T[]): T {
    const picked = of[this.#random(of.length)]
    if (picked === undefined) throw new Error('nothing to pick from')
    return picked
  }
}
