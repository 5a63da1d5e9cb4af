/**
 * What the write-back has to do, as the control socket and the status tell it. Layer: beside the composition root.
 */
import type { Leftover, Progress } from '../control/protocol.ts'
import type { JournalRow } from '../write-back/disk/journal-rows.ts'
import type { PathStatus, WriteBackStatus } from '../write-back/status.ts'

const states: Record<Exclude<PathStatus['state'], 'local'>, Leftover['state']> = {
  pending: 'waiting',
  backingOff: 'waiting',
  uploading: 'uploading',
  parked: 'parked',
  suspect: 'suspect',
}
const wanted: Record<PathStatus['change'], Leftover['wanted']> = {
  write: 'file',
  rename: 'file',
  directory: 'directory',
  remove: 'nothing',
}

export function leftoversOf({ paths }: WriteBackStatus): Leftover[] {
  return paths.flatMap(({ path, state, change, size, ageMs, error }) =>
    state === 'local'
      ? []
      : [{ path, state: states[state], wanted: wanted[change], bytes: size, ageMs, error }],
  )
}

/** The same of a session that is not open. */
export function leftoversIn(rows: readonly JournalRow[], wallMs: number): Leftover[] {
  return rows.map(({ path, desired, seal, since }) => ({
    ...{ path, state: 'waiting', wanted: desired === 'absent' ? 'nothing' : desired },
    ...{ bytes: seal?.size ?? 0, ageMs: Math.max(0, wallMs - since) },
  }))
}

export function progressOf(status: WriteBackStatus): Progress {
  const waiting = status.paths.filter(({ state }) => state !== 'local')
  const failing = waiting.find(({ state, error }) => state === 'backingOff' && error !== undefined)
  const verifying = waiting.length > 0 && waiting.every(({ state }) => state === 'suspect')
  return {
    paths: waiting.length,
    bytes: status.pendingBytes,
    waitingFor:
      status.paused?.reason ??
      failing?.error ??
      (verifying ? 'a second look at calls that ended unclearly, a minute at most' : undefined),
  }
}
