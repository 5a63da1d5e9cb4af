/**
 * The directory that cached contents lie in. Layer: cache.
 *
 * Invariant: it is this mount's alone; what a run before has left in it is removed at the start, and the
 * reserve of the disk under it is never used. Whoever tidies up may remove it at any time: it is made again.
 */
import { constants, copyFileSync, existsSync, linkSync, mkdirSync, rmSync } from 'node:fs'
import { statfs, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '../clock.ts'
import { CacheDiskError } from './contents.ts'
import type { OpenFiles } from './open-files.ts'

/** One look at the disk serves so many bytes and so long; others write to it too. */
const lookBytes = 64 * 1024 * 1024
const lookMs = 5_000

/** What is known of the room on a disk: one for all who write to it. */
export interface DiskLook {
  /** So many bytes may be written before the next look. */
  creditBytes: number
  /** `Clock.now()` of the last one. */
  at: number
}

export class DiskStore {
  readonly openFiles: OpenFiles
  readonly #directory: string
  readonly #clock: Clock
  readonly #reserveBytes: number
  readonly #look: DiskLook
  /** Begins the names of its files: another may have had the directory before, whose are not all gone yet. */
  readonly #prefix: string
  #made = 0
  readonly #doomed: string[] = []
  #removing: Promise<void> | undefined

  /** `reserveBytes` of the disk stay free. */
  constructor(
    directory: string,
    openFiles: OpenFiles,
    clock: Clock,
    reserveBytes: number,
    look: DiskLook = { creditBytes: 0, at: -Infinity },
  ) {
    this.openFiles = openFiles
    this.#directory = directory
    this.#clock = clock
    this.#reserveBytes = reserveBytes
    this.#look = look
    this.#prefix = join(directory, `${clock.order()}.`)
    rmSync(directory, { recursive: true, force: true })
    makeDirectory(directory)
  }

  /** The path of a file that is not there yet. */
  newPath(): string {
    this.#made += 1
    return this.#prefix + String(this.#made)
  }

  /** A file with the bytes of `file`: the same inode where the disk allows it, else a copy. */
  take(file: string): string {
    const path = this.newPath()
    inDirectory(path, () => {
      try {
        linkSync(file, path)
      } catch {
        copyFileSync(file, path, constants.COPYFILE_FICLONE)
      }
    })
    return path
  }

  /**
   * Removes a file that may not be there, soon: a disk can take a millisecond for it, which nobody is to wait
   * for. What cannot be removed goes at the next start.
   */
  remove(path: string): void {
    this.#doomed.push(path)
    this.#removing ??= this.#removeAll()
  }

  /** Resolves when what was to be removed is; undefined: nothing is under way. */
  removed(): Promise<void> | undefined {
    return this.#removing
  }

  /** None of its files stays open; one that is used later is opened again. */
  closeFiles(): void {
    this.openFiles.closeBelow(this.#directory)
  }

  async #removeAll(): Promise<void> {
    for (let path = this.#doomed.pop(); path !== undefined; path = this.#doomed.pop())
      await unlink(path).catch(() => undefined)
    this.#look.at = -Infinity
    this.#removing = undefined
  }

  /** Whether `bytes` more leave the reserve alone; they count as used then. */
  async hasRoom(bytes: number): Promise<boolean> {
    const look = this.#look
    if (look.creditBytes < bytes || this.#clock.now() - look.at > lookMs) {
      await this.#removing
      if (!existsSync(this.#directory)) makeDirectory(this.#directory)
      const disk = await statfs(this.#directory)
      look.at = this.#clock.now()
      look.creditBytes = Math.min(disk.bavail * disk.bsize - this.#reserveBytes, Math.max(lookBytes, bytes))
    }
    if (look.creditBytes < bytes) return false
    look.creditBytes -= bytes
    return true
  }
}

function makeDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
}

/** Does something with a file in the directory, which is made again if somebody has removed it. */
export function inDirectory<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const directory = dirname(path)
    if (existsSync(directory)) throw error
    makeDirectory(directory)
    return work()
  }
}

/** A failure of the local disk as the one error of it. */
export function diskError(error: unknown): CacheDiskError {
  if (error instanceof CacheDiskError) return error
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const isFull = code === 'ENOSPC' || code === 'EDQUOT'
  return new CacheDiskError(isFull ? 'diskFull' : 'localDisk', 'the cache directory cannot be used', {
    cause: error,
  })
}
