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

/** For this long nobody else is expected in a directory that we have made. */
const ownDirectoryMs = 30_000
const maxNameBytes = 255

export class Conflicts {
  readonly #parts: CallParts
  readonly #mode: 'keep' | 'overwrite'
  readonly #maxFileBytes: number

  /** `mode` `overwrite`: the last writer wins without a look. */
  constructor(parts: CallParts, mode: 'keep' | 'overwrite', maxFileBytes: number) {
    this.#parts = parts
    this.#mode = mode
    this.#maxFileBytes = maxFileBytes
  }

  /** Before `record`'s file is sent: undefined to go on, else what to do instead. Throws `ServiceError`. */
  async resolve(record: PathRecord, signal: AbortSignal): Promise<CallOutcome | undefined> {
    if (this.#mode === 'overwrite' || this.#isInNewDirectory(record)) return undefined
    const listing = await this.#listing(record, signal)
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

  #listing(record: PathRecord, signal: AbortSignal): Promise<Listing> {
    const { listings, clock, ledger } = this.#parts
    const directory = parentOf(record.path)
    const own = ledger.records.get(directory)
    if (own?.desired.is === 'directory' && !record.recovered && certain(record.remote).is !== 'file') {
      const newest = listings.newest(directory)
      if (newest && clock.now() - newest.endedAt < ownDirectoryMs) return Promise.resolve(newest)
    }
    return listings.list(directory, { signal })
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
