/**
 * What the layers above ask of the cached contents of files. Layer: cache; `content-cache.ts` implements it.
 *
 * Invariant: one download per content however many readers; a content is served only while the rule of
 * proof (`content-proof.ts`) or its age allows it.
 */
import type { RemoteEntry } from '../client/session-files.ts'
import type { Seen } from './listings.ts'

/** The local disk under the cache failed; `diskFull` also when only its reserve is left. */
export class CacheDiskError extends Error {
  override readonly name = 'CacheDiskError'
  readonly reason: 'diskFull' | 'localDisk'

  constructor(reason: 'diskFull' | 'localDisk', message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.reason = reason
  }
}

/**
 * One content of one remote file, arriving or whole. Failures are `ServiceError`, or `CacheDiskError`.
 * `timeout`: no byte came for the stall limit; `truncated`: the service does not give all of it, or gave
 * other bytes when the download had to begin again; `aborted`: the caller's signal.
 */
export interface Content {
  /** The path it was downloaded from. */
  readonly path: string
  /** Bytes: as listed until the download says otherwise. */
  readonly size: number
  /** True once all of it is on the local disk. */
  readonly complete: boolean
  /** At most `length` bytes, fewer only at the end; waits for the part that is needed and no more. */
  read(offset: number, length: number, signal?: AbortSignal): Uint8Array | Promise<Uint8Array>
  /** Waits for all of it; the path of the local file, which stays readable until `release`. */
  whole(signal?: AbortSignal): Promise<string>
  /** Gives it back; a download that nobody holds any more ends. */
  release(): void
}

export interface Contents {
  /** `observer` hears of each path whose new download has brought other bytes than the content before it; the answer ends that. */
  subscribe(observer: (path: string) => void): () => void
  /**
   * The content of a file as it is now by `listed`, an entry of a listing of its directory: the cached one
   * when that is proven or young enough, else a new one, whose download starts with the first read.
   * `unchanged` of the answer says that it is the same content as the last one handed out for this path, so
   * that what the kernel has of it is still true; false also where that is not known any more.
   */
  open(
    path: string,
    listed: RemoteEntry,
    seen: Seen,
  ): { readonly content: Content; readonly unchanged: boolean }
  /** Bytes of a file that is listed so: as many, unless a whole download has shown that it has more. No request. */
  sizeOf(path: string, listed: RemoteEntry): number
  /** Whether the cached content of a path would still be served for `listed` in `inMs` milliseconds, default now; no request. */
  isCurrent(path: string, listed: RemoteEntry, seen: Seen, inMs?: number): boolean
  /**
   * Downloads what will not be served in `inMs` milliseconds any more, default now, ahead of a reader and after
   * everything else; `open` then joins it. Rejects as `Content.read` does.
   */
  fetch(path: string, listed: RemoteEntry, seen: Seen, signal: AbortSignal, inMs?: number): Promise<void>
  /** The bytes of a path as they were last downloaded, where that is whole and no longer than `maxBytes`; no request. */
  peek(path: string, maxBytes: number): Uint8Array | undefined
  /** Our own confirmed upload: these, or those of a file (linked or copied, not taken), are the content of `path`. */
  adopt(path: string, bytes: Uint8Array | string, size: number): void
  /** Nothing cached of this path is true any more. */
  drop(path: string): void
  /**
   * For how long from now, in milliseconds, open handles should stay with the content they have although
   * the listing shows another: a file that is followed is then downloaded a tenth of the time at most.
   * Infinity while it arrives, or one that grows faster than it is downloaded would never be there.
   */
  restMs(path: string): number
}
