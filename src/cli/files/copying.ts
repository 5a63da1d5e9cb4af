/**
 * What `get` and `put` show while they copy, and say at the end. Layer: cli.
 *
 * Invariant: every path that was not copied is a line on stderr, and then the exit code is 1.
 */
import type { TransferOptions, TransferProgress, TransferResult } from '../../transfer/transfer.ts'
import { showBytes, showCount } from '../amounts.ts'
import { printable, writeJson } from '../output.ts'
import { showWork } from '../progress.ts'
import { complain, describeFailure } from '../report-error.ts'

export interface CopyFlags {
  readonly exclude: readonly string[]
  readonly dryRun: boolean
  readonly json: boolean
  readonly quiet: boolean
}

const nothing: TransferResult = { files: 0, bytes: 0, directories: 0, failures: [] }

/** Several copies with one display and one result. */
export class Copying implements Disposable {
  readonly #flags: CopyFlags
  readonly #display: { readonly show: (work: TransferProgress) => void; readonly end: () => void } | undefined
  readonly #progress = new Map<object, TransferProgress>()
  readonly #failures: { readonly path: string; readonly message: string }[] = []
  #result: TransferResult = nothing

  /** `verb`: `getting`, `putting`. */
  constructor(verb: string, flags: CopyFlags) {
    this.#flags = flags
    this.#display = flags.quiet || flags.dryRun ? undefined : showWork(process.stderr, verb)
  }

  /** For one of the copies. `from` and `to` name its ends, as they are shown by `--dry-run`. */
  options(
    signal: AbortSignal,
    shown: (file: { readonly remotePath: string; readonly localPath: string }) => string,
  ): TransferOptions {
    const copy = {}
    return {
      exclude: this.#flags.exclude,
      dryRun: this.#flags.dryRun,
      signal,
      onProgress: (progress) => {
        this.#progress.set(copy, progress)
        this.#display?.show(this.#sum())
      },
      onFile: (file) => {
        if (this.#flags.dryRun && !this.#flags.json)
          process.stdout.write(`would copy ${printable(shown(file))} (${showBytes(file.size)})\n`)
      },
    }
  }

  add({ files, bytes, directories, failures }: TransferResult): void {
    const sum = this.#result
    this.#result = {
      files: sum.files + files,
      bytes: sum.bytes + bytes,
      directories: sum.directories + directories,
      failures: [],
    }
    for (const { path, error } of failures) this.failed(path, error)
  }

  /** The message says the path, or gets it. */
  failed(path: string, error: unknown): void {
    const message = describeFailure(error)
    this.#failures.push({ path, message: message.includes(path) ? message : `${path}: ${message}` })
  }

  /** Tells everything and returns the exit code. */
  finish(): number {
    this[Symbol.dispose]()
    const { files, bytes, directories } = this.#result
    for (const { message } of this.#failures) complain(printable(message, process.stderr))
    if (this.#flags.json) {
      const failures = this.#failures.map(({ path, message }) => ({ path, error: message }))
      writeJson({ files, bytes, directories, dryRun: this.#flags.dryRun, failures })
    } else if (this.#failures.length > 0) {
      complain(
        `${showCount(this.#failures.length, 'path')} not copied, ${showCount(files, 'file')} were: see above`,
      )
    } else if (process.stderr.isTTY && !this.#flags.quiet && !this.#flags.dryRun) {
      process.stderr.write(`${showCount(files, 'file')}, ${showBytes(bytes)}\n`)
    }
    return this.#failures.length > 0 ? 1 : 0
  }

  [Symbol.dispose](): void {
    this.#display?.end()
  }

  #sum(): TransferProgress {
    const sum = { files: 0, bytes: 0, totalFiles: 0, totalBytes: 0 }
    for (const { files, bytes, totalFiles, totalBytes } of this.#progress.values()) {
      sum.files += files
      sum.bytes += bytes
      sum.totalFiles += totalFiles
      sum.totalBytes += totalBytes
    }
    return sum
  }
}
