/**
 * The write-back: local changes that lie over the remote listings and travel by themselves. Layer: write-back.
 * This file ties the parts together; each rule stands in the part that holds it (`record.ts` has the diagram).
 *
 * The rooms, each of which knows only those to its right, types included:
 * `write-back` → handover, interventions, name-changes, replay, status → `parts` → `calls/` → `queue/` →
 * `state/` → `disk/` → `record` → `local-changes`.
 *
 * Invariant: what a method here answered is in the journal, and stays there until the service has confirmed it.
 */
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { Contents } from '../cache/contents.ts'
import type { Listing, ListingObserver, Listings } from '../cache/listings.ts'
import type { OpenFiles } from '../cache/open-files.ts'
import type { RemoteEntry, SessionFiles } from '../client/session-files.ts'
import type { CallParts } from './calls/call-parts.ts'
import { Conflicts } from './calls/conflicts.ts'
import { Doubts } from './calls/doubts.ts'
import { RemoteCalls } from './calls/remote-calls.ts'
import { noFailpoint, type Failpoint } from './disk/failpoints.ts'
import { Generations } from './disk/generations.ts'
import { Journal } from './disk/journal.ts'
import { Spool } from './disk/spool.ts'
import { SpooledCopy, type CopyOwner } from './disk/spooled-copy.ts'
import { Handover } from './handover.ts'
import { discardWithin, retry } from './interventions.ts'
import {
  type LocalAttributes,
  type LocalChanges,
  type LocalEntry,
  type WorkingCopy,
  WriteBackError,
} from './local-changes.ts'
import { NameChanges } from './name-changes.ts'
import type { Parts } from './parts.ts'
import { Barriers } from './queue/barriers.ts'
import { settleMs, UploadQueue } from './queue/upload-queue.ts'
import type { DesiredCopy, PathRecord } from './record.ts'
import { nameOf } from '../remote-path.ts'
import { replay, sweep } from './replay.ts'
import { Ledger } from './state/ledger.ts'
import { entryOf } from './state/local-entry.ts'
import { pathsStaying } from './state/local-names.ts'
import { statusOf, type WriteBackStatus } from './status.ts'

export interface WriteBackOptions {
  /** Private to this session and identity; holds `journal.db` and `spool/`. */
  readonly directory: string
  /** Identity of this boot of the machine (`/proc/sys/kernel/random/boot_id`). */
  readonly boot: string
  /** That of `directory`, open for this boot; closed with this, once this is open. Default: opened here. */
  readonly journal?: Journal | undefined
  readonly files: SessionFiles
  readonly listings: Listings
  readonly contents: Contents
  /** Shared with whoever else keeps files open. */
  readonly openFiles: OpenFiles
  readonly clock: Clock
  readonly logger: Logger
  /** Calls that change something, at once. */
  readonly uploads: number
  /** Milliseconds without progress after which a barrier fails. */
  readonly timeoutMs: number
  /** Milliseconds after which a file that stays open and dirty is sent anyway. */
  readonly dirtyExpireMs: number
  /** Bytes of the largest file that the service takes. */
  readonly maxFileBytes: number
  /** Shell patterns of names that never travel. */
  readonly localNames: readonly string[]
  /** Patterns as in .gitignore: what is new at or below such a path stays here. Default: none. */
  readonly ignore?: readonly string[] | undefined
  readonly conflict: 'keep' | 'overwrite'
  /** Before sending to a session that was gone: rejects with `session_not_found` if another has its name. Default: none has. */
  readonly checkSession?: (signal: AbortSignal) => Promise<void>
  readonly failpoint?: Failpoint | undefined
  /**
   * A process before this one ended in the middle of a mount that goes on: nothing is sent, and nothing of the spool put
   * away, before `begin`. Default: what was mounted is over.
   */
  readonly continued?: boolean | undefined
  /** In [0, 1); for jitter. */
  readonly random?: () => number
  /** Hears of states that cannot be, which are faults of this program; default: they are logged as errors. */
  readonly onImpossible?: (error: Error) => void
}

export class WriteBack implements LocalChanges, ListingObserver, CopyOwner {
  readonly maxFileBytes: number
  readonly #parts: Parts
  readonly #names: NameChanges
  readonly #handover: Handover
  readonly #ending = new AbortController()
  #carried: ReadonlySet<number> = new Set()
  /** Of the spool, what is in use when `begin` comes. */
  #wanted = new Set<number>()
  #unsubscribe: () => void = () => undefined
  #closing: Promise<void> | undefined

  /** Opens the journal of an earlier run or a new one, and starts sending what it holds. */
  static async open(options: WriteBackOptions): Promise<WriteBack> {
    const writeBack = new WriteBack(options)
    const { journal } = writeBack.#parts
    const { continued = false } = options
    if (continued) writeBack.#carried = journal.carried()
    else journal.clearCarried()
    writeBack.#wanted = await replay(options.boot, writeBack.#parts)
    writeBack.#unsubscribe = options.listings.subscribe(writeBack)
    if (!continued) writeBack.begin()
    return writeBack
  }

