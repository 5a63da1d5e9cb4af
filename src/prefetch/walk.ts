/**
 * One walk through a tree and what is fetched ahead of it. Layer: prefetch.
 *
 * The way ahead is a list of stretches in the order of a depth-first walk: what is left of the directory at
 * hand, then of the one above it, up to the top. A directory on the way becomes a stretch of its own, which
 * waits for its listing.
 *
 * Invariant: what was fetched and not used yet never exceeds the budget, and is no more than the walk will
 * use before it is too old.
 */
import { nameOf, parentOf } from '../remote-path.ts'
import type { Clock } from '../clock.ts'
import type { RemoteEntry } from '../client/session-files.ts'
import { type InodeOf, orderOf, type WalkOrder } from './listing-order.ts'
import type { Contents } from '../cache/contents.ts'
import { seenBy, type Listing, type Listings, type Seen } from '../cache/listings.ts'

export interface WalkLimits {
  /** Things fetched and not used yet, at most. */
  readonly items: number
  /** The same before any of them was used. */
  readonly firstItems: number
  /** Requests asked for and not answered, at most. */
  readonly running: number
  /** Bytes of files fetched and not used yet, at most. */
  readonly bytes: number
  /** A bigger file is not fetched ahead: its transfer outweighs the round trip. */
  readonly fileBytes: number
  /** What is fetched should be used within this time, in milliseconds. */
  readonly horizonMs: number
}

export interface WalkSurroundings {
  readonly listings: Listings
  readonly contents: Pick<Contents, 'isCurrent' | 'fetch' | 'peek'>
  readonly clock: Clock
  readonly limits: WalkLimits
  /** Paths that the local side knows better. */
  readonly isLocal: (path: string) => boolean
  /** What all walks together have under way. */
  readonly load: { running: number }
  /** Whether a walk fetches no more than it will use in time at the pace of its last steps. */
  readonly hasPace: boolean
  /** What programs may sort names by. */
  readonly inodeOf: InodeOf
}

interface Ahead {
  readonly controller: AbortController
  isHere: boolean
  readonly bytes: number
  /** `Clock.now()` when it was asked for. */
  readonly askedAt: number
}

interface Stretch {
  readonly directory: string
  /** The name after which it begins; undefined: from the start. */
  readonly after: string | undefined
  /** How many names from there on are behind us. */
  done: number
  /** The program is in it or has been: its listing is the program's, and good for its order at any age. */
  entered: boolean
}

/** A walk that leaves more than this unused, and more than it uses, is none. */
const toleratedWaste = 8

/** A listing that is begun after everything so far, and shows the same. */
const likeNow: Seen = { begunOrder: Infinity, seenAt: Infinity }

/** How many things that need no fetch the way may run ahead of the program. */
const maxPassed = 256

export class Walk {
  readonly top: string
  readonly order: WalkOrder
  /** Its top was read, and the first thing in it was gone into or opened at once: it goes through all below. */
  readonly isRead: boolean
  /** `.git` of the work tree that git goes through, which is no part of it. */
  readonly repository: string | undefined
  readonly #around: WalkSurroundings
  /** Whether files are opened on the way, or only directories read. */
  wantsContents: boolean
  #window: number
  #stretches: Stretch[] = []
  readonly #ahead = new Map<string, Ahead>()
  /** What lies ahead and needs no fetch, until this `Clock.now()` at least. */
  readonly #passed = new Map<string, number>()
  #aheadBytes = 0
  #used = 0
  #wasted = 0
  #lastStepAt: number
  /** What the program takes for a step by itself, without waiting for the service. */
  #paceMs: number | undefined
  /** Since its last step it has waited. */
  #hasWaited = false
  #stopped = false

  /** `window`: how many things are fetched ahead at first; it doubles with each one that is used. */
  constructor(
    around: WalkSurroundings,
    options: {
      readonly top: string
      readonly order: WalkOrder
      readonly wantsContents: boolean
      readonly window: number
      readonly isRead?: boolean
      readonly repository?: string
    },
  ) {
    this.#around = around
    this.top = options.top
    this.order = options.order
    this.isRead = options.isRead ?? false
    this.repository = options.repository
    this.wantsContents = options.wantsContents
    this.#window = options.window
    this.#lastStepAt = around.clock.now()
  }

  get stopped(): boolean {
    return this.#stopped
  }

