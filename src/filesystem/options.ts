/**
 * What the filesystem is told once. Layer: filesystem.
 *
 * Invariant: nothing below reads an option from anywhere else.
 */

export interface RenameLimit {
  /** Files of a directory that may have to travel for its rename; default 1000. */
  readonly files: number
  /** Their bytes; default 256 MiB. */
  readonly bytes: number
  /** Milliseconds that listing what is below may take inside the call; default 2000. */
  readonly listingMs: number
}

export interface FilesystemOptions {
  /** For how long what is ours may be remembered by the kernel, in milliseconds; the listings have their own. */
  readonly ttlMs: number
  readonly readOnly: boolean
  /** Owner of what has none of its own. */
  readonly uid: number
  readonly gid: number
  /** Bits taken from the default modes 0644 and 0755. */
  readonly umask: number
  /** Strict mode: flush and naming calls return when the service has the change, or with its error. */
  readonly sync: boolean
  readonly renameLimit: RenameLimit
  /** When the session came to be, Unix milliseconds: the time of files that were there before this mount. */
  readonly sessionCreatedAtMs: number
  /** Lists the special files, too. */
  readonly showSpecial: boolean
}

export const defaultFilesystemOptions: FilesystemOptions = {
  ttlMs: 2000,
  readOnly: false,
  uid: 0,
  gid: 0,
  umask: 0o022,
  sync: false,
  renameLimit: { files: 1000, bytes: 256 * 1024 * 1024, listingMs: 2000 },
  sessionCreatedAtMs: 0,
  showSpecial: false,
}
