/**
 * What whoever calls the service works with, and how it looks at a directory. Layer: write-back; made once, in
 * `write-back.ts`.
 */
import type { Contents } from '../../cache/contents.ts'
import type { Listing, Listings } from '../../cache/listings.ts'
import type { SessionFiles } from '../../client/session-files.ts'
import type { Clock } from '../../clock.ts'
import type { Logger } from '../../log.ts'
import type { Failpoint } from '../disk/failpoints.ts'
import type { Generations } from '../disk/generations.ts'
import type { Spool } from '../disk/spool.ts'
import type { CopyOwner } from '../disk/spooled-copy.ts'
import type { PathRecord } from '../record.ts'
import type { Ledger } from '../state/ledger.ts'

export interface CallParts {
  readonly ledger: Ledger
  readonly spool: Spool
  readonly generations: Generations
  readonly files: SessionFiles
  readonly listings: Listings
  readonly contents: Contents
  readonly clock: Clock
  readonly logger: Logger
  readonly failpoint: Failpoint
  /** Of the working copies that are made. */
  readonly owner: CopyOwner
  /** Ends all calls when the mount ends. */
  readonly signal: AbortSignal
  /** A byte has moved, or a call on this path has gone through. */
  readonly onProgress: (record: PathRecord) => void
  /** Something that the path may have waited for has happened. */
  readonly wake: (record: PathRecord) => void
}

/** A listing that was begun after `order`, of whatever age; it is asked for where none is known. */
export function listingAfter(
  directory: string,
  order: number,
  { listings, signal }: CallParts,
): Promise<Listing> {
  const newest = listings.newest(directory)
  if (newest && newest.begunOrder > order) return Promise.resolve(newest)
  return listings.list(directory, { signal, retry: false, maxAgeMs: 0, priority: 1 })
}