  /** `Clock.now()` of the last step. */
  get lastStepAt(): number {
    return this.#lastStepAt
  }

  /** Whether a path lies on or below the top. */
  covers(path: string): boolean {
    if (this.repository !== undefined && isAtOrBelow(path, this.repository)) return false
    return this.top === '' || isAtOrBelow(path, this.top)
  }

  /** The top is read from its start: another pass, of which it is not known yet whether it opens files. */
  beginAgain(): void {
    this.wantsContents = false
  }

  /** The program has come to something that is known to lie ahead; false when it is not. */
  use(path: string): boolean {
    const item = this.#ahead.get(path)
    const goodUntil = this.#passed.get(path)
    if (item === undefined && goodUntil === undefined) return false
    this.#passed.delete(path)
    if (goodUntil !== undefined && goodUntil < this.#around.clock.now() && this.#hasGrownOld(path)) {
      // so have those that follow, by now or soon
      this.goOnFrom(path, false)
      return true
    }
    const isWaiting = item?.isHere === false
    if (item !== undefined) {
      this.#take(path, item)
      this.#used += 1
      this.#window = Math.min(this.#window * 2, this.#around.limits.items)
    }
    for (const stretch of this.#stretches) if (stretch.directory === path) stretch.entered = true
    this.#step(isWaiting)
    this.#soon()
    return true
  }

  /** The program is at `path`, a directory it entered or a file it opened: what follows is fetched. */
  goOnFrom(path: string, isDirectory: boolean): void {
    this.#passed.clear()
    this.#stretches = isDirectory ? [{ directory: path, after: undefined, done: 0, entered: true }] : []
    for (let at = path; at !== this.top; at = parentOf(at))
      this.#stretches.push({ directory: parentOf(at), after: nameOf(at), done: 0, entered: true })
    this.#step(true)
    this.#soon()
  }

  /** From now on this many things may be ahead at least. */
  widen(window: number): void {
    this.#window = Math.max(this.#window, Math.min(window, this.#around.limits.items))
  }

  /** The next thing in order was not fetched: what lies further ahead must not keep the nearest out. */
  grow(): void {
    this.widen(2 * this.#window)
  }

  /** Goes no further; what is under way comes to its end, since another walk may want it. */
  giveWay(): void {
    this.#stopped = true
    this.#stretches = []
    this.#ahead.clear()
  }

  /** Ends all that nobody has come to. */
  stop(): void {
    this.#stopped = true
    this.#stretches = []
    for (const [path, item] of this.#ahead) this.#drop(path, item)
  }

  /** `isWaiting`: for what it comes to, which is not here yet. */
  #step(isWaiting: boolean): void {
    const now = this.#around.clock.now()
    // a pause between two passes is no pace
    const lastMs = Math.min(now - this.#lastStepAt, this.#around.limits.horizonMs)
    if (this.#around.hasPace && !this.#hasWaited)
      this.#paceMs = this.#paceMs === undefined ? lastMs : (3 * this.#paceMs + lastMs) / 4
    this.#lastStepAt = now
    this.#hasWaited = isWaiting
    for (const [path, item] of this.#ahead) {
      if (now - item.askedAt <= 2 * this.#around.limits.horizonMs) break
      this.#drop(path, item)
      this.#wasted += 1
    }
    if (this.#wasted > toleratedWaste && this.#wasted > this.#used) this.stop()
  }

  /** What is fetched now will be used within the horizon at the pace of the last steps. */
  get #room(): number {
    const { horizonMs, items } = this.#around.limits
    const inTime = this.#paceMs === undefined || this.#paceMs === 0 ? items : horizonMs / this.#paceMs
    return Math.min(this.#window, items, Math.max(1, Math.floor(inTime)))
  }

  /** After the program's own request, which is made next. */
  #soon(): void {
    queueMicrotask(() => this.#fetchAhead())
  }

  #fetchAhead(): void {
    const { limits, load } = this.#around
    let place = 0
    while (!this.#stopped && this.#ahead.size < this.#room && load.running < limits.running) {
      const stretch = this.#stretches[place]
      if (stretch === undefined || this.#passed.size >= maxPassed || this.#aheadBytes >= limits.bytes) return
      const listing = this.#listingOf(stretch)
      if (listing === undefined) place += 1
      else if (!this.#advance(stretch, listing, place)) this.#stretches.splice(place, 1)
    }
  }

  /** The listing that a stretch goes by, asked for where the program has not done so. */
  #listingOf(stretch: Stretch): Listing | undefined {
    const { listings } = this.#around
    if (stretch.entered) return listings.newest(stretch.directory)
    const listing = listings.fresh(stretch.directory)
    if (listing === undefined) this.#fetchListing(stretch.directory)
    else {
      stretch.entered = true
      if (!this.#ahead.has(stretch.directory)) this.#passed.set(stretch.directory, Infinity)
    }
    return listing
  }

  /** Goes on to the next thing on a stretch that is to be fetched; false at its end. */
  #advance(stretch: Stretch, listing: Listing, place: number): boolean {
    const order = orderOf(listing, this.order, this.#around.inodeOf)
    const start = stretch.after === undefined ? 0 : order.placeOf(stretch.after) + 1
    while (this.#passed.size < maxPassed) {
      const name = order.names[start + stretch.done]
      const entry = name === undefined ? undefined : listing.entries.get(name)
      if (entry === undefined) return false
      stretch.done += 1
      const path = stretch.directory === '' ? entry.name : `${stretch.directory}/${entry.name}`
      if (this.#around.isLocal(path)) continue
      if (entry.isDirectory) {
        this.#stretches.splice(place, 0, { directory: path, after: undefined, done: 0, entered: false })
        return true
      }
      if (!this.wantsContents) continue
      const arrivesAt = this.#around.clock.now() + this.#arrivalMs
      if (this.#fetchFile(path, entry, listing)) return true
      this.#passed.set(path, arrivesAt)
    }
    return true
  }

  #fetchListing(directory: string): void {
    if (this.#ahead.has(directory)) return
    this.#fetch(directory, 0, (signal) => this.#around.listings.list(directory, { signal, priority: -1 }))
  }

  #fetchFile(path: string, entry: RemoteEntry, listing: Listing): boolean {
    const { contents, limits } = this.#around
    if (this.#ahead.has(path) || entry.size === 0 || entry.size > limits.fileBytes) return false
    const seen = seenBy(listing)
    const inMs = this.#arrivalMs
    if (contents.isCurrent(path, entry, this.#isOld(listing) ? likeNow : seen, inMs)) return false
    this.#fetch(path, entry.size, (signal) => contents.fetch(path, entry, seen, signal, inMs))
    return true
  }

  /** When the program will come to what is next to be fetched, at the pace of the last steps. */
  get #arrivalMs(): number {
    const steps = this.#passed.size + this.#ahead.size
    return Math.min(steps * (this.#paceMs ?? 0), this.#around.limits.horizonMs)
  }

  /** Whether a file needed no fetch when it was passed, and needs one now. */
  #hasGrownOld(path: string): boolean {
    const { listings, contents, limits, isLocal } = this.#around
    const listing = listings.newest(parentOf(path))
    const entry = listing?.entries.get(nameOf(path))
    if (listing === undefined || entry === undefined || entry.isDirectory || isLocal(path)) return false
    if (!this.wantsContents || entry.size === 0 || entry.size > limits.fileBytes) return false
    return !contents.isCurrent(path, entry, seenBy(listing))
  }

  /** The program asks for a newer one before it opens anything: that may prove what this one cannot. */
  #isOld(listing: Listing): boolean {
    return this.#around.listings.remainingMs(listing.endedAt, listing.durationMs) === 0
  }

  #fetch(path: string, bytes: number, work: (signal: AbortSignal) => Promise<unknown>): void {
    const { clock, load } = this.#around
    const item: Ahead = { controller: new AbortController(), isHere: false, bytes, askedAt: clock.now() }
    this.#ahead.set(path, item)
    this.#aheadBytes += bytes
    load.running += 1
    const ended = (): void => {
      load.running -= 1
      item.isHere = true
      this.#fetchAhead()
    }
    // Whoever comes to it asks again and is told of a failure then.
    work(item.controller.signal).then(ended, ended)
  }

  /** The program has it: its fetch goes on for the program. */
  #take(path: string, item: Ahead): void {
    this.#ahead.delete(path)
    this.#aheadBytes -= item.bytes
  }

  #drop(path: string, item: Ahead): void {
    this.#take(path, item)
    item.controller.abort()
  }
}

function isAtOrBelow(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`)
}
