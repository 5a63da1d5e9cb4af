/**
 * Looks again at paths where a call ended ambiguously: it may still take effect after a later one.
 * Layer: write-back.
 *
 * Invariant: after 10 s and after 60 s of quiet a listing begun then agrees with what we think is there, or
 * the newest state goes again; only then are the kept bytes and the attempts let go. A commit that comes
 * later than that is a stated limit of the service.
 */
import { sleep } from '../../clock.ts'
import { ServiceError } from '../../client/errors.ts'
import type { RemoteEntry } from '../../client/session-files.ts'
import type { CallParts } from './call-parts.ts'
import { WriteBackError } from '../local-changes.ts'
import { isOwnUpload } from './own-uploads.ts'
import { isDone, remoteOf, type PathRecord, type UploadAttempt } from '../record.ts'
import { nameOf, parentOf } from '../../remote-path.ts'

export const quietMs = [10_000, 60_000] as const
const retryMs = 10_000
const pollMs = 200

export class Doubts {
  readonly #parts: CallParts
  readonly #timeoutMs: number
  readonly #onCleared: (record: PathRecord) => void
  readonly #checks = new Map<PathRecord, () => void>()
  /** Since when no check has got an answer. */
  #failure: { readonly since: number; readonly path: string; readonly error: Error } | undefined

  /**
   * `timeoutMs`: without an answer, after which waiting for the end of all doubt fails. `onCleared`: the doubt
   * is over, and the path at rest.
   */
  constructor(parts: CallParts, timeoutMs: number, onCleared: (record: PathRecord) => void) {
    this.#parts = parts
    this.#timeoutMs = timeoutMs
    this.#onCleared = onCleared
  }

  /** A path has come to rest that is in doubt: looks when the next check is due. */
  schedule(record: PathRecord): void {
    const { clock } = this.#parts
    if (record.doubtSince === undefined || this.#checks.has(record)) return
    const age = clock.now() - record.doubtSince
    const due = quietMs.find((ms) => ms > age) ?? age
    this.#checkAfter(record, due - age)
  }

  /** Resolves when nothing is in doubt any more; rejects when no check has got an answer for the time limit. */
  async settled(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts
    const begun = clock.now()
    while (this.#checks.size > 0) {
      if (this.#failure && clock.now() - Math.max(begun, this.#failure.since) >= this.#timeoutMs) {
        const { path, error } = this.#failure
        throw new WriteBackError(
          'timedOut',
          path,
          `${path}: a call on it ended unclearly, and it cannot be looked at: ${error.message}; it is kept here`,
          { cause: error },
        )
      }
      await sleep(clock, pollMs, signal)
    }
  }

  close(): void {
    for (const cancel of this.#checks.values()) cancel()
    this.#checks.clear()
  }

  #checkAfter(record: PathRecord, ms: number): void {
    const cancel = this.#parts.clock.after(ms, () => {
      void this.#check(record)
    })
    this.#checks.set(record, cancel)
  }

  async #check(record: PathRecord): Promise<void> {
    const { ledger, logger, clock } = this.#parts
    const { version, doubtSince } = record
    const unchanged = (): boolean =>
      ledger.records.get(record.path) === record &&
      record.version === version &&
      record.doubtSince === doubtSince &&
      isDone(record)
    if (!unchanged() || doubtSince === undefined) {
      // whoever changed it comes back when the path is at rest again
      this.#checks.delete(record)
      return
    }
    const age = clock.now() - doubtSince
    if (age < quietMs[0]) {
      // it came into doubt again since this look was planned
      this.#checkAfter(record, quietMs[0] - age)
      return
    }
    if (record.desired.is === 'absent' && this.#isInDoubtBelow(record.path)) {
      this.#checkAfter(record, pollMs)
      return
    }
    try {
      const found = await this.#listed(record)
      const agrees = await this.#agrees(record, found)
      this.#failure = undefined
      this.#checks.delete(record)
      if (unchanged()) this.#conclude(record, found, agrees, age)
      else if (ledger.records.get(record.path) === record && isDone(record)) this.schedule(record)
    } catch (error) {
      if (error instanceof ServiceError && error.concerns === 'caller') {
        this.#checks.delete(record)
        return
      }
      if (!(error instanceof ServiceError)) {
        logger.error({ path: record.path, err: error }, 'a path in doubt cannot be looked at')
      }
      this.#failure ??= { since: clock.now(), path: record.path, error: error as Error }
      this.#checkAfter(record, retryMs)
    }
  }

  #conclude(record: PathRecord, found: RemoteEntry | undefined, agrees: boolean, age: number): void {
    const { ledger, logger, wake } = this.#parts
    if (!agrees) {
      logger.warn(
        { path: record.path },
        'a call that seemed to have failed took effect late: the newest state goes again',
      )
      ledger.reopen(record, remoteOf(found))
      if (record.desired.is === 'absent') this.#reopenAbove(record.path)
      wake(record)
    } else if (age >= quietMs[1]) {
      ledger.clearAttempts(record)
      ledger.change(record, { doubtSince: undefined, earlier: [] }, 'confirm')
      this.#onCleared(record)
    } else this.schedule(record)
  }

  async #listed(record: PathRecord): Promise<RemoteEntry | undefined> {
    const { listings, signal } = this.#parts
    const listing = await listings.list(parentOf(record.path), { signal, retry: false, maxAgeMs: 0 })
    return listing.entries.get(nameOf(record.path))
  }

  /** Whether what is listed is what we think, or somebody else's change; not an older attempt or a piece of one. */
  async #agrees(record: PathRecord, found: RemoteEntry | undefined): Promise<boolean> {
    const { desired, remote, attempts } = record
    switch (desired.is) {
      case 'absent':
        if (!found) return true
        // an empty directory goes again, as ours that came late; one with something in it will not be removed
        if (found.isDirectory) return false
        return !(await this.#isOurs(record, found, attempts))
      case 'directory':
        if (!found) return false
        return found.isDirectory || !(await this.#isOurs(record, found, attempts))
      case 'file': {
        if (!found) return false
        if (found.isDirectory || desired.from !== 'spool') return true
        const { generation, size } = desired.copy
        const isWhole = found.size === (remote.is === 'file' ? remote.size : size)
        // what has the size of the newest is the newest, unless it may be an older attempt
        const current = isWhole ? attempts.find((attempt) => attempt.generation === generation) : undefined
        const suspects = attempts.filter((attempt) => attempt !== current)
        return !(await this.#isOurs(record, found, suspects, current))
      }
    }
  }

  #isOurs(
    record: PathRecord,
    found: RemoteEntry,
    suspects: readonly UploadAttempt[],
    current?: UploadAttempt,
  ): Promise<boolean> {
    return isOwnUpload(record, found, suspects, this.#parts, current)
  }

  #isInDoubtBelow(path: string): boolean {
    for (const { path: below, doubtSince } of this.#parts.ledger.records.within(path)) {
      if (below !== path && doubtSince !== undefined) return true
    }
    return false
  }

  /** A file that came late brought back the directories above it that were removed meanwhile. */
  #reopenAbove(path: string): void {
    const { ledger, wake } = this.#parts
    for (let above = parentOf(path); above !== ''; above = parentOf(above)) {
      const record = ledger.records.get(above)
      if (record?.desired.is !== 'absent' || record.remote.is !== 'absent') continue
      ledger.reopen(record, { is: 'directory' })
      wake(record)
    }
  }
}
