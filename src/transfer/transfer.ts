/**
 * What copying a tree takes and tells, in either direction. Layer: transfer.
 *
 * Invariant: a tree that is copied in part says what is missing: every path that was to be copied is counted or is
 * among the failures.
 */
import ignore from 'ignore'
import { ServiceError } from '../client/errors.ts'

export interface TransferOptions {
  /** Patterns as in .gitignore, from the root of the tree that is copied: what they name stays behind. Default: none. */
  readonly exclude?: readonly string[] | undefined
  /** Ends it: no half file is left. */
  readonly signal?: AbortSignal | undefined
  /** Files at once. Default: 128 downloads, 64 uploads; the client's own lanes find what the service bears below it. */
  readonly concurrency?: number | undefined
  /** Told when a number changes. */
  readonly onProgress?: ((progress: TransferProgress) => void) | undefined
  /** Nothing is made, sent or removed; the result says what would be. Default false. */
  readonly dryRun?: boolean | undefined
  /** Told of each file that was copied, or would be. */
  readonly onFile?: ((file: TransferredFile) => void) | undefined
}

export interface TransferProgress {
  readonly files: number
  /** Of files that are done, and of those under way. */
  readonly bytes: number
  /** As far as is known: a tree of the service is still being listed while its first files come. */
  readonly totalFiles: number
  readonly totalBytes: number
}

export interface TransferredFile {
  /** From the session's home. */
  readonly remotePath: string
  readonly localPath: string
  /** Bytes. */
  readonly size: number
}

export interface TransferFailure {
  /** Where the copy was to come from. */
  readonly path: string
  readonly error: Error
}

/** Resolved with also when files are missing; rejected only when there was no point in going on. */
export interface TransferResult {
  readonly files: number
  readonly bytes: number
  readonly directories: number
  /** In the order of their paths. */
  readonly failures: readonly TransferFailure[]
}

/** Counts what is done, and tells it. */
export class Tally {
  files = 0
  bytes = 0
  directories = 0
  totalFiles = 0
  totalBytes = 0
  readonly #failures: TransferFailure[] = []
  readonly #options: TransferOptions

  constructor(options: TransferOptions) {
    this.#options = options
  }

  found(size: number): void {
    this.totalFiles += 1
    this.totalBytes += size
    this.#tell()
  }

  moved(bytes: number): void {
    this.bytes += bytes
    this.#tell()
  }

  done(file: TransferredFile): void {
    this.files += 1
    this.#options.onFile?.(file)
    this.#tell()
  }

  failed(path: string, error: unknown): void {
    this.#failures.push({ path, error: error instanceof Error ? error : new Error(String(error)) })
  }

  result(): TransferResult {
    const { files, bytes, directories } = this
    const failures = this.#failures.toSorted((a, b) => (a.path < b.path ? -1 : 1))
    return { files, bytes, directories, failures }
  }

  #tell(): void {
    const { files, bytes, totalFiles, totalBytes } = this
    this.#options.onProgress?.({ files, bytes, totalFiles, totalBytes })
  }
}

/** Whether what is at a path, from the root of the tree, stays behind. */
export function exclusion(patterns: readonly string[] = []): (path: string, isDirectory: boolean) => boolean {
  if (patterns.length === 0) return () => false
  const matcher = ignore({ ignorecase: false }).add(patterns)
  return (path, isDirectory) => matcher.ignores(isDirectory ? `${path}/` : path)
}

/* errors of this machine after which every other file fails alike */
const hopeless = new Set(['ENOSPC', 'EDQUOT', 'EROFS'])

/** Whether every other file would fail alike: there is no point in going on. */
export function endsAll(error: unknown): boolean {
  if (error instanceof ServiceError) return error.concerns === 'session' || error.concerns === 'caller'
  return hopeless.has((error as NodeJS.ErrnoException | undefined)?.code ?? '')
}
