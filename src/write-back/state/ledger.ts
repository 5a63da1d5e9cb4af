/**
 * The records in memory and their rows in the journal, changed together. Layer: write-back.
 *
 * Invariant: the journal is written first; when it cannot be, memory is as it was. Inside `transaction` that
 * holds for all changes as one.
 */
import type { Clock } from '../../clock.ts'
import { WriteBackError, type LocalAttributes } from '../local-changes.ts'
import type { DurableState, Journal, Spooled } from '../disk/journal.ts'
import type { LocalNames } from './local-names.ts'
import {
  certain,
  fulfilled,
  isDone,
  type Attempt,
  type Desired,
  type Parked,
  type PathRecord,
  type Remote,
} from '../record.ts'
import { nameOf } from '../../remote-path.ts'
import { Records } from './records.ts'
import { localFailure } from '../disk/spooled-copy.ts'

export interface LedgerChange {
  readonly desired?: Desired
  readonly remote?: Remote
  readonly heirs?: readonly string[]
  readonly doubtSince?: number | undefined
  readonly parked?: Parked | undefined
  readonly since?: number
}

export class Ledger {
  readonly records = new Records()
  /** Grows with each change that nobody asked for, but that follows from what the service has. */
  ownChanges = 0
  readonly #journal: Journal
  readonly #clock: Clock
  readonly #localNames: LocalNames
  readonly #attributes: Map<string, LocalAttributes>
  readonly #keep: (generation: number) => () => void
  readonly #kept = new Map<PathRecord, () => void>()
  #undo: (() => void)[] | undefined

  /** `keep`: the generation's file stays until the returned function is called. */
  constructor(
    journal: Journal,
    clock: Clock,
    localNames: LocalNames,
    keep: (generation: number) => () => void,
  ) {
    this.#keep = keep
    this.#journal = journal
    this.#clock = clock
    this.#localNames = localNames
    this.#attributes = journal.attributes()
  }

  transaction(changes: () => void): void {
    const undo: (() => void)[] = []
    this.#undo = undo
    try {
      this.#journal.transaction(changes)
    } catch (error) {
      for (const back of undo.reverse()) back()
      throw localFailure('', error)
    } finally {
      this.#undo = undefined
    }
  }

  /** The record of a path, made without being written down when there is none. */
  of(path: string, remote: Remote): PathRecord {
    const known = this.records.get(path)
    if (known) return known
    const record: PathRecord = {
      path,
      desired: fulfilled(remote),
      remote,
      heirs: [],
      since: this.#clock.wallMs(),
      doubtSince: undefined,
      parked: undefined,
      attempts: [],
      version: 0,
      doneVersion: 0,
      confirmedOrder: 0,
      phase: { is: 'idle' },
      notBefore: 0,
      failures: 0,
      failingSince: undefined,
      urgent: false,
      scratch: remote.is === 'absent' && this.#localNames.matches(nameOf(path)),
      recovered: false,
      journalled: false,
    }
    this.adopt(record)
    this.#undo?.push(() => this.records.remove(record))
    return record
  }

  /** Takes up a record that the journal has, or that needs no row. */
  adopt(record: PathRecord): void {
    this.records.add(record)
  }

