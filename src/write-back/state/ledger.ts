/**
 * The records in memory and their rows in the journal, changed together. Layer: write-back.
 *
 * Invariant: the journal is written first; when it cannot be, memory is as it was. Inside `transaction` that
 * holds for all changes as one.
 */
import type { RemoteEntry } from '../../client/session-files.ts'
import type { Clock } from '../../clock.ts'
import { WriteBackError, type LocalAttributes } from '../local-changes.ts'
import type { DurableState, Journal, Spooled } from '../disk/journal.ts'
import {
  certain,
  fulfilled,
  isDone,
  type Desired,
  type PathRecord,
  type Remote,
  type UploadAttempt,
} from '../record.ts'
import { Records, type RecordChange } from './records.ts'
import { localFailure } from '../disk/spooled-copy.ts'

/** A listing is hardly behind by more versions than this. */
const maxEarlier = 16

export class Ledger {
  readonly records = new Records()
  /** Grows with each change that nobody asked for, but that follows from what the service has. */
  ownChanges = 0
  readonly #journal: Journal
  readonly #clock: Clock
  readonly #staysHere: (path: string) => boolean
  readonly #attributes: Map<string, LocalAttributes>
  readonly #name: (generation: number, path: string) => void
  readonly #pin: (generation: number) => () => void
  readonly #pinned = new Map<PathRecord, readonly (() => void)[]>()
  #undo: (() => void)[] | undefined
  /** Of the transaction that is under way: what its generations are, once that is written down. */
  readonly #named: (readonly [generation: number, path: string])[] = []

  /**
   * `staysHere`: whether what is new at a path never travels. `pin`: the generation's file stays until the
   * returned function is called. `name`: it holds bytes of this path that only this machine has.
   */
  constructor(
    journal: Journal,
    clock: Clock,
    staysHere: (path: string) => boolean,
    pin: (generation: number) => () => void,
    name: (generation: number, path: string) => void,
  ) {
    this.#name = name
    this.#pin = pin
    this.#journal = journal
    this.#clock = clock
    this.#staysHere = staysHere
    this.#attributes = journal.attributes()
  }

  transaction(changes: () => void): void {
    const undo: (() => void)[] = []
    this.#undo = undo
    try {
      this.#journal.transaction(changes)
    } catch (error) {
      this.#named.length = 0
      for (const back of undo.reverse()) back()
      throw localFailure('', error)
    } finally {
      this.#undo = undefined
    }
    for (const [generation, path] of this.#named.splice(0)) this.#name(generation, path)
  }

  /** The record of a path, made without being written down when there is none. `stays`: it was to stay here before. */
  of(path: string, remote: Remote, stays = false): PathRecord {
    const known = this.records.get(path)
    if (known) return known
    const record: PathRecord = {
      path,
      desired: fulfilled(remote),
      remote,
      heirs: [],
      since: this.#clock.wallMs(),
      doubtSince: undefined,
      attempts: [],
      version: 0,
      doneVersion: 0,
      earlier: [],
      confirmedOrder: 0,
      scratch: stays || (remote.is === 'absent' && this.#staysHere(path)),
      recovered: false,
      journalled: false,
      work: {
        phase: { is: 'idle' },
        notBefore: 0,
        dueOrder: 0,
        failures: 0,
        failingSince: undefined,
        urgent: false,
      },
    }
    this.records.add(record)
    this.#undo?.push(() => this.records.remove(record))
    return record
  }

  /** Writes down and carries out a change. A row that has nothing left to say goes. */
  change(record: PathRecord, change: RecordChange, point: 'change' | 'confirm' = 'change'): void {
    const { desired, remote, heirs, doubtSince, since, version, journalled } = record
    const next = {
      ...record,
      since: isDone(record) && change.desired ? this.#clock.wallMs() : since,
      version: change.desired ? version + 1 : version,
      ...change,
    }
    next.journalled = next.scratch
      ? next.desired.is !== 'absent'
      : !isDone(next) || next.doubtSince !== undefined
    if (next.journalled) this.#save(next, spooledOf(next.desired), point)
    else if (journalled) this.#journal.forget(record.path)
    this.#undo?.push(() => {
      this.records.apply(record, { desired, remote, heirs, doubtSince, since, version, journalled })
    })
    this.records.apply(record, {
      since: next.since,
      version: next.version,
      ...change,
      journalled: next.journalled,
    })
  }

  /** A working copy's bytes are about to be in another generation, or to differ from the service for the first time. */
  changeGeneration(record: PathRecord, generation: number): void {
    const { remote } = record
    const base: Remote = remote.is === 'file' ? { ...remote, generation: undefined } : remote
    const since = isDone(record) ? this.#clock.wallMs() : record.since
    this.#save({ ...record, remote: base, since }, { generation, seal: undefined })
    this.records.apply(record, { remote: base, since, journalled: true, version: record.version + 1 })
  }

