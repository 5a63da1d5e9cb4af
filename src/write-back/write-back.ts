/**
 * The write-back: local changes that lie over the remote listings and travel by themselves. Layer: write-back.
 * This file ties the parts together; each rule stands in the part that holds it (`record.ts` has the diagram).
 *
 * Invariant: what a method here answered is in the journal, and stays there until the service has confirmed it.
 */
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { Contents } from '../cache/contents.ts'
import type { Listing, ListingObserver, Listings } from '../cache/listings.ts'
import type { RemoteEntry, SessionFiles } from '../client/session-files.ts'
import { Barriers } from './queue/barriers.ts'
import { Conflicts } from './calls/conflicts.ts'
import { Doubts } from './calls/doubts.ts'
import { noFailpoint, type Failpoint } from './disk/failpoints.ts'
import { Generations } from './disk/generations.ts'
import { Handover } from './handover.ts'
import { Interventions } from './interventions.ts'
import { Journal } from './disk/journal.ts'
import { Ledger } from './state/ledger.ts'
import {
  type LocalAttributes,
  type LocalChanges,
  type LocalEntry,
  type WorkingCopy,
} from './local-changes.ts'
import { entryOf } from './state/local-entry.ts'
import { LocalNames } from './state/local-names.ts'
import { Naming, settleMs } from './name-changes.ts'
import { type PathRecord } from './record.ts'
import { nameOf } from '../remote-path.ts'
import { recover } from './replay.ts'
import { RemoteCalls } from './calls/remote-calls.ts'
import { Spool } from './disk/spool.ts'
import { SpooledCopy, type CopyOwner } from './disk/spooled-copy.ts'
import { statusOf, type WriteBackStatus } from './status.ts'
import { UploadQueue } from './queue/upload-queue.ts'

export interface WriteBackOptions {
  /** Private to this session and identity; holds `journal.db` and `spool/`. */
  readonly directory: string
  /** Identity of this boot of the machine (`/proc/sys/kernel/random/boot_id`). */
  readonly boot: string
  readonly files: SessionFiles
  readonly listings: Listings
  readonly contents: Contents
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
  readonly conflict: 'keep' | 'overwrite'
  /**
   * Asked before anything is sent to a session that was gone: rejects with `session_not_found` when what has
   * its name now is another one. Default: whatever answers is the same.
   */
  readonly checkSession?: (signal: AbortSignal) => Promise<void>
  readonly failpoint?: Failpoint | undefined
  /** In [0, 1); for jitter. */
  readonly random?: () => number
}

export class WriteBack implements LocalChanges, ListingObserver, CopyOwner {
  readonly maxFileBytes: number
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #journal: Journal
  readonly #spool: Spool
  readonly #ledger: Ledger
  readonly #queue: UploadQueue
  readonly #generations: Generations
  readonly #naming: Naming
  readonly #barriers: Barriers
  readonly #doubts: Doubts
  readonly #handover: Handover
  readonly #interventions: Interventions
  readonly #ending = new AbortController()
  readonly #dirtyExpireMs: number
  #unsubscribe: () => void = () => undefined
  #closing: Promise<void> | undefined

  /** Opens the journal of an earlier run or a new one, and starts sending what it holds. */
  static async open(options: WriteBackOptions): Promise<WriteBack> {
    const writeBack = new WriteBack(options)
    await writeBack.#recover(options)
    return writeBack
  }

