/**
 * What a person does about changes that do not go by themselves: try again, or give up. Layer: write-back.
 *
 * Invariant: giving up a change never loses bytes that another name still stands for: a rename is given up whole.
 */
import type { Barriers } from './queue/barriers.ts'
import type { Generations } from './disk/generations.ts'
import type { Ledger } from './state/ledger.ts'
import { fulfilled, isDone, type Desired, type PathRecord } from './record.ts'
import type { UploadQueue } from './queue/upload-queue.ts'

export interface InterventionsOptions {
  readonly ledger: Ledger
  readonly queue: UploadQueue
  readonly generations: Generations
  readonly barriers: Barriers
}

export class Interventions {
  readonly #ledger: Ledger
  readonly #queue: UploadQueue
  readonly #generations: Generations
  readonly #barriers: Barriers

  constructor({ ledger, queue, generations, barriers }: InterventionsOptions) {
    this.#ledger = ledger
    this.#queue = queue
    this.#generations = generations
    this.#barriers = barriers
  }

  /** Parked paths, and those that back off, try again now. Answers how many. */
  retry(): number {
    let count = 0
    for (const record of [...this.#ledger.records.values()]) {
      if (record.phase.is === 'parked') {
        this.#ledger.change(record, { parked: undefined })
        this.#queue.unpark(record)
        count++
      } else if (record.phase.is === 'backingOff') {
        this.#queue.settle(record, 0)
        count++
      }
    }
    this.#queue.gate.probe()
    return count
  }

  /** Gives up the local changes at and below a path, as `discard`. Answers how many. */
  discardWithin(path: string): number {
    const paths = [...this.#ledger.records.within(path)].map((record) => record.path)
    return paths.filter((below) => this.discard(below)).length
  }

  /** Gives up the local change of one path; false if there is none, or a call on it is under way. */
  discard(path: string): boolean {
    const given = new Map<PathRecord, Desired>()
    this.#collect(this.#ledger.records.get(path), given)
    if ([...given.keys()].some(({ phase }) => phase.is === 'calling')) return false
    this.#ledger.transaction(() => {
      for (const record of given.keys()) {
        const desired = fulfilled(record.remote)
        this.#ledger.change(record, { desired, parked: undefined, heirs: [], doubtSince: undefined })
      }
    })
    this.#barriers.giveUp(given)
    for (const [record, desired] of given) this.#letGo(record, desired)
    for (const record of given.keys()) this.#queue.wakeNeighbours(record)
    this.#barriers.look()
    return given.size > 0
  }

  /** With a name goes what was renamed to it, which is not to be lost under its old name too. */
  #collect(record: PathRecord | undefined, given: Map<PathRecord, Desired>): void {
    if (!record || isDone(record) || given.has(record)) return
    given.set(record, record.desired)
    for (const old of this.#ledger.records.waitingForHeir(record.path))
      if (old.desired.is === 'absent') this.#collect(old, given)
  }

  #letGo(record: PathRecord, desired: Desired): void {
    this.#queue.drop(record)
    if (desired.is === 'file' && desired.from === 'spool') {
      desired.copy.record = undefined
      desired.copy.current = false
      if (desired.copy.retained === 0) this.#generations.discard(desired.copy.generation)
    }
    this.#ledger.forget(record)
    const source = desired.is === 'file' && desired.from === 'remote' ? desired.path : undefined
    const held = source === undefined ? undefined : this.#ledger.records.get(source)
    if (held) this.#queue.wake(held)
  }
}