  /** Nothing more is known of a path than its listing says. */
  forget(record: PathRecord): void {
    const { journalled } = record
    if (journalled) this.#journal.forget(record.path)
    this.#undo?.push(() => {
      this.records.add(record)
      this.records.apply(record, { journalled })
    })
    this.adoptAttempts(record, [])
    this.records.apply(record, { journalled: false })
    this.records.remove(record)
  }

  /** An upload is about to be sent. */
  attempt(record: PathRecord, attempt: UploadAttempt): void {
    this.#journal.attempt(record.path, attempt)
    this.adoptAttempts(record, [
      ...record.attempts.filter((other) => other.sha256 !== attempt.sha256),
      attempt,
    ])
    this.records.apply(record, { remote: { is: 'uncertain', before: certain(record.remote), as: 'file' } })
  }

  /** Their bytes stay in the spool, to be known again on the service, whole or cut short. */
  adoptAttempts(record: PathRecord, attempts: readonly UploadAttempt[]): void {
    const pinned = attempts.map(({ generation }) => this.#pin(generation))
    for (const unpin of this.#pinned.get(record) ?? []) unpin()
    if (pinned.length > 0) this.#pinned.set(record, pinned)
    else this.#pinned.delete(record)
    this.records.apply(record, { attempts })
  }

  clearAttempts(record: PathRecord): void {
    if (record.attempts.length === 0) return
    if (record.journalled) this.#journal.clearAttempts(record.path)
    this.adoptAttempts(record, [])
  }

  /**
   * The service has said what is there; what was tried before is over, unless the path is in doubt.
   * `version`: the change that this fulfils. `order`: listings begun before it say nothing of the path.
   */
  confirmed(
    record: PathRecord,
    remote: Remote,
    given: { version?: number | undefined; heirs?: readonly string[]; order?: number } = {},
  ): void {
    const { version = 0, heirs = record.heirs, order = this.#clock.order() } = given
    const before = certain(record.remote)
    const earlier =
      before.is === remote.is && before.is !== 'file' ? record.earlier : [...record.earlier, before]
    this.records.apply(record, { confirmedOrder: order, earlier: earlier.slice(-maxEarlier) })
    this.change(record, { remote, heirs }, 'confirm')
    this.records.apply(record, { doneVersion: Math.max(record.doneVersion, version) })
    if (record.doubtSince === undefined) this.clearAttempts(record)
  }

  /** A listing begun after the confirmation has shown what was confirmed. */
  shown(record: PathRecord, entry: RemoteEntry | undefined): void {
    const { remote } = record
    const isFile = remote.is === 'file' && remote.modifiedSeconds === undefined && entry !== undefined
    const seen = isFile ? { ...remote, modifiedSeconds: entry.modifiedSeconds } : remote
    this.records.apply(record, { remote: seen, earlier: [] })
  }

  /** The service has all that was ever asked of it for this path. */
  rested(record: PathRecord): void {
    this.records.apply(record, { doneVersion: record.version, recovered: false })
  }

  /** The service turned out to have something else than it had confirmed: there is work to do again. */
  reopen(record: PathRecord, remote: Remote): void {
    const { desired, version } = record
    this.change(record, { remote, version: version + 1 })
    this.ownChanges++
    if (desired.is === 'file' && desired.from === 'spool') desired.copy.differs()
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
    this.#undo?.push(() => this.#rememberAttributes(path, before))
    this.#rememberAttributes(path, attributes)
  }

  /** As `setAttributes`, but remembered in memory alone where they cannot be written down. */
  noteAttributes(path: string, attributes: LocalAttributes): void {
    try {
      this.setAttributes(path, attributes)
    } catch (error) {
      if (!(error instanceof WriteBackError)) throw error
      this.#rememberAttributes(path, attributes)
    }
  }

  /** What is counted from the start of this process is written down by the wall clock. */
  #save(state: DurableState, spooled: Spooled | undefined, point: 'change' | 'confirm' = 'change'): void {
    const { doubtSince } = state
    const ageMs = doubtSince === undefined ? undefined : this.#clock.now() - doubtSince
    const since = ageMs === undefined ? undefined : Math.round(this.#clock.wallMs() - ageMs)
    this.#journal.save({ ...state, doubtSince: since }, spooled, point)
    if (spooled === undefined) return
    // a name that comes before what it speaks of would be taken for what a lost journal had known
    if (this.#undo) this.#named.push([spooled.generation, state.path])
    else this.#name(spooled.generation, state.path)
  }

  #rememberAttributes(path: string, attributes: LocalAttributes | undefined): void {
    if (attributes) this.#attributes.set(path, attributes)
    else this.#attributes.delete(path)
  }
}

function spooledOf(desired: Desired): Spooled | undefined {
  return desired.is === 'file' && desired.from === 'spool' ? desired.copy : undefined
}
