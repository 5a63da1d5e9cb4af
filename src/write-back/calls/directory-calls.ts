/**
 * Making directories, with and without a call for it, and knowing of those that come to be with what is put
 * below them. Layer: write-back.
 *
 * Invariant: a directory that may have come to be is known as such before the call is sent, so that one that
 * is not wanted any more is removed.
 */
import { markerName } from '../../client/directory-marker.ts'
import { createHash } from 'node:crypto'
import { ServiceError } from '../../client/errors.ts'
import type { CallOptions } from '../../client/session-files.ts'
import type { CallParts } from './call-parts.ts'
import { foundLateFile } from './late-files.ts'
import { certain, isDone, type PathRecord, type UploadAttempt } from '../record.ts'
import { joinPath, nameOf, parentOf } from '../../remote-path.ts'
import type { CallOutcome, UploadQueue } from '../queue/upload-queue.ts'

const emptyAttempt: UploadAttempt = {
  generation: 0,
  size: 0,
  sha256: createHash('sha256').digest('hex'),
}

export class DirectoryCalls {
  readonly #parts: CallParts
  readonly #callOptions: (record: PathRecord) => CallOptions
  readonly #occupy: UploadQueue['occupy']
  /** Directories that a marker was put into. */
  readonly #marked = new WeakSet<PathRecord>()
  /** Whether the service can make a directory; undefined until it was asked. */
  #makesDirectories: boolean | undefined

  /** `occupy` as `UploadQueue.occupy`. */
  constructor(
    parts: CallParts,
    callOptions: (record: PathRecord) => CallOptions,
    occupy: UploadQueue['occupy'],
  ) {
    this.#parts = parts
    this.#callOptions = callOptions
    this.#occupy = occupy
  }

  /** Where there is no call for it, an empty directory waits until somebody asks for it. */
  mayMake(record: PathRecord): boolean {
    return this.#makesDirectories !== false || record.work.urgent
  }

  async make(record: PathRecord): Promise<CallOutcome> {
    const { ledger, files, listings } = this.#parts
    const { version, path, remote } = record
    // whatever becomes of the call and of us: taken back, it has to be removed
    const announced = { is: 'uncertain', before: certain(remote), as: 'directory' } as const
    ledger.change(record, { remote: announced })
    const isCalled = this.#makesDirectories !== false
    let isListed = false
    try {
      if (!isCalled) {
        const outcome = await this.#materialise(record, remote.is === 'uncertain')
        if (outcome) return outcome
        isListed = true
      } else {
        await files.makeDirectory(path, this.#callOptions(record))
        this.#makesDirectories = true
      }
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      // meanwhile it may have come to be, or be about to, with what was put below it
      const isRefused = !error.ambiguous && error.code !== 'conflict'
      if (isRefused && record.remote === announced && !this.#isComing(path)) ledger.change(record, { remote })
      if (error.code === 'unsupported' && isCalled) {
        this.#makesDirectories = false
        return { is: 'moved' }
      }
      if (error.code !== 'conflict') throw error
      if (!(await this.isDirectory(path))) {
        if (await foundLateFile(path, this.#parts)) return { is: 'moved' }
        throw error
      }
      isListed = true
    }
    const isWanted = record.desired.is === 'directory'
    ledger.confirmed(record, { is: 'directory' }, { version: isWanted ? version : undefined })
    if (isListed) ledger.shown(record, undefined)
    listings.knowPresent(path)
    this.markAbove(path, 'directory')
    return { is: 'moved' }
  }

  /**
   * Parents come to be with an upload: puts a marker, which is a file like others that is not wanted, and when
   * the queue has taken it away sees what stays. Undefined: the directory is there.
   */
  async #materialise(record: PathRecord, mayBeThere: boolean): Promise<CallOutcome | undefined> {
    const { ledger, files, clock } = this.#parts
    const path = joinPath(record.path, markerName)
    const earlier = ledger.records.get(path)
    if (earlier && !isDone(earlier)) return { is: 'waiting', for: earlier }
    const wasMarked = this.#marked.delete(record)
    if (mayBeThere && (await this.isDirectory(record.path))) return undefined
    if (wasMarked) {
      const message = `${record.path}: this service does not keep an empty directory; put a file into it or remove it`
      return { is: 'parked', code: 'unsupported', error: new Error(message) }
    }
    const marker = ledger.of(path, { is: 'absent' })
    const before = marker.remote
    const isOnlyAttempt = marker.attempts.length === 0
    ledger.change(marker, { remote: { is: 'uncertain', before, as: 'file' } })
    ledger.attempt(marker, emptyAttempt)
    // nobody has changed it, and yet there is work to do
    ledger.records.apply(marker, { version: marker.version + 1 })
    const leave = this.#occupy(marker, 'upload', record.work.urgent)
    try {
      await files.upload(marker.path, new Uint8Array(), this.#callOptions(record))
      this.#marked.add(record)
    } catch (error) {
      if (error instanceof ServiceError && error.ambiguous) {
        ledger.change(marker, { doubtSince: clock.now() })
      } else if (error instanceof ServiceError && isOnlyAttempt) {
        ledger.clearAttempts(marker)
        ledger.change(marker, { remote: before })
      }
      leave('wake')
      throw error
    }
    leave()
    return { is: 'waiting', for: marker }
  }

  /** Whether an upload below is under way, or has ended ambiguously. */
  #isComing(directory: string): boolean {
    for (const { path, remote } of this.#parts.ledger.records.within(directory))
      if (path !== directory && remote.is === 'uncertain') return true
    return false
  }

  async isDirectory(path: string): Promise<boolean> {
    const { listings, signal } = this.#parts
    const listing = await listings.list(parentOf(path), { signal, retry: false, maxAgeMs: 0, priority: 1 })
    return listing.entries.get(nameOf(path))?.isDirectory ?? false
  }

  /** What was to be put below was refused: the directories above that were to come to be with it did not. */
  takeBackAbove(path: string): void {
    const { ledger } = this.#parts
    for (let above = parentOf(path); above !== ''; above = parentOf(above)) {
      const record = ledger.records.get(above)
      if (record?.remote.is !== 'uncertain' || record.remote.as !== 'directory') continue
      const isOwnCall = record.work.phase.is === 'calling' || record.doubtSince !== undefined
      if (isOwnCall || this.#isComing(above)) return
      ledger.change(record, { remote: record.remote.before })
    }
  }

  /** Directories above come to be with what is put below them. */
  markAbove(path: string, remote: 'uncertain' | 'directory'): void {
    const { ledger, listings } = this.#parts
    for (let above = parentOf(path); above !== ''; above = parentOf(above)) {
      const record = ledger.records.get(above)
      if (!record || record.remote.is === 'directory') continue
      if (remote === 'directory') {
        const version = record.desired.is === 'directory' ? record.version : undefined
        ledger.confirmed(record, { is: 'directory' }, { version })
        listings.knowPresent(above)
      } else if (record.remote.is === 'absent') {
        ledger.records.apply(record, { remote: { is: 'uncertain', before: record.remote, as: 'directory' } })
        listings.knowEmpty(above)
      }
    }
  }
}
