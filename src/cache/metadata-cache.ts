/**
 * The listings of the session's directories, remembered. Layer: cache; implements `Listings`.
 *
 * Invariant: at most one request per directory is under way and at most one more waits behind it; an answer
 * to "begun after my call" never comes from one that was under way when the call was made.
 */
import { nameOf, parentOf } from '../remote-path.ts'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import type { SessionFiles } from '../client/session-files.ts'
import type { Logger } from '../log.ts'
import { abortedError } from './abortable.ts'
import { ListingRequest } from './listing-request.ts'
import type { Listing, ListingObserver, ListingOptions, Listings, LookupAnswer } from './listings.ts'
import { Silence } from './silence.ts'

/** A listing that took long may be used for so many times its duration, or a big directory would be listed without end. */
const durationFactor = 5

export interface MetadataCacheOptions {
  readonly files: SessionFiles
  readonly clock: Clock
  /** For how long a listing may be used, in milliseconds; 0: every call asks. */
  readonly ttlMs: number
  /**
   * How many names all remembered listings may have together: about 130 bytes each, 190 while a walk goes
   * through the directory. A directory that has more by itself is remembered alone.
   */
  readonly maxEntries: number
  readonly logger: Logger
  /** Of another listing on the same link; default: none. */
  readonly widerSilence?: Silence | undefined
}

/** The requests of one directory. */
interface Requests {
  running: ListingRequest
  next: ListingRequest | undefined
}

export class MetadataCache implements Listings {
  readonly #options: MetadataCacheOptions
  readonly #listings: LRUCache<string, Listing>
  readonly #requests = new Map<string, Requests>()
  readonly #observers = new Set<ListingObserver>()
  /** Whether the service answers; for others on the same link. */
  readonly silence: Silence
  /** Questions answered from a cached listing, and requests made; for display. */
  hits = 0
  misses = 0