  /** Writes down and carries out a change. A row that has nothing left to say goes. */
  change(record: PathRecord, change: LedgerChange, point: 'change' | 'confirm' = 'change'): void {
    const before = {
      desired: record.desired,
      remote: record.remote,
      heirs: record.heirs,
      doubtSince: record.doubtSince,
      parked: record.parked,
      since: record.since,
    }
    const { version, journalled } = record
    const wasDone = isDone(record)
    const since = wasDone && change.desired ? this.#clock.wallMs() : record.since
    const next = { ...record, since, ...change }
    const needsRow = next.scratch
      ? next.desired.is !== 'absent'
      : !isDone(next) || next.doubtSince !== undefined
    if (needsRow) {
      this.#save(next, spooledOf(next.desired), point)
    } else if (journalled) this.#journal.forget(record.path)
    this.#undo?.push(() => {
      this.records.apply(record, before)
      record.version = version
      record.journalled = journalled
    })
    this.records.apply(record, { since, ...change })
    record.journalled = needsRow
    if (change.desired) record.version++
  }

  /** A working copy's bytes are about to be in another generation, or to differ from the service for the first time. */
  changeGeneration(record: PathRecord, generation: number): void {
    const { remote } = record
    const base: Remote = remote.is === 'file' ? { ...remote, generation: undefined } : remote
    const since = isDone(record) ? this.#clock.wallMs() : record.since
    this.#save({ ...record, remote: base, since, parked: undefined }, { generation, seal: undefined })
    record.journalled = true
    record.version++
    this.records.apply(record, { remote: base, since, parked: undefined })
  }

  /** Nothing more is known of a path than its listing says. */
  forget(record: PathRecord): void {
    if (record.journalled) this.#journal.forget(record.path)
    this.#undo?.push(() => this.records.add(record))
    this.records.remove(record)
    record.journalled = false
    this.#letGoOfAttempts(record)
  }

  /** An upload is about to be sent. */
  attempt(record: PathRecord, attempt: Attempt): void {
    this.#journal.attempt(record.path, attempt)
    this.adoptAttempts(record, [
      ...record.attempts.filter((other) => other.sha256 !== attempt.sha256),
      attempt,
    ])
    this.records.apply(record, { remote: { is: 'uncertain', before: certain(record.remote), as: 'file' } })
  }

  /** Their bytes stay in the spool, to be known again on the service, whole or cut short. */
  adoptAttempts(record: PathRecord, attempts: readonly Attempt[]): void {
    const kept = attempts.map(({ generation }) => this.#keep(generation))
    this.#letGoOfAttempts(record)
    record.attempts = attempts
    if (attempts.length > 0) {
      this.#kept.set(record, () => {
        for (const letGo of kept) letGo()
      })
    }
  }

  /** The service has answered for a path; what was tried before is over, unless the path is in doubt. */
  confirm(record: PathRecord, change: LedgerChange): void {
    this.change(record, change, 'confirm')
    if (record.doubtSince === undefined) this.clearAttempts(record)
  }

  /** The service turned out to have something else than it had confirmed: there is work to do again. */
  reopen(record: PathRecord, remote: Remote): void {
    const { desired } = record
    this.change(record, { remote })
    this.ownChanges++
    record.version++
    if (desired.is !== 'file' || desired.from !== 'spool') return
    desired.copy.dirty = true
    desired.copy.pristine = false
    desired.copy.confirmedGeneration = 0
  }

  clearAttempts(record: PathRecord): void {
    if (record.attempts.length === 0) return
    if (record.journalled) this.#journal.clearAttempts(record.path)
    this.#letGoOfAttempts(record)
  }

  attributes(path: string): LocalAttributes | undefined {
    return this.#attributes.get(path)
  }

  setAttributes(path: string, attributes: LocalAttributes | undefined): void {
    const before = this.#attributes.get(path)
    if (before === undefined && attributes === undefined) return
    try {
      this.#journal.saveAttributes(path, attributes)
    } catch (error) {
      throw localFailure(path, error)
    }
    this.#undo?.push(() => this.#keepAttributes(path, before))
    this.#keepAttributes(path, attributes)
  }

  /** As `setAttributes`, but kept in memory alone where they cannot be written down. */
  noteAttributes(path: string, attributes: LocalAttributes): void {
    try {
      this.setAttributes(path, attributes)
    } catch (error) {
      if (!(error instanceof WriteBackError)) throw error
      this.#keepAttributes(path, attributes)
    }
  }

  /** What is counted from the start of this process is written down by the wall clock. */
  #save(state: DurableState, spooled: Spooled | undefined, point: 'change' | 'confirm' = 'change'): void {
    const { doubtSince } = state
    const ageMs = doubtSince === undefined ? undefined : this.#clock.now() - doubtSince
    const since = ageMs === undefined ? undefined : Math.round(this.#clock.wallMs() - ageMs)
    this.#journal.save({ ...state, doubtSince: since }, spooled, point)
  }

  #letGoOfAttempts(record: PathRecord): void {
    this.#kept.get(record)?.()
    this.#kept.delete(record)
    record.attempts = []
  }

  #keepAttributes(path: string, attributes: LocalAttributes | undefined): void {
    if (attributes) this.#attributes.set(path, attributes)
    else this.#attributes.delete(path)
  }
}

function spooledOf(desired: Desired): Spooled | undefined {
  return desired.is === 'file' && desired.from === 'spool' ? desired.copy : undefined
}
