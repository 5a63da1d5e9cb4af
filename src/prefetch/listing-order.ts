/**
 * The orders in which programs go through a directory. Layer: prefetch.
 *
 * Invariant: an order is computed once per listing, and a step in it costs the same in a big directory.
 */
import type { Listing } from '../cache/listings.ts'

/** `listed`: as readdir gives them (find, grep, cp, tar); `byName`: sorted by bytes (ls, globs, rsync, git). */
export type WalkOrder = 'listed' | 'byName'

export const walkOrders: readonly WalkOrder[] = ['listed', 'byName']

/** Sorting more names than this takes too long to be worth it. */
const maxSorted = 20_000

export class ListingOrder {
  readonly names: readonly string[]
  readonly #listing: Listing
  #places: Map<string, number> | undefined

  constructor(listing: Listing, order: WalkOrder) {
    this.#listing = listing
    const names = [...listing.entries.keys()]
    this.names = order === 'byName' && names.length <= maxSorted ? names.sort(byCodeUnits) : names
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

const orders = { listed: new WeakMap<Listing, ListingOrder>(), byName: new WeakMap<Listing, ListingOrder>() }

export function orderOf(listing: Listing, order: WalkOrder): ListingOrder {
  let known = orders[order].get(listing)
  if (known === undefined) {
    known = new ListingOrder(listing, order)
    orders[order].set(listing, known)
  }
  return known
}

function byCodeUnits(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}
