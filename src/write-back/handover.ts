/**
 * What happens when a path has come to rest: the spool lets go of what the service has, and confirmed local
 * entries give way to newer listings. Layer: write-back.
 *
 * Invariant: an entry gives way only to a listing begun after its confirmation, and never while it is in doubt.
 */
import type { Listing } from '../cache/listings.ts'
import type { RemoteEntry } from '../client/session-files.ts'
import type { Barriers } from './queue/barriers.ts'
import type { Doubts } from './calls/doubts.ts'
import type { Generations } from './disk/generations.ts'
import type { Ledger } from './state/ledger.ts'
import { fulfilled, isDone, type PathRecord } from './record.ts'
import { nameOf } from '../remote-path.ts'
import type { UploadQueue } from './queue/upload-queue.ts'

export interface HandoverOptions {
  readonly ledger: Ledger
  readonly queue: UploadQueue
  readonly generations: Generations
  readonly barriers: Barriers
  readonly doubts: Doubts
}

export class Handover {
  readonly #ledger: Ledger
  readonly #queue: UploadQueue
  readonly #generations: Generations
  readonly #barriers: Barriers
  readonly #doubts: Doubts

  constructor({ ledger, queue, generations, barriers, doubts }: HandoverOptions) {
    this.#ledger = ledger
    this.#queue = queue
    this.#generations = generations
    this.#barriers = barriers
    this.#doubts = doubts
  }

  observe(listing: Listing): void {
    for (const record of [...this.#ledger.records.in(listing.directory)]) {
      if (isUnderWay(record)) continue
      const entry = listing.entries.get(nameOf(record.path))
      if (isDone(record)) this.#giveWay(record, entry, listing.begunOrder)
      else if (
        record.desired.is === 'directory' &&
        record.remote.is === 'absent' &&
        entry?.isDirectory &&
        listing.begunOrder > record.confirmedOrder
      ) {
        this.#ledger.confirm(record, { remote: { is: 'directory' } })
        this.#queue.wake(record)
      }
    }
    this.#observeBelow(listing)
  }

  /** Below a name that is no directory any more nothing is left of what the service once confirmed. */
  #observeBelow(listing: Listing): void {
    for (const [name, records] of this.#ledger.records.byChild(listing.directory)) {
      if (listing.entries.get(name)?.isDirectory) continue
      for (const record of records) {
        if (isUnderWay(record)) continue
        if (isDone(record)) this.#giveWay(record, undefined, listing.begunOrder)
      }
    }
  }

  rested(record: PathRecord): void {
    if (this.#ledger.records.get(record.path) !== record) return
    if (isDone(record) && !record.scratch) {
      record.doneVersion = record.version
      record.urgent = false
      record.recovered = false
      if (record.doubtSince !== undefined) this.#doubts.schedule(record)
      else this.letGo(record)
    }
    this.#barriers.look()
  }

  /** The service has it and nobody writes to it: the spool need not keep it. */
  letGo(record: PathRecord): void {
    const { desired, remote } = record
    if (record.scratch || record.doubtSince !== undefined || !isDone(record)) return
    if (desired.is !== 'file' || desired.from !== 'spool' || desired.copy.retained > 0) return
    const { copy } = desired
    copy.record = undefined
    copy.current = false
    this.#generations.discard(copy.generation)
    // staged and never written: as listed, unless an earlier change of ours is not listed yet
    if (copy.pristine && record.version === 0) this.#ledger.forget(record)
    else this.#ledger.records.apply(record, { desired: fulfilled(remote) })
  }

  /** A listing begun after the confirmation takes over. */
  #giveWay(record: PathRecord, entry: RemoteEntry | undefined, begunOrder: number): void {
    const { desired, remote } = record
    if (record.scratch || record.doubtSince !== undefined || begunOrder <= record.confirmedOrder) return
    if (desired.is === 'file' && desired.from === 'spool' && remote.is === 'file') {
      const { copy } = desired
      const same =
        entry !== undefined &&
        !entry.isDirectory &&
        entry.size === remote.size &&
        (remote.modifiedSeconds === undefined || remote.modifiedSeconds === entry.modifiedSeconds)
      if (same) {
        if (remote.modifiedSeconds === undefined) {
          this.#ledger.records.apply(record, {
            remote: { ...remote, modifiedSeconds: entry.modifiedSeconds },
          })
        }
        return
      }
      copy.record = undefined
      copy.current = false
      if (copy.retained === 0) this.#generations.discard(copy.generation)
    }
    this.#ledger.forget(record)
  }
}

/** Whether a call on it is under way or due again: what is shown meanwhile is its business. */
function isUnderWay({ phase }: PathRecord): boolean {
  return phase.is === 'calling' || phase.is === 'backingOff' || phase.is === 'parked'
}
