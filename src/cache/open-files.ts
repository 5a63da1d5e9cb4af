/**
 * The open files of the cache and the spool: so many at once, of which the one not used for longest makes way.
 * Layer: cache.
 *
 * Invariant: a descriptor is good until the next call of `use`, or until the work it was lent for has ended; a file
 * whose name somebody has taken away stays open, since it could not be opened again.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { join, sep } from 'node:path'
import PQueue from 'p-queue'

/* Node's threads: more at once would only wait for them */
const mostCopies = 16

interface OpenFile {
  readonly descriptor: number
  /** How many things under way have been lent it. */
  lent: number
  /** To be closed when they have ended. */
  isDone: boolean
}

export class OpenFiles {
  readonly #most: number
  /** By path; the one used last is at the end. */
  readonly #open = new Map<string, OpenFile>()
  readonly #copies: PQueue

  /** `most` of them, unless more are lent at once; as many again for a moment each, while files are copied. */
  constructor(most: number) {
    this.#most = most
    this.#copies = new PQueue({ concurrency: Math.max(1, Math.min(mostCopies, Math.floor(most / 2))) })
  }

  get size(): number {
    return this.#open.size
  }

  /** The descriptor of a file, opened with `flags` where it is not open; the error of open(2) otherwise. */
  use(path: string, flags: number | string): number {
    return this.#use(path, flags).descriptor
  }

  /** The same for as long as `work` takes. */
  async lend<T>(path: string, flags: number | string, work: (descriptor: number) => Promise<T>): Promise<T> {
    const file = this.#use(path, flags)
    file.lent += 1
    try {
      return await work(file.descriptor)
    } finally {
      file.lent -= 1
      if (file.isDone && file.lent === 0) this.#close(path, file)
    }
  }

  /** A copy that shares its blocks where the disk can, made beside the event loop. */
  async copy(file: string, to: string): Promise<void> {
    await this.#copies.add(() => copyFile(file, to, constants.COPYFILE_FICLONE))
  }

  /** Nobody reads or writes it for now; a later `use` opens it again. */
  close(path: string): void {
    const file = this.#open.get(path)
    if (file === undefined) return
    file.isDone = true
    if (file.lent === 0) this.#close(path, file)
  }

  /** The same for all files in a directory, and in those below it. */
  closeBelow(directory: string): void {
    const start = join(directory, sep)
    for (const path of this.#open.keys()) if (path.startsWith(start)) this.close(path)
  }

  #use(path: string, flags: number | string): OpenFile {
    let file = this.#open.get(path)
    if (file === undefined) {
      this.#makeWay(this.#most - 1)
      file = { descriptor: this.#openNow(path, flags), lent: 0, isDone: false }
    } else this.#open.delete(path)
    this.#open.set(path, file)
    file.isDone = false
    return file
  }

  #openNow(path: string, flags: number | string): number {
    try {
      return openSync(path, flags, 0o600)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'EMFILE' || this.#open.size === 0) throw error
      this.#makeWay(0)
      return openSync(path, flags, 0o600)
    }
  }

  /** Closes until no more than `most` are open. */
  #makeWay(most: number): void {
    if (this.#open.size <= most) return
    for (const [path, file] of this.#open) {
      if (file.lent > 0 || fstatSync(file.descriptor).nlink === 0) continue
      this.#close(path, file)
      if (this.#open.size <= most) return
    }
  }

  #close(path: string, file: OpenFile): void {
    if (this.#open.get(path) === file) this.#open.delete(path)
    closeSync(file.descriptor)
  }
}
