/**
 * A program at random over the write-back, beside a model of what every process must see. Layer: tests.
 *
 * Invariant: the model changes exactly when an operation was answered; what the local side shows is compared
 * with it after each one, what the service has when a barrier says so and at the end.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WriteBackError, type WorkingCopy } from '../../src/write-back/local-changes.ts'
import { namesMatching } from '../../src/write-back/state/local-names.ts'
import type { FailpointName } from '../../src/write-back/disk/failpoints.ts'
import { MemoryFiles } from '../contract/memory-files.ts'
import { FakeClock } from '../fake-clock.ts'
import { type Expected, ExpectedTree } from './expected-tree.ts'
import { Incarnations } from './incarnations.ts'
import { ModelView } from './model-view.ts'
import { addFault, Behind, changeSomehow, type OpenFile } from './random-steps.ts'
import { Random } from './random.ts'
import { noSignal, quiet } from './rig.ts'

export interface ModelOptions {
  readonly mkdir: boolean
  readonly faults: boolean
  readonly lateCommits: boolean
  readonly crashes: boolean
  readonly journalFailures: boolean
  /** Whether listings are behind at times, by up to six seconds; default false. */
  readonly behind?: boolean
}

const names = ['a', 'b', 'c', '.#s'] as const
const directories = ['', 'd', 'e', 'd/x', 'e/x'] as const
const scratchNames = ['.#*']
const isScratch = namesMatching(scratchNames)
const latestCommitMs = 40_000
const maxTurns = 600

export class ModelRun {
  readonly trace: string[] = []
  readonly #random: Random
  readonly #options: ModelOptions
  readonly #clock = new FakeClock()
  readonly #files: MemoryFiles
  readonly #tree = new ExpectedTree((path) => isScratch(path.slice(path.lastIndexOf('/') + 1)))
  readonly #bases = mkdtempSync(join(tmpdir(), 'write-back-bases-'))
  readonly #behind: Behind
  #runs!: Incarnations
  #view!: ModelView
  #open: OpenFile[] = []
  #lateSince: number | undefined
  #lastLate = -Infinity
  #failsJournal = 0
  #count = 0

  constructor(seed: number, options: ModelOptions) {
    this.#random = new Random(seed)
    this.#options = options
    this.#files = new MemoryFiles({ clock: this.#clock, mkdir: options.mkdir })
    this.#behind = new Behind(this.#files, this.#clock, this.trace)
  }

