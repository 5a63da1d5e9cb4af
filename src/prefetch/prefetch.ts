/**
 * Recognises programs that walk through directories and has the next listings and files fetched ahead.
 * Layer: prefetch.
 *
 * A walk is told by directory and order alone, whichever processes take part: a directory that was read and
 * at once the first thing in it, or one thing after the other in the order of their names.
 *
 * Invariant: one directory read, or one file opened, fetches nothing else.
 */
import { LRUCache } from 'lru-cache'
import { type InodeOf, orderOf, type WalkOrder, walkOrders } from './listing-order.ts'
import type { PrefetchPart } from './parts.ts'
import { Repositories } from './repository.ts'
import { Walk, type WalkLimits, type WalkSurroundings } from './walk.ts'
import { nameOf, parentOf } from '../remote-path.ts'

/** What a walk is recognised by. */
export type WalkObserver = Pick<Prefetch, 'didList' | 'didEnter' | 'didOpen' | 'sortedBy'>

export type PrefetchOptions = Pick<WalkSurroundings, 'listings' | 'contents' | 'clock'> & {
  /** The TTL of listings and contents, in milliseconds; 0: nothing is fetched ahead, it would not be used. */
  readonly ttlMs: number
  /** Paths that the local side knows better, and that need no fetch. Default: none. */
  readonly isLocal?: (path: string) => boolean
  /** Default: 64 items at first and 256 later, 128 running, 64 MiB, files of 8 MiB, half the TTL. */
  readonly limits?: Partial<WalkLimits>
  /** What is not to be done, to measure what it brings. Default: none. */
  readonly leaveOut?: ReadonlySet<PrefetchPart> | undefined
}

/** What follows so soon in the directory that was just read is the same program going in. */
const atOnceMs = 25
/** What the same thread does in it so soon, too: on a busy machine it may have waited for a processor. */
const sameThreadMs = 1_000
/** Steps further apart are somebody typing; a walk that takes none for so long is over. */
const stepMs = 2_000
/** Walks at a time, and directories whose last steps are remembered. */
const maxWalks = 4
const rememberedDirectories = 256

/** How much is fetched ahead of two steps in order; it doubles with each one that is used. */
const firstWindow = 2
/** And of the first file that git reads of a work tree: only what has changed is read. */
const firstWindowOfTree = 8

interface Step {
  readonly name: string
  /** `Clock.now()` */
  readonly at: number
}

/** What was done last in a directory. */
interface Trace {
  /** It was read from its start, and used without a pause since. */
  isReadAtOnce: boolean
  /** The thread that read it, 0 where that is not known, and when: `Clock.now()`. */
  readBy: number
  readAt: number
  /** `Clock.now()` of the last use. */
  usedAt: number
  /** The last file opened, and the last directory entered. */
  file: Step | undefined
  directory: Step | undefined
}

export class Prefetch {
  readonly #around: WalkSurroundings
  readonly #enabled: boolean
  readonly #leaveOut: ReadonlySet<PrefetchPart>
  readonly #repositories: Repositories
  readonly #traces = new LRUCache<string, Trace>({ max: rememberedDirectories })
  #walks: Walk[] = []
  #entered: string | undefined
  #cancelTimer: (() => void) | undefined
  #inodeOf: InodeOf = () => 0