  /** Goes on with what was left: once whoever goes on with open files has taken hold of them. */
  begin(): void {
    sweep(this.#wanted, this.#parts)
    const { ledger, queue, dirtyExpireMs } = this.#parts
    for (const record of [...ledger.records.values()]) {
      const { desired } = record
      const isWritten = desired.is === 'file' && desired.from === 'spool' && desired.copy.retained > 0
      if (isWritten) queue.settle(record, dirtyExpireMs)
      else queue.wake(record)
    }
  }

  private constructor(options: WriteBackOptions) {
    const { directory, boot, files, listings, contents, clock, logger } = options
    const { failpoint = noFailpoint, timeoutMs, openFiles } = options
    this.maxFileBytes = options.maxFileBytes
    const { journal = new Journal({ file: join(directory, 'journal.db'), boot, failpoint }) } = options
    const spool = new Spool(join(directory, 'spool'), journal.newestGeneration(), openFiles, failpoint)
    const generations = new Generations(spool, journal, clock, logger, failpoint)
    const staysHere = pathsStaying(options)
    const ledger = new Ledger(
      journal,
      clock,
      staysHere,
      (generation) => generations.pin(generation),
      (generation, path) => spool.name(generation, path),
    )
    const callParts: CallParts = {
      ledger,
      spool,
      generations,
      files,
      listings,
      contents,
      clock,
      logger,
      failpoint,
      owner: this,
      signal: this.#ending.signal,
      onProgress: (record) => this.#parts.barriers.progress(record),
      wake: (record) => this.#parts.queue.wake(record),
    }
    const conflicts = new Conflicts(callParts, options.conflict, this.maxFileBytes)
    const calls = new RemoteCalls(callParts, conflicts, {
      occupy: (...given) => queue.occupy(...given),
      admit: async () => {
        if (queue.gate.wasGone) await options.checkSession?.(this.#ending.signal)
      },
    })
    const queue: UploadQueue = new UploadQueue({
      records: ledger.records,
      clock,
      logger,
      concurrency: options.uploads,
      random: options.random ?? Math.random,
      perform: calls.perform,
      mayMakeDirectory: calls.mayMakeDirectory,
      onRest: (record) => this.#handover.rested(record),
      onEnded: () => this.#parts.barriers.look(),
      onSettling: (record) => conflicts.lookAhead(record),
      onPark: (record, error, code) => this.#parked(record, error, code),
      onImpossible:
        options.onImpossible ?? ((error) => logger.error({ err: error }, 'a fault of this program')),
    })
    this.#parts = {
      ...callParts,
      journal,
      queue,
      barriers: new Barriers(ledger.records, queue, clock, timeoutMs),
      doubts: new Doubts(callParts, timeoutMs, (record) => this.#handover.rested(record)),
      dirtyExpireMs: options.dirtyExpireMs,
    }
    this.#handover = new Handover(this.#parts)
    this.#names = new NameChanges(this.#parts)
  }

  get(path: string): LocalEntry | undefined {
    const record = this.#parts.ledger.records.get(path)
    return record && entryOf(record)
  }

  *children(directory: string): Iterable<readonly [string, LocalEntry]> {
    for (const record of this.#parts.ledger.records.in(directory))
      yield [nameOf(record.path), entryOf(record)]
  }

  hasUploadsBelow(directory: string): boolean {
    return this.#parts.ledger.records.uploadsBelow(directory) > 0
  }

  observe(listing: Listing): void {
    try {
      this.#handover.observe(listing)
    } catch (error) {
      // what did not give way yet does with a later listing; this one is good all the same
      this.#parts.logger.error({ directory: listing.directory, err: error }, 'the journal cannot be written')
    }
  }

  attributes(path: string): LocalAttributes | undefined {
    return this.#parts.ledger.attributes(path)
  }

  setAttributes(path: string, changes: LocalAttributes): void {
    this.#parts.ledger.setAttributes(path, { ...this.#parts.ledger.attributes(path), ...changes })
  }

  noteAttributes(path: string, changes: LocalAttributes): void {
    this.#parts.ledger.noteAttributes(path, { ...this.#parts.ledger.attributes(path), ...changes })
  }

  together<T>(work: () => T, request?: number): T {
    return this.#names.together(work, request)
  }

  wasCarriedOut(request: number): boolean {
    return this.#carried.has(request)
  }

  create(path: string, over: RemoteEntry | undefined): WorkingCopy {
    return this.#names.create(path, over)
  }

  stage(path: string, base: { readonly file: string; readonly listed: RemoteEntry }): Promise<WorkingCopy> {
    return this.#names.stage(path, base)
  }

  createUnnamed(): WorkingCopy {
    return this.#unnamed(this.#parts.spool.createEmpty())
  }

  async importUnnamed(file: string): Promise<WorkingCopy> {
    return this.#unnamed(await this.#parts.spool.import(file))
  }

  adoptUnnamed(generation: number): WorkingCopy | undefined {
    if (!this.#parts.spool.has(generation)) return undefined
    this.#wanted.add(generation)
    const copy = this.#unnamed(generation)
    // an attempt to upload it may still speak of these bytes
    copy.freeze()
    return copy
  }

  #unnamed(generation: number, { spool } = this.#parts): SpooledCopy {
    return new SpooledCopy(spool, this, { generation, size: spool.size(generation), dirty: false })
  }

  removeFile(path: string, over: RemoteEntry | undefined): void {
    this.#names.removeFile(path, over)
  }

  makeDirectory(path: string, over: RemoteEntry | undefined): void {
    this.#names.makeDirectory(path, over)
  }

  removeDirectory(path: string, remote: boolean): void {
    this.#names.removeDirectory(path, remote)
  }

  renameFile(from: string, to: string, source: RemoteEntry | undefined, over: RemoteEntry | undefined): void {
    this.#names.renameFile(from, to, source, over)
  }

  renameDirectory(
    from: string,
    to: string,
    remote: ReadonlyMap<string, RemoteEntry>,
    remoteDirectory: boolean,
    over?: RemoteEntry,
  ): void {
    this.#names.renameDirectory(from, to, remote, remoteDirectory, over)
  }

  hold(path: string): () => void {
    const release = this.#parts.ledger.records.hold(path)
    return () => {
      release()
      const record = this.#parts.ledger.records.get(path)
      if (record) this.#parts.queue.wake(record)
    }
  }

  checkSize(path: string, size: number): void {
    if (size <= this.maxFileBytes) return
    const limit = `a file on this service holds ${this.maxFileBytes} bytes at most (--max-file-size)`
    throw new WriteBackError('tooLarge', path, `${path}: ${limit}`)
  }

  async barrier(what: string | DesiredCopy, signal: AbortSignal): Promise<void> {
    if (typeof what === 'string') return this.#parts.barriers.over(what, signal)
    const { record } = what
    if (!record) return
    if (record.scratch) return this.#parts.spool.makeDurable(what.generation)
    const goal = this.#parts.barriers.goalOf(record)
    return goal && this.#parts.barriers.wait([goal], signal)
  }

  /**
   * As a barrier over everything, and until nothing is in doubt any more: what unmounting waits for. What
   * programs go on writing meanwhile is not waited for, or one of them could keep it for ever.
   */
  async drain(signal: AbortSignal): Promise<void> {
    // what a call leaves behind (a version of somebody else's that is saved) has to go too
    let known: number
    do {
      known = this.#parts.ledger.ownChanges
      await this.barrier('', signal)
      await this.#parts.doubts.settled(signal)
    } while (this.#parts.ledger.ownChanges !== known)
  }

  status(): WriteBackStatus {
    return statusOf(this.#parts)
  }

  /** What a person asks for: see `interventions.ts`. */
  retry(): number {
    return retry(this.#parts)
  }

  discardWithin(path: string): number {
    return discardWithin(path, this.#parts)
  }

  /** Stops sending and closes the journal; what is not confirmed stays in it. Any number of times. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#unsubscribe()
    this.#handover.close()
    this.#parts.doubts.close()
    this.#ending.abort(new Error('the mount is ending'))
    await this.#parts.queue.close()
    await this.#parts.generations.close()
    this.#parts.spool.close()
    this.#parts.journal.close()
  }

  // what the working copies tell

  willChange(copy: DesiredCopy, generation: number): void {
    const { record } = copy
    if (!record) return
    if (!copy.dirty || generation !== copy.generation) {
      this.#parts.ledger.changeGeneration(record, generation)
      this.#parts.queue.settle(record, this.#parts.dirtyExpireMs)
    } else if (copy.seal) this.#parts.journal.unseal(record.path)
    copy.sealed(undefined)
  }

  discardGeneration(generation: number): void {
    this.#parts.generations.discard(generation)
  }

  flushed(copy: DesiredCopy): void {
    if (copy.record && copy.dirty) {
      this.#parts.queue.hasten(copy.record, copy.retained > 1 ? settleMs.open : settleMs.closed)
    }
  }

  released(copy: DesiredCopy): void {
    if (copy.retained > 0) return
    const { record } = copy
    if (!record) this.#parts.generations.discard(copy.generation)
    else if (copy.dirty) {
      this.#parts.queue.hasten(record, settleMs.closed)
      this.#parts.generations.seal(copy)
    } else this.#handover.release(record)
  }

  backgroundError(copy: DesiredCopy): Error | undefined {
    const { record } = copy
    return record?.work.phase.is === 'parked' ? record.work.phase.error : undefined
  }

  #parked(record: PathRecord, error: Error, code: string): void {
    const message = `given up until it changes or is retried: ${error.message}`
    this.#parts.logger.error({ path: record.path, code }, message)
    this.#parts.barriers.look()
  }
}
