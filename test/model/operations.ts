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

export type Operation = SystemCall | Circumstance

export type SystemCall =
  /* by path */
  | { readonly do: 'write'; readonly path: string; readonly bytes: Bytes }
  | { readonly do: 'append'; readonly path: string; readonly bytes: Bytes }
  | { readonly do: 'read'; readonly path: string }
  | { readonly do: 'stat'; readonly path: string }
  | { readonly do: 'list'; readonly path: string }
  | { readonly do: 'truncate'; readonly path: string; readonly size: number }
  | { readonly do: 'chmod'; readonly path: string; readonly mode: number }
  /** As root: to this user and this group. */
  | { readonly do: 'chown'; readonly path: string; readonly owner: number }
  | { readonly do: 'utimes'; readonly path: string; readonly seconds: number }
  | { readonly do: 'unlink'; readonly path: string }
  | { readonly do: 'mkdir'; readonly path: string }
  | { readonly do: 'mknod'; readonly path: string }
  | { readonly do: 'rmdir'; readonly path: string }
  | { readonly do: 'rename'; readonly from: string; readonly to: string; readonly noReplace: boolean }
  /* by handle */
  | { readonly do: 'open'; readonly slot: number; readonly path: string; readonly mode: OpenMode }
  | { readonly do: 'close'; readonly slot: number }
  | { readonly do: 'pread'; readonly slot: number; readonly offset: number; readonly length: number }
  | { readonly do: 'pwrite'; readonly slot: number; readonly offset: number; readonly bytes: Bytes }
  | { readonly do: 'ftruncate'; readonly slot: number; readonly size: number }
  | { readonly do: 'punch'; readonly slot: number; readonly offset: number; readonly length: number }
  | {
      readonly do: 'copy'
      readonly from: number
      readonly to: number
      readonly length: number
      /** Default 0. */
      readonly fromOffset?: number
      readonly toOffset?: number
    }
  /** As a store through a shared mapping: no further than the file reaches. */
  | { readonly do: 'map'; readonly slot: number; readonly offset: number; readonly bytes: Bytes }
  | {
      readonly do: 'allocate'
      readonly slot: number
      readonly offset: number
      readonly length: number
      readonly keepSize: boolean
    }
  | { readonly do: 'seek'; readonly slot: number; readonly offset: number; readonly whence: 'data' | 'hole' }
  | { readonly do: 'fchmod'; readonly slot: number; readonly mode: number }
  | { readonly do: 'fchown'; readonly slot: number; readonly owner: number }
  | { readonly do: 'futimes'; readonly slot: number; readonly seconds: number }
  /** O_TMPFILE in a directory. */
  | { readonly do: 'openUnnamed'; readonly slot: number; readonly path: string }
  | { readonly do: 'fstat'; readonly slot: number }
  | { readonly do: 'fsync'; readonly slot: number }
  /* by handle of a directory; a pass begins with the first entries */
  | { readonly do: 'openDirectory'; readonly slot: number; readonly path: string; readonly first: number }
  | { readonly do: 'readRest'; readonly slot: number }
  | { readonly do: 'rewind'; readonly slot: number }
  | { readonly do: 'closeDirectory'; readonly slot: number }
  | { readonly do: 'syncDirectory'; readonly path: string }

/** What befalls the daemon, its time and its service. */
export type Circumstance =
  | { readonly do: 'check' }
  | { readonly do: 'barrier' }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'forget' }
  | { readonly do: 'crash' }
  /** The daemon is killed, after so many milliseconds of what comes next, and another goes on with the mount. */
  | { readonly do: 'kill'; readonly afterMs: number }
  /** Unmounted when all is on the service, and mounted again. */
  | { readonly do: 'remount' }
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
  | ForeignChange

/** The agent's doing, when nothing of ours is on its way. */
export type ForeignChange =
  | { readonly do: 'foreignWrite'; readonly path: string; readonly bytes: Bytes }
  | { readonly do: 'foreignRemove'; readonly path: string }
  | { readonly do: 'foreignMkdir'; readonly path: string }

export const slots = 4
/** Of the service in the model tests: small, so that it is met. */
export const maxFileBytes = 100_000
export const scratchPattern = '.*.swp'

const names = ['a', 'b', 'c', 'd', 'Ä ö']
const oddNames = [
  'A',
  '-n',
  '...',
  '%41',
  '#x?&=',
  'tab\tnew\nline',
  `quote'"`,
  'o\u0308',
  '😀',
  'x'.repeat(255),
]
const scratchName = '.a.swp'

export function bytesOf({ fill, length }: Bytes): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let at = 0; at < length; at++) bytes[at] = 1 + ((fill + at * 7 + (at >> 8)) % 250)
  return bytes
}

const modes = [0o644, 0o600, 0o755, 0o640]
const owners = [1, 2, 65_534]

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
    chown: 1,
    utimes: 2,
    unlink: 6,
    mkdir: 6,
  },
  ...{ rmdir: 4, rename: 12, open: 10, close: 6, pread: 6, pwrite: 10, ftruncate: 3, punch: 1, copy: 2 },
  ...{
    fstat: 3,
    fsync: 1,
    check: 2,
    mknod: 1,
    map: 2,
    allocate: 1,
    seek: 1,
    fchmod: 1,
    fchown: 1,
    futimes: 1,
  },
  ...{ openUnnamed: 1, openDirectory: 3, readRest: 3, rewind: 1, closeDirectory: 2, syncDirectory: 1 },
}

