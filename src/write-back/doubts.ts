/**
 * Looks again at paths where a call ended ambiguously: it may still take effect after a later one.
 * Layer: write-back.
 *
 * Invariant: after 10 s and after 60 s of quiet a listing begun then agrees with what we think is there, or
 * the newest state goes again; only then are the kept bytes and the attempts let go. A commit that comes
 * later than that is a stated limit of the service.
 */
import { createHash } from 'node:crypto'
import { sleep, type Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { Listings } from '../cache/listings.ts'
import { ServiceError } from '../client/errors.ts'
import type { RemoteEntry, SessionFiles } from '../client/session-files.ts'
import type { Ledger } from './ledger.ts'
import { isDone, nameOf, parentOf, remoteOf, type PathRecord } from './record.ts'
import type { Spool } from './spool.ts'

export const quietMs = [10_000, 60_000] as const
const retryMs = 10_000
const pollMs = 200

export interface DoubtsOptions {
  readonly ledger: Ledger
  readonly spool: Spool
  readonly files: SessionFiles
  readonly listings: Listings
  readonly clock: Clock
  readonly logger: Logger
  readonly signal: AbortSignal
  readonly wake: (record: PathRecord) => void
  /** The doubt is over, and the path at rest. */
  readonly onCleared: (record: PathRecord) => void
}

export class Doubts {
  readonly #options: DoubtsOptions
  readonly #checks = new Map<PathRecord, () => void>()

  constructor(options: DoubtsOptions) {
    this.#options = options
  }

  /** A path has come to rest that is in doubt: looks when the next check is due. */
  schedule(record: PathRecord): void {
    const { clock } = this.#options
    if (record.doubtSince === undefined || this.#checks.has(record)) return
    const age = clock.wallMs() - record.doubtSince
    const due = quietMs.find((ms) => ms > age)
    this.#checkAfter(record, due === undefined ? 0 : due - age, due === undefined || due === quietMs.at(-1))
  }

  /** Resolves when nothing is in doubt any more. */
  async settled(signal: AbortSignal): Promise<void> {
    while (this.#checks.size > 0) await sleep(this.#options.clock, pollMs, signal)
  }

  close(): void {
    for (const cancel of this.#checks.values()) cancel()
    this.#checks.clear()
  }

  #checkAfter(record: PathRecord, ms: number, isLast: boolean): void {
    const cancel = this.#options.clock.after(ms, () => {
      void this.#check(record, isLast)
    })
    this.#checks.set(record, cancel)
  }

  async #check(record: PathRecord, isLast: boolean): Promise<void> {
    const { ledger, logger, wake, onCleared } = this.#options
    const { version, doubtSince } = record
    const unchanged = (): boolean =>
      ledger.records.get(record.path) === record &&
      record.version === version &&
      record.doubtSince === doubtSince &&
      isDone(record)
    if (!unchanged()) {
      this.#checks.delete(record)
      return
    }
    let found: RemoteEntry | undefined
    let agrees: boolean
    try {
      found = await this.#listed(record)
      agrees = await this.#agrees(record, found)
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      this.#checks.delete(record)
      if (error.code !== 'aborted') this.#checkAfter(record, retryMs, isLast)
      return
    }
    this.#checks.delete(record)
    if (!unchanged()) return
    if (!agrees) {
      logger.warn(
        { path: record.path },
        'a call that seemed to have failed took effect late: the newest state goes again',
      )
      ledger.change(record, { remote: remoteOf(found) })
      wake(record)
    } else if (isLast) {
      ledger.clearAttempts(record)
      ledger.change(record, { doubtSince: undefined }, 'confirm')
      onCleared(record)
    } else this.schedule(record)
  }

  async #listed(record: PathRecord): Promise<RemoteEntry | undefined> {
    const { listings, signal } = this.#options
    const listing = await listings.list(parentOf(record.path), { signal, maxAgeMs: 0 })
    return listing.entries.get(nameOf(record.path))
  }

  /** Whether what is listed is ours, or somebody else's change; not an older attempt or a piece of one. */
  async #agrees(record: PathRecord, found: RemoteEntry | undefined): Promise<boolean> {
    const { desired, remote, attempts } = record
    if (desired.is === 'directory') return true
    if (desired.is === 'absent') {
      return !found || found.isDirectory || !(await this.#isAttempt(record, found))
    }
    if (!found) return false
    if (found.isDirectory || desired.from !== 'spool') return true
    const size = remote.is === 'file' ? remote.size : desired.copy.size
    if (found.size === size) {
      const rivals = attempts.filter(
        (attempt) => attempt.size === size && attempt.generation !== desired.copy.generation,
      )
      return rivals.length === 0 || !(await this.#isAttempt(record, found, desired.copy.generation))
    }
    return !(await this.#isAttempt(record, found))
  }

  /** Whether the service's file is one of our attempts (other than `except`), or the beginning of one we still have. */
  async #isAttempt(record: PathRecord, found: RemoteEntry, except?: number): Promise<boolean> {
    const { files, spool, signal } = this.#options
    const whole = record.attempts.filter(
      (attempt) => attempt.size === found.size && attempt.generation !== except,
    )
    const kept =
      record.desired.is === 'file' && record.desired.from === 'spool' && found.size < record.desired.copy.size
        ? record.desired.copy.generation
        : undefined
    if (whole.length === 0 && kept === undefined) return false
    const hash = createHash('sha256')
    let isBeginning = kept !== undefined
    let offset = 0
    const { body } = await files.download(record.path, { signal })
    for await (const piece of body) {
      hash.update(piece)
      if (isBeginning && kept !== undefined) {
        isBeginning = Buffer.compare(piece, spool.read(kept, offset, piece.length)) === 0
      }
      offset += piece.length
    }
    const sha256 = hash.digest('hex')
    return isBeginning || whole.some((attempt) => attempt.sha256 === sha256)
  }
}
