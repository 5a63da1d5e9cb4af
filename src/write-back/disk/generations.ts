/**
 * The life of spool files: kept while somebody reads them, unlinked when the journal has durably forgotten
 * them, checksummed and made durable in the background once they are closed. Layer: write-back.
 */
import PQueue from 'p-queue'
import type { Clock } from '../../clock.ts'
import type { Logger } from '../../log.ts'
import type { Failpoint } from './failpoints.ts'
import type { Journal } from './journal.ts'
import type { Spool } from './spool.ts'
import type { DesiredCopy } from '../record.ts'

const unlinkDelayMs = 1000
/** Most files are on the service sooner, and need not survive a power cut here. */
const sealDelayMs = 1000
/** After a disk did not do it. */
const unlinkAgainMs = 10_000
const sealsAtOnce = 2

export class Generations {
  readonly #spool: Spool
  readonly #journal: Journal
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #failpoint: Failpoint
  readonly #pinned = new Map<number, number>()
  readonly #discarded = new Set<number>()
  readonly #seals = new PQueue({ concurrency: sealsAtOnce })
  #unsealed = new Set<DesiredCopy>()
  #cancelSeals: (() => void) | undefined
  #retired: number[] = []
  #cancelUnlink: (() => void) | undefined
  #unlinking: Promise<unknown> | undefined
  #closed = false

  constructor(spool: Spool, journal: Journal, clock: Clock, logger: Logger, failpoint: Failpoint) {
    this.#spool = spool
    this.#journal = journal
    this.#clock = clock
    this.#logger = logger
    this.#failpoint = failpoint
  }

  pin(generation: number): () => void {
    this.#pinned.set(generation, (this.#pinned.get(generation) ?? 0) + 1)
    return () => {
      const left = (this.#pinned.get(generation) ?? 1) - 1
      if (left > 0) this.#pinned.set(generation, left)
      else {
        this.#pinned.delete(generation)
        if (this.#discarded.delete(generation)) this.#retire(generation)
      }
    }
  }

  /** Nobody needs it any more. */
  discard(generation: number): void {
    this.#spool.unname(generation)
    if (this.#pinned.has(generation)) this.#discarded.add(generation)
    else this.#retire(generation)
  }

  /** A dirty copy was closed: soon writes down what the spool must hold of it, and makes the bytes durable. */
  seal(copy: DesiredCopy): void {
    if (this.#closed) return
    this.#unsealed.add(copy)
    this.#cancelSeals ??= this.#clock.after(sealDelayMs, () => {
      this.#sealAll()
    })
  }

  #sealAll(): void {
    this.#cancelSeals?.()
    this.#cancelSeals = undefined
    const copies = this.#unsealed
    this.#unsealed = new Set()
    // most are on the service by now
    for (const copy of copies) if (isClosedAndDirty(copy)) void this.#seals.add(() => this.#seal(copy))
  }

  async #seal(copy: DesiredCopy): Promise<void> {
    const { generation, version } = copy
    // it may be renamed meanwhile
    const path = (): string | undefined =>
      copy.dirty && copy.generation === generation && copy.version === version ? copy.record?.path : undefined
    if (!isClosedAndDirty(copy)) return
    const unpin = this.pin(generation)
    try {
      const { size, crc32 } = await copy.digest()
      await this.#spool.makeDurable(generation)
      const sealed = path()
      if (sealed === undefined) return
      const seal = { size, crc32 }
      this.#journal.seal(sealed, generation, seal)
      copy.sealed(seal)
    } catch (error) {
      this.#logger.error({ err: error, path: path() }, 'a closed file could not be made durable')
    } finally {
      unpin()
    }
  }

  /** What is not on the service yet survives a power cut from here on. */
  async close(): Promise<void> {
    this.#closed = true
    this.#cancelUnlink?.()
    this.#sealAll()
    await this.#seals.onIdle()
    await this.#unlinking
  }

  #retire(generation: number, afterMs: number = unlinkDelayMs): void {
    this.#retired.push(generation)
    if (this.#closed) return
    this.#cancelUnlink ??= this.#clock.after(afterMs, () => {
      this.#cancelUnlink = undefined
      this.#unlinkRetired()
    })
  }

  #unlinkRetired(): void {
    const batch = this.#retired
    this.#retired = []
    const unlinked = Promise.withResolvers<undefined>()
    this.#unlinking = Promise.all([this.#unlinking, unlinked.promise])
    const ended = (error: Error | null): void => {
      unlinked.resolve(undefined)
      const kept = error ? batch : batch.filter((generation) => !this.#unlink(generation))
      for (const generation of kept) this.#retire(generation, unlinkAgainMs)
    }
    // first the names: what has one and no row was lost with its journal
    this.#spool.whenNamesAreDurable((error) => {
      if (error) ended(error)
      else this.#journal.whenDurable(ended)
    })
  }

  /** False when the disk does not let go of it. */
  #unlink(generation: number): boolean {
    this.#failpoint('spool.unlink.before')
    try {
      this.#spool.unlink(generation)
      this.#failpoint('spool.unlink.after')
      return true
    } catch (error) {
      this.#logger.debug({ generation, err: error }, 'a file of the spool cannot be removed yet')
      return false
    }
  }
}

function isClosedAndDirty({ dirty, record, retained }: DesiredCopy): boolean {
  return dirty && record !== undefined && retained === 0
}
