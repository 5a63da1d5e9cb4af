/**
 * From a session to this machine: a file, or a directory with all below it. Layer: transfer.
 *
 * Invariant: listings and downloads overlap, each directory is listed once and each file downloaded once, but for one
 * that changes meanwhile. What is received is as long as the service says it is: a file that grows or shrinks on the
 * way is received again, and is an error if it does so again.
 */
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import PQueue from 'p-queue'
import { ServiceError } from '../client/errors.ts'
import type { RemoteEntry, SessionFiles } from '../client/session-files.ts'
import { joinPath, nameOf, parentOf } from '../remote-path.ts'
import { foldName, receiveFile, whyNotLocal } from './local-file.ts'
import { TransferError } from './transfer-error.ts'
import { endsAll, exclusion, Tally, type TransferOptions, type TransferResult } from './transfer.ts'

const downloadsAtOnce = 128
const listingsAtOnce = 32
/* of one file */
const attempts = 4
const changesBorne = 2

/**
 * Copies a directory of a session (`''`: its home) to `localPath`, which is made if it is missing; its parent exists.
 * What is there and not in the session stays. Times and modes do not travel.
 */
export function getTree(
  files: SessionFiles,
  remotePath: string,
  localPath: string,
  options: TransferOptions = {},
): Promise<TransferResult> {
  return new Reception(files, remotePath, options).run((reception) =>
    reception.directory(remotePath, localPath),
  )
}

/** Copies one file of a session, `size` bytes as listed, to `localPath`, whose directory exists. */
export function getFile(
  files: SessionFiles,
  remotePath: string,
  localPath: string,
  size: number,
  options: TransferOptions = {},
): Promise<TransferResult> {
  return new Reception(files, parentOf(remotePath), options).run((reception) =>
    reception.file(remotePath, localPath, size),
  )
}

class Reception {
  readonly #files: SessionFiles
  readonly #root: string
  readonly #options: TransferOptions
  readonly #tally: Tally
  readonly #isExcluded: (path: string, isDirectory: boolean) => boolean
  readonly #downloads: PQueue
  readonly #listings = new PQueue({ concurrency: listingsAtOnce })
  /** Ends everything with the first failure that all others would repeat. */
  readonly #ending = new AbortController()
  readonly #signal: AbortSignal

  constructor(files: SessionFiles, root: string, options: TransferOptions) {
    this.#files = files
    this.#root = root
    this.#options = options
    this.#tally = new Tally(options)
    this.#isExcluded = exclusion(options.exclude)
    this.#downloads = new PQueue({ concurrency: options.concurrency ?? downloadsAtOnce })
    const { signal } = options
    this.#signal = signal ? AbortSignal.any([signal, this.#ending.signal]) : this.#ending.signal
  }

