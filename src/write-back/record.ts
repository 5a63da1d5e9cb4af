/**
 * What the write-back knows of one path: the desired state, the last known remote state, and where the work
 * of making the second the first stands. Layer: write-back.
 *
 *     change ─▶ settling ──quiet──▶ ready ──slot──▶ calling ──2xx──▶ done ──newer listing──▶ (forgotten)
 *                  ▲                  ▲  ▲             │  │            │
 *                  │                  │  └─ backingOff ◀┘  │            └─ in doubt: verified after 10 s and 60 s,
 *                  └── changed again ─┴──── parked ◀──────┘               else settling again
 *
 * Invariant: the next call for a path follows from `desired` and `remote` alone (`next-call.ts`), so that
 * replaying it after a crash is idempotent.
 */
import type { RemoteEntry } from '../client/session-files.ts'
import type { WriteBackError } from './local-changes.ts'
import type { SpooledCopy } from './disk/spooled-copy.ts'

export type Desired =
  | { readonly is: 'absent' }
  | { readonly is: 'directory' }
  | { readonly is: 'file'; readonly from: 'spool'; readonly copy: SpooledCopy }
  /* renamed and not fetched yet: the bytes are on the service under `path` */
  | { readonly is: 'file'; readonly from: 'remote'; readonly path: string; readonly listed: RemoteEntry }
  /* confirmed, the spool has let go of it */
  | { readonly is: 'file'; readonly from: 'service'; readonly size: number }

export type Remote =
  | { readonly is: 'absent' }
  | { readonly is: 'directory' }
  | {
      readonly is: 'file'
      readonly size: number
      /** Unix seconds as listed; undefined until a listing has shown our own upload. */
      readonly modifiedSeconds: number | undefined
      /** The generation of ours that it is, when it is one. */
      readonly generation: number | undefined
    }
  /* an upload of this path (`as` a file) or below it (`as` a directory) is under way or ended ambiguously;
     `before` is what was known until then */
  | { readonly is: 'uncertain'; readonly before: Remote; readonly as: 'file' | 'directory' }

export interface Parked {
  readonly code: string
  readonly message: string
}

/** An upload as it was announced to the journal before it was sent. */
export interface Attempt {
  readonly generation: number
  readonly size: number
  readonly sha256: string
}

export type Phase =
  | { readonly is: 'idle' }
  | { readonly is: 'settling'; readonly cancel: () => void }
  /* may go as soon as nothing it depends on is in the way; `queued` while it waits for a slot */
  | { readonly is: 'ready'; readonly queued: boolean }
  | { readonly is: 'calling'; readonly since: number; readonly what: Call['do'] }
  | {
      readonly is: 'backingOff'
      readonly failures: number
      readonly error: Error
      /** `Clock.now()` before which the service does not want to see it again, whoever waits. */
      readonly notBefore: number
      readonly cancel: () => void
    }
  | { readonly is: 'parked'; readonly error: WriteBackError }

/** What the service is asked next for a path. */
export type Call =
  | { readonly do: 'nothing' }
  | { readonly do: 'fetch' }
  | { readonly do: 'upload' }
  | { readonly do: 'delete' }
  | { readonly do: 'makeDirectory' }

export interface PathRecord {
  readonly path: string
  desired: Desired
  remote: Remote
  /** For an absent name: the names that took its content and must be on the service before it is deleted. */
  heirs: readonly string[]
  /** Wall clock, Unix milliseconds, of the oldest change that is not confirmed. */
  since: number
  /** `Clock.now()` of the last ambiguous end of a call on this path, while it may still have a late effect. */
  doubtSince: number | undefined
  parked: Parked | undefined
  attempts: readonly Attempt[]
  /** Grows with each change of `desired`, and with each new generation. */
  version: number
  /** The highest version that the service has confirmed. */
  doneVersion: number
  /** `Clock.order()` of the newest confirmation: listings begun before it say nothing of this path. */
  confirmedOrder: number
  phase: Phase
  /** `Clock.now()` until which further changes are waited for. */
  notBefore: number
  /** Failures in a row of the call that is due. */
  failures: number
  /** `Clock.now()` of the first failure since a call on this path went well; a change does not end it. */
  failingSince: number | undefined
  /** A barrier waits for it: no settling, first in the queue, empty directories are materialised. */
  urgent: boolean
  /** Stays local for good (`--local-names`). */
  readonly scratch: boolean
  /** Came from the journal of an earlier run and is not confirmed since: conflicts are decided the other way round. */
  recovered: boolean
  /** Whether the journal has a row for it. */
  journalled: boolean
}

export function isDone(record: PathRecord): boolean {
  const { desired, remote } = record
  switch (desired.is) {
    case 'absent':
      return remote.is === 'absent'
    case 'directory':
      return remote.is === 'directory'
    case 'file':
      if (desired.from === 'service') return true
      return desired.from === 'spool' && remote.is === 'file' && remote.generation === desired.copy.generation
  }
}

/** The remote state as last known for certain. */
export function certain(remote: Remote): Exclude<Remote, { is: 'uncertain' }> {
  return remote.is === 'uncertain' ? certain(remote.before) : remote
}

/** Whether there may be a file on the service, which nothing can be put below. */
export function mayBeFile({ remote }: PathRecord): boolean {
  return certain(remote).is === 'file' || (remote.is === 'uncertain' && remote.as === 'file')
}

/** Whether there may be a directory on the service, which no file can take the place of. */
export function mayBeDirectory({ remote }: PathRecord): boolean {
  return certain(remote).is === 'directory' || (remote.is === 'uncertain' && remote.as === 'directory')
}

/** The desired state in which nothing is to be done. */
export function fulfilled(remote: Remote): Desired {
  const known = certain(remote)
  return known.is === 'file' ? { is: 'file', from: 'service', size: known.size } : { is: known.is }
}

export function remoteOf(entry: RemoteEntry | undefined): Remote {
  if (!entry) return { is: 'absent' }
  if (entry.isDirectory) return { is: 'directory' }
  /* 0: the service does not say, or our own upload was not listed yet */
  const modifiedSeconds = entry.modifiedSeconds === 0 ? undefined : entry.modifiedSeconds
  return { is: 'file', size: entry.size, modifiedSeconds, generation: undefined }
}