  async run(steps: number): Promise<void> {
    for (const path of ['a', 'd/a', 'd/b', 'e/x/a']) {
      this.#files.put(path, `original ${path}`)
      this.#tree.set(path, { kind: 'file', file: { bytes: Buffer.from(`original ${path}`) } })
    }
    for (const path of ['d', 'e', 'e/x']) this.#tree.set(path, { kind: 'directory' })
    this.#runs = await Incarnations.start(this.#files, this.#clock, {
      timeoutMs: 20_000,
      localNames: scratchNames,
      failpoint: (name) => this.#failpoint(name),
    })
    this.#view = new ModelView(this.#files, this.#runs)
    try {
      for (let step = 0; step < steps; step++) {
        await this.#step()
        this.#tree.compareView(this.#view)
      }
      await this.#finish()
    } finally {
      await this.#runs.end()
      rmSync(this.#bases, { recursive: true, force: true })
    }
  }

  #failpoint(name: FailpointName): void {
    if (this.#failsJournal === 0 || !name.startsWith('journal.') || !name.endsWith('.before')) return
    this.#failsJournal--
    throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
  }

  async #step(): Promise<void> {
    const random = this.#random
    const { faults, lateCommits, crashes, journalFailures, behind } = this.#options
    if (behind && random.chance(0.1)) this.#behind.fall()
    if (journalFailures && random.chance(0.05)) this.#failsJournal = 1 + random.below(3)
    if (faults && random.chance(0.15)) this.trace.push(addFault(this.#files, random, lateCommits))
    if (crashes && random.chance(0.02)) return this.#crash()
    if (random.chance(0.03)) return this.#barrier()
    if (random.chance(0.3)) return this.#pass(random.pick([1, 50, 120, 500, 1100, 3000, 12_000]))
    if (random.chance(0.08)) return this.#list(random.pick(directories))
    if (faults && random.chance(0.02)) {
      this.trace.push('retry')
      this.#attempt(() => this.#runs.changes.retry())
    }
    await this.#operation()
  }

  async #operation(): Promise<void> {
    const random = this.#random
    const operations: (() => void | Promise<void>)[] = [
      () => this.#create(this.#somePath()),
      () => this.#create(this.#somePath()),
      () => this.#write(this.#somePath()),
      () => this.#write(this.#somePath()),
      () => this.#writeOpen(),
      () => this.#remove(this.#somePath()),
      () => this.#rename(this.#somePath(), this.#somePath()),
      () => this.#rename(this.#somePath(), this.#somePath()),
      () => this.#rename(this.#somePath(), this.#somePath()),
      () => this.#rename(random.pick(directories), random.pick(directories)),
      () => this.#makeDirectory(random.chance(0.8) ? random.pick(directories) : this.#somePath()),
      () => this.#removeDirectory(random.chance(0.5) ? random.pick(directories) : this.#somePath()),
      () => this.#removeAll(random.pick(directories)),
    ]
    try {
      await random.pick(operations)()
    } catch (error) {
      if (!(error instanceof WriteBackError)) throw error
      this.trace.push(`  failed: ${error.reason}`)
      if (!this.#options.journalFailures) throw error
    }
  }

  /** An intervention that may be told that the journal cannot be written. */
  #attempt(act: () => unknown): void {
    try {
      act()
    } catch (error) {
      if (!this.#options.journalFailures) throw error
      this.trace.push(`  failed: ${(error as Error).message}`)
    }
  }

  #somePath(): string {
    const directory = this.#random.pick(directories)
    const name = this.#random.pick(names)
    return directory === '' ? name : `${directory}/${name}`
  }

  // operations, each as the filesystem would carry it out

  #create(path: string): void {
    if (!this.#tree.hasParent(path) || this.#tree.get(path)?.kind === 'directory') return
    this.trace.push(`create ${path}`)
    const copy = this.#runs.changes.create(path, this.#view.over(path))
    const known = this.#tree.get(path)
    // the same working copy is the same file, for all who have it open
    const file = known?.kind === 'file' ? known.file : { bytes: Buffer.alloc(0) }
    const same = this.#open.find((open) => open.copy === copy)?.file ?? file
    const fresh = same === file && known?.kind === 'file' && !this.#open.some((open) => open.file === file)
    const target = fresh ? { bytes: Buffer.alloc(0) } : same
    target.bytes = Buffer.alloc(0)
    this.#tree.set(path, { kind: 'file', file: target })
    this.#use({ copy, file: target }, this.#newBytes())
  }

  async #write(path: string): Promise<void> {
    const expected = this.#tree.get(path)
    if (expected?.kind !== 'file') return
    this.trace.push(`write ${path}`)
    const copy = await this.#copyOf(path)
    this.#use({ copy, file: expected.file }, this.#random.chance(0.2) ? undefined : this.#newBytes())
  }

  async #copyOf(path: string): Promise<WorkingCopy> {
    const { changes } = this.#runs
    const local = changes.get(path)
    if (local?.kind === 'file' && local.content.from === 'spool') return local.content.copy
    const source = local?.kind === 'file' && local.content.from === 'remote' ? local.content.path : path
    const bytes = this.#files.bytes(source)
    if (!bytes) throw new Error(`${path}: its bytes should be on the service under ${source}`)
    const file = join(this.#bases, String(++this.#count))
    writeFileSync(file, bytes)
    const name = path.slice(path.lastIndexOf('/') + 1)
    const listed = { name, isDirectory: false, size: bytes.length, modifiedSeconds: 0 }
    try {
      return await changes.stage(path, { file, listed })
    } catch (error) {
      // its bytes came, or a listing took over, while they were copied: the filesystem looks again
      if (!(error instanceof WriteBackError) || error.reason !== 'interrupted') throw error
      return this.#copyOf(path)
    }
  }

  #use(open: OpenFile, bytes: Buffer | undefined): void {
    open.copy.retain()
    this.#open.push(open)
    if (bytes) changeSomehow(open, this.#random, bytes)
    if (this.#random.chance(0.8)) this.#close(open)
  }

  #writeOpen(): void {
    const { length } = this.#open
    const open = length > 0 ? this.#random.pick(this.#open) : undefined
    if (!open) return
    this.trace.push('write to an open file')
    // one who holds newer content than the copy takes the newest first, as the filesystem does
    if (open.copy.current) changeSomehow(open, this.#random, this.#newBytes())
    if (this.#random.chance(0.6)) this.#close(open)
  }

  #close(open: OpenFile): void {
    this.#open = this.#open.filter((other) => other !== open)
    open.copy.flush()
    open.copy.release()
  }

  #remove(path: string): void {
    if (this.#tree.get(path)?.kind !== 'file') return
    this.trace.push(`remove ${path}`)
    this.#runs.changes.removeFile(path, this.#view.over(path))
    this.#tree.delete(path)
  }

  #rename(from: string, to: string): void {
    const source = this.#tree.get(from)
    const target = this.#tree.get(to)
    if (!source || from === to || to === '' || !this.#tree.hasParent(to)) return
    if (source.kind === 'directory') {
      this.#renameDirectory(from, to)
      return
    }
    if (target?.kind === 'directory') return
    this.trace.push(`rename ${from} ${to}`)
    this.#runs.changes.renameFile(from, to, this.#view.over(from), this.#view.over(to))
    this.#tree.delete(from)
    this.#tree.set(to, source)
  }

  #renameDirectory(from: string, to: string): void {
    const target = this.#tree.get(to)
    if (from === '' || to.startsWith(`${from}/`) || target?.kind === 'file') return
    if (target && this.#tree.below(to).length > 0) return
    this.trace.push(`rename directory ${from} ${to}`)
    const { changes } = this.#runs
    const local = changes.get(from)
    const isRemote = local ? local.kind === 'directory' && local.remote : true
    changes.renameDirectory(from, to, this.#view.remoteBelow(from), isRemote, this.#view.over(to))
    for (const path of [from, ...this.#tree.below(from)]) {
      const expected = this.#tree.get(path) as Expected
      this.#tree.delete(path)
      this.#tree.set(to + path.slice(from.length), expected)
    }
  }

  #makeDirectory(path: string): void {
    if (path === '' || this.#tree.get(path) || !this.#tree.hasParent(path)) return
    this.trace.push(`mkdir ${path}`)
    this.#runs.changes.makeDirectory(path, undefined)
    this.#tree.set(path, { kind: 'directory' })
  }

  #removeDirectory(path: string): void {
    if (path === '' || this.#tree.get(path)?.kind !== 'directory' || this.#tree.below(path).length > 0) return
    this.trace.push(`rmdir ${path}`)
    const local = this.#runs.changes.get(path)
    this.#runs.changes.removeDirectory(path, local ? local.kind === 'directory' && local.remote : true)
    this.#tree.delete(path)
  }

  #removeAll(path: string): void {
    if (path === '' || this.#random.chance(0.5)) return
    for (const below of this.#tree.below(path).reverse()) {
      if (this.#tree.get(below)?.kind === 'file') this.#remove(below)
      else this.#removeDirectory(below)
    }
    this.#removeDirectory(path)
  }

  // what happens around them

  /** Time passes in pieces, so that no late commit comes later than the service promises. */
  async #pass(ms: number): Promise<void> {
    this.trace.push(`pass ${ms}`)
    for (let left = ms; left > 0; left -= 2000) {
      this.#clock.advance(Math.min(left, 2000))
      await quiet()
      this.#mayCommitLate()
      this.#behind.mayCatchUp(4000)
    }
  }

  #mayCommitLate(): void {
    const now = this.#clock.now()
    const since = this.#lateSince
    const isDue = since !== undefined && now - since > latestCommitMs - 2000
    if (since === undefined) this.#lateSince = now
    if (!isDue && !this.#random.chance(0.15)) return
    const committed = this.#files.commitLate()
    this.#lateSince = undefined
    if (committed === 0) return
    this.#lastLate = now
    this.trace.push(`  late commits: ${committed}`)
  }

  async #list(directory: string): Promise<void> {
    this.trace.push(`list ${directory}`)
    const listed = this.#runs.listings.list(directory, { maxAgeMs: 0 }).catch(() => undefined)
    await this.#until(listed, 100)
  }

  async #crash(): Promise<void> {
    const isHard = this.#random.chance(0.8)
    this.trace.push(isHard ? 'CRASH' : 'restart')
    this.#open = []
    this.#failsJournal = 0
    if (isHard) await this.#runs.crash()
    else await this.#runs.restart()
  }

  /** A barrier ends; when it ends well and nothing comes late, the service has what was there when it began. */
  async #barrier(): Promise<void> {
    const path = this.#random.pick(directories)
    this.trace.push(`barrier ${path}`)
    this.#failsJournal = 0
    const began = this.#clock.now()
    const ended = this.#runs.changes.barrier(path, noSignal).then(
      () => 'reached' as const,
      (error: unknown) => error as Error,
    )
    const outcome = await this.#until(ended, maxTurns)
    if (outcome !== 'reached') {
      this.trace.push(`  ${outcome.message}`)
      if (!(outcome instanceof WriteBackError)) throw outcome
      return
    }
    if (this.#lastLate < began - 70_000 && !this.#options.lateCommits)
      this.#tree.compareService(this.#files, path)
  }

  async #finish(): Promise<void> {
    this.trace.push('finish')
    this.#files.clearFaults()
    this.#behind.mayCatchUp(0)
    this.#failsJournal = 0
    for (const open of [...this.#open]) this.#close(open)
    for (let round = 0; ; round++) {
      this.#runs.changes.retry()
      const drained = this.#runs.changes.drain(noSignal).then(
        () => undefined,
        (error: unknown) => error as Error,
      )
      const error = await this.#until(drained, maxTurns)
      if (error === undefined) break
      if (round > 3) throw error
    }
    await this.#pass(80_000)
    // what the service has is kept here until it is seen to have it
    for (const directory of directories) await this.#list(directory)
    await this.#pass(4000)
    this.#tree.compareView(this.#view)
    this.#tree.compareService(this.#files, '')
    const { paths, setAside } = this.#runs.changes.status()
    if (setAside.length > 0) throw new Error(`set aside: ${JSON.stringify(setAside)}`)
    const left = paths.filter(({ state }) => state !== 'local')
    if (left.length > 0) throw new Error(`left over: ${JSON.stringify(left)}`)
    const [spooled, { scratchFiles }] = [this.#runs.spooled().length, this.#tree]
    if (spooled !== scratchFiles) throw new Error(`the spool holds ${spooled} files, not ${scratchFiles}`)
  }

  /** Lets time pass until something has ended. */
  async #until<T>(work: Promise<T>, turns: number): Promise<T> {
    let ended: { readonly value: T } | undefined
    const watched = work.then((value) => {
      ended = { value }
    })
    watched.catch(() => undefined)
    for (let turn = 0; turn < turns; turn++) {
      await quiet()
      if (ended) return ended.value
      this.#clock.advance(500)
      this.#mayCommitLate()
      this.#behind.mayCatchUp(4000)
    }
    throw new Error(`a wait does not end: ${JSON.stringify(this.#runs.changes.status())}`)
  }

  // small things

  #newBytes(): Buffer {
    return Buffer.from(`[${++this.#count}]`.repeat(1 + this.#random.below(3)))
  }
}
