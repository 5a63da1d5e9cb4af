/**
 * What a person does about changes that do not go by themselves: try again, or give up. Layer: write-back.
 *
 * Invariant: giving up a change never loses bytes that another name still stands for: a rename is given up whole.
 */
import type { Parts } from './parts.ts'
import { fulfilled, isDone, type Desired, type PathRecord } from './record.ts'

/** Parked paths, and those that back off, try again now. Answers how many. */
export function retry({ ledger, queue }: Parts): number {
  const tried = [...ledger.records.values()].filter((record) => queue.retry(record))
  queue.gate.probe()
  return tried.length
}

/** Gives up the local changes at and below a path. Answers how many; none that a call is under way on. */
export function discardWithin(path: string, parts: Parts): number {
  const paths = [...parts.ledger.records.within(path)].map((record) => record.path)
  return paths.filter((below) => discard(below, parts)).length
}

/** False if there is no change, or a call on it is under way. */
function discard(path: string, parts: Parts): boolean {
  const { ledger, queue, barriers } = parts
  const given = new Map<PathRecord, Desired>()
  collect(ledger.records.get(path), given, parts)
  if ([...given.keys()].some(({ work }) => work.phase.is === 'calling')) return false
  ledger.transaction(() => {
    for (const record of given.keys())
      ledger.change(record, { desired: fulfilled(record.remote), heirs: [], doubtSince: undefined })
  })
  barriers.giveUp(given)
  for (const [record, desired] of given) giveUp(record, desired, parts)
  for (const record of given.keys()) queue.wakeNeighbours(record)
  barriers.look()
  return given.size > 0
}

/** With a name goes what was renamed to it, which is not to be lost under its old name too. */
function collect(record: PathRecord | undefined, given: Map<PathRecord, Desired>, parts: Parts): void {
  if (!record || isDone(record) || given.has(record)) return
  given.set(record, record.desired)
  for (const old of parts.ledger.records.waitingForHeir(record.path))
    if (old.desired.is === 'absent') collect(old, given, parts)
}

function giveUp(record: PathRecord, desired: Desired, { ledger, queue }: Parts): void {
  queue.forget(record)
  if (desired.is === 'file' && desired.from === 'spool') desired.copy.giveWay()
  ledger.forget(record)
  const source = desired.is === 'file' && desired.from === 'remote' ? desired.path : undefined
  const wanted = source === undefined ? undefined : ledger.records.get(source)
  if (wanted) queue.wake(wanted)
}
