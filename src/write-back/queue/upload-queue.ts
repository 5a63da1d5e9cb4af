/**
 * When each path's next call is sent: settling, order, slots, backing off, pausing. Layer: write-back.
 *
 * Invariant: calls on one path never overlap; what waits (to settle, for others, backing off) holds no slot;
 * and what a call will be is decided when its slot is there, so that a path written again while it waited is
 * sent once, and one removed before it was sent is never sent.
 */
import PQueue from 'p-queue'
import type { Clock } from '../../clock.ts'
import type { Logger } from '../../log.ts'
import type { ServiceError } from '../../client/errors.ts'
import { backoffMs } from './backoff.ts'
import { WriteBackError } from '../local-changes.ts'
import { nextCall, obstacle } from '../state/next-call.ts'
import { isDone, mayBeFile, type Call, type PathRecord } from '../record.ts'
import { parentOf } from '../../remote-path.ts'
import type { Records } from '../state/records.ts'
import { SessionGate } from './session-gate.ts'

export type Outcome =
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
  readonly perform: (record: PathRecord, call: Call) => Promise<Outcome>
  /** The path has nothing left to do, or is given up; what waits for it may look. */
  readonly onRest: (record: PathRecord) => void
  /** A call has ended, in whatever way. */
  readonly onEnded: () => void
  readonly onPark: (record: PathRecord, error: Error, code: string) => void
  /** Whether an empty directory may be made now: false where the service has no call for it and nobody waits. */
  readonly mayMakeDirectory: (record: PathRecord) => boolean
}

export class UploadQueue {
  readonly #options: UploadQueueOptions
  readonly #slots: PQueue
  readonly gate: SessionGate
  #closed = false

