/**
 * Recognises programs that go to and fro among the subdirectories of one directory (the objects of git, caches
 * by hash) and has the listings of the others fetched. Layer: prefetch.
 *
 * Invariant: listings are fetched on credit that each visit earns, so that no more of them are wasted than a
 * few for each visit; a directory whose scatter has wasted most needs twice as many visits the next time.
 */
import { LRUCache } from 'lru-cache'
import { orderOf } from './listing-order.ts'
import { type WalkSurroundings } from './walk.ts'
import { parentOf } from '../remote-path.ts'

/** So many subdirectories missed within so short a time are a scatter; at most, where one was none. */
const firstMisses = 3
const mostMisses = 96
const missesMs = 2_000
/** Listings that a visit may cost: one that was waited for, and one that had been fetched. */
const creditOfMiss = 8
const creditOfUse = 16
/** At most so many are fetched and not used yet. */
const maxAhead = 512
/** Wasted listings that are no sign yet, and how many there may be for each one used. */
const toleratedWaste = 48
const wasteForEachUse = 6
/** One look for what to fetch goes over so many names at most. */
const maxLooks = 1_024
const rememberedDirectories = 64

interface Scatter {
  /** Subdirectories that were missed, oldest first, with `Clock.now()`; forgotten after `missesMs`. */
  readonly missed: Map<string, number>
  /** How many of them make it a scatter. */
  needed: number
  isOn: boolean
  /** Fetched, or being fetched, and not used yet, oldest first, with `Clock.now()`. */
  readonly ahead: Map<string, number>
  credit: number
  used: number
  wasted: number
  /** Where in the order of the directory the next look begins. */
  place: number
  /** `Clock.now()` of the last visit, and before which another look is of no use. */
  visitedAt: number
  idleUntil: number
}

export class Scatters {
  readonly #around: WalkSurroundings
  readonly #ttlMs: number
  readonly #all = new LRUCache<string, Scatter>({ max: rememberedDirectories })

  constructor(around: WalkSurroundings, ttlMs: number) {
    this.#around = around
    this.#ttlMs = ttlMs
  }

  /** The program comes to a directory that was fetched for it; false: it was not. */
  use(directory: string): boolean {
    const above = parentOf(directory)
    const scatter = this.#all.get(above)
    if (scatter?.isOn !== true || !scatter.ahead.delete(directory)) return false
    scatter.used += 1
    this.#goOn(above, scatter, creditOfUse)
    return true
  }

  /** The program comes to a directory by no order that is known. Call it before its listing is asked for. */
  visit(directory: string): void {
    const { listings, clock, isLocal } = this.#around
    if (directory === '' || isLocal(directory)) return
    const newest = listings.newest(directory)
    if (newest !== undefined && listings.remainingMs(newest.endedAt, newest.durationMs) > 0) return
    const above = parentOf(directory)
    const scatter = this.#scatter(above)
    const now = clock.now()
    scatter.missed.delete(directory)
    scatter.missed.set(directory, now)
    for (const [path, at] of scatter.missed) {
      if (now - at <= missesMs && scatter.missed.size <= mostMisses) break
      scatter.missed.delete(path)
    }
    if (scatter.missed.size >= scatter.needed) scatter.isOn = true
    if (scatter.isOn) this.#goOn(above, scatter, creditOfMiss)
  }

  /** Nothing more is fetched. */
  stop(): void {
    this.#all.clear()
  }

  #goOn(above: string, scatter: Scatter, credit: number): void {
    const now = this.#around.clock.now()
    scatter.visitedAt = now
    scatter.credit = Math.min(scatter.credit + credit, maxAhead)
    for (const [path, at] of scatter.ahead) {
      if (now - at <= this.#ttlMs) break
      scatter.ahead.delete(path)
      scatter.wasted += 1
    }
    if (scatter.wasted > toleratedWaste + wasteForEachUse * scatter.used) {
      this.#all.set(above, { ...newScatter(), needed: Math.min(2 * scatter.needed, mostMisses) })
      return
    }
    /* after the program's own request, which is made next */
    queueMicrotask(() => this.#fetchAhead(above, scatter))
  }

  #fetchAhead(above: string, scatter: Scatter): void {
    const { listings, clock, limits, load, isLocal } = this.#around
    const now = clock.now()
    if (this.#all.peek(above) !== scatter || now < scatter.idleUntil) return
    if (now - scatter.visitedAt > this.#ttlMs / 2) return
    const listing = listings.newest(above)
    const names = listing === undefined ? [] : orderOf(listing, 'listed').names
    for (let looks = Math.min(names.length, maxLooks); ; looks -= 1) {
      if (scatter.credit <= 0 || scatter.ahead.size >= maxAhead || load.running >= limits.running) return
      if (looks === 0) break
      const name = names[scatter.place % names.length] ?? ''
      scatter.place = (scatter.place + 1) % names.length
      if (listing?.entries.get(name)?.isDirectory !== true) continue
      const path = above === '' ? name : `${above}/${name}`
      if (scatter.ahead.has(path) || scatter.missed.has(path) || isLocal(path)) continue
      if (this.#isNearlyOld(path)) this.#fetch(above, scatter, path)
    }
    scatter.idleUntil = now + this.#ttlMs / 16
  }

  #isNearlyOld(path: string): boolean {
    const { listings } = this.#around
    const listing = listings.newest(path)
    return (
      listing === undefined || listings.remainingMs(listing.endedAt, listing.durationMs) < this.#ttlMs / 4
    )
  }

  #fetch(above: string, scatter: Scatter, path: string): void {
    const { listings, clock, load } = this.#around
    scatter.ahead.set(path, clock.now())
    scatter.credit -= 1
    load.running += 1
    const ended = (): void => {
      load.running -= 1
      this.#fetchAhead(above, scatter)
    }
    // Whoever comes to it asks again and is told of a failure then.
    listings.list(path, { maxAgeMs: 1, priority: -1 }).then(ended, ended)
  }

  #scatter(above: string): Scatter {
    let scatter = this.#all.get(above)
    if (scatter === undefined) {
      scatter = newScatter()
      this.#all.set(above, scatter)
    }
    return scatter
  }
}

function newScatter(): Scatter {
  return {
    missed: new Map(),
    needed: firstMisses,
    isOn: false,
    ahead: new Map(),
    credit: 0,
    used: 0,
    wasted: 0,
    place: 0,
    visitedAt: -Infinity,
    idleUntil: -Infinity,
  }
}