  async run(work: (reception: Reception) => Promise<void>): Promise<TransferResult> {
    let ended: { readonly error: unknown } | undefined
    try {
      await work(this)
    } catch (error) {
      ended = { error }
    }
    this.#options.signal?.throwIfAborted()
    if (this.#ending.signal.aborted) throw this.#ending.signal.reason as Error
    if (ended !== undefined) throw ended.error
    return this.#tally.result()
  }

  async directory(remotePath: string, localPath: string): Promise<void> {
    let entries: readonly RemoteEntry[]
    try {
      entries = await this.#list(remotePath)
      if (this.#options.dryRun !== true) await this.#makeDirectory(localPath)
      this.#tally.directories += 1
    } catch (error) {
      if (remotePath === this.#root) throw error
      this.#fail(remotePath, error)
      return
    }
    const taken = new Set<string>()
    await Promise.all(
      entries.map(async ({ name, isDirectory, size }) => {
        const path = joinPath(remotePath, name)
        const fromRoot = this.#root === '' ? path : path.slice(this.#root.length + 1)
        if (this.#isExcluded(fromRoot, isDirectory)) return
        const why = taken.has(foldName(name))
          ? 'this system takes it for the same name as another one in its directory: rename one of them'
          : whyNotLocal(name)
        taken.add(foldName(name))
        if (why !== undefined) {
          this.#fail(path, new TransferError('bad_name', [path], `${path}: ${why}`))
          return
        }
        const at = join(localPath, name)
        await (isDirectory ? this.directory(path, at) : this.file(path, at, size))
      }),
    )
  }

  async file(remotePath: string, localPath: string, size: number): Promise<void> {
    this.#tally.found(size)
    try {
      if (this.#options.dryRun === true) this.#tally.bytes += size
      else await this.#inTurn(this.#downloads, () => this.#receive(remotePath, localPath, size))
      this.#tally.done({ remotePath, localPath, size })
    } catch (error) {
      this.#fail(remotePath, error)
    }
  }

  /** One that is cut on the way is asked for again: what the client repeats by itself ends with the first byte. */
  async #receive(remotePath: string, localPath: string, listed: number): Promise<void> {
    const seen = { size: listed, changes: 0 }
    for (let attempt = 1; ; attempt++) {
      try {
        if (await this.#attempt(remotePath, localPath, seen)) return
      } catch (error) {
        const isCut = error instanceof ServiceError && error.retryable
        if (!isCut || attempt >= attempts || this.#signal.aborted) throw error
      }
    }
  }

  /** False: it was written since it was listed, and comes whole with another try. */
  async #attempt(path: string, localPath: string, seen: { size: number; changes: number }): Promise<boolean> {
    const { length, body } = await this.#files.download(path, {
      signal: this.#signal,
      expectedBytes: seen.size,
    })
    if ((length ?? seen.size) !== seen.size) {
      seen.size = await this.#sizeOf(path)
      seen.changes += 1
      if (length !== seen.size) {
        await leave(body)
        if (seen.changes < changesBorne) return false
        throw new TransferError(
          'changing',
          [path],
          `${path}: it changes while it is read (${seen.size} bytes are listed, ${length ?? 'an unknown number'} come): try again when it is written`,
        )
      }
    }
    const moved = (count: number): void => this.#tally.moved(count)
    await receiveFile(localPath, exactly(path, body, seen.size), moved)
    return true
  }

  async #sizeOf(path: string): Promise<number> {
    const entry = (await this.#list(parentOf(path))).find(({ name }) => name === nameOf(path))
    if (entry !== undefined && !entry.isDirectory) return entry.size
    throw new ServiceError(
      'not_found',
      `${path}: it was removed while it was read: leave it out, or try again`,
    )
  }

  /** What is under way is waited for when it is ended, too: it has something to clear away. */
  #inTurn<Result>(queue: PQueue, work: () => Promise<Result>): Promise<Result> {
    return queue.add(() => {
      this.#signal.throwIfAborted()
      return work()
    })
  }

  async #list(directory: string): Promise<readonly RemoteEntry[]> {
    const pages = await this.#inTurn(this.#listings, async () => {
      const found: (readonly RemoteEntry[])[] = []
      for await (const page of this.#files.list(directory, { signal: this.#signal })) found.push(page)
      return found
    })
    return pages.flat()
  }

  /** One that is there already, perhaps through a symbolic link, is used. */
  async #makeDirectory(path: string): Promise<void> {
    try {
      await mkdir(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      if ((await stat(path)).isDirectory()) return
      throw new TransferError(
        'not_a_file',
        [path],
        `${path}: it must be a directory to get one as it: move it away`,
      )
    }
  }

  #fail(path: string, error: unknown): void {
    if (this.#signal.aborted) return
    if (endsAll(error)) this.#ending.abort(error)
    else this.#tally.failed(path, error)
  }
}

/** Fails, instead of ending, when fewer or more bytes come than `size`. */
async function* exactly(
  path: string,
  body: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let received = 0
  for await (const piece of body) {
    received += piece.length
    if (received > size) break
    yield piece
  }
  if (received !== size)
    throw new ServiceError('truncated', `${path}: ${received} of ${size} bytes came: try again`)
}

/** Ends a transfer that nobody reads. */
async function leave(body: AsyncIterable<Uint8Array>): Promise<void> {
  await body[Symbol.asyncIterator]().return?.()
}