  constructor(options: UploadQueueOptions) {
    this.#options = options
    this.#slots = new PQueue({ concurrency: options.concurrency })
    this.gate = new SessionGate({
      clock: options.clock,
      logger: options.logger,
      random: options.random,
      onChange: (state) => {
        this.#slots.concurrency = state === 'open' ? options.concurrency : 1
        if (state === 'paused') this.#slots.pause()
        else if (!this.#closed) this.#slots.start()
      },
    })
  }

  /** The path's desired state has changed: it goes after `ms` without a further change. */
  settle(record: PathRecord, ms: number): void {
    record.notBefore = this.#options.clock.now() + ms
    record.failures = 0
    if (record.phase.is === 'calling' || this.#closed) return
    this.#leave(record)
    this.wake(record)
  }

  /** As `settle`, but never later than it was due. */
  hasten(record: PathRecord, ms: number): void {
    if (record.notBefore <= this.#options.clock.now() + ms && record.phase.is !== 'calling') return
    if (record.phase.is === 'settling' || record.phase.is === 'idle' || record.phase.is === 'calling') {
      this.settle(record, ms)
    }
  }

  /** Somebody waits for this path: no settling, no backing off but what the service asked for, first in the queue. */
  urge(record: PathRecord): void {
    record.urgent = true
    const { phase } = record
    if (phase.is === 'backingOff') {
      phase.cancel()
      // for who waits it begins anew
      record.failures = 0
      this.#backOff(record, phase.error, phase.notBefore - this.#options.clock.now(), phase.notBefore)
    }
    if (phase.is === 'settling') this.#leave(record)
    if (record.phase.is === 'ready' && record.phase.queued) this.#slots.setPriority(record.path, 1)
    this.wake(record)
    this.gate.probe()
  }

  /** Something that the path may have waited for has happened. */
  wake(record: PathRecord): void {
    if (this.#closed) return
    const { phase } = record
    if (phase.is === 'ready' ? phase.queued : phase.is !== 'idle') return
    // given up: another record may have taken the name since
    if (this.#options.records.get(record.path) !== record) return
    const call = nextCall(record)
    if (call.do === 'nothing') {
      record.phase = { is: 'idle' }
      this.#options.onRest(record)
      return
    }
    if (!record.urgent && record.notBefore > this.#options.clock.now()) {
      const cancel = this.#options.clock.after(record.notBefore - this.#options.clock.now(), () => {
        record.phase = { is: 'idle' }
        record.notBefore = 0
        this.wake(record)
      })
      record.phase = { is: 'settling', cancel }
      return
    }
    const blocked = this.#blocked(record, call)
    record.phase = { is: 'ready', queued: !blocked }
    if (blocked) return
    void this.#slots.add(() => this.#run(record), { priority: record.urgent ? 1 : 0, id: record.path })
  }

  /** Forgets about a path that has nothing left to do. */
  drop(record: PathRecord): void {
    this.#leave(record)
  }

  /** Takes a path out of parking. */
  unpark(record: PathRecord): void {
    if (record.phase.is === 'parked') record.phase = { is: 'idle' }
    this.wake(record)
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

  #blocked(record: PathRecord, call: Call): boolean {
    if (call.do === 'makeDirectory' && !this.#options.mayMakeDirectory(record)) return true
    return obstacle(record, call, this.#options.records) !== undefined
  }

  async #run(record: PathRecord): Promise<void> {
    if (this.#closed || record.phase.is !== 'ready') return
    const call = nextCall(record)
    if (call.do === 'nothing' || this.#blocked(record, call)) {
      record.phase = { is: 'ready', queued: false }
      this.wake(record)
      return
    }
    record.phase = { is: 'calling', since: this.#options.clock.wallMs(), what: call.do }
    const { version } = record
    const outcome = await this.#options.perform(record, call)
    // what was refused for good is not what the path holds now, or it has come to be otherwise
    const isOutdated = outcome.is === 'parked' && (record.version !== version || isDone(record))
    this.#ended(record, isOutdated ? { is: 'moved' } : outcome)
  }

  #ended(record: PathRecord, outcome: Outcome): void {
    const { clock, random } = this.#options
    record.phase = { is: 'idle' }
    if (outcome.is === 'refused') this.gate.refused(outcome.error)
    else if (outcome.is === 'moved' || outcome.is === 'parked') this.gate.answered()
    switch (outcome.is) {
      case 'moved':
        record.failures = 0
        record.failingSince = undefined
        // whoever still waits says so again: a newer generation is not urgent for an older barrier
        record.urgent = false
        this.wake(record)
        break
      case 'waiting':
        record.phase = { is: 'ready', queued: false }
        // only now, so that its end cannot come before somebody waits for it
        if (outcome.for !== undefined) this.wake(isDone(outcome.for) ? record : outcome.for)
        break
      case 'refused':
        this.wake(record)
        break
      case 'failed': {
        record.failures++
        record.failingSince ??= clock.now()
        const ms = backoffMs(record.failures, outcome.retryAfterMs, random())
        this.#backOff(record, outcome.error, ms, clock.now() + (outcome.retryAfterMs ?? 0))
        break
      }
      case 'parked':
        record.failingSince = undefined
        record.phase = {
          is: 'parked',
          error: new WriteBackError('parked', record.path, outcome.error.message, { cause: outcome.error }),
        }
        this.#options.onPark(record, outcome.error, outcome.code)
        break
    }
    // who waits has changed nothing: two that wait for one another's neighbourhood would wake each other for ever
    if (outcome.is !== 'waiting') this.wakeNeighbours(record)
    this.#options.onEnded()
  }

  #backOff(record: PathRecord, error: Error, ms: number, notBefore: number): void {
    if (ms <= 0) {
      record.phase = { is: 'idle' }
      return
    }
    const cancel = this.#options.clock.after(ms, () => {
      record.phase = { is: 'idle' }
      this.wake(record)
    })
    record.phase = { is: 'backingOff', failures: record.failures, error, notBefore, cancel }
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

  #leave(record: PathRecord): void {
    const { phase } = record
    if (phase.is === 'settling' || phase.is === 'backingOff') phase.cancel()
    if (phase.is === 'settling' || phase.is === 'backingOff' || phase.is === 'parked')
      record.phase = { is: 'idle' }
  }
}
