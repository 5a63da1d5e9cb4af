/**
 * What the filesystem is given and told, once. Layer: filesystem.
 *
 * Invariant: nothing below reads an option from anywhere else.
 */
import type { Contents } from '../cache/contents.ts'
import type { Listings } from '../cache/listings.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { WalkObserver } from '../prefetch/prefetch.ts'
import type { LocalChanges } from '../write-back/local-changes.ts'
import type { KernelCache } from './front-end.ts'
import type { KernelRecordSink, Remembered } from './remembered.ts'
import type { SpecialFile } from './special-file.ts'

/** What the composition gives it. */
export interface FilesystemParts {
  readonly listings: Listings
  readonly contents: Contents
  readonly changes: LocalChanges
  /** Told of what programs look at, to fetch the next ahead; without one nothing is. */
  readonly walks?: WalkObserver | undefined
  readonly clock: Clock
  readonly logger: Logger
  /** Told of what changed unasked; without one the timeouts alone keep the kernel right. */
  readonly kernelCache?: KernelCache | undefined
  readonly specialFiles?: readonly SpecialFile[] | undefined
  /** Where it is written down what the kernel knows; without one nobody goes on when this process has ended. */
  readonly recordSink?: KernelRecordSink | undefined
  /** What a process before this one has written down there. */
  readonly remembered?: Remembered | undefined
}

export interface FilesystemOptions {
  /** For how long what is ours may be remembered by the kernel, in milliseconds; the listings have their own. */
  readonly ttlMs: number
  readonly readOnly: boolean
  /** The directory of the session that is the root; default '', its home. */
  readonly rootPath?: string | undefined
  /** The inode number that programs see of the root, by which all others are given out; default 1. */
  readonly rootInode?: number | undefined
  /** Owner of what has none of its own. */
  readonly uid: number
  readonly gid: number
  /** Bits taken from the default modes 0666 and 0777. */
  readonly umask: number
  /** Strict mode: flush and naming calls return when the service has the change, or with its error. */
  readonly sync: boolean
  readonly renameLimit: {
    /** Files of a directory that may have to travel for its rename. */
    readonly files: number
    /** Their bytes. */
    readonly bytes: number
    /** Milliseconds that listing what is below may take inside the call. */
    readonly listingMs: number
  }
  /** When the session came to be, Unix milliseconds: the time of files that were there before this mount. */
  readonly sessionCreatedAtMs: number
  /** Lists the special files, too. */
  readonly showSpecial: boolean
}