  private constructor(options: WriteBackOptions) {
    const { directory, boot, files, listings, contents, clock, logger } = options
    const failpoint = options.failpoint ?? noFailpoint
    const random = options.random ?? Math.random
    const { timeoutMs } = options
    this.maxFileBytes = options.maxFileBytes
    this.#dirtyExpireMs = options.dirtyExpireMs
    this.#clock = clock
    this.#logger = logger
    this.#journal = new Journal({ file: join(directory, 'journal.db'), boot, failpoint })
    this.#spool = new Spool(join(directory, 'spool'), this.#journal.newestGeneration())
    const spool = this.#spool
    const { signal } = this.#ending
    this.#generations = new Generations({ spool, journal: this.#journal, clock, logger, failpoint })
    const pin = (generation: number): (() => void) => this.#generations.pin(generation)
    const ledger = new Ledger(this.#journal, clock, new LocalNames(options.localNames), pin)
    this.#ledger = ledger
    const wake = (record: PathRecord): void => this.#queue.wake(record)
    const onProgress = (record: PathRecord): void => this.#barriers.progress(record)
    const conflicts = new Conflicts({
      ledger,
      spool,
      listings,
      files,
      clock,
      logger,
      maxFileBytes: this.maxFileBytes,
      mode: options.conflict,
      wake,
      onProgress,
    })
    const calls = new RemoteCalls({
      ledger,
      spool,
      files,
      listings,
      contents,
      conflicts,
      clock,
      logger,
      failpoint,
      owner: this,
      wasSessionGone: () => this.#queue.gate.wasGone,
      checkSession: options.checkSession ?? (() => Promise.resolve()),
      signal,
      pin,
      onProgress,
      wake,
    })
    this.#queue = new UploadQueue({
      records: ledger.records,
      clock,
      logger,
      concurrency: options.uploads,
      random,
      perform: calls.perform,
      mayMakeDirectory: calls.mayMakeDirectory,
      onRest: (record) => this.#handover.rested(record),
      onEnded: () => this.#barriers.look(),
      onPark: (record, error, code) => this.#parked(record, error, code),
    })
    this.#barriers = new Barriers({ records: ledger.records, queue: this.#queue, clock, timeoutMs })
    this.#doubts = new Doubts({
      ledger,
      spool,
      files,
      listings,
      clock,
      logger,
      signal,
      timeoutMs,
      wake,
      onCleared: (record) => this.#handover.rested(record),
    })
    this.#handover = new Handover({
      ledger,
      queue: this.#queue,
      generations: this.#generations,
      barriers: this.#barriers,
      doubts: this.#doubts,
    })
    this.#interventions = new Interventions({
      ledger,
      queue: this.#queue,
      generations: this.#generations,
      barriers: this.#barriers,
    })
    this.#naming = new Naming({
      ledger,
      spool,
      queue: this.#queue,
      listings,
      clock,
      owner: this,
      dirtyExpireMs: this.#dirtyExpireMs,
    })
  }

  get(path: string): LocalEntry | undefined {
    const record = this.#ledger.records.get(path)
    return record && entryOf(record)
  }

  *children(directory: string): Iterable<readonly [string, LocalEntry]> {
    for (const record of this.#ledger.records.in(directory)) yield [nameOf(record.path), entryOf(record)]
  }

  hasUploadsBelow(directory: string): boolean {
    return this.#ledger.records.uploadsBelow(directory) > 0
  }

  observe(listing: Listing): void {
    try {
      this.#handover.observe(listing)
    } catch (error) {
      // what did not give way yet does with a later listing; this one is good all the same
      this.#logger.error({ directory: listing.directory, err: error }, 'the journal cannot be written')
    }
  }

  attributes(path: string): LocalAttributes | undefined {
    return this.#ledger.attributes(path)
  }

  setAttributes(path: string, changes: LocalAttributes): void {
    this.#ledger.setAttributes(path, { ...this.#ledger.attributes(path), ...changes })
  }

  noteAttributes(path: string, changes: LocalAttributes): void {
    this.#ledger.noteAttributes(path, { ...this.#ledger.attributes(path), ...changes })
  }

  create(path: string, over: RemoteEntry | undefined): WorkingCopy {
    return this.#naming.create(path, over)
  }

  stage(path: string, base: { readonly file: string; readonly listed: RemoteEntry }): Promise<WorkingCopy> {
    return this.#naming.stage(path, base)
  }

  createUnnamed(): WorkingCopy {
    return new SpooledCopy(this.#spool, this, {
      generation: this.#spool.createEmpty(),
      size: 0,
      dirty: false,
    })
  }

  removeFile(path: string, over: RemoteEntry | undefined): void {
    this.#naming.removeFile(path, over)
  }

  makeDirectory(path: string, over: RemoteEntry | undefined): void {
    this.#naming.makeDirectory(path, over)
  }

  removeDirectory(path: string, remote: boolean): void {
    this.#naming.removeDirectory(path, remote)
  }

  renameFile(from: string, to: string, source: RemoteEntry | undefined, over: RemoteEntry | undefined): void {
    this.#naming.renameFile(from, to, source, over)
  }

  renameDirectory(
    from: string,
    to: string,
    remote: ReadonlyMap<string, RemoteEntry>,
    remoteDirectory: boolean,
    over?: RemoteEntry,
  ): void {
    this.#naming.renameDirectory(from, to, remote, remoteDirectory, over)
  }

  hold(path: string): () => void {
    const release = this.#ledger.records.want(path)
    return () => {
      release()
      const record = this.#ledger.records.get(path)
      if (record) this.#queue.wake(record)
    }
  }

  async barrier(what: string | SpooledCopy, signal: AbortSignal): Promise<void> {
    if (typeof what === 'string') return this.#barriers.over(what, signal)
    const { record } = what
    if (!record) return
    if (record.scratch) return this.#spool.makeDurable(what.generation)
    const goal = this.#barriers.goalOf(record)
    return goal && this.#barriers.wait([goal], signal)
  }

  /**
   * As a barrier over everything, and until nothing is in doubt any more: what unmounting waits for. What
   * programs go on writing meanwhile is not waited for, or one of them could keep it for ever.
   */
  async drain(signal: AbortSignal): Promise<void> {
    // what a call leaves behind (a version of somebody else's that is saved) has to go too
    let known: number
    do {
      known = this.#ledger.ownChanges
      await this.barrier('', signal)
      await this.#doubts.settled(signal)
    } while (this.#ledger.ownChanges !== known)
  }

  status(): WriteBackStatus {
    return statusOf(this.#ledger.records, this.#queue.gate, this.#clock)
  }

  /** What a person asks for: see `Interventions`. */
  retry(): number {
    return this.#interventions.retry()
  }

  discardWithin(path: string): number {
    return this.#interventions.discardWithin(path)
  }

  /** Stops sending and closes the journal; what is not confirmed stays in it. Any number of times. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#unsubscribe()
    this.#doubts.close()
    this.#ending.abort(new Error('the mount is ending'))
    await this.#queue.close()
    await this.#generations.close()
    this.#spool.close()
    this.#journal.close()
  }

  // what the working copies tell

  willChange(copy: SpooledCopy, generation: number): void {
    const { record } = copy
    if (!record) return
    if (!copy.dirty || generation !== copy.generation) {
      this.#ledger.changeGeneration(record, generation)
      this.#queue.settle(record, this.#dirtyExpireMs)
    } else if (copy.seal) this.#journal.unseal(record.path)
    copy.seal = undefined
  }

  discardGeneration(generation: number): void {
    this.#generations.discard(generation)
  }

  flushed(copy: SpooledCopy): void {
    if (copy.record && copy.dirty) {
      this.#queue.hasten(copy.record, copy.retained > 1 ? settleMs.open : settleMs.closed)
    }
  }

  released(copy: SpooledCopy): void {
    if (copy.retained > 0) return
    const { record } = copy
    if (!record) this.#generations.discard(copy.generation)
    else if (copy.dirty) {
      this.#queue.hasten(record, settleMs.closed)
      this.#generations.seal(copy)
    } else this.#handover.letGo(record)
  }

  backgroundError(copy: SpooledCopy): Error | undefined {
    const { record } = copy
    return record?.phase.is === 'parked' ? record.phase.error : undefined
  }

  #parked(record: PathRecord, error: Error, code: string): void {
    this.#logger.error(
      { path: record.path, code },
      `given up until it changes or is retried: ${error.message}`,
    )
    try {
      this.#ledger.change(record, { parked: { code, message: error.message } })
    } catch (journalError) {
      this.#logger.error({ path: record.path, err: journalError }, 'the journal cannot be written')
    }
    this.#barriers.look()
  }

  async #recover(options: WriteBackOptions): Promise<void> {
    const records = await recover({
      journal: this.#journal,
      ledger: this.#ledger,
      spool: this.#spool,
      owner: this,
      boot: options.boot,
      clock: this.#clock,
      logger: this.#logger,
      failpoint: options.failpoint ?? noFailpoint,
    })
    this.#unsubscribe = options.listings.subscribe(this)
    for (const record of records) this.#queue.wake(record)
  }
}
