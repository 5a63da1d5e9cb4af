/**
 * What the filesystem asks of the write-back: the local changes that lie over the remote listings, and the
 * working copies that programs write to. Layer: write-back; `write-back.ts` implements it.
 *
 * Invariant: when a method here returns, the change is in the journal; it is shown at once by `get` and
 * `children`, and stays so until a listing begun after the service's confirmation has taken over.
 *
 * Failures are `WriteBackError`.
 */
import type { RemoteEntry } from '../client/session-files.ts'

export type WriteBackReason =
  | 'tooLarge' /* over --max-file-size */
  | 'diskFull' /* the spool's disk */
  | 'localDisk' /* any other failure of the spool or the journal */
  | 'parked' /* the service refused this path for good */
  | 'session' /* the session does not accept calls: see `cause` */
  | 'timedOut' /* no progress within --timeout */
  | 'conflict' /* the directory is not empty on the service, or like it */
  | 'interrupted'

export class WriteBackError extends Error {
  override readonly name = 'WriteBackError'
  readonly reason: WriteBackReason
  readonly path: string

  constructor(reason: WriteBackReason, path: string, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.reason = reason
    this.path = path
  }
}

/** Where the bytes of a locally known file are. */
export type LocalContent =
  | { readonly from: 'spool'; readonly copy: WorkingCopy }
  /* renamed, not fetched yet: still on the service under its old name, which stays until it is fetched */
  | { readonly from: 'remote'; readonly path: string; readonly listed: RemoteEntry }

/** What the local side says of a path; it lies over the listing. */
export type LocalEntry = (
  | { readonly kind: 'absent' }
  /* `remote`: whether the service may have children below it that must be listed */
  | { readonly kind: 'directory'; readonly remote: boolean }
  | { readonly kind: 'file'; readonly size: number; readonly content: LocalContent }
) & {
  /**
   * The service has it, and only a listing begun since is missing before it gives way: whoever answers by
   * it must see to it that there is one within the TTL, or foreign changes would never show.
   */
  readonly confirmed?: boolean | undefined
}

/** What the service cannot keep of a path, kept here for this machine. Times in nanoseconds since the epoch. */
export interface LocalAttributes {
  readonly mode?: number | undefined
  readonly uid?: number | undefined
  readonly gid?: number | undefined
  readonly modifiedNs?: bigint | undefined
  readonly accessedNs?: bigint | undefined
  readonly changedNs?: bigint | undefined
}

/**
 * The one current working copy of a file, in the spool. It follows its file through renames; after the
 * file was unlinked it goes on for those who hold it and is never uploaded.
 */
export interface WorkingCopy {
  readonly size: number
  /** Grows with every change of the bytes; for cache validity. */
  readonly version: number
  /** Whether it holds bytes that the service has not confirmed. */
  readonly dirty: boolean
  /** False once newer content on the service took its place while it was clean: stage again before writing. */
  readonly current: boolean
  /** Where in the spool its bytes are now. */
  readonly generation: number
  read(offset: number, length: number): Uint8Array
  /** `offset` undefined: at the end. Answers where it was written. */
  write(offset: number | undefined, data: Uint8Array): number
  truncate(size: number): void
  punchHole(offset: number, length: number): void
  /** Counts an open handle that may write; uploads wait longer while there is one. */
  retain(): void
  /** A descriptor was flushed: what is dirty may go soon. */
  flush(): void
  /** A handle that was retained is gone. */
  release(): void
  /** Throws the background error of this file that this caller has not been told of. `told` is the caller's own memory. */
  report(told: { error: unknown }): void
  /** Waits until the service has what is in it now. Rejects as `LocalChanges.barrier` does. */
  barrier(signal: AbortSignal): Promise<void>
}

export interface LocalChanges {
  get(path: string): LocalEntry | undefined
  /** The names directly in a directory that the local side says something of. */
  children(directory: string): Iterable<readonly [name: string, entry: LocalEntry]>
  /** Whether a file of ours is on its way to somewhere below a directory, which therefore comes to be. */
  hasUploadsBelow(directory: string): boolean
  attributes(path: string): LocalAttributes | undefined
  setAttributes(path: string, changes: LocalAttributes): void
  /**
   * As `setAttributes`, for what follows from something that has been done already: never fails. While it
   * cannot be written down it is kept for as long as the mount lasts.
   */
  noteAttributes(path: string, changes: LocalAttributes): void

  /**
   * What `work` changes here is written down as one, all of it or nothing; `work` may run again, and waits for
   * nothing. With it goes that it was done for `request`, which a process after this one may be asked again.
   */
  together<T>(work: () => T, request?: number): T
  /** Whether a process before this one has done what it was asked by this request. */
  wasCarriedOut(request: number): boolean

  /** A new empty file in place of whatever is there by local and remote knowledge; `over` is the remote entry it replaces. */
  create(path: string, over: RemoteEntry | undefined): WorkingCopy
  /**
   * A working copy of a file that is only on the service: the bytes of `base.file`, not dirty until it is
   * written. Rejects with `interrupted` when something else came to the name before they were copied.
   */
  stage(path: string, base: { readonly file: string; readonly listed: RemoteEntry }): Promise<WorkingCopy>
  /** The bytes are gone from the service's point of view once this is sent. `over` as for `create`. */
  removeFile(path: string, over: RemoteEntry | undefined): void
  makeDirectory(path: string, over: RemoteEntry | undefined): void
  /** `remote`: the service knows this directory. */
  removeDirectory(path: string, remote: boolean): void
  /** `source` is the remote entry where the local side says nothing of `from`; `over` likewise of `to`. */
  renameFile(from: string, to: string, source: RemoteEntry | undefined, over: RemoteEntry | undefined): void
  /**
   * A directory with all below it; `remote` lists every remote entry below `from`, by path relative to it,
   * that the local changes say nothing of. `remoteDirectory`: the service knows `from` itself.
   */
  renameDirectory(
    from: string,
    to: string,
    remote: ReadonlyMap<string, RemoteEntry>,
    remoteDirectory: boolean,
    over?: RemoteEntry,
  ): void
  /** An unnamed working copy (O_TMPFILE). */
  createUnnamed(): WorkingCopy
  /** The same with the bytes of a local file. */
  importUnnamed(file: string): Promise<WorkingCopy>
  /** The unnamed working copy whose bytes a process before this one had there; undefined: they are gone. */
  adoptUnnamed(generation: number): WorkingCopy | undefined

  /** Until the returned function is called, the remote content of `path` is neither overwritten nor deleted. */
  hold(path: string): () => void

  /** Waits until the service has confirmed everything at and below a path as it is now; '' is everything. */
  barrier(path: string, signal: AbortSignal): Promise<void>
  /** Throws `tooLarge` where a file of so many bytes cannot be on the service: the one check of --max-file-size. */
  checkSize(path: string, size: number): void
}
