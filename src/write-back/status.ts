/**
 * What the write-back has to do, for people. Layer: write-back.
 */
import type { Clock } from '../clock.ts'
import type { SetAside } from './disk/journal-rows.ts'
import type { Parts } from './parts.ts'
import { isDone, type PathRecord } from './record.ts'

export interface PathStatus {
  readonly path: string
  readonly state: 'pending' | 'uploading' | 'backingOff' | 'parked' | 'suspect' | 'local'
  readonly change: 'write' | 'remove' | 'directory' | 'rename'
  /** Bytes, of what is written. */
  readonly size: number
  /** Milliseconds since the oldest unconfirmed change. */
  readonly ageMs: number
  readonly error: string | undefined
}

export interface WriteBackStatus {
  readonly paths: readonly PathStatus[]
  /** Bytes that are not on the service. */
  readonly pendingBytes: number
  /** Why the session takes no calls, and since when, Unix milliseconds. */
  readonly paused: { readonly reason: string; readonly since: number } | undefined
  /** What is not uploaded and not shown, and stays in the spool until somebody takes it out. */
  readonly setAside: readonly SetAside[]
}

export function statusOf({ ledger, queue: { gate }, clock, journal }: Parts): WriteBackStatus {
  const paths: PathStatus[] = []
  let pendingBytes = 0
  for (const record of ledger.records.values()) {
    if (record.desired.is === 'absent' ? isDone(record) && record.doubtSince === undefined : isAtRest(record))
      continue
    const status = pathStatus(record, clock)
    paths.push(status)
    if (status.state !== 'suspect' && status.state !== 'local') pendingBytes += status.size
  }
  const paused = gate.error && { reason: gate.error.message, since: gate.since }
  return { paths, pendingBytes, paused, setAside: journal.listSetAside() }
}

function isAtRest(record: PathRecord): boolean {
  return !record.scratch && isDone(record) && record.doubtSince === undefined
}

function pathStatus(record: PathRecord, clock: Clock): PathStatus {
  const { desired } = record
  const size =
    desired.is !== 'file'
      ? 0
      : desired.from === 'spool'
        ? desired.copy.size
        : desired.from === 'remote'
          ? desired.listed.size
          : desired.size
  const { phase } = record.work
  const error = phase.is === 'backingOff' || phase.is === 'parked' ? phase.error.message : undefined
  return {
    path: record.path,
    state: stateOf(record),
    change: changeOf(record),
    size,
    ageMs: Math.max(0, clock.wallMs() - record.since),
    error,
  }
}

function stateOf(record: PathRecord): PathStatus['state'] {
  if (record.scratch) return 'local'
  if (isDone(record)) return 'suspect'
  switch (record.work.phase.is) {
    case 'calling':
      return 'uploading'
    case 'backingOff':
      return 'backingOff'
    case 'parked':
      return 'parked'
    case 'idle':
    case 'settling':
    case 'ready':
      return 'pending'
  }
}

function changeOf({ desired }: PathRecord): PathStatus['change'] {
  if (desired.is === 'absent') return 'remove'
  if (desired.is === 'directory') return 'directory'
  return desired.from === 'remote' ? 'rename' : 'write'
}
