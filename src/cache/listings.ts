/**
 * What the layers above ask of the cached listings. Layer: cache; `metadata-cache.ts` implements it.
 *
 * Invariant: a listing carries when it was begun, and whoever compares it with a change of our own compares
 * with that: an answer that was under way when the change was confirmed proves nothing.
 */
import type { RemoteEntry } from '../client/session-files.ts'

export interface Listing {
  readonly directory: string
  readonly entries: ReadonlyMap<string, RemoteEntry>
  /** `Clock.order()` taken before the request was sent. */
  readonly begunOrder: number
  /** `Clock.now()` when the last page arrived; its age counts from here. */
  readonly endedAt: number
  /** How long it took, in milliseconds; waiting for a slow start counts no more than two seconds. */
  readonly durationMs: number
  /** True when the service says there is no such directory; `entries` is then empty. */
  readonly missing: boolean
}

/** Sees each whole listing, once, before anybody who waits for it. */
export interface ListingObserver {
  /** Before any of the observers has acted on it. */
  before?(listing: Listing): void
  /** In the order in which they subscribed. */
  observe(listing: Listing): void
}

export interface ListingOptions {
  readonly signal?: AbortSignal | undefined
  /** Serve a cached listing up to this age; default the TTL, 0: one begun after this call. */
  readonly maxAgeMs?: number | undefined
  readonly priority?: number | undefined
  /**
   * While the service does not answer the newest listing will do, however old; where there is none it fails within a
   * minute, and at once while that is known. Default false: an answer or a failure.
   */
  readonly olderWillDo?: boolean | undefined
  /** False: a failure is told at once, to whoever tries again by itself. Default: the client's retries. */
  readonly retry?: false | undefined
}

/** Which listing an answer stands on. */
export interface Seen {
  /** That of the listing. */
  readonly begunOrder: number
  /** `Clock.now()` at which the answer became known. */
  readonly seenAt: number
}

export function seenBy({ begunOrder, endedAt }: Listing): Seen {
  return { begunOrder, seenAt: endedAt }
}

/** One name. `entry` undefined: the whole listing was seen and does not have it. */
export interface LookupAnswer extends Seen {
  readonly entry: RemoteEntry | undefined
  /** How long the listing that showed it has taken so far, for `remainingMs`. */
  readonly durationMs: number
}

export interface Listings {
  /** From now on `observer` sees what arrives; the answer ends that. */
  subscribe(observer: ListingObserver): () => void
  /** The cached listing if it is younger than the TTL; no request. */
  fresh(directory: string): Listing | undefined
  /** The newest complete listing of whatever age; no request. */
  newest(directory: string): Listing | undefined
  /** A whole listing. One request per directory is under way at a time; callers share it. */
  list(directory: string, options?: ListingOptions): Promise<Listing>
  /** One name, answered as soon as a page shows it. */
  lookup(directory: string, name: string, options?: ListingOptions): Promise<LookupAnswer>
  /** For how long from now an answer of this age may still be used, in milliseconds; never below 0. */
  remainingMs(seenAt: number, durationMs: number): number
  /** A directory that comes to be on the service just now, by an upload of ours: nothing else is in it yet. */
  knowEmpty(directory: string): void
  /** It has come to be, by a call of ours: a listing that missed it says from here on that it was empty. */
  knowPresent(directory: string): void
  /** Forgets what is cached of a directory (after a call that changed it outside the local changes). */
  drop(directory: string): void
}
