/**
 * A write-back that can be killed at any moment: what its run had under way is cut off, and the next run
 * opens a copy of what was on the disk then. Layer: tests.
 *
 * Invariant: a dead run changes nothing any more, neither on the service (beyond a call that was already sent)
 * nor on the disk of its successor.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ContentCache } from '../../src/cache/content-cache.ts'
import type { MetadataCache } from '../../src/cache/metadata-cache.ts'
import type { SessionFiles } from '../../src/client/session-files.ts'
import type { Clock } from '../../src/clock.ts'
import type { AssemblyOptions } from '../../src/session/assemble.ts'
import type { WriteBack } from '../../src/write-back/write-back.ts'
import { assembleOver } from '../assembly.ts'
import { spooledIn } from './spooled-files.ts'

interface Run {
  isDead: boolean
  readonly directory: string
  readonly listings: MetadataCache
  readonly contents: ContentCache
  readonly changes: WriteBack
}

export class Incarnations {
  readonly #root = mkdtempSync(join(tmpdir(), 'write-back-model-'))
  readonly #files: SessionFiles
  readonly #clock: Clock
  readonly #options: Partial<AssemblyOptions>
  #count = 0
  #run!: Run

  private constructor(files: SessionFiles, clock: Clock, options: Partial<AssemblyOptions>) {
    this.#files = files
    this.#clock = clock
    this.#options = options
  }

  static async start(
    files: SessionFiles,
    clock: Clock,
    options: Partial<AssemblyOptions> = {},
  ): Promise<Incarnations> {
    const incarnations = new Incarnations(files, clock, options)
    const directory = incarnations.#newDirectory()
    mkdirSync(directory)
    await incarnations.#open(directory)
    return incarnations
  }

  get changes(): WriteBack {
    return this.#run.changes
  }

  get listings(): MetadataCache {
    return this.#run.listings
  }

  get contents(): ContentCache {
    return this.#run.contents
  }

  /** The generations that the spool of the present run holds. */
  spooled(): string[] {
    return spooledIn(this.#run.directory)
  }

  /** Ends the run as kill -9 does, does damage to what it left, and starts the next one. */
  async crash(more: Partial<AssemblyOptions> = {}, damage?: (directory: string) => void): Promise<void> {
    this.#run.isDead = true
    const directory = this.#newDirectory()
    cpSync(this.#run.directory, directory, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (file) => !file.endsWith('.reserve'),
    })
    // a journal that was being written to when it was copied is as a killed process leaves it
    rmSync(join(directory, 'journal.db-shm'), { force: true })
    damage?.(directory)
    await this.#open(directory, more)
  }

  /** Of the present run: the journal and the spool. */
  get directory(): string {
    return this.#run.directory
  }

  /** Ends the run in order, and starts the next one. */
  async restart(more: Partial<AssemblyOptions> = {}): Promise<void> {
    await this.#run.changes.close()
    await this.#open(this.#run.directory, more)
  }

  async end(): Promise<void> {
    await this.#run.changes.close()
    rmSync(this.#root, { recursive: true, force: true })
  }

  #newDirectory(): string {
    return join(this.#root, String(++this.#count))
  }

  async #open(directory: string, more: Partial<AssemblyOptions> = {}): Promise<void> {
    const alive = { isDead: false }
    const isDead = (): boolean => alive.isDead
    const files = mortalFiles(this.#files, isDead)
    const clock = mortalClock(this.#clock, isDead)
    const assembly = await assembleOver({
      directory,
      contentDirectory: join(this.#root, `cache-${this.#count}-${clock.order()}`),
      files,
      clock,
      ...this.#options,
      ...more,
    })
    this.#run = Object.assign(alive, assembly, { directory })
  }
}

const never = new Promise<never>(() => undefined)

function mortalClock(clock: Clock, isDead: () => boolean): Clock {
  return {
    now: () => clock.now(),
    wallMs: () => clock.wallMs(),
    order: () => clock.order(),
    after: (ms, callback) =>
      clock.after(ms, () => {
        if (!isDead()) callback()
      }),
  }
}

/** The dead get no answers. */
function mortalFiles(files: SessionFiles, isDead: () => boolean): SessionFiles {
  const alive = async <T>(call: () => Promise<T>): Promise<T> => {
    if (isDead()) return never
    try {
      const answer = await call()
      return isDead() ? await never : answer
    } catch (error) {
      if (isDead()) return never
      throw error
    }
  }
  return {
    async *list(directory, options) {
      for await (const page of files.list(directory, options)) {
        if (isDead()) await never
        yield page
      }
    },
    download: (path, options) => alive(() => files.download(path, options)),
    upload: (path, source, options) => alive(() => files.upload(path, source, options)),
    remove: (path, options) => alive(() => files.remove(path, options)),
    makeDirectory: (path, options) => alive(() => files.makeDirectory(path, options)),
  }
}
