/**
 * When each path's next call is sent: settling, order, slots, backing off, pausing. Layer: write-back.
 *
 * Invariant: calls on one path never overlap; what waits (to settle, for others, backing off) holds no slot;
 * and what a call will be is decided when its slot is there, so that a path written again while it waited is
 * sent once, and one removed before it was sent is never sent.
 */
import type { Clock } from '../../clock.ts'
import type { Logger } from '../../log.ts'
import type { ServiceError } from '../../client/errors.ts'
import { Slots, type Ticket } from '../../client/slots.ts'
import { backoffMs } from './backoff.ts'
import { DueTogether } from './due-together.ts'
import { WriteBackError } from '../local-changes.ts'
import { mustWait, nextCall } from '../state/next-call.ts'
import { isDone, mayBeFile, type NextCall, type PathRecord, type Phase } from '../record.ts'
import { parentOf } from '../../remote-path.ts'
import type { Records } from '../state/records.ts'
import { changeWork, enter } from './phases.ts'
import { SessionGate } from './session-gate.ts'

/** Quiet after which a change is sent, in milliseconds; a little less where others are sent just before it. */
export const settleMs = { closed: 100, open: 1000, renamed: 1000 } as const

/** What came of a call. */
export type CallOutcome =
  /* something about the path has changed: decide anew */
  | { readonly is: 'moved' }
  /* nothing can be done until something else happens, which will wake the path; `for`: until this one is done */
  | { readonly is: 'waiting'; readonly for?: PathRecord }
  | { readonly is: 'failed'; readonly error: Error; readonly retryAfterMs?: number | undefined }
  | { readonly is: 'refused'; readonly error: ServiceError }
  | { readonly is: 'parked'; readonly error: Error; readonly code: string }

export interface UploadQueueOptions {
  readonly records: Records
  readonly clock: Clock
  readonly logger: Logger
  /** Calls under way at once. */
  readonly concurrency: number
  readonly random: () => number
  /** Sends one call; never throws. */
  readonly perform: (record: PathRecord, call: NextCall) => Promise<CallOutcome>
  /** The path has nothing left to do, or is given up; what waits for it may look. */
  readonly onRest: (record: PathRecord) => void
  /** A call has ended, in whatever way. */
  readonly onEnded: () => void
  /** The path's next call is due at `notBefore`, unless it changes. */
  readonly onSettling: (record: PathRecord) => void
  readonly onPark: (record: PathRecord, error: Error, code: string) => void
  /** The phases of a path went a way that there is none: a fault of this program. */
  readonly onImpossible: (error: Error) => void
  /** Whether an empty directory may be made now: false where the service has no call for it and nobody waits. */
  readonly mayMakeDirectory: (record: PathRecord) => boolean
}

export class UploadQueue {
  readonly #options: UploadQueueOptions
  readonly #slots: Slots
  readonly #due: DueTogether
  /** Of paths that wait for a slot. */
  readonly #tickets = new WeakMap<PathRecord, Ticket>()
  readonly gate: SessionGate
  #closed = false

