/**
 * Makes anew what somebody takes away from the state of a running mount: `rm -rf`, a cleaner of old files.
 * Layer: mount.
 *
 * Invariant: costs nothing while nothing happens in the directory; what cannot be made anew is said in the log.
 */
import { existsSync, watch, type FSWatcher } from 'node:fs'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { makeOwnDirectory } from '../session/own-directory.ts'

/* who removes a directory with all that is in it is not to be kept from it by what is made anew meanwhile */
const quietMs = 200

export interface StatePart {
  /** For the log. */
  readonly name: string
  isThere(): boolean
  /** Undefined: this cannot be done while it is mounted. */
  readonly renew: (() => Promise<void> | void) | undefined
}

export class StateWatch {
  readonly #directory: string
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #parts: readonly StatePart[]
  readonly #lost = new Set<StatePart>()
  #watcher: FSWatcher | undefined
  #looking: Promise<void> = Promise.resolve()
  #isDue: (() => void) | undefined
  #isClosed = false

  constructor(
    directory: string,
    parts: readonly StatePart[],
    { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#directory = directory
    this.#clock = clock
    this.#parts = parts
    this.#logger = logger
    this.#watch()
  }

  /** Resolves when nothing is made anew any more. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#isDue?.()
    this.#watcher?.close()
    await this.#looking
  }

  #watch(): void {
    this.#watcher?.close()
    try {
      this.#watcher = watch(this.#directory, { persistent: false }, () => this.#soon())
      this.#watcher.on('error', (error) => this.#logger.debug({ error }, 'the state is not watched'))
    } catch (error) {
      this.#logger.debug({ error }, 'the state is not watched')
    }
  }

  #soon(): void {
    this.#isDue ||= this.#clock.after(quietMs, () => {
      this.#isDue = undefined
      this.#looking = this.#looking.then(() => this.#look())
    })
  }

  async #look(): Promise<void> {
    if (this.#isClosed) return
    try {
      if (!existsSync(this.#directory)) {
        makeOwnDirectory(this.#directory, 'XDG_STATE_HOME')
        this.#watch()
      }
    } catch (error) {
      this.#logger.error({ error }, 'the state of this mount was taken away')
      return
    }
    for (const part of this.#parts) if (!part.isThere() && !this.#lost.has(part)) await this.#renew(part)
  }

  async #renew(part: StatePart): Promise<void> {
    const { name, renew } = part
    if (renew === undefined) {
      this.#lost.add(part)
      this.#logger.error({ name }, 'taken away under the mount: changes fail until it is mounted again')
      return
    }
    try {
      await renew()
      this.#logger.warn({ name }, 'taken away under the mount, and made anew')
    } catch (error) {
      this.#lost.add(part)
      this.#logger.error({ name, error }, 'taken away under the mount, and not to be made anew')
    }
  }
}
