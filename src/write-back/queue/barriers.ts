/**
 * Waiting until the service has confirmed what is there now: fsync, sync, unmount. Layer: write-back.
 *
 * Invariant: a barrier ends well only when each of its goals was confirmed in or after the state it had when
 * the barrier began; it fails when one is parked, when the session refuses a probe made since, when nothing
 * moves for the time limit, or when its caller gives up. Failing consumes nothing: the next barrier fails too.
 */
import type { Clock } from '../../clock.ts'
import { isMarker } from '../../client/directory-marker.ts'
import { WriteBackError } from '../local-changes.ts'
import { isDone, type Desired, type DesiredCopy, type PathRecord } from '../record.ts'
import type { Records } from '../state/records.ts'
import type { UploadQueue } from './upload-queue.ts'

export type Goal =
  | { readonly of: 'copy'; readonly copy: DesiredCopy; readonly generation: number }
  | { readonly of: 'record'; readonly record: PathRecord; readonly version: number }

export class Barriers {
  readonly #records: Records
  readonly #queue: UploadQueue
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #waiting = new Set<() => void>()
  #lastProgress = 0
  /** By record or copy: the path it had. */
  readonly #givenUp = new WeakMap<PathRecord | DesiredCopy, string>()
  #announced = false

  /** `timeoutMs`: without a byte or a call completed. */
  constructor(records: Records, queue: UploadQueue, clock: Clock, timeoutMs: number) {
    this.#records = records
    this.#queue = queue
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  /** A byte or a call has gone through; what fails again and again is none, however many bytes it sends. */
  progress(record: PathRecord): void {
    const now = this.#clock.now()
    if (now - (record.work.failingSince ?? now) < this.#timeoutMs) this.#lastProgress = now
  }

  /** Somebody has given these up: who waits for one of them is told, for the service will never have it. */
  giveUp(records: ReadonlyMap<PathRecord, Desired>): void {
    for (const [record, desired] of records) {
      this.#givenUp.set(record, record.path)
      if (desired.is === 'file' && desired.from === 'spool') this.#givenUp.set(desired.copy, record.path)
    }
  }

  /** A record has come to rest, or something that a barrier may fail for has happened. */
  look(): void {
    if (this.#announced || this.#waiting.size === 0) return
    this.#announced = true
    queueMicrotask(() => {
      this.#announced = false
      for (const look of [...this.#waiting]) look()
    })
  }

  goalOf(record: PathRecord): Goal | undefined {
    const { desired } = record
    if (record.scratch || isDone(record)) return undefined
    if (desired.is === 'file' && desired.from === 'spool' && desired.copy.dirty) {
      return { of: 'copy', copy: desired.copy, generation: desired.copy.generation }
    }
    return { of: 'record', record, version: record.version }
  }

  /** Waits for all that is at and below a path now. */
  async over(path: string, signal: AbortSignal): Promise<void> {
    await this.wait(this.#goalsWithin(path), signal)
    // an empty directory may have come to be otherwise before the marker that was to make it is gone
    const markers = this.#goalsWithin(path).filter((goal) => isMarker(recordOf(goal)?.path ?? ''))
    await this.wait(markers, signal)
  }

  #goalsWithin(path: string): Goal[] {
    const goals: Goal[] = []
    for (const record of this.#records.within(path)) {
      const goal = this.goalOf(record)
      if (goal) goals.push(goal)
    }
    return goals
  }

  wait(goals: readonly Goal[], signal: AbortSignal): Promise<void> {
    let open = goals.filter((goal) => !this.#isReached(goal))
    if (open.length === 0) return Promise.resolve()
    const refusalsBefore = this.#queue.gate.refusals
    // whoever waits wants to know how things are now, not at the next try of the background
    this.#queue.gate.probe()
    const begun = this.#clock.now()
    return new Promise((resolve, reject) => {
      let cancelTimer = (): void => undefined
      const end = (error?: WriteBackError): void => {
        this.#waiting.delete(look)
        cancelTimer()
        signal.removeEventListener('abort', onAbort)
        if (error) reject(error)
        else resolve()
      }
      const onAbort = (): void => {
        end(
          new WriteBackError('interrupted', nameOfGoal(open[0]), 'interrupted while waiting for the service'),
        )
      }
      const look = (): void => {
        open = open.filter((goal) => !this.#isReached(goal))
        if (open.length === 0) end()
        else {
          const failure = this.#failure(open, refusalsBefore)
          if (failure) end(failure)
          else {
            for (const goal of open) this.#urge(goal, false)
            this.#askAgain()
          }
        }
      }
      const watch = (): void => {
        const left = Math.max(begun, this.#lastProgress) + this.#timeoutMs - this.#clock.now()
        const failing = open.map(recordOf).find((record) => record && this.#isFailing(record, begun))
        if (left > 0 && !failing) cancelTimer = this.#clock.after(left, watch)
        else end(this.#timedOut(failing, open))
      }
      if (signal.aborted) {
        onAbort()
        return
      }
      this.#waiting.add(look)
      signal.addEventListener('abort', onAbort, { once: true })
      watch()
      for (const goal of open) this.#urge(goal, true)
      look()
    })
  }

  #isReached(goal: Goal): boolean {
    if (this.#givenUp.has(goal.of === 'copy' ? goal.copy : goal.record)) return false
    if (goal.of === 'copy') {
      return goal.copy.record === undefined || goal.copy.confirmedGeneration >= goal.generation
    }
    const { record, version } = goal
    return record.doneVersion >= version || this.#records.get(record.path) !== record || isDone(record)
  }

  /** `anew`: also what backs off for an earlier barrier is tried at once. */
  #urge(goal: Goal, anew: boolean): void {
    const record = recordOf(goal)
    if (!record) return
    for (const due of [record, this.#records.missingHeir(record)]) {
      if (due && (!due.work.urgent || (anew && due.work.phase.is === 'backingOff'))) this.#queue.urge(due)
    }
  }

  /** One refusal may be a slip, such as a token that is renewed this moment. */
  #askAgain(): void {
    const { gate } = this.#queue
    if (gate.failures === 1 && gate.error?.code !== 'session_not_ready') gate.probe()
  }

  #failure(open: readonly Goal[], refusalsBefore: number): WriteBackError | undefined {
    const { gate } = this.#queue
    for (const goal of open) {
      const givenUp = this.#givenUp.get(goal.of === 'copy' ? goal.copy : goal.record)
      if (givenUp !== undefined)
        return new WriteBackError('parked', givenUp, `${givenUp}: given up before the service had it`)
      const record = recordOf(goal)
      const stuck = record && this.#parked(record)
      if (stuck) return stuck
    }
    const isSure = gate.refusals > refusalsBefore && gate.failures > 1
    if (gate.error && isSure && gate.error.code !== 'session_not_ready') {
      return new WriteBackError('session', nameOfGoal(open[0]), gate.error.message, { cause: gate.error })
    }
    return undefined
  }

  /** Whether it does nothing but fail, for the time limit, whatever goes well beside it. */
  #isFailing({ work: { phase, failingSince } }: PathRecord, begun: number): boolean {
    if (phase.is !== 'backingOff' || failingSince === undefined) return false
    return this.#clock.now() - Math.max(begun, failingSince) >= this.#timeoutMs
  }

  /** Why the record itself, or what it waits for, was given up. */
  #parked(record: PathRecord): WriteBackError | undefined {
    const { phase } = record.work
    if (phase.is === 'parked') return phase.error
    const heir = this.#records.missingHeir(record)
    return heir?.work.phase.is === 'parked' ? heir.work.phase.error : undefined
  }

  #timedOut(failing: PathRecord | undefined, open: readonly Goal[]): WriteBackError {
    const { gate } = this.#queue
    const record =
      failing ?? open.map(recordOf).find((candidate) => candidate?.work.phase.is === 'backingOff')
    const cause = record?.work.phase.is === 'backingOff' ? record.work.phase.error : gate.error
    const path = record?.path ?? nameOfGoal(open[0])
    const why = cause ? `: ${cause.message}` : ''
    const text = `${path}: not on the service yet, no progress for ${this.#timeoutMs / 1000} s${why}; it is kept here and goes on in the background`
    return new WriteBackError(gate.error ? 'session' : 'timedOut', path, text, { cause })
  }
}

function recordOf(goal: Goal): PathRecord | undefined {
  return goal.of === 'copy' ? goal.copy.record : goal.record
}

function nameOfGoal(goal: Goal | undefined): string {
  return (goal && recordOf(goal)?.path) ?? ''
}
