/**
 * One listing of one directory, asked for once and shared by everybody who waits for it. Layer: cache.
 *
 *   waiting ──begin──▶ running ──last page──▶ ended
 *      └───────cancel─────┴──────failure──────▶ ended
 *
 * Invariant: what a page has shown is answered at once, what no page has shown only by the whole listing.
 */
import type { RemoteEntry, SessionFiles } from '../client/session-files.ts'
import type { Clock } from '../clock.ts'
import { ServiceError } from '../client/errors.ts'
import { abortable } from './abortable.ts'
import type { Listing, LookupAnswer } from './listings.ts'

/** The wait for the first page counts at most so long: the rest was a queue or a sandbox that woke up. */
const firstPageMaxMs = 2_000

export interface ListingRequestOptions {
  readonly directory: string
  readonly files: SessionFiles
  readonly clock: Clock
  /** Whether a file is there now: the service may say 400 or 404 to the listing of one. */
  readonly isFile: (signal: AbortSignal) => Promise<boolean>
  /** A page is there, if only an empty one. */
  readonly onPage?: (() => void) | undefined
  /** The whole listing is there; called before any of those who wait goes on. */
  readonly onListing: (listing: Listing) => void
  /** Nobody waits any more; `interrupted` when the last one gave up rather than got an answer. */
  readonly onIdle: (interrupted: boolean) => void
  /** It has ended, in whatever way. */
  readonly onEnd: (error: unknown) => void
}

export class ListingRequest {
  readonly #options: ListingRequestOptions
  readonly #controller = new AbortController()
  readonly #seen = new Map<string, RemoteEntry>()
  readonly #names = new Map<
    string,
    PromiseWithResolvers<Pick<LookupAnswer, 'entry' | 'seenAt'> | undefined>
  >()
  readonly #whole = Promise.withResolvers<Listing>()
  #state: 'waiting' | 'running' | 'ended' = 'waiting'
  #waiting = 0
  #priority = -Infinity
  #begunOrder = 0
  #begunAt = 0
  #firstPageAt: number | undefined
  #lastPageAt = 0

  /** True when something has happened since it began that its answer may not show: nobody may join it. */
  outdated = false
  /** Whether somebody waits for it who does not try again by themselves; counts until it begins. */
  retries = false

  constructor(options: ListingRequestOptions) {
    this.#options = options
    // Those who wait see the failure; when nobody does it is no unhandled rejection.
    this.#whole.promise.catch(() => undefined)
  }

  get waiting(): number {
    return this.#waiting
  }

  /** `Clock.now()` at which its newest page arrived; undefined before the first. */
  get movedAt(): number | undefined {
    return this.#firstPageAt === undefined ? undefined : this.#lastPageAt
  }

  /** Nobody has needed it: it was only asked for ahead. */
  get isAhead(): boolean {
    return this.#priority < 0
  }

  /** The whole listing. Rejects with a `ServiceError`. */
  list(priority: number, signal: AbortSignal | undefined): Promise<Listing> {
    return this.#join(this.#whole.promise, priority, signal)
  }

  /** One name, as soon as it is known. Rejects with a `ServiceError`. */
  async lookup(name: string, priority: number, signal: AbortSignal | undefined): Promise<LookupAnswer> {
    const known = this.#seen.get(name)
    if (known !== undefined && signal?.aborted !== true) return this.#answer(known, this.#lastPageAt)
    let wanted = this.#names.get(name)
    if (wanted === undefined) {
      wanted = Promise.withResolvers()
      wanted.promise.catch(() => undefined)
      this.#names.set(name, wanted)
    }
    const seen = await this.#join(wanted.promise, priority, signal)
    return this.#answer(seen?.entry, seen?.seenAt ?? this.#lastPageAt)
  }

  /** Sends it, once. */
  begin(): void {
    if (this.#state !== 'waiting') return
    this.#state = 'running'
    this.#begunOrder = this.#options.clock.order()
    this.#begunAt = this.#options.clock.now()
    void this.#run()
  }

  /** Ends it at once for everybody; late pages are ignored. */
  cancel(): void {
    this.#end(new ServiceError('aborted', `list ${this.#options.directory}: nobody waits for it`))
    this.#controller.abort()
  }

  async #run(): Promise<void> {
    const { directory, files } = this.#options
    let missing = false
    try {
      const once = this.retries ? {} : ({ retry: false } as const)
      const call = { signal: this.#controller.signal, priority: this.#priority, ...once }
      for await (const page of files.list(directory, call)) {
        if (this.#state === 'ended') return
        this.#take(page)
      }
    } catch (error) {
      if (!(await this.#saysNoDirectory(error))) {
        this.#end(error)
        return
      }
      missing = true
      this.#seen.clear()
    }
    if (this.#state !== 'running') return
    this.#complete(missing)
  }

  async #saysNoDirectory(error: unknown): Promise<boolean> {
    if (!(error instanceof ServiceError)) return false
    if (error.code === 'not_found') return true
    if (error.code !== 'bad_request') return false
    return this.#options.isFile(this.#controller.signal).catch(() => false)
  }

  #take(page: readonly RemoteEntry[]): void {
    this.#lastPageAt = this.#options.clock.now()
    this.#firstPageAt ??= this.#lastPageAt
    this.#options.onPage?.()
    for (const entry of page) {
      this.#seen.set(entry.name, entry)
      this.#names.get(entry.name)?.resolve({ entry, seenAt: this.#lastPageAt })
    }
  }

  #complete(missing: boolean): void {
    this.#lastPageAt = this.#options.clock.now()
    const listing: Listing = {
      directory: this.#options.directory,
      entries: this.#seen,
      begunOrder: this.#begunOrder,
      endedAt: this.#lastPageAt,
      durationMs: this.#durationMs(),
      missing,
    }
    this.#state = 'ended'
    this.#options.onListing(listing)
    this.#whole.resolve(listing)
    for (const wanted of this.#names.values()) wanted.resolve(undefined)
    this.#options.onEnd(undefined)
  }

  #durationMs(): number {
    const firstPageAt = this.#firstPageAt ?? this.#lastPageAt
    return Math.min(firstPageAt - this.#begunAt, firstPageMaxMs) + (this.#lastPageAt - firstPageAt)
  }

  #answer(entry: RemoteEntry | undefined, seenAt: number): LookupAnswer {
    return { entry, begunOrder: this.#begunOrder, seenAt, durationMs: this.#durationMs() }
  }

  #end(error: unknown): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#whole.reject(error)
    for (const wanted of this.#names.values()) wanted.reject(error)
    this.#options.onEnd(error)
  }

  async #join<T>(promise: Promise<T>, priority: number, signal: AbortSignal | undefined): Promise<T> {
    this.#waiting += 1
    this.#priority = Math.max(this.#priority, priority)
    try {
      return await abortable(promise, signal, `list ${this.#options.directory}`)
    } finally {
      this.#waiting -= 1
      if (this.#waiting === 0 && this.#state !== 'ended') this.#options.onIdle(signal?.aborted === true)
    }
  }
}
