/**
 * The files of one session, as the service offers them: the interface in the middle of the program.
 * Layer: client. The calls of the client, the failpoints around them, the double in memory and its faults
 * implement it.
 *
 * Paths are relative to the session's home, parts joined by `/`, without a leading or trailing one; the
 * empty string is the home itself. Every failure is a `ServiceError`.
 */

/** A name in a directory. Names are checked: never empty, `.`, `..`, with `/` or NUL, or over 255 bytes. */
export interface RemoteEntry {
  readonly name: string
  readonly isDirectory: boolean
  /** Bytes; meaningless for directories. */
  readonly size: number
  /** Unix seconds; 0 where the service does not say (it usually does not). */
  readonly modifiedSeconds: number
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  /** false: one attempt, the caller does its own backing off. Default: the implementation's own policy. */
  readonly retry?: false | undefined
  /** Higher goes first among waiting calls; default 0. Prefetch uses -1, barriers 1. */
  readonly priority?: number | undefined
  /** Of a download, as the listing says. Default: unknown. */
  readonly expectedBytes?: number | undefined
  /** Told of every piece of an upload that was sent, in bytes: what keeps a barrier from calling it stalled. */
  readonly onProgress?: ((bytes: number) => void) | undefined
}

export interface Download {
  /** `Content-Length`, binding: a body that ends before it fails with `truncated`. */
  readonly length: number | undefined
  /** The answer's `Date`, Unix milliseconds. */
  readonly serverDateMs: number | undefined
  /** The bytes, once. Leaving the loop early ends the transfer. */
  readonly body: AsyncIterable<Uint8Array>
}

/** Bytes, or a local file of which exactly `size` bytes from the start are sent, streamed. */
export type UploadSource = Uint8Array | { readonly file: string; readonly size: number }

export interface SessionFiles {
  /** The direct children of a directory, a page at a time in the service's order. `not_found` if there is none. */
  list(directory: string, options?: CallOptions): AsyncIterable<readonly RemoteEntry[]>
  download(path: string, options?: CallOptions): Promise<Download>
  /** Creates or replaces a file, and its parents. */
  upload(path: string, source: UploadSource, options?: CallOptions): Promise<void>
  /** Deletes a file or an empty directory: `not_found`, or `conflict` for one that is not empty. */
  remove(path: string, options?: CallOptions): Promise<void>
  /** Makes a directory and its parents; `unsupported` where the service has no such call. */
  makeDirectory(path: string, options?: CallOptions): Promise<void>
}
