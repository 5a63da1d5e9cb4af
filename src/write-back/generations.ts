/**
 * The life of spool files: kept while somebody reads them, unlinked when the journal has durably forgotten
 * them, checksummed and made durable in the background once they are closed. Layer: write-back.
 */
import PQueue from 'p-queue'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { Failpoint } from './failpoints.ts'
import type { Journal } from './journal.ts'
import type { Spool } from './spool.ts'
import type { SpooledCopy } from './spooled-copy.ts'

const unlinkDelayMs = 1000
const sealsAtOnce = 2

export interface GenerationsOptions {
  readonly spool: Spool
  readonly journal: Journal
  readonly clock: Clock
  readonly logger: Logger
  readonly failpoint: Failpoint
}

export class Generations {
  readonly #options: GenerationsOptions
  readonly #pinned = new Map<number, number>()
  readonly #discarded = new Set<number>()
  readonly #seals = new PQueue({ concurrency: sealsAtOnce })
  #retired: number[] = []
  #cancelUnlink: (() => void) | undefined
  #unlinking: Promise<unknown> | undefined
  #closed = false

  constructor(options: GenerationsOptions) {
    this.#options = options
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
    if (this.#pinned.has(generation)) this.#discarded.add(generation)
    else this.#retire(generation)
  }

  /** A dirty copy was closed: writes down what the spool must hold of it, and makes the bytes durable. */
  seal(copy: SpooledCopy): void {
    if (this.#closed) return
    const { generation, version } = copy
    void this.#seals.add(async () => {
      const isSame = (): boolean =>
        !this.#closed &&
        copy.record !== undefined &&
        copy.dirty &&
        copy.generation === generation &&
        copy.version === version
      if (!isSame()) return
      const unpin = this.pin(generation)
      try {
        const { size, crc32 } = await copy.digest()
        await this.#options.spool.makeDurable(generation)
        if (!isSame() || !copy.record) return
        const seal = { size, crc32 }
        this.#options.journal.seal(copy.record.path, generation, seal)
        copy.seal = seal
      } catch (error) {
        this.#options.logger.error(
          { err: error, path: copy.record?.path },
          'a closed file could not be made durable',
        )
      } finally {
        unpin()
      }
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancelUnlink?.()
    this.#seals.clear()
    await this.#seals.onIdle()
    await this.#unlinking
  }

  #retire(generation: number): void {
    this.#retired.push(generation)
    if (this.#closed) return
    this.#cancelUnlink ??= this.#options.clock.after(unlinkDelayMs, () => {
      this.#cancelUnlink = undefined
      this.#unlinkRetired()
    })
  }

  #unlinkRetired(): void {
    const { journal, spool, failpoint } = this.#options
    const batch = this.#retired
    this.#retired = []
    const unlinked = Promise.withResolvers<undefined>()
    this.#unlinking = unlinked.promise
    journal.whenDurable((error) => {
      unlinked.resolve(undefined)
      if (error) return
      failpoint('spool.unlink.before')
      for (const generation of batch) spool.unlink(generation)
    })
  }
}
