/**
 * Lost updates: somebody else changed a file that is about to be overwritten. Layer: write-back.
 *
 * Invariant: nothing foreign is overwritten before it is saved: theirs goes to `NAME.conflict-…` and ours
 * takes the name, or, for what an earlier run left behind, the other way round. What cannot be saved parks ours.
 */
import type { Clock } from '../../clock.ts'
import type { Logger } from '../../log.ts'
import type { SessionFiles, RemoteEntry } from '../../client/session-files.ts'
import type { Listing, Listings } from '../../cache/listings.ts'
import type { Ledger } from '../state/ledger.ts'
import { isOwnOrGone } from './own-uploads.ts'
import { certain, fulfilled, remoteOf, type PathRecord } from '../record.ts'
import { joinPath, nameOf, parentOf } from '../../remote-path.ts'
import type { Spool } from '../disk/spool.ts'
import type { Outcome } from '../queue/upload-queue.ts'

/** For this long nobody else is expected in a directory that we have made. */
const ownDirectoryMs = 30_000
const maxNameBytes = 255

export interface ConflictsOptions {
  readonly ledger: Ledger
  readonly spool: Spool
  readonly listings: Listings
  readonly files: SessionFiles
  readonly clock: Clock
  readonly logger: Logger
  readonly maxFileBytes: number
  /** `overwrite`: the last writer wins without a look. */
  readonly mode: 'keep' | 'overwrite'
  readonly wake: (record: PathRecord) => void
  readonly onProgress: (record: PathRecord) => void
}

export class Conflicts {
  readonly #options: ConflictsOptions

  constructor(options: ConflictsOptions) {
    this.#options = options
  }

  /** Before `record`'s file is sent: undefined to go on, else what to do instead. Throws `ServiceError`. */
  async resolve(record: PathRecord, signal: AbortSignal): Promise<Outcome | undefined> {
    if (this.#options.mode === 'overwrite' || this.#isInNewDirectory(record)) return undefined
    const listing = await this.#listing(record, signal)
    if (listing.begunOrder <= record.confirmedOrder) return undefined
    const theirs = listing.entries.get(nameOf(record.path))
    if (!theirs || theirs.isDirectory || isSame(record, theirs)) return undefined
    const { files, spool, onProgress } = this.#options
    const looking = { files, spool, signal, onProgress }
    if (await isOwnOrGone(record, theirs, record.attempts, looking)) return undefined
    return this.#keepBoth(record, theirs, listing)
  }

  /** A directory that we made a moment ago, and that is not on the service yet, has nothing foreign in it. */
  #isInNewDirectory(record: PathRecord): boolean {
    const { ledger, clock } = this.#options
    const parent = ledger.records.get(parentOf(record.path))
    if (parent?.remote.is !== 'absent') return false
    const ageMs = clock.wallMs() - parent.since
    // negative where the clock was set back: then nobody knows
    return ageMs >= 0 && ageMs < ownDirectoryMs
  }

  #listing(record: PathRecord, signal: AbortSignal): Promise<Listing> {
    const { listings, clock, ledger } = this.#options
    const directory = parentOf(record.path)
    const own = ledger.records.get(directory)
    if (own?.desired.is === 'directory' && !record.recovered && certain(record.remote).is !== 'file') {
      const newest = listings.newest(directory)
      if (newest && clock.now() - newest.endedAt < ownDirectoryMs) return Promise.resolve(newest)
    }
    return listings.list(directory, { signal })
  }

  #keepBoth(record: PathRecord, theirs: RemoteEntry, listing: Listing): Outcome {
    const { ledger, logger, maxFileBytes, wake } = this.#options
    const kept = this.#freeName(record.path, listing)
    if (kept === undefined || theirs.size > maxFileBytes) {
      const why = kept === undefined ? 'its name is too long to add to' : 'it is over the size limit'
      return {
        is: 'parked',
        code: 'conflict',
        error: new Error(
          `${record.path}: changed by somebody else meanwhile, and their version cannot be saved because ${why}; ours is kept here: copy it elsewhere, then \`mount-session status DIR --discard\` it`,
        ),
      }
    }
    const found = remoteOf(theirs)
    const other = ledger.of(kept, { is: 'absent' })
    ledger.ownChanges++
    const { desired } = record
    ledger.transaction(() => {
      if (record.recovered && desired.is === 'file' && desired.from === 'spool') {
        ledger.change(other, { desired })
        ledger.change(record, { desired: fulfilled(found), remote: found })
        desired.copy.record = other
      } else {
        ledger.change(other, { desired: { is: 'file', from: 'remote', path: record.path, listed: theirs } })
        ledger.change(record, { remote: found })
      }
    })
    logger.warn(
      { path: record.path, saved: kept },
      record.recovered
        ? 'changed by somebody else since the last run: theirs keeps the name, ours is saved beside it'
        : 'changed by somebody else meanwhile: theirs is saved beside it, ours takes the name',
    )
    wake(other)
    return { is: 'moved' }
  }

  #freeName(path: string, listing: Listing): string | undefined {
    const stamp = new Date(this.#options.clock.wallMs()).toISOString().replace(/[-:]|\..*/g, '')
    for (let number = 1; ; number++) {
      const name = `${nameOf(path)}.conflict-${stamp}${number > 1 ? `-${number}` : ''}`
      if (Buffer.byteLength(name) > maxNameBytes) return undefined
      const candidate = joinPath(parentOf(path), name)
      if (!listing.entries.has(name) && !this.#options.ledger.records.get(candidate)) return candidate
    }
  }
}

/** Whether a listed file is what we last knew to be there. */
export function isSame(record: PathRecord, listed: RemoteEntry): boolean {
  const known = certain(record.remote)
  return (
    known.is === 'file' &&
    known.size === listed.size &&
    (known.modifiedSeconds === undefined || known.modifiedSeconds === listed.modifiedSeconds)
  )
}
