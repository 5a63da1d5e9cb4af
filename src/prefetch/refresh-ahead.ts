/**
 * Asks again for the listings of directories in busy use before they are too old, so that nobody waits for
 * them. Layer: prefetch.
 *
 * Invariant: each listing is followed by one request at most, and by none unless the one before it was in busy
 * use, too, and programs keep coming to the directory itself (the kernel asks no later than after the TTL).
 */
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import type { Listings } from '../cache/listings.ts'
import { parentOf } from '../remote-path.ts'

/** Fewer uses of one listing are a person at a prompt, who can wait for one round trip. */
const busyUses = 16
const rememberedDirectories = 1024

interface Use {
  /** `Listing.endedAt` of the listing that was used so often. */
  listedAt: number
  count: number
  /** The listing before it was used as much until it was too old: the program goes on for longer than the TTL. */
  goesOn: boolean
  isAsked: boolean
  /** `Clock.now()` of the last use of the directory itself, not of something below it. */
  enteredAt: number
}

export class RefreshAhead {
  readonly #listings: Listings
  readonly #clock: Clock
  readonly #uses = new LRUCache<string, Use>({ max: rememberedDirectories })

  constructor(listings: Listings, clock: Clock) {
    this.#listings = listings
    this.#clock = clock
  }

  /** A name is looked up in a directory, which uses those above it, too. */
  used(directory: string): void {
    this.#count(directory, true)
    for (let path = directory; path !== '';) {
      path = parentOf(path)
      this.#count(path, false)
    }
  }

  #count(directory: string, isEntered: boolean): void {
    const listing = this.#listings.newest(directory)
    if (listing === undefined) return
    const now = this.#clock.now()
    const wholeMs = this.#listings.remainingMs(now, 0)
    let use = this.#uses.get(directory)
    if (use === undefined) {
      use = { listedAt: listing.endedAt, count: 0, goesOn: false, isAsked: false, enteredAt: -Infinity }
      this.#uses.set(directory, use)
    } else if (use.listedAt !== listing.endedAt) {
      use.goesOn = use.count >= busyUses && listing.endedAt - use.listedAt <= 2 * wholeMs
      use.listedAt = listing.endedAt
      use.count = 0
      use.isAsked = false
    }
    if (isEntered) use.enteredAt = now
    use.count += 1
    if (use.isAsked || !use.goesOn || use.count < busyUses) return
    const leftMs = this.#listings.remainingMs(listing.endedAt, listing.durationMs)
    /* a big directory is used for longer instead, and a listing that is too old is asked for by the user */
    if (listing.durationMs > wholeMs / 4 || leftMs === 0 || leftMs > wholeMs / 2) return
    if (now - use.enteredAt > wholeMs) return
    use.isAsked = true
    /* whoever comes when it has failed asks again and is told */
    this.#listings.list(directory, { maxAgeMs: 1, priority: -1 }).catch(() => undefined)
  }
}
