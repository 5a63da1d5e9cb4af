/**
 * What happens when a path has come to rest: a listing takes over what the service has confirmed, and the
 * spool need not keep it any more. Layer: write-back.
 *
 * Invariant: an entry gives way only to a listing begun after its confirmation, and never while it is in doubt.
 * One that shows just what was there before our calls may be behind: ours stays, until three listings spread
 * over 10 s say so. Then the service's state is taken, and what was ours is set aside and named.
 */
import { LRUCache } from 'lru-cache'
import type { Listing } from '../cache/listings.ts'
import type { RemoteEntry } from '../client/session-files.ts'
import { nameOf } from '../remote-path.ts'
import type { Parts } from './parts.ts'
import { fulfilled, isDone, isShown, type PathRecord } from './record.ts'

/** So many listings, spread over so many milliseconds, are not behind. */
const behindListings = 3
const behindMs = 10_000
/** When one was behind, the next is asked for. */
const lookAgainMs = 5000
/** Bytes of what the service has confirmed and no listing has shown that the spool keeps: the newest. */
const unshownBytes = 256 * 1024 * 1024

/** Listings since a confirmation that showed what was there before it. */
interface Behind {
  readonly confirmedOrder: number
  readonly since: number
  count: number
}

export class Handover {
  readonly #parts: Parts
  readonly #behind = new WeakMap<PathRecord, Behind>()
  readonly #looks = new Map<string, () => void>()
  readonly #unshown = new LRUCache<PathRecord, true>({
    maxSize: unshownBytes,
    sizeCalculation: (_, { desired }) =>
      desired.is === 'file' && desired.from === 'spool' ? desired.copy.size + 1 : 1,
    dispose: (_, record, reason) => {
      if (reason === 'evict') this.#unspool(record)
    },
  })

  constructor(parts: Parts) {
    this.#parts = parts
  }

  observe(listing: Listing): void {
    const { ledger, queue } = this.#parts
    for (const record of [...ledger.records.in(listing.directory)]) {
      if (isUnderWay(record)) continue
      const entry = listing.entries.get(nameOf(record.path))
      if (isDone(record)) this.#compare(record, entry, listing)
      else if (
        record.desired.is === 'directory' &&
        record.remote.is === 'absent' &&
        entry?.isDirectory &&
        listing.begunOrder > record.confirmedOrder
      ) {
        ledger.confirmed(record, { is: 'directory' }, { order: record.confirmedOrder })
        ledger.shown(record, entry)
        queue.wake(record)
      }
    }
    this.#observeBelow(listing)
  }

  /** Below a name that is no directory any more nothing is left of what the service once confirmed. */
  #observeBelow(listing: Listing): void {
    for (const [name, records] of this.#parts.ledger.records.byChild(listing.directory)) {
      if (listing.entries.get(name)?.isDirectory) continue
      for (const record of records)
        if (!isUnderWay(record) && isDone(record)) this.#compare(record, undefined, listing)
    }
  }

  rested(record: PathRecord): void {
    const { ledger, doubts, barriers } = this.#parts
    if (ledger.records.get(record.path) !== record) return
    if (isDone(record) && !record.scratch) {
      ledger.rested(record)
      if (record.doubtSince !== undefined) doubts.schedule(record)
      else this.release(record)
    }
    barriers.look()
  }

  /** Nobody writes to it: when the service is seen to have it, the spool need not keep it. */
  release(record: PathRecord): void {
    const { desired } = record
    if (desired.is !== 'file' || desired.from !== 'spool') return
    if (record.earlier.length > 0) this.#unshown.set(record, true)
    else this.#unspool(record)
  }

  close(): void {
    for (const cancel of this.#looks.values()) cancel()
    this.#looks.clear()
  }

  #unspool(record: PathRecord): void {
    const { ledger } = this.#parts
    const { desired, remote } = record
    if (record.scratch || record.doubtSince !== undefined || !isDone(record)) return
    if (ledger.records.get(record.path) !== record) return
    if (desired.is !== 'file' || desired.from !== 'spool' || desired.copy.retained > 0) return
    const { copy } = desired
    copy.giveWay()
    // staged and never written: as listed, unless an earlier change of ours is not listed yet
    if (copy.pristine && record.version === 0) ledger.forget(record)
    else ledger.records.apply(record, { desired: fulfilled(remote) })
  }

  #compare(record: PathRecord, entry: RemoteEntry | undefined, listing: Listing): void {
    const { ledger } = this.#parts
    const { desired, remote } = record
    if (record.scratch || record.doubtSince !== undefined) return
    if (listing.begunOrder <= record.confirmedOrder) return
    if (isShown(remote, entry)) {
      const copy = desired.is === 'file' && desired.from === 'spool' ? desired.copy : undefined
      // somebody writes to it, or is about to
      if (copy && (copy.retained > 0 || copy.pristine)) ledger.shown(record, entry)
      else this.#giveWay(record)
    } else if (!record.earlier.some((state) => isShown(state, entry))) this.#giveWay(record)
    else if (this.#isBehind(record, listing)) this.#lookAgain(listing.directory)
    else this.#setAside(record)
  }

  #isBehind(record: PathRecord, { endedAt }: Listing): boolean {
    const { confirmedOrder } = record
    let behind = this.#behind.get(record)
    if (behind?.confirmedOrder !== confirmedOrder) behind = { confirmedOrder, since: endedAt, count: 0 }
    behind.count++
    this.#behind.set(record, behind)
    return behind.count < behindListings || endedAt - behind.since < behindMs
  }

  /** Whether anybody looks meanwhile or not, it is found out. */
  #lookAgain(directory: string): void {
    const { clock, listings, signal, logger } = this.#parts
    if (this.#looks.has(directory)) return
    const cancel = clock.after(lookAgainMs, () => {
      this.#looks.delete(directory)
      listings.list(directory, { signal, retry: false, maxAgeMs: 0 }).catch((error: unknown) => {
        if (signal.aborted) return
        logger.debug({ directory, err: error }, 'what is behind cannot be looked at yet')
        this.#lookAgain(directory)
      })
    })
    this.#looks.set(directory, cancel)
  }

  #giveWay(record: PathRecord): void {
    const { desired } = record
    if (desired.is === 'file' && desired.from === 'spool') desired.copy.giveWay()
    this.#unshown.delete(record)
    this.#parts.ledger.forget(record)
  }

  /** The service has confirmed it, and has it not. */
  #setAside(record: PathRecord): void {
    const { journal, generations, clock, logger } = this.#parts
    const { desired, path } = record
    const copy = desired.is === 'file' && desired.from === 'spool' ? desired.copy : undefined
    if (copy) {
      const reason = 'the service confirmed it and does not show it'
      journal.setAside({ generation: copy.generation, path, reason, at: clock.wallMs() })
      // until somebody takes it out
      generations.pin(copy.generation)
    }
    const after = copy ? '; ours is set aside, `mount-session recover --export DIR` takes it out' : ''
    const what =
      desired.is === 'absent'
        ? 'the service confirmed its removal and still shows it: shown again'
        : `the service confirmed it and does not show it: what the service has is shown${after}`
    logger.error({ path }, what)
    this.#giveWay(record)
  }
}

/** Whether a call on it is under way or due again: what is shown meanwhile is its business. */
function isUnderWay({ work: { phase } }: PathRecord): boolean {
  return phase.is === 'calling' || phase.is === 'backingOff' || phase.is === 'parked'
}
