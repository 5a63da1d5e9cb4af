/**
 * The orders in which programs go through a directory. Layer: prefetch.
 *
 * Invariant: an order is computed once per listing, and a step in it costs the same in a big directory.
 */
import type { Listing } from '../cache/listings.ts'

/**
 * `listed`: as readdir gives them (find, grep, tar); `byName`: sorted by bytes (ls, globs, rsync, git); `byInode`:
 * by inode number, which on a local disk is the order of the blocks (cp -r and mv of coreutils).
 */
export type WalkOrder = 'listed' | 'byName' | 'byInode'

export const walkOrders: readonly WalkOrder[] = ['listed', 'byName', 'byInode']

/** The inode number that programs see of a name in a directory. */
export type InodeOf = (directory: string, name: string) => number

/** Sorting more names than this takes too long to be worth it. */
const maxSorted = 20_000

export class ListingOrder {
  readonly names: readonly string[]
  readonly #listing: Listing
  #places: Map<string, number> | undefined

  constructor(listing: Listing, order: WalkOrder, inodeOf: InodeOf) {
    this.#listing = listing
    const names = [...listing.entries.keys()]
    this.names =
      names.length > maxSorted ? names : sorted(names, order, (name) => inodeOf(listing.directory, name))
  }

  /** Where a name is; -1 when it is not there. */
  placeOf(name: string): number {
    if (this.#places === undefined) {
      this.#places = new Map()
      for (const [place, each] of this.names.entries()) this.#places.set(each, place)
    }
    return this.#places.get(name) ?? -1
  }

  /** The first directory, or file, after a name; of all when the name is undefined. */
  next(kind: 'file' | 'directory', after?: string): string | undefined {
    let place = after === undefined ? 0 : this.placeOf(after) + 1
    for (; place < this.names.length; place += 1) {
      const name = this.names[place] ?? ''
      if ((this.#listing.entries.get(name)?.isDirectory === true) === (kind === 'directory')) return name
    }
    return undefined
  }
}

const orders = {
  listed: new WeakMap<Listing, ListingOrder>(),
  byName: new WeakMap<Listing, ListingOrder>(),
  byInode: new WeakMap<Listing, ListingOrder>(),
}

export function orderOf(listing: Listing, order: WalkOrder, inodeOf: InodeOf): ListingOrder {
  let known = orders[order].get(listing)
  if (known === undefined) {
    known = new ListingOrder(listing, order, inodeOf)
    orders[order].set(listing, known)
  }
  return known
}

function sorted(names: string[], order: WalkOrder, inodeOf: (name: string) => number): string[] {
  switch (order) {
    case 'listed':
      return names
    case 'byName':
      return names.sort(byCodeUnits)
    case 'byInode': {
      const ranked = names.map((name) => ({ name, inode: inodeOf(name) }))
      return ranked.sort((one, other) => one.inode - other.inode).map(({ name }) => name)
    }
  }
}

function byCodeUnits(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}