/** Draws operations that make sense on the tree as it is, and some that do not. */
export class Generator {
  readonly #random: (below: number) => number
  readonly #kinds: readonly Kind[]
  readonly #large: boolean
  #count = 0

  /** `large`: sizes around those in which a mount moves bytes, up to some megabytes. */
  constructor(seed: number, weights: Weights, large = false) {
    this.#random = randomFrom(seed)
    this.#large = large
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
      case 'syncDirectory':
        return { do: kind, path: this.#path(tree, 'directory') }
      case 'mkdir':
      case 'mknod':
        return { do: kind, path: this.#path(tree, 'new') }
      case 'truncate':
        return { do: kind, path: this.#path(tree, 'file'), size: this.#size() }
      case 'chmod':
        return { do: kind, path: this.#path(tree, 'any'), mode: this.#pick(modes) }
      case 'fchmod':
        return { do: kind, slot: this.#slot(tree), mode: this.#pick(modes) }
      case 'chown':
        return { do: kind, path: this.#path(tree, 'any'), owner: this.#pick(owners) }
      case 'fchown':
        return { do: kind, slot: this.#slot(tree), owner: this.#pick(owners) }
      case 'futimes':
        return { do: kind, slot: this.#slot(tree), seconds: 1_000_000_000 + this.#random(1000) }
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
      case 'map':
        return { do: kind, slot: this.#slot(tree), offset: this.#size(), bytes: this.#bytes() }
      case 'ftruncate':
        return { do: kind, slot: this.#slot(tree), size: this.#size() }
      case 'punch':
        return { do: kind, slot: this.#slot(tree), offset: this.#size(), length: 1 + this.#random(3000) }
      case 'allocate': {
        const [offset, length, keepSize] = [this.#size(), 1 + this.#random(3000), this.#random(3) === 0]
        return { do: kind, slot: this.#slot(tree), offset, length, keepSize }
      }
      case 'seek':
        return {
          do: kind,
          slot: this.#slot(tree),
          offset: this.#size(),
          whence: this.#pick(['data', 'hole'] as const),
        }
      case 'copy': {
        const [from, to, length] = [this.#slot(tree), this.#slot(tree), this.#size()]
        if (this.#random(2) === 0) return { do: kind, from, to, length }
        return { do: kind, from, to, length, fromOffset: this.#size(), toOffset: this.#size() }
      }
      case 'openUnnamed':
        return { do: kind, slot, path: this.#path(tree, 'directory') }
      case 'openDirectory':
        return { do: kind, slot, path: this.#path(tree, 'directory'), first: this.#random(5) }
      case 'readRest':
      case 'rewind':
      case 'closeDirectory':
        return { do: kind, slot: this.#pick([slot, ...tree.openDirectorySlots()]) }
      case 'pass':
        return { do: kind, ms: this.#pick([50, 100, 500, 1000, 2000, 5000, 11_000, 61_000]) }
      case 'kill':
        return { do: kind, afterMs: this.#pick([0, 0, 1, 2, 5, 10, 20, 50]) }
      case 'fault': {
        const verb = this.#pick(['upload', 'remove', 'makeDirectory'] as const)
        const applied = this.#pick(['never', 'first', 'late'] as const)
        return { do: kind, verb, applied, times: 1 + this.#random(2) }
      }
      case 'refuse':
        return { do: kind, verb: this.#pick(['list', 'download'] as const) }
      case 'hold':
        return { do: kind, verb: this.#pick(['upload', 'remove', 'makeDirectory'] as const) }
      case 'foreignWrite': {
        const path = this.#path(tree, 'any')
        const same = this.#random(3) === 0 ? tree.sizeOf(path) : undefined
        return { do: kind, path, bytes: { fill: this.#count % 250, length: same ?? this.#random(4000) } }
      }
      case 'foreignRemove':
      case 'foreignMkdir':
        return { do: kind, path: this.#path(tree, 'any') }
      case 'check':
      case 'barrier':
      case 'forget':
      case 'crash':
      case 'remount':
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
    const deepest = this.#random(12) === 0 ? 8 : 3
    const shallow = above.filter((path) => path.split('/').length <= deepest)
    const directory = this.#random(20) === 0 ? this.#pick(names) : this.#pick(shallow)
    const isScratch = wanted === 'file' && this.#random(12) === 0
    const name = isScratch ? scratchName : this.#pick(this.#random(20) === 0 ? oddNames : names)
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
    const isLong = this.#random(25) === 0
    const length = isLong ? this.#long() : this.#random(3000)
    return { fill: this.#count % 250, length }
  }

  #size(): number {
    const sizes = [
      0,
      0,
      this.#random(100),
      this.#random(4000),
      this.#random(4000),
      4095 + this.#random(3),
      this.#long(),
    ]
    return this.#pick(sizes)
  }

  /** Around the pieces of a download, the pages and the limit. */
  #long(): number {
    const edges = this.#large ? [131_072, 1_048_576, 3_000_000] : [65_536, 98_304, maxFileBytes]
    return this.#random(2) === 0 ? this.#pick(edges) - 1 + this.#random(3) : 60_000 + this.#random(50_000)
  }

  #pick<T>(of: readonly T[]): T {
    const picked = of[this.#random(of.length)]
    if (picked === undefined) throw new Error('nothing to pick from')
    return picked
  }
}
