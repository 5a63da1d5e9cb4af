/**
 * The current working copy of one file, complete, in the spool. Layer: write-back.
 *
 * Invariant: a generation that an upload has begun to read, or that the content cache shares, is frozen; the
 * first change after that goes to a new generation. The record hears of a change before it is answered.
 */
import { WriteBackError } from '../local-changes.ts'
import type { DesiredCopy, Digest, PathRecord, Seal } from '../record.ts'
import type { Spool } from './spool.ts'

/** What a copy tells of itself to the layer's middle; every call may throw and then nothing has changed. */
export interface CopyOwner {
  /** Throws `tooLarge` where a file of so many bytes cannot be on the service. */
  checkSize(path: string, size: number): void
  /** The bytes of `copy` are about to change; `generation` is where they will be. */
  willChange(copy: DesiredCopy, generation: number): void
  /** Nobody needs this generation any more. */
  discardGeneration(generation: number): void
  flushed(copy: DesiredCopy): void
  released(copy: DesiredCopy): void
  barrier(copy: DesiredCopy, signal: AbortSignal): Promise<void>
  backgroundError(copy: DesiredCopy): Error | undefined
}

export class SpooledCopy implements DesiredCopy {
  readonly #spool: Spool
  readonly #owner: CopyOwner
  record: PathRecord | undefined
  generation: number
  size: number
  version = 1
  dirty: boolean
  current = true
  confirmedGeneration: number
  pristine: boolean
  seal: Seal | undefined
  retained = 0
  #frozen = false
  #digest: Promise<Digest> | undefined

  /** `dirty` false: the generation is what the service has. */
  constructor(
    spool: Spool,
    owner: CopyOwner,
    { generation, size, dirty }: { generation: number; size: number; dirty: boolean },
  ) {
    this.#spool = spool
    this.#owner = owner
    this.generation = generation
    this.size = size
    this.dirty = dirty
    this.pristine = !dirty
    this.confirmedGeneration = dirty ? 0 : generation
  }

  attach(record: PathRecord): void {
    this.record = record
  }

  detach(): void {
    this.record = undefined
    // whoever still holds it open does not make it anybody's
    this.#spool.unname(this.generation)
    if (this.retained === 0) this.#owner.discardGeneration(this.generation)
  }

  giveWay(): void {
    this.current = false
    this.detach()
  }

  differs(): void {
    this.dirty = true
    this.pristine = false
    this.confirmedGeneration = 0
  }

  confirmed(generation: number): void {
    this.confirmedGeneration = generation
    if (this.generation === generation) this.dirty = false
  }

  sealed(seal: Seal | undefined): void {
    this.seal = seal
  }

  read(offset: number, length: number): Uint8Array {
    const wanted = Math.min(length, Math.max(0, this.size - offset))
    return this.#local(() => this.#spool.read(this.generation, offset, wanted))
  }

  write(offset: number | undefined, data: Uint8Array): number {
    const at = offset ?? this.size
    this.#owner.checkSize(this.record?.path ?? '', at + data.length)
    this.#prepareChange('copy')
    const written = this.#local(() => this.#spool.write(this.generation, at, data))
    if (written < data.length) {
      // what is refused must not grow the file either
      this.#local(() => this.#spool.truncate(this.generation, this.size))
      throw this.#diskFull()
    }
    this.size = Math.max(this.size, at + written)
    return at
  }

  truncate(size: number): void {
    this.#owner.checkSize(this.record?.path ?? '', size)
    this.#prepareChange(size === 0 ? 'empty' : 'copy')
    this.#local(() => {
      this.#spool.truncate(this.generation, size)
    })
    this.size = size
  }

  punchHole(offset: number, length: number): void {
    const end = Math.min(this.size, offset + length)
    if (end <= offset) return
    this.#prepareChange('copy')
    this.#local(() => {
      this.#spool.zero(this.generation, offset, end - offset)
    })
  }

  retain(): void {
    this.retained++
  }

  flush(): void {
    this.#owner.flushed(this)
  }

  release(): void {
    this.retained--
    this.#owner.released(this)
  }

  report(told: { error: unknown }): void {
    const error = this.#owner.backgroundError(this)
    if (error === undefined || told.error === error) return
    told.error = error
    throw error
  }

  barrier(signal: AbortSignal): Promise<void> {
    return this.#owner.barrier(this, signal)
  }

  freeze(): void {
    this.#frozen = true
  }

  digest(): Promise<Digest> {
    if (this.#digest) return this.#digest
    const digest = this.#spool.digest(this.generation)
    this.#digest = digest
    digest.catch(() => {
      if (this.#digest === digest) this.#digest = undefined
    })
    return digest
  }

  #prepareChange(how: 'copy' | 'empty'): void {
    this.#local(() => {
      if (!this.#frozen) {
        this.#owner.willChange(this, this.generation)
        // staged as the service has it, and not any more
        if (this.confirmedGeneration === this.generation) this.confirmedGeneration = 0
      } else {
        const fresh = how === 'empty' ? this.#spool.createEmpty() : this.#spool.clone(this.generation)
        try {
          this.#owner.willChange(this, fresh)
        } catch (error) {
          this.#spool.unlink(fresh)
          throw error
        }
        const old = this.generation
        this.generation = fresh
        this.#frozen = false
        this.#owner.discardGeneration(old)
      }
    })
    this.#digest = undefined
    this.dirty = true
    this.pristine = false
    this.version++
  }

  #local<T>(access: () => T): T {
    try {
      return access()
    } catch (error) {
      throw localFailure(this.record?.path ?? '', error)
    }
  }

  #diskFull(): WriteBackError {
    return localFailure(this.record?.path ?? '', Object.assign(new Error('short write'), { code: 'ENOSPC' }))
  }
}

/** What a failure of the spool or the journal is called above. */
export function localFailure(path: string, error: unknown): WriteBackError {
  if (error instanceof WriteBackError) return error
  const where = path === '' ? '' : `${path}: `
  const { code, errcode } = error as { code?: unknown; errcode?: unknown }
  const full =
    code === 'ENOSPC' || code === 'EDQUOT' || (code === 'ERR_SQLITE_ERROR' && errcode === sqliteFull)
  return full
    ? new WriteBackError('diskFull', path, `${where}the disk that holds unsent changes is full`, {
        cause: error,
      })
    : new WriteBackError('localDisk', path, `${where}the local spool or journal failed`, { cause: error })
}

const sqliteFull = 13
