/**
 * What the write-back knows of one path: the desired state, the last known remote state, and where the work
 * of making the second the first stands. Layer: write-back, below all its rooms.
 *
 * The phases of the work, one line for each way from one to another (`queue/phases.ts` holds the same table):
 *
 *     idle ─ changed, until it is quiet ─▶ settling        settling ─ quiet, or somebody waits ─▶ idle
 *     idle ─ there is something to do ─▶ ready             ready ─ nothing is left to do ─▶ idle
 *     ready ─ it has a slot, or waits for others ─▶ ready  ready ─ changed, until it is quiet ─▶ settling
 *     ready ─ sent ─▶ calling                              idle ─ a marker is put beside the queue ─▶ calling
 *     calling ─ something has moved ─▶ idle                calling ─ waits for others after all ─▶ ready
 *     calling ─ failed ─▶ backingOff                       calling ─ refused for good ─▶ parked
 *     backingOff ─ its time is up, or changed ─▶ idle      backingOff ─ somebody waits ─▶ backingOff
 *     parked ─ changed, or retried ─▶ idle
 *
 * A path that is done (`isDone`) is idle; it is forgotten when a newer listing has taken over (`handover.ts`),
 * and verified after 10 s and 60 s where a call has ended ambiguously (`doubtSince`).
 *
 * Invariant: the next call for a path follows from `desired` and `remote` alone (`next-call.ts`), so that
 * replaying it after a crash is idempotent.
 */
import type { RemoteEntry } from '../client/session-files.ts'
import type { WorkingCopy, WriteBackError } from './local-changes.ts'

export type Desired =
  | { readonly is: 'absent' }
  | { readonly is: 'directory' }
  | { readonly is: 'file'; readonly from: 'spool'; readonly copy: DesiredCopy }
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

/** What a closed generation holds. */
export interface Seal {
  readonly size: number
  readonly crc32: number
}

export interface Digest extends Seal {
  readonly sha256: string
}

/** A working copy as its record sees it; `disk/spooled-copy.ts` implements it. */
export interface DesiredCopy extends WorkingCopy {
  /** The number of the file in the spool that holds its bytes. */
  readonly generation: number
  /** The record whose desired state this is; undefined once unlinked, replaced or given up. */
  readonly record: PathRecord | undefined
  /** The newest generation that the service has confirmed under this name of the file. */
  readonly confirmedGeneration: number
  /** Whether it was never written to since it was staged. */
  readonly pristine: boolean
  /** Length and checksum of it as the journal has them. */
  readonly seal: Seal | undefined
  /** Open handles that may write. */
  readonly retained: number
  /** From here on it is what this record wants. */
  attach(record: PathRecord): void
  /** No record wants it any more: it goes on for those who hold it, and is never uploaded. */
  detach(): void
  /** As `detach`; something newer has its name, and whoever writes stages anew. */
  giveWay(): void
  /** It is not what the service has under its name. */
  differs(): void
  /** The service has this generation. */
  confirmed(generation: number): void
  /** The journal has this of its bytes; undefined: they may change. */
  sealed(seal: Seal | undefined): void
  /** From here on the generation's bytes stay as they are. */
  freeze(): void
  /** Size and checksums of the bytes as they are now, computed once for each state of them. */
  digest(): Promise<Digest>
}

/** An upload as it was announced to the journal before it was sent. */
export interface UploadAttempt {
  readonly generation: number
  readonly size: number
  readonly sha256: string
}

export type Phase =
  | { readonly is: 'idle' }
  | { readonly is: 'settling'; readonly cancel: () => void }
  /* may go as soon as nothing it depends on is in the way; `queued` while it waits for a slot */
  | { readonly is: 'ready'; readonly queued: boolean }
  | { readonly is: 'calling'; readonly since: number; readonly what: NextCall['do'] }
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
export type NextCall =
  | { readonly do: 'nothing' }
  | { readonly do: 'fetch' }
  | { readonly do: 'upload' }
  | { readonly do: 'delete' }
  | { readonly do: 'makeDirectory' }

/** When the next call of a path is due. Written in `queue/phases.ts` alone. */
export interface Work {
  readonly phase: Phase
  /** `Clock.now()` until which further changes are waited for. */
  readonly notBefore: number
  /** `Clock.order()` of when it was last changed, closed or waited for: a look that was begun before says less. */
  readonly dueOrder: number
  /** Failures in a row of the call that is due. */
  readonly failures: number
  /** `Clock.now()` of the first failure since a call on this path went well; a change does not end it. */
  readonly failingSince: number | undefined
  /** A barrier waits for it: no settling, first in the queue, empty directories are materialised. */
  readonly urgent: boolean
}

/** Changed by `Records.apply` alone, and its work by the queue. */
export interface PathRecord {
  readonly path: string
  readonly desired: Desired
  readonly remote: Remote
  /** For an absent name: the names that took its content and must be on the service before it is deleted. */
  readonly heirs: readonly string[]
  /** Wall clock, Unix milliseconds, of the oldest change that is not confirmed. */
  readonly since: number
  /** `Clock.now()` of the last ambiguous end of a call on this path, while it may still have a late effect. */
  readonly doubtSince: number | undefined
  readonly attempts: readonly UploadAttempt[]
  /** Grows with each change of `desired`, and with each new generation. */
  readonly version: number
  /** The highest version that the service has confirmed. */
  readonly doneVersion: number
  /**
   * What the service had before the calls that it has confirmed, until a listing has shown what it confirmed:
   * one that shows any of these may be behind.
   */
  readonly earlier: readonly Remote[]
  /** `Clock.order()` of the newest confirmation: listings begun before it say nothing of this path. */
  readonly confirmedOrder: number
  /** Stays local for good (`--local-names`, `--ignore`). */
  readonly scratch: boolean
  /** Came from the journal of an earlier run and is not confirmed since: conflicts are decided the other way round. */
  readonly recovered: boolean
  /** Whether the journal has a row for it. */
  readonly journalled: boolean
  readonly work: Work
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

/** Whether a listing that shows this of a name shows a known state. */
export function isShown(state: Remote, entry: RemoteEntry | undefined): boolean {
  const known = certain(state)
  if (known.is === 'absent' || !entry) return known.is === 'absent' && !entry
  if (known.is === 'directory' || entry.isDirectory) return known.is === 'directory' && entry.isDirectory
  const isSameTime = known.modifiedSeconds === undefined || known.modifiedSeconds === entry.modifiedSeconds
  return known.size === entry.size && isSameTime
}

export function remoteOf(entry: RemoteEntry | undefined): Remote {
  if (!entry) return { is: 'absent' }
  if (entry.isDirectory) return { is: 'directory' }
  /* 0: the service does not say, or our own upload was not listed yet */
  const modifiedSeconds = entry.modifiedSeconds === 0 ? undefined : entry.modifiedSeconds
  return { is: 'file', size: entry.size, modifiedSeconds, generation: undefined }
}