  constructor(options: MetadataCacheOptions) {
    this.#options = options
    this.silence = new Silence(options.clock, options.logger, options.widerSilence)
    this.#listings = new LRUCache({
      maxSize: options.maxEntries,
      sizeCalculation: (listing) => Math.min(listing.entries.size + 1, options.maxEntries),
    })
  }

  subscribe(observer: ListingObserver): () => void {
    this.#observers.add(observer)
    return () => this.#observers.delete(observer)
  }

  fresh(directory: string): Listing | undefined {
    const listing = this.#young(directory)
    if (listing !== undefined) this.hits++
    return listing
  }

  #young(directory: string): Listing | undefined {
    const listing = this.#listings.get(directory)
    if (listing === undefined) return undefined
    return this.remainingMs(listing.endedAt, listing.durationMs) > 0 ? listing : undefined
  }

  newest(directory: string): Listing | undefined {
    return this.#listings.get(directory)
  }

  /** For how long the service has not answered, in milliseconds; undefined: it does, as far as is known. */
  get silentMs(): number | undefined {
    return this.silence.lastsMs
  }

  async list(directory: string, options: ListingOptions = {}): Promise<Listing> {
    const cached = this.#cached(directory, options.maxAgeMs)
    if (cached !== undefined) return cached
    const { priority = 0 } = options
    return await this.#ask(
      directory,
      options,
      (request, signal) => request.list(priority, signal),
      (older) => older,
    )
  }

  async lookup(directory: string, name: string, options: ListingOptions = {}): Promise<LookupAnswer> {
    const cached = this.#cached(directory, options.maxAgeMs)
    if (cached !== undefined) return answerOf(cached, name)
    const { priority = 0 } = options
    return await this.#ask(
      directory,
      options,
      (request, signal) => request.lookup(name, priority, signal),
      (older) => answerOf(older, name),
    )
  }

  remainingMs(seenAt: number, durationMs: number): number {
    if (this.#options.ttlMs === 0) return 0
    const ttlMs = Math.max(this.#options.ttlMs, durationFactor * durationMs)
    return Math.max(0, ttlMs - (this.#options.clock.now() - seenAt))
  }

  knowEmpty(directory: string): void {
    const { clock } = this.#options
    const endedAt = clock.now()
    const begunOrder = clock.order()
    this.#listings.set(directory, {
      directory,
      entries: new Map(),
      begunOrder,
      endedAt,
      durationMs: 0,
      missing: true,
    })
  }

  knowPresent(directory: string): void {
    const listing = this.#listings.peek(directory)
    if (listing?.missing === true) this.#listings.set(directory, { ...listing, missing: false })
  }

  drop(directory: string): void {
    this.#listings.delete(directory)
    const requests = this.#requests.get(directory)
    if (requests !== undefined) requests.running.outdated = true
  }

  /** Ends what is under way, for everybody who waits for it. */
  close(): void {
    const requests = [...this.#requests.values()]
    this.#requests.clear()
    for (const { running, next } of requests) {
      running.cancel()
      next?.cancel()
    }
  }

  /** Sends a request, or joins one; `wait` waits for its answer. */
  async #ask<T>(
    directory: string,
    options: ListingOptions,
    wait: (request: ListingRequest, signal: AbortSignal | undefined) => Promise<T>,
    answerOlder: (older: Listing) => T,
  ): Promise<T> {
    const { signal, olderWillDo = false } = options
    if (signal?.aborted === true) throw abortedError(`list ${directory}`, signal)
    let request: ListingRequest | undefined
    const ask = (either: AbortSignal | undefined, once = false): Promise<T> => {
      request = this.#request(directory, once ? { ...options, retry: false } : options)
      const answer = wait(request, either)
      this.#beginWaiting(directory, request)
      return answer
    }
    if (!olderWillDo) return await ask(signal)
    const older = this.#listings.get(directory)
    const movedAt = (): number => request?.movedAt ?? -Infinity
    return await this.silence.answer({ directory, older, signal, ask, movedAt, answerOlder })
  }

  #cached(directory: string, maxAgeMs: number | undefined): Listing | undefined {
    if (maxAgeMs === undefined) return this.fresh(directory)
    if (maxAgeMs <= 0) return undefined
    const listing = this.#listings.get(directory)
    if (listing === undefined) return undefined
    return this.#options.clock.now() - listing.endedAt <= maxAgeMs ? listing : undefined
  }

  /** The request whose answer serves a caller who accepts this age: the running one, the next, or a new one. */
  #request(directory: string, { maxAgeMs, retry }: ListingOptions): ListingRequest {
    const requests = this.#requests.get(directory)
    if (requests === undefined) {
      const running = this.#newRequest(directory)
      running.retries = retry !== false
      this.#requests.set(directory, { running, next: undefined })
      return running
    }
    const mustBeginLater = (maxAgeMs ?? this.#options.ttlMs) <= 0
    const { running } = requests
    const isEnough = running.retries || retry === false
    if (!mustBeginLater && !running.outdated && isEnough) return running
    requests.next ??= this.#newRequest(directory)
    requests.next.retries ||= retry !== false
    return requests.next
  }

  /** After the caller has joined: begins a new request, or makes way for it where nobody waits for the one before. */
  #beginWaiting(directory: string, request: ListingRequest): void {
    const requests = this.#requests.get(directory)
    if (requests === undefined) return
    if (requests.running === request) request.begin()
    else if (requests.next === request && requests.running.waiting === 0) requests.running.cancel()
  }

  #newRequest(directory: string): ListingRequest {
    this.misses++
    const { files, clock, logger } = this.#options
    const request: ListingRequest = new ListingRequest({
      directory,
      files,
      clock,
      isFile: (signal) => this.#isFile(directory, signal),
      onPage: () => this.silence.heard(),
      onListing: (listing) => {
        this.silence.heard()
        if (!request.outdated) this.#listings.set(directory, listing)
        this.#tell(listing)
      },
      onIdle: (interrupted) => {
        this.#idle(directory, request, interrupted)
      },
      onEnd: (error) => {
        if (error !== undefined) {
          logger.debug({ directory, error }, 'listing failed')
          this.silence.failed(error)
        }
        this.#ended(directory, request)
      },
    })
    return request
  }

  #tell(listing: Listing): void {
    try {
      for (const observer of this.#observers) observer.before?.(listing)
      for (const observer of this.#observers) observer.observe(listing)
    } catch (error) {
      // whoever looks on must not leave those waiting who asked
      this.#options.logger.error({ directory: listing.directory, err: error }, 'a fault of this program')
    }
  }

  async #isFile(path: string, signal: AbortSignal): Promise<boolean> {
    if (path === '') return false
    const listing = await this.list(parentOf(path), { signal, maxAgeMs: 0 })
    return listing.entries.get(nameOf(path))?.isDirectory === false
  }

  /**
   * Nobody waits for this request any more. It goes on, so that a big directory is known whole in the end and
   * whoever was interrupted finds it when they try again, unless a newer one waits for its place. What was only
   * asked for ahead ends with the walk that wanted it.
   */
  #idle(directory: string, request: ListingRequest, interrupted: boolean): void {
    const requests = this.#requests.get(directory)
    if (requests?.next === request) requests.next = undefined
    else if (
      requests?.running === request &&
      ((interrupted && request.isAhead) || requests.next !== undefined)
    )
      request.cancel()
  }

  #ended(directory: string, request: ListingRequest): void {
    const requests = this.#requests.get(directory)
    if (requests?.running !== request) return
    if (requests.next === undefined) {
      this.#requests.delete(directory)
      return
    }
    requests.running = requests.next
    requests.next = undefined
    requests.running.begin()
  }
}

function answerOf(listing: Listing, name: string): LookupAnswer {
  const { begunOrder, endedAt, durationMs } = listing
  return { entry: listing.entries.get(name), begunOrder, seenAt: endedAt, durationMs }
}