  constructor(options: PrefetchOptions) {
    const { listings, contents, clock, ttlMs } = options
    const limits = {
      firstItems: 64,
      items: 256,
      running: 128,
      bytes: 64 * 1024 * 1024,
      fileBytes: 8 * 1024 * 1024,
      horizonMs: ttlMs / 2,
      ...options.limits,
    }
    this.#enabled = ttlMs > 0
    this.#leaveOut = options.leaveOut ?? new Set()
    this.#around = {
      listings,
      contents,
      clock,
      limits,
      isLocal: options.isLocal ?? (() => false),
      load: { running: 0 },
      hasPace: !this.#leaveOut.has('pace'),
      inodeOf: (directory, name) => this.#inodeOf(directory, name),
    }
    this.#repositories = new Repositories(this.#around)
  }

  /** Programs may go by inode numbers, which whoever shows the files gives out; until then nobody does. */
  sortedBy(inodeOf: InodeOf): void {
    this.#inodeOf = inodeOf
  }

  /** A program reads a directory from its start. Call it before its listing is asked for. `thread`: which, default not known. */
  didList(directory: string, thread = 0): void {
    if (!this.#enabled) return
    this.#enter(directory, true)
    for (const walk of this.#walks) if (walk.top === directory) walk.beginAgain()
    const trace = this.#trace(directory)
    trace.isReadAtOnce = true
    trace.readBy = thread
    trace.readAt = trace.usedAt = this.#around.clock.now()
  }

  /** A program looks up a name in a directory. Call it on every look-up, before the listing is asked for. */
  didEnter(directory: string, name: string): void {
    if (!this.#enabled) return
    if (directory !== this.#entered) this.#enter(directory, false)
    this.#touch(directory)
    if (!this.#leaveOut.has('repositories')) this.#repositories.didLookUp(directory, name)
  }

  /** A program opens a file to read it. Call it before its content is asked for. `thread` as for `didList`. */
  didOpen(path: string, thread = 0): void {
    if (!this.#enabled) return
    const directory = parentOf(path)
    const name = nameOf(path)
    const trace = this.#touch(directory)
    const isKnown = this.#walks.some((walk) => walk.use(path))
    if (!isKnown && !this.#repositories.isAtWork(directory))
      this.#recognise(directory, name, 'file', this.#isReadBy(directory, thread, trace), trace.file)
    trace.file = { name, at: this.#around.clock.now() }
    if (this.#repositories.didOpen(path)) this.#followWorkTree(directory)
    this.#rest()
  }

  /** Ends all walks. */
  stop(): void {
    for (const walk of this.#walks) walk.stop()
    this.#walks = []
    this.#repositories.stop()
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }

  #enter(directory: string, isRead: boolean): void {
    this.#entered = directory
    if (directory === '') return
    const name = nameOf(directory)
    const trace = this.#touch(parentOf(directory))
    const isKnown = this.#walks.some((walk) => walk.use(directory))
    if (!isKnown && !this.#repositories.isAtWork(parentOf(directory))) {
      const isAtOnce = isRead && trace.isReadAtOnce
      this.#recognise(parentOf(directory), name, 'directory', isAtOnce, trace.directory)
    }
    trace.directory = { name, at: this.#around.clock.now() }
    this.#rest()
  }

  /** Whether `name` is the first of its kind in a directory just read, or the next after the last one used; it is followed then. */
  #recognise(
    directory: string,
    name: string,
    kind: 'file' | 'directory',
    isReadAtOnce: boolean,
    last: Step | undefined,
  ): void {
    const { listings, clock, limits } = this.#around
    const listing = listings.newest(directory)
    if (listing === undefined) return
    const before = last !== undefined && clock.now() - last.at <= stepMs ? last.name : undefined
    const walked = this.#walks.filter((walk) => walk.covers(directory))
    const isInTree = kind === 'file' && walked.some((walk) => walk.repository !== undefined)
    for (const order of [...walked.map((walk) => walk.order), ...walkOrders]) {
      const names = orderOf(listing, order, this.#inodeOf)
      const isFirst = (isReadAtOnce || isInTree) && names.next(kind) === name
      const isNext = before !== undefined && before !== name && names.next(kind, before) === name
      if (!isFirst && !isNext) continue
      const window = isFirst ? (isReadAtOnce ? limits.firstItems : firstWindowOfTree) : firstWindow
      this.#follow(directory, name, kind, { order, window, isRead: isFirst && isReadAtOnce })
      return
    }
  }

  /** Git goes through all directories beside `.git`, by name, and reads the files that may have changed. */
  #followWorkTree(directory: string): void {
    const top = parentOf(directory)
    const options = { top, order: 'byName', wantsContents: false, repository: directory } as const
    const walk = new Walk(this.#around, { ...options, window: this.#around.limits.firstItems })
    this.#begin(walk)
    walk.goOnFrom(directory, false)
  }

  #begin(walk: Walk): void {
    this.#walks.push(walk)
    if (this.#walks.length > maxWalks) this.#walks.shift()?.giveWay()
  }

  #follow(
    directory: string,
    name: string,
    kind: 'file' | 'directory',
    { order, window, isRead }: { order: WalkOrder; window: number; isRead: boolean },
  ): void {
    if (this.#leaveOut.has('walks')) return
    if (isRead) this.#endStepsAbove(directory)
    const path = directory === '' ? name : `${directory}/${name}`
    const wantsContents = kind === 'file'
    let walk = this.#walks.find((each) => each.covers(directory) && each.order === order)
    if (walk === undefined) {
      walk = new Walk(this.#around, { top: directory, order, wantsContents, window, isRead })
      this.#begin(walk)
    } else walk.grow()
    walk.wantsContents ||= wantsContents
    walk.widen(window)
    walk.goOnFrom(path, kind === 'directory')
  }

  /** A directory that is walked through by itself says nothing of those beside it, which were come to in order. */
  #endStepsAbove(directory: string): void {
    const areSteps = (walk: Walk): boolean =>
      !walk.isRead && walk.repository === undefined && walk.top !== directory && walk.covers(directory)
    for (const walk of this.#walks) if (areSteps(walk)) walk.giveWay()
    this.#walks = this.#walks.filter((walk) => !walk.stopped)
  }

  #isReadBy(directory: string, thread: number, { isReadAtOnce, readBy, readAt }: Trace): boolean {
    if (isReadAtOnce || thread === 0 || thread !== readBy) return isReadAtOnce
    const since = Math.max(readAt, this.#around.listings.newest(directory)?.endedAt ?? -Infinity)
    return this.#around.clock.now() - since <= sameThreadMs
  }

  /** Something is used in a directory; whether at once after all before it is noted. */
  #touch(directory: string): Trace {
    const now = this.#around.clock.now()
    const trace = this.#trace(directory)
    const since = Math.max(trace.usedAt, this.#around.listings.newest(directory)?.endedAt ?? -Infinity)
    if (now - since > atOnceMs) trace.isReadAtOnce = false
    trace.usedAt = now
    return trace
  }

  #trace(directory: string): Trace {
    let trace = this.#traces.get(directory)
    if (trace === undefined) {
      trace = {
        ...{ isReadAtOnce: false, readBy: 0, readAt: -Infinity, usedAt: -Infinity },
        ...{ file: undefined, directory: undefined },
      }
      this.#traces.set(directory, trace)
    }
    return trace
  }

  /** Walks that have ended go; one timer looks after the others. */
  #rest(): void {
    const { clock } = this.#around
    const now = clock.now()
    for (const walk of this.#walks) if (now - walk.lastStepAt >= stepMs) walk.stop()
    this.#walks = this.#walks.filter((walk) => !walk.stopped)
    if (this.#walks.length === 0 || this.#cancelTimer !== undefined) return
    this.#cancelTimer = clock.after(stepMs, () => {
      this.#cancelTimer = undefined
      this.#rest()
    })
  }
}