  constructor(options: UploadQueueOptions) {
    this.#options = options
    this.#slots = new Slots(options.concurrency)
    this.#due = new DueTogether(options.clock)
    this.gate = new SessionGate(options.clock, options.logger, options.random, (state) => {
      if (state === 'paused') this.#slots.pause()
      this.#slots.limit = state === 'open' ? options.concurrency : 1
      if (state !== 'paused' && !this.#closed) this.#slots.start()
    })
  }

  /** The path's desired state has changed: it goes after `ms` without a further change. */
  settle(record: PathRecord, ms: number): void {
    const { clock } = this.#options
    changeWork(record, { notBefore: clock.now() + ms, dueOrder: clock.order(), failures: 0 })
    if (record.work.phase.is === 'calling' || this.#closed) return
    this.#leave(record)
    this.wake(record)
  }

  /** As `settle`, but never later than it was due. */
  hasten(record: PathRecord, ms: number): void {
    const { phase, notBefore } = record.work
    changeWork(record, { dueOrder: this.#options.clock.order() })
    if (notBefore <= this.#options.clock.now() + ms && phase.is !== 'calling') return
    if (phase.is === 'settling' || phase.is === 'idle' || phase.is === 'calling') this.settle(record, ms)
  }

  /** Somebody waits for this path: no settling, no backing off but what the service asked for, first in the queue. */
  urge(record: PathRecord): void {
    const { phase, urgent } = record.work
    if (!urgent) changeWork(record, { urgent: true, dueOrder: this.#options.clock.order() })
    if (phase.is === 'backingOff') {
      phase.cancel()
      // for who waits it begins anew
      changeWork(record, { failures: 0 })
      const leftMs = phase.notBefore - this.#options.clock.now()
      if (leftMs > 0) this.#backOff(record, phase.error, leftMs, phase.notBefore)
      else this.#enter(record, { is: 'idle' })
    }
    if (phase.is === 'settling') this.#leave(record)
    if (phase.is === 'ready' && phase.queued) this.#goFirst(record)
    this.wake(record)
    this.gate.probe()
  }

  /** Something that the path may have waited for has happened. */
  wake(record: PathRecord): void {
    if (this.#closed) return
    const { phase, notBefore, urgent } = record.work
    if (phase.is === 'ready' ? phase.queued : phase.is !== 'idle') return
    // given up: another record may have taken the name since
    if (this.#options.records.get(record.path) !== record) return
    const call = nextCall(record)
    if (call.do === 'nothing') {
      if (phase.is !== 'idle') this.#enter(record, { is: 'idle' })
      if (isDone(record)) changeWork(record, { urgent: false })
      this.#options.onRest(record)
      return
    }
    if (!urgent && notBefore > this.#options.clock.now()) {
      const cancel = this.#due.at(notBefore, () => {
        this.#enter(record, { is: 'idle' })
        changeWork(record, { notBefore: 0 })
        this.wake(record)
      })
      this.#enter(record, { is: 'settling', cancel })
      this.#options.onSettling(record)
      return
    }
    const isBlocked = this.#isBlocked(record, call)
    this.#enter(record, { is: 'ready', queued: !isBlocked })
    if (isBlocked) return
    const begin = (): void => void this.#run(record).finally(() => this.#slots.leave())
    this.#tickets.set(record, this.#slots.enter(begin, urgent ? 1 : 0))
  }

  /** Forgets about a path that has nothing left to do. */
  forget(record: PathRecord): void {
    this.#leave(record)
  }

  /** Takes a path out of parking, or out of backing off; false if it is in neither. */
  retry(record: PathRecord): boolean {
    const { phase } = record.work
    if (phase.is === 'backingOff') this.settle(record, 0)
    else if (phase.is === 'parked') {
      this.#leave(record)
      this.wake(record)
    } else return false
    return true
  }

  /** A call beside the queue is under way on this path, until the returned function is called. */
  occupy(record: PathRecord, what: NextCall['do'], isUrgent: boolean): (then?: 'wake') => void {
    this.#leave(record)
    changeWork(record, { urgent: isUrgent })
    this.#enter(record, { is: 'calling', since: this.#options.clock.wallMs(), what })
    return (then) => {
      this.#enter(record, { is: 'idle' })
      if (then === 'wake') this.wake(record)
    }
  }

  /** Stops starting calls; resolves when those under way have ended. */
  async close(): Promise<void> {
    this.#closed = true
    this.gate.close()
    for (const record of this.#options.records.values()) this.#leave(record)
    this.#slots.clear()
    this.#slots.start()
    await this.#slots.onIdle()
  }

  #goFirst(record: PathRecord): void {
    const ticket = this.#tickets.get(record)
    if (ticket !== undefined) this.#tickets.set(record, this.#slots.raise(ticket, 1))
  }

  #isBlocked(record: PathRecord, call: NextCall): boolean {
    if (call.do === 'makeDirectory' && !this.#options.mayMakeDirectory(record)) return true
    return mustWait(record, call, this.#options.records)
  }

  async #run(record: PathRecord): Promise<void> {
    if (this.#closed || record.work.phase.is !== 'ready') return
    const call = nextCall(record)
    if (call.do === 'nothing' || this.#isBlocked(record, call)) {
      this.#enter(record, { is: 'ready', queued: false })
      this.wake(record)
      return
    }
    this.#enter(record, { is: 'calling', since: this.#options.clock.wallMs(), what: call.do })
    const { version } = record
    const outcome = await this.#options.perform(record, call)
    // what was refused for good is not what the path holds now, or it has come to be otherwise
    const isOutdated = outcome.is === 'parked' && (record.version !== version || isDone(record))
    this.#ended(record, isOutdated ? { is: 'moved' } : outcome)
  }

  #ended(record: PathRecord, outcome: CallOutcome): void {
    if (outcome.is === 'refused') this.gate.refused(outcome.error)
    else if (outcome.is === 'moved' || outcome.is === 'parked') this.gate.answered()
    switch (outcome.is) {
      case 'moved':
        this.#enter(record, { is: 'idle' })
        // whoever still waits says so again: a newer generation is not urgent for an older barrier
        changeWork(record, { failures: 0, failingSince: undefined, urgent: false })
        this.wake(record)
        break
      case 'waiting':
        this.#enter(record, { is: 'ready', queued: false })
        // only now, so that its end cannot come before somebody waits for it
        if (outcome.for !== undefined) this.wake(isDone(outcome.for) ? record : outcome.for)
        break
      case 'refused':
        this.#enter(record, { is: 'idle' })
        this.wake(record)
        break
      case 'failed':
        this.#failed(record, outcome.error, outcome.retryAfterMs)
        break
      case 'parked': {
        const { message } = outcome.error
        const error = new WriteBackError('parked', record.path, message, { cause: outcome.error })
        changeWork(record, { failingSince: undefined })
        this.#enter(record, { is: 'parked', error })
        this.#options.onPark(record, outcome.error, outcome.code)
        break
      }
    }
    // who waits has changed nothing: two that wait for one another's neighbourhood would wake each other for ever
    if (outcome.is !== 'waiting') this.wakeNeighbours(record)
    this.#options.onEnded()
  }

  #failed(record: PathRecord, error: Error, retryAfterMs: number | undefined): void {
    const { clock, random } = this.#options
    const { failures, failingSince = clock.now() } = record.work
    changeWork(record, { failures: failures + 1, failingSince })
    const ms = backoffMs(failures + 1, retryAfterMs, random())
    this.#backOff(record, error, ms, clock.now() + (retryAfterMs ?? 0))
  }

  #backOff(record: PathRecord, error: Error, ms: number, notBefore: number): void {
    const cancel = this.#options.clock.after(ms, () => {
      this.#enter(record, { is: 'idle' })
      this.wake(record)
    })
    const { failures } = record.work
    this.#enter(record, { is: 'backingOff', failures, error, notBefore, cancel })
  }

  #enter(record: PathRecord, phase: Phase): void {
    enter(record, phase, this.#options.onImpossible)
  }

  /** There is less to do below the directories above a path. */
  wakeAbove(record: PathRecord): void {
    for (let above = parentOf(record.path); above !== ''; above = parentOf(above)) {
      const directory = this.#options.records.get(above)
      if (directory) this.wake(directory)
    }
  }

  /** What may have waited for this path: directories above, names it is heir of, and what is put below a former file. */
  wakeNeighbours(record: PathRecord): void {
    const { records } = this.#options
    this.wakeAbove(record)
    for (const waiting of [...records.waitingForHeir(record.path)]) this.wake(waiting)
    if (record.desired.is === 'directory' && !mayBeFile(record) && records.unfinishedBelow(record.path) > 0) {
      for (const below of [...records.within(record.path)]) if (below !== record) this.wake(below)
    }
  }

  /** Whatever it waits for by itself, it does not any more. */
  #leave(record: PathRecord): void {
    const { phase } = record.work
    if (phase.is === 'settling' || phase.is === 'backingOff') phase.cancel()
    if (phase.is === 'settling' || phase.is === 'backingOff' || phase.is === 'parked')
      this.#enter(record, { is: 'idle' })
  }
}
