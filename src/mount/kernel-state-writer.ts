/**
 * The kernel state as the mount that is served writes it. Layer: mount; `kernel-state.ts` reads it.
 *
 * Invariant: what stands in it is all there is, or there is no such file: when it cannot be written it is removed, and
 * written anew as soon as it can be. The page cache is enough: no mount survives the machine.
 */
import { closeSync, mkdirSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Clock } from '../clock.ts'
import type { RecordLines } from '../filesystem/record-lines.ts'
import type { KernelRecordSink } from '../filesystem/remembered.ts'
import { allocate, mapFile, type MappedFile } from '../fuse/libc.ts'
import type { Logger } from '../log.ts'
import { fileIn, type KernelStateHeader } from './kernel-state.ts'

/** Room behind what is written anew, beside as much again as that is long. */
const usualRoomBytes = 4 * 1024 * 1024
const tryAgainMs = 10_000

export class KernelState implements KernelRecordSink {
  readonly #file: string
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #roomBytes: number
  #header: KernelStateHeader
  /** Stored to, it is in the file: no system call for each reply. Zeros are behind what was written. */
  #mapped: MappedFile | undefined
  #end = 0
  #failedAt: number | undefined
  #isOver = false

  constructor(
    stateDirectory: string,
    given: KernelStateHeader,
    {
      clock,
      logger,
      roomBytes = usualRoomBytes,
    }: { readonly clock: Clock; readonly logger: Logger; readonly roomBytes?: number },
  ) {
    this.#roomBytes = roomBytes
    this.#file = fileIn(stateDirectory)
    this.#header = given
    this.#clock = clock
    this.#logger = logger
  }

  get header(): KernelStateHeader {
    return this.#header
  }

  /** Counts with what is written anew next. */
  describe(known: Partial<KernelStateHeader>): void {
    this.#header = { ...this.#header, ...known }
  }

  /** False once somebody has removed the file. */
  isThere(): boolean {
    return this.#mapped === undefined || statSync(this.#file, { throwIfNoEntry: false }) !== undefined
  }

  /** Whether another process could go on by it. */
  get isKept(): boolean {
    return this.#mapped !== undefined
  }

  append(lines: RecordLines): boolean {
    if (this.#isOver) return true
    if (this.#mapped === undefined) return this.#clock.now() - (this.#failedAt ?? -Infinity) < tryAgainMs
    const { bytes } = this.#mapped
    if (this.#end + lines.length >= bytes.length) return false
    lines.copyTo(bytes, this.#end)
    this.#end += lines.length
    return true
  }

  replace(lines: RecordLines): void {
    if (this.#isOver) return
    const fresh = `${this.#file}.new`
    const header = Buffer.from(`${JSON.stringify(this.#header)}\n`)
    const end = header.length + lines.length
    let fd: number | undefined
    try {
      mkdirSync(dirname(fresh), { recursive: true, mode: 0o700 })
      fd = openSync(fresh, 'w+', 0o600)
      const size = 2 * end + this.#roomBytes
      /* all of it now: a store that finds no room on the disk would end this process */
      allocate(fd, size)
      const mapped = mapFile(fd, size)
      if (mapped === undefined) throw new Error(`${fresh}: its filesystem cannot map it`)
      header.copy(mapped.bytes)
      lines.copyTo(mapped.bytes, header.length)
      renameSync(fresh, this.#file)
      this.#unmap()
      this.#mapped = mapped
      this.#end = end
      this.#failedAt = undefined
    } catch (error) {
      this.#failed(error)
    } finally {
      if (fd !== undefined) closeSync(fd)
    }
  }

  /** Nobody is to go on with the mount. Any number of times. */
  end(): void {
    if (this.#isOver) return
    this.leave()
    rmSync(this.#file, { force: true })
  }

  /** This process goes, another goes on: the file stays as it is. */
  leave(): void {
    this.#isOver = true
    this.#unmap()
  }

  #failed(error: unknown): void {
    if (this.#failedAt === undefined)
      this.#logger.warn(
        { err: error },
        'what the kernel knows cannot be written down: until it can be, the mount ends if this process does',
      )
    this.#failedAt = this.#clock.now()
    this.#unmap()
    for (const file of [this.#file, `${this.#file}.new`]) rmSync(file, { force: true })
  }

  #unmap(): void {
    this.#mapped?.unmap()
    this.#mapped = undefined
  }
}
