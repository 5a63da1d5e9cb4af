/**
 * The generations of files on the local disk: one file each, named by a number that only grows. Layer: write-back.
 *
 * Invariant: a generation's file is unlinked only after the journal's last row about it is durably gone.
 * The descriptors are shared and bounded; every access is synchronous, so that none is closed under a user.
 */
import { LRUCache } from 'lru-cache'
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { copyFile, open } from 'node:fs/promises'
import { createHash, hash } from 'node:crypto'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { Digest } from '../record.ts'
import { takenAway } from './private-file.ts'
import { Reserve, reserveName } from './reserve.ts'

const maxOpenFiles = 256

/** So much is read at once, by the descriptor at hand: other ways would cost more than it takes. Bytes. */
export const smallBytes = 64 * 1024

const zeroes = Buffer.alloc(1 << 20)

/** Beside the spool: what its generations are, by number. */
export const namesDirectory = 'names'

/** By generation: the path whose bytes only this machine has, as far as the spool says so itself. */
export function namesIn(journalDirectory: string): Map<number, string> {
  const directory = join(journalDirectory, namesDirectory)
  const names = existsSync(directory) ? readdirSync(directory) : []
  return new Map(names.map((name) => [Number(name), readlinkSync(join(directory, name))]))
}

export class Spool {
  readonly #directory: string
  readonly #reserve: Reserve
  readonly #open = new LRUCache<number, number>({ max: maxOpenFiles, dispose: (fd) => closeSync(fd) })
  readonly #names: Map<number, string>
  #newest: number

  /** Makes the directory if it is not there. Numbers go on from what it holds and from `newest`. */
  constructor(directory: string, newest: number) {
    this.#directory = directory
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    mkdirSync(join(directory, '..', namesDirectory), { recursive: true, mode: 0o700 })
    this.#reserve = new Reserve(join(directory, '..', reserveName))
    this.#names = namesIn(join(directory, '..'))
    this.#newest = this.generations().reduce((most, generation) => Math.max(most, generation), newest)
  }

  /** What is on the disk. */
  generations(): number[] {
    return readdirSync(this.#directory).map(Number).filter(Number.isSafeInteger)
  }

  has(generation: number): boolean {
    return existsSync(this.file(generation))
  }

  file(generation: number): string {
    return join(this.#directory, String(generation))
  }

  /**
   * A generation holds bytes of this path that only this machine has. Written beside it as a link that leads
   * nowhere, so that it is known what it is even when the journal is lost.
   */
  name(generation: number, path: string): void {
    if (this.#names.get(generation) === path) return
    const link = this.#nameOf(generation)
    try {
      rmSync(link, { force: true })
      symlinkSync(path, link)
      this.#names.set(generation, path)
    } catch {
      // the journal says it as well
    }
  }

  /** The service has it, or nobody wants it any more. */
  unname(generation: number): void {
    if (this.#names.delete(generation)) rmSync(this.#nameOf(generation), { force: true })
  }

  /** What is said of a generation; undefined: nothing that only this machine has. */
  nameOf(generation: number): string | undefined {
    return this.#names.get(generation)
  }

  #nameOf(generation: number): string {
    return join(this.#directory, '..', namesDirectory, String(generation))
  }

  createEmpty(): number {
    const generation = ++this.#newest
    this.#open.set(generation, this.#openFile(generation, 'wx+'))
    return generation
  }

  /** A copy that shares its blocks where the disk can. */
  clone(generation: number): number {
    this.#mayGrow()
    const copy = ++this.#newest
    copyFileSync(this.file(generation), this.file(copy), constants.COPYFILE_FICLONE)
    return copy
  }

  /** As `clone`, of any local file, without holding up the event loop. */
  async import(file: string): Promise<number> {
    this.#mayGrow()
    const generation = ++this.#newest
    await copyFile(file, this.file(generation), constants.COPYFILE_FICLONE)
    return generation
  }

  read(generation: number, offset: number, length: number): Uint8Array {
    const buffer = Buffer.allocUnsafe(length)
    let done = 0
    const fd = this.#descriptor(generation)
    while (done < length) {
      const read = readSync(fd, buffer, done, length - done, offset + done)
      if (read === 0) break
      done += read
    }
    return done === length ? buffer : buffer.subarray(0, done)
  }

  /** Answers how much was taken: less than all of it only when the disk is full. */
  write(generation: number, offset: number, data: Uint8Array): number {
    this.#mayGrow()
    const fd = this.#descriptor(generation)
    // it would be written, and be nowhere
    if (fstatSync(fd).nlink === 0) throw takenAway('spool')
    return writeSync(fd, data, 0, data.length, offset)
  }

  truncate(generation: number, size: number): void {
    ftruncateSync(this.#descriptor(generation), size)
  }

  zero(generation: number, offset: number, length: number): void {
    const fd = this.#descriptor(generation)
    for (let done = 0; done < length;) {
      done += writeSync(fd, zeroes, 0, Math.min(zeroes.length, length - done), offset + done)
    }
  }

  size(generation: number): number {
    return fstatSync(this.#descriptor(generation)).size
  }

  /** Size and checksums of a generation that nobody writes to; a megabyte at a time. */
  async digest(generation: number): Promise<Digest> {
    const known = this.size(generation)
    if (known <= smallBytes) {
      const bytes = this.read(generation, 0, known)
      return { size: known, crc32: crc32(bytes), sha256: hash('sha256', bytes) }
    }
    const file = await open(this.file(generation), 'r')
    try {
      const sha256 = createHash('sha256')
      const buffer = Buffer.allocUnsafe(1 << 20)
      let crc = 0
      let size = 0
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, size)
        if (bytesRead === 0) break
        const piece = buffer.subarray(0, bytesRead)
        crc = crc32(piece, crc)
        sha256.update(piece)
        size += bytesRead
      }
      return { size, crc32: crc, sha256: sha256.digest('hex') }
    } finally {
      await file.close()
    }
  }

  /** Makes a generation survive a power cut. */
  async makeDurable(generation: number): Promise<void> {
    const file = await open(this.file(generation), 'r')
    try {
      await file.datasync()
    } finally {
      await file.close()
    }
  }

  /** Only for what the journal durably knows nothing of; see `Journal.whenDurable`. */
  unlink(generation: number): void {
    this.unname(generation)
    this.#open.delete(generation)
    try {
      unlinkSync(this.file(generation))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }

  /** Gives the journal what was kept for it of a full disk. */
  makeRoom(): void {
    this.#reserve.release()
  }

  close(): void {
    this.#reserve.release()
    this.#open.clear()
  }

  /** Where no more may be open, those that nobody uses at the moment make way. */
  #openFile(generation: number, flags: 'wx+' | 'r+'): number {
    try {
      return openSync(this.file(generation), flags, 0o600)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') throw takenAway('spool')
      if (code !== 'EMFILE' || this.#open.size === 0) throw error
      this.#open.clear()
      return openSync(this.file(generation), flags, 0o600)
    }
  }

  #mayGrow(): void {
    if (this.#reserve.isReserved) return
    throw Object.assign(new Error('what is left of the disk is for the journal'), { code: 'ENOSPC' })
  }

  #descriptor(generation: number): number {
    let fd = this.#open.get(generation)
    if (fd === undefined) {
      fd = this.#openFile(generation, 'r+')
      this.#open.set(generation, fd)
    }
    return fd
  }
}
