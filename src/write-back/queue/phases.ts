/**
 * The one way in which the phase of a path changes. Layer: write-back.
 *
 * Invariant: only what this table names happens; the diagram in `record.ts` says the same to people.
 */
import type { PathRecord, Phase, Work } from '../record.ts'

/** Where each phase may lead. */
export const waysOut: Readonly<Record<Phase['is'], readonly Phase['is'][]>> = {
  idle: ['settling', 'ready', 'calling'],
  settling: ['idle'],
  ready: ['idle', 'ready', 'settling', 'calling'],
  calling: ['idle', 'ready', 'backingOff', 'parked'],
  backingOff: ['idle', 'backingOff'],
  parked: ['idle'],
}

/** `onImpossible` hears of a way that the table does not have; what it does not throw for happens all the same. */
export function enter(record: PathRecord, phase: Phase, onImpossible: (error: Error) => void): void {
  const from = record.work.phase.is
  if (!waysOut[from].includes(phase.is)) {
    onImpossible(new Error(`${record.path}: no way leads from ${from} to ${phase.is}`))
  }
  changeWork(record, { phase })
}

export function changeWork(record: PathRecord, change: Partial<Work>): void {
  Object.assign(record.work, change)
}
