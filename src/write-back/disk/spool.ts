/**
 * The generations of files on the local disk, each named by a number that only grows: a file each, the small ones
 * together in one (`small-files.ts`). Layer: write-back.
 *
 * Invariant: a generation's file is unlinked only after the journal's last row about it is durably gone.
 * Each of them is opened when it is used, and may be closed for another one afterwards.
 */
import {
  constants,
  copyFileSync,
  existsSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  read,
  readdirSync,
  readlinkSync,
  readSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { createHash, hash } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { crc32 } from 'node:zlib'
import type { OpenFiles } from '../../cache/open-files.ts'
import type { Digest } from '../record.ts'
import { type Failpoint, noFailpoint } from './failpoints.ts'
import { takenAway } from './private-file.ts'
import { Reserve, reserveName } from './reserve.ts'
import { SmallFiles, slotBytes, smallFilesIn } from './small-files.ts'

const readLater = promisify(read)
const datasync = promisify(fdatasync)

/**
 * So much is read at once, by the descriptor at hand: a file that is read in turns of the thread pool is asked for, opened
 * and closed in as many, each of which waits for all that is done meanwhile. Bytes.
 */
export const smallBytes = 256 * 1024

const zeroes = Buffer.alloc(1 << 20)

/** Beside the spool: what its generations are, by number. */
export const namesDirectory = 'names'

/** By generation: the path whose bytes only this machine has, as far as the spool says so itself. */
export function namesIn(journalDirectory: string): Map<number, string> {
  const small = [...smallFilesIn(journalDirectory)]
  const named = small.flatMap(([generation, { path }]) =>
    path === undefined ? [] : [[generation, path] as const],
  )
  return new Map([...linksIn(journalDirectory), ...named])
}

function linksIn(journalDirectory: string): Map<number, string> {
  const directory = join(journalDirectory, namesDirectory)
  const names = existsSync(directory) ? readdirSync(directory) : []
  return new Map(names.map((name) => [Number(name), readlinkSync(join(directory, name))]))
}

/** By generation, for who does not write to the spool: its bytes, or the file that they are in; undefined: there are none. */
export function bytesIn(journalDirectory: string): (generation: number) => Uint8Array | string | undefined {
  const small = smallFilesIn(journalDirectory)
  return (generation) => {
    const file = join(journalDirectory, 'spool', String(generation))
    return small.get(generation)?.bytes ?? (existsSync(file) ? file : undefined)
  }
}

export class Spool {
  readonly #directory: string
  readonly #failpoint: Failpoint
  readonly #reserve: Reserve
  readonly #openFiles: OpenFiles
  readonly #small: SmallFiles
  /** Small ones that a power cut would have left as they were once, as far as is known. */
  readonly #smallDurable: Set<number>
  /** Of those with a file of their own, the ones that a power cut could still find in a slot. */
  readonly #movedOut = new Set<number>()
  /** Of those with a file of their own. */
  readonly #names: Map<number, string>
  #newest: number

  /** Makes the directory if it is not there. Numbers go on from what it holds and from `newest`. */
  constructor(directory: string, newest: number, openFiles: OpenFiles, failpoint: Failpoint = noFailpoint) {
    this.#directory = directory
    this.#failpoint = failpoint
    this.#openFiles = openFiles
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    mkdirSync(join(directory, '..', namesDirectory), { recursive: true, mode: 0o700 })
    this.#reserve = new Reserve(join(directory, '..', reserveName))
    this.#small = new SmallFiles(join(directory, '..'))
    this.#smallDurable = new Set(this.#small.generations())
    // on its way to a file of its own it is where it was until it has come
    for (const generation of this.#small.generations()) rmSync(this.file(generation), { force: true })
    this.#names = linksIn(join(directory, '..'))
    this.#newest = this.generations().reduce((most, generation) => Math.max(most, generation), newest)
  }

  /** What is on the disk. */
  generations(): number[] {
    const own = readdirSync(this.#directory).map(Number).filter(Number.isSafeInteger)
    return [...own, ...this.#small.generations()]
  }

  has(generation: number): boolean {
    return this.#small.has(generation) || existsSync(this.file(generation))
  }

  /** Whether it has no file of its own. */
  isSmall(generation: number): boolean {
    return this.#small.has(generation)
  }

  /** Its own file, if it is not small. */
  file(generation: number): string {
    return join(this.#directory, String(generation))
  }

  /**
   * A generation holds bytes of this path that only this machine has. Written beside it, with a file of its own as a
   * link that leads nowhere, so that it is known what it is even when the journal is lost.
   */
  name(generation: number, path: string): void {
    try {
      this.#name(generation, path)
    } catch {
      // the journal says it as well
    }
  }

  #name(generation: number, path: string): void {
    if (this.#small.has(generation)) {
      if (this.#small.name(generation, path)) return
      this.#moveOut(generation)
    }
    if (this.#names.get(generation) === path) return
    const link = this.#nameOf(generation)
    rmSync(link, { force: true })
    symlinkSync(path, link)
    this.#names.set(generation, path)
  }

  /** The service has it, or nobody wants it any more. */
  unname(generation: number): void {
    if (this.#small.has(generation)) this.#small.name(generation, undefined)
    else if (this.#names.delete(generation)) rmSync(this.#nameOf(generation), { force: true })
  }

  /** What is said of a generation; undefined: nothing that only this machine has. */
  nameOf(generation: number): string | undefined {
    return this.#small.nameOf(generation) ?? this.#names.get(generation)
  }

  #nameOf(generation: number): string {
    return join(this.#directory, '..', namesDirectory, String(generation))
  }

  createEmpty(): number {
    if (!this.#small.isThere) throw takenAway('spool')
    const generation = ++this.#newest
    this.#small.add(generation)
    return generation
  }

  /** A copy that shares its blocks where the disk can. */
  clone(generation: number): number {
    this.#mayGrow()
    const copy = ++this.#newest
    if (this.#small.has(generation)) {
      this.#small.add(copy)
      this.write(copy, 0, this.#small.read(generation, 0, slotBytes))
      return copy
    }
    copyFileSync(this.file(generation), this.file(copy), constants.COPYFILE_FICLONE)
    return copy
  }

  /** As `clone`, of any local file, without holding up the event loop. */
  async import(file: string): Promise<number> {
    this.#mayGrow()
    const generation = ++this.#newest
    await this.#openFiles.copy(file, this.file(generation))
    return generation
  }

  read(generation: number, offset: number, length: number): Uint8Array {
    if (this.#small.has(generation)) return this.#small.read(generation, offset, length)
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
    this.#failpoint('spool.write.before')
    const written = this.#write(generation, offset, data)
    this.#failpoint('spool.write.after')
    return written
  }

  #write(generation: number, offset: number, data: Uint8Array): number {
    this.#mayGrow()
    if (this.#isStillSmall(generation, offset + data.length)) {
      if (!this.#small.isThere) throw takenAway('spool')
      return this.#small.write(generation, offset, data)
    }
    const fd = this.#descriptor(generation)
    // it would be written, and be nowhere
    if (fstatSync(fd).nlink === 0) throw takenAway('spool')
    return writeSync(fd, data, 0, data.length, offset)
  }

  truncate(generation: number, size: number): void {
    if (this.#isStillSmall(generation, size)) this.#small.truncate(generation, size)
    else ftruncateSync(this.#descriptor(generation), size)
  }

  zero(generation: number, offset: number, length: number): void {
    if (this.#small.has(generation)) {
      this.#small.zero(generation, offset, length)
      return
    }
    const fd = this.#descriptor(generation)
    for (let done = 0; done < length;) {
      done += writeSync(fd, zeroes, 0, Math.min(zeroes.length, length - done), offset + done)
    }
  }

  size(generation: number): number {
    if (this.#small.has(generation)) return this.#small.size(generation)
    return fstatSync(this.#descriptor(generation)).size
  }

  /** Size and checksums of a generation that nobody writes to; a megabyte at a time. */
  async digest(generation: number): Promise<Digest> {
    const known = this.size(generation)
    if (known <= smallBytes) {
      const bytes = this.read(generation, 0, known)
      return { size: known, crc32: crc32(bytes), sha256: hash('sha256', bytes) }
    }
    return this.#lend(generation, async (fd) => {
      const sha256 = createHash('sha256')
      const buffer = Buffer.allocUnsafe(1 << 20)
      let crc = 0
      let size = 0
      for (;;) {
        const { bytesRead } = await readLater(fd, buffer, 0, buffer.length, size)
        if (bytesRead === 0) break
        const piece = buffer.subarray(0, bytesRead)
        crc = crc32(piece, crc)
        sha256.update(piece)
        size += bytesRead
      }
      return { size, crc32: crc, sha256: sha256.digest('hex') }
    })
  }

  /** Makes a generation survive a power cut. */
  async makeDurable(generation: number): Promise<void> {
    if (this.#small.has(generation)) {
      // noted first: what it waits for may be there before it hears of it
      this.#smallDurable.add(generation)
      await this.#whenSmallAreDurable()
      return
    }
    await this.#lend(generation, (fd) => {
      if (fstatSync(fd).nlink === 0) throw takenAway('spool')
      return datasync(fd)
    })
    if (!this.#movedOut.has(generation)) return
    // its slot would count, and be older
    await this.#whenSmallAreDurable()
    this.#movedOut.delete(generation)
  }

  #whenSmallAreDurable(): Promise<void> {
    return promisify((done: (error: Error | null) => void) => this.#small.whenDurable(done))()
  }

  /** Calls back once what small generations are called, and that some have no name any more, survives a power cut. */
  whenNamesAreDurable(callback: (error: Error | null) => void): void {
    this.#small.whenDurable(callback)
  }

  /** Only for what the journal durably knows nothing of; see `Journal.whenDurable`. */
  unlink(generation: number): void {
    if (this.#small.has(generation)) {
      this.#smallDurable.delete(generation)
      this.#small.remove(generation)
      return
    }
    this.#movedOut.delete(generation)
    this.unname(generation)
    this.#openFiles.close(this.file(generation))
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
    this.#openFiles.closeBelow(this.#directory)
    this.#small.close()
  }

  #isStillSmall(generation: number, size: number): boolean {
    if (!this.#small.has(generation)) return false
    if (size <= slotBytes) return true
    this.#moveOut(generation)
    return false
  }

  /** Gives a small generation a file of its own. */
  #moveOut(generation: number): void {
    const bytes = this.#small.read(generation, 0, slotBytes)
    const path = this.#small.nameOf(generation)
    const fd = this.#descriptor(generation, 'wx+')
    try {
      if (writeSync(fd, bytes) < bytes.length)
        throw Object.assign(new Error('short write'), { code: 'ENOSPC' })
      // what was durable in its slot must not be nowhere for a while
      if (this.#smallDurable.delete(generation)) fdatasyncSync(fd)
    } catch (error) {
      this.#openFiles.close(this.file(generation))
      unlinkSync(this.file(generation))
      throw error
    }
    this.#small.remove(generation)
    this.#movedOut.add(generation)
    if (path !== undefined) this.name(generation, path)
  }

  #mayGrow(): void {
    if (this.#reserve.isReserved) return
    throw Object.assign(new Error('what is left of the disk is for the journal'), { code: 'ENOSPC' })
  }

  async #lend<T>(generation: number, work: (fd: number) => Promise<T>): Promise<T> {
    this.#descriptor(generation)
    return this.#openFiles.lend(this.file(generation), 'r+', work)
  }

  #descriptor(generation: number, flags: 'wx+' | 'r+' = 'r+'): number {
    try {
      return this.#openFiles.use(this.file(generation), flags)
    } catch (error) {
      throw (error as NodeJS.ErrnoException).code === 'ENOENT' ? takenAway('spool') : error
    }
  }
}
