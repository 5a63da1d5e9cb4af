/**
 * Lost updates: somebody else changed a file that is about to be overwritten. Layer: write-back.
 *
 * Invariant: nothing foreign is overwritten before it is saved: theirs goes to `NAME.conflict-…` and ours
 * takes the name, or, for what an earlier run left behind, the other way round. What cannot be saved parks ours.
 */
import type { RemoteEntry } from '../../client/session-files.ts'
import type { Listing } from '../../cache/listings.ts'
import type { CallParts } from './call-parts.ts'
import { isOwnOrGone } from './own-uploads.ts'
import { certain, fulfilled, isShown, remoteOf, type PathRecord } from '../record.ts'
import { joinPath, nameOf, parentOf } from '../../remote-path.ts'
import type { CallOutcome } from '../queue/upload-queue.ts'

/** What settles for longer may change again. */
const longestSettlingMs = 1000
/** For this long a listing is as good as one begun now. */
const freshMs = 2000
/** For this long nobody else is expected in a directory that we have made. */
const ownDirectoryMs = 30_000
const maxNameBytes = 255

export class Conflicts {
  readonly #parts: CallParts
  readonly #mode: 'keep' | 'overwrite'
  readonly #maxFileBytes: number
  /** Directories that are about to be listed. */
  readonly #ahead = new Set<string>()
  /** Listings that are awaited here. */
  readonly #running = new Map<string, { readonly order: number; readonly listing: Promise<Listing> }>()

  /** `mode` `overwrite`: the last writer wins without a look. */
  constructor(parts: CallParts, mode: 'keep' | 'overwrite', maxFileBytes: number) {
    this.#parts = parts
    this.#mode = mode
    this.#maxFileBytes = maxFileBytes
  }

  /** A path is about to come to rest: the listing that it will need is begun when half of the time is over. */
  lookAhead(record: PathRecord): void {
    const { clock, ledger, signal } = this.#parts
    const directory = parentOf(record.path)
    const leftMs = record.work.notBefore - clock.now()
    if (leftMs > longestSettlingMs || this.#ahead.has(directory) || !this.#needsLook(record)) return
    clock.after(leftMs / 2, () => {
      this.#ahead.delete(directory)
      if (signal.aborted || ledger.records.get(record.path) !== record || !this.#needsLook(record)) return
      // who needs it asks again, and is told what went wrong
      this.#listing(record, 0).catch(() => undefined)
    })
    this.#ahead.add(directory)
  }

  /** Before `record`'s file is sent: undefined to go on, else what to do instead. Throws `ServiceError`. */
  async resolve(record: PathRecord, signal: AbortSignal): Promise<CallOutcome | undefined> {
    if (this.#mode === 'overwrite' || this.#isInNewDirectory(record)) return undefined
    const listing = await this.#listing(record, 1)
    if (listing.begunOrder <= record.confirmedOrder) return undefined
    const theirs = listing.entries.get(nameOf(record.path))
    if (!theirs || theirs.isDirectory || isKnown(record, theirs)) return undefined
    if (await isOwnOrGone(record, theirs, record.attempts, { ...this.#parts, signal })) return undefined
    return this.#keepBoth(record, theirs, listing)
  }

  /** A directory that we made a moment ago, and that is not on the service yet, has nothing foreign in it. */
  #isInNewDirectory(record: PathRecord): boolean {
    const { ledger, clock } = this.#parts
    const parent = ledger.records.get(parentOf(record.path))
    if (parent?.remote.is !== 'absent') return false
    const ageMs = clock.wallMs() - parent.since
    // negative where the clock was set back: then nobody knows
    return ageMs >= 0 && ageMs < ownDirectoryMs
  }

  /** Whether a file is to be sent over what only a listing can tell. */
  #needsLook(record: PathRecord): boolean {
    const { desired } = record
    if (this.#mode === 'overwrite' || desired.is !== 'file' || desired.from !== 'spool' || record.scratch)
      return false
    return !isOurs(record) && !this.#isInNewDirectory(record) && this.#ownDirectory(record) === undefined
  }

  async #listing(record: PathRecord, priority: number): Promise<Listing> {
    const { listings, clock, signal } = this.#parts
    const directory = parentOf(record.path)
    const own = this.#ownDirectory(record)
    if (own) return own
    if (isOurs(record)) return listings.list(directory, { signal, retry: false, priority })
    const { dueOrder } = record.work
    const newest = listings.newest(directory)
    if (newest && newest.begunOrder > dueOrder && clock.now() - newest.endedAt <= freshMs) return newest
    const running = this.#running.get(directory)
    if (running && running.order > dueOrder) return running.listing
    const listing = listings.list(directory, { signal, retry: false, maxAgeMs: 0, priority })
    const begun = { order: clock.order(), listing }
    this.#running.set(directory, begun)
    try {
      return await listing
    } finally {
      if (this.#running.get(directory) === begun) this.#running.delete(directory)
    }
  }

  /** The listing of a directory that came to be with us, where nobody else is expected. */
  #ownDirectory(record: PathRecord): Listing | undefined {
    const { listings, clock, ledger } = this.#parts
    const directory = parentOf(record.path)
    const isOwn = ledger.records.get(directory)?.desired.is === 'directory'
    if (!isOwn || record.recovered || certain(record.remote).is === 'file') return undefined
    const newest = listings.newest(directory)
    return newest && clock.now() - newest.endedAt < ownDirectoryMs ? newest : undefined
  }

  #keepBoth(record: PathRecord, theirs: RemoteEntry, listing: Listing): CallOutcome {
    const { ledger, logger, wake } = this.#parts
    const kept = this.#freeName(record.path, listing)
    if (kept === undefined || theirs.size > this.#maxFileBytes) {
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
        desired.copy.attach(other)
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
    const stamp = new Date(this.#parts.clock.wallMs()).toISOString().replace(/[-:]|\..*/g, '')
    for (let number = 1; ; number++) {
      const name = `${nameOf(path)}.conflict-${stamp}${number > 1 ? `-${number}` : ''}`
      if (Buffer.byteLength(name) > maxNameBytes) return undefined
      const candidate = joinPath(parentOf(path), name)
      if (!listing.entries.has(name) && !this.#parts.ledger.records.get(candidate)) return candidate
    }
  }
}

/** Whether what is listed is what we last knew to be there, or what was there before our own last calls. */
export function isKnown(record: PathRecord, listed: RemoteEntry): boolean {
  return [record.remote, ...record.earlier].some((state) => isShown(state, listed))
}

/** Whether what is there was put there by us, and confirmed. */
function isOurs(record: PathRecord): boolean {
  return record.doneVersion > 0 && !record.recovered
}
