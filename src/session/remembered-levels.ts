/**
 * How many calls at once an endpoint was found to bear, from one mount to the next. Layer: session.
 *
 * Invariant: a file that is missing, damaged or cannot be written costs nothing but a slower start; of two mounts that
 * end together one may be forgotten.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import type { LaneLevels } from '../client/lanes.ts'
import type { Logger } from '../log.ts'
import { makeOwnDirectory } from './own-directory.ts'

const level = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1024))
const fileSchema = v.record(v.string(), v.object({ reads: level, questions: level, writes: level }))

/** Endpoints that are remembered; the one that was used longest ago is forgotten. */
const most = 50

export class RememberedLevels {
  readonly #file: string
  readonly #directory: string
  readonly #endpoint: string
  readonly #logger: Logger

  constructor(cacheRoot: string, endpoint: string, logger: Logger) {
    this.#directory = cacheRoot
    this.#file = join(cacheRoot, 'levels.json')
    this.#endpoint = endpoint
    this.#logger = logger
  }

  get(): LaneLevels | undefined {
    return this.#read()[this.#endpoint]
  }

  set(levels: LaneLevels): void {
    const others = Object.entries(this.#read()).filter(([endpoint]) => endpoint !== this.#endpoint)
    const all = [...others.slice(1 - most), [this.#endpoint, levels] as const]
    try {
      makeOwnDirectory(this.#directory, 'XDG_CACHE_HOME')
      writeFileSync(`${this.#file}.new`, JSON.stringify(Object.fromEntries(all)), { mode: 0o600 })
      renameSync(`${this.#file}.new`, this.#file)
    } catch (error) {
      this.#logger.debug({ err: error }, 'how many calls the service bears is not remembered')
    }
  }

  #read(): Readonly<Record<string, LaneLevels>> {
    try {
      const found = v.safeParse(fileSchema, JSON.parse(readFileSync(this.#file, 'utf8')))
      return found.success ? found.output : {}
    } catch {
      /* nothing is remembered */
      return {}
    }
  }
}
