/**
 * What happens when a path has come to rest: the spool lets go of what the service has, and confirmed local
 * entries give way to newer listings. Layer: write-back.
 *
 * Invariant: an entry gives way only to a listing begun after its confirmation, and never while it is in doubt.
 */
import type { Listing } from '../cache/listings.ts'
import type { RemoteEntry } from '../client/session-files.ts'
import { fulfilled, isDone, type PathRecord } from './record.ts'
import { nameOf } from '../remote-path.ts'
import type { Parts } from './parts.ts'

export class Handover {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  observe(listing: Listing): void {
    const { ledger, queue } = this.#parts
    for (const record of [...ledger.records.in(listing.directory)]) {
      if (isUnderWay(record)) continue
      const entry = listing.entries.get(nameOf(record.path))
      if (isDone(record)) this.#giveWay(record, entry, listing.begunOrder)
      else if (
        record.desired.is === 'directory' &&
        record.remote.is === 'absent' &&
        entry?.isDirectory &&
        listing.begunOrder > record.confirmedOrder
      ) {
        ledger.confirmed(record, { is: 'directory' }, { order: record.confirmedOrder })
        queue.wake(record)
      }
    }
    this.#observeBelow(listing)
  }

  /** Below a name that is no directory any more nothing is left of what the service once confirmed. */
  #observeBelow(listing: Listing): void {
    for (const [name, records] of this.#parts.ledger.records.byChild(listing.directory)) {
      if (listing.entries.get(name)?.isDirectory) continue
      for (const record of records) {
        if (isUnderWay(record)) continue
        if (isDone(record)) this.#giveWay(record, undefined, listing.begunOrder)
      }
    }
  }

  rested(record: PathRecord): void {
    const { ledger, doubts, barriers } = this.#parts
    if (ledger.records.get(record.path) !== record) return
    if (isDone(record) && !record.scratch) {
      ledger.rested(record)
      if (record.doubtSince !== undefined) doubts.schedule(record)
      else this.unspool(record)
    }
    barriers.look()
  }

  /** The service has it and nobody writes to it: the spool need not keep it. */
  unspool(record: PathRecord): void {
    const { ledger } = this.#parts
    const { desired, remote } = record
    if (record.scratch || record.doubtSince !== undefined || !isDone(record)) return
    if (desired.is !== 'file' || desired.from !== 'spool' || desired.copy.retained > 0) return
    const { copy } = desired
    copy.giveWay()
    // staged and never written: as listed, unless an earlier change of ours is not listed yet
    if (copy.pristine && record.version === 0) ledger.forget(record)
    else ledger.records.apply(record, { desired: fulfilled(remote) })
  }

  /** A listing begun after the confirmation takes over. */
  #giveWay(record: PathRecord, entry: RemoteEntry | undefined, begunOrder: number): void {
    const { desired, remote } = record
    if (record.scratch || record.doubtSince !== undefined || begunOrder <= record.confirmedOrder) return
    if (desired.is === 'file' && desired.from === 'spool' && remote.is === 'file') {
      const same =
        entry !== undefined &&
        !entry.isDirectory &&
        entry.size === remote.size &&
        (remote.modifiedSeconds === undefined || remote.modifiedSeconds === entry.modifiedSeconds)
      if (same) {
        if (remote.modifiedSeconds === undefined) {
          this.#parts.ledger.records.apply(record, {
            remote: { ...remote, modifiedSeconds: entry.modifiedSeconds },
          })
        }
        return
      }
      desired.copy.giveWay()
    }
    this.#parts.ledger.forget(record)
  }
}

/** Whether a call on it is under way or due again: what is shown meanwhile is its business. */
function isUnderWay({ work: { phase } }: PathRecord): boolean {
  return phase.is === 'calling' || phase.is === 'backingOff' || phase.is === 'parked'
}
