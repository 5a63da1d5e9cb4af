/**
 * Carries out the calls that the queue decides on, and writes down what came of them. Layer: write-back.
 *
 * Invariant: an upload is announced to the journal before it is sent, and its result is written down for the
 * generation that was sent, whatever has become of the path meanwhile. Nothing here decides when.
 */
import type { Content } from '../../cache/contents.ts'
import { ServiceError } from '../../client/errors.ts'
import type { CallOptions } from '../../client/session-files.ts'
import type { CallParts } from './call-parts.ts'
import type { Conflicts } from './conflicts.ts'
import { DirectoryCalls } from './directory-calls.ts'
import { foundLateFile } from './late-files.ts'
import { lookAtOldName } from './old-names.ts'
import { strangerIn } from './strangers.ts'
import { mustWait, nextCall } from '../state/next-call.ts'
import { certain, type NextCall, type PathRecord } from '../record.ts'
import { parentOf } from '../../remote-path.ts'
import { smallBytes } from '../disk/spool.ts'
import { localFailure, SpooledCopy } from '../disk/spooled-copy.ts'
import type { CallOutcome, UploadQueue } from '../queue/upload-queue.ts'

/** Of a download that is waited for, so often is its coming noticed. */
const pieceBytes = 256 * 1024

export class RemoteCalls {
  readonly #parts: CallParts
  readonly #conflicts: Conflicts
  readonly #directories: DirectoryCalls

  readonly #admit: () => Promise<void>

  /** `occupy` as `UploadQueue.occupy`. `admit`: asked before each call, rejects when none may be sent. */
  constructor(
    parts: CallParts,
    conflicts: Conflicts,
    { occupy, admit }: { occupy: UploadQueue['occupy']; admit: () => Promise<void> },
  ) {
    this.#parts = parts
    this.#conflicts = conflicts
    this.#admit = admit
    this.#directories = new DirectoryCalls(parts, (record) => this.#callOptions(record), occupy)
  }

  mayMakeDirectory = (record: PathRecord): boolean => this.#directories.mayMake(record)

  /** Never throws. */
  perform = async (record: PathRecord, call: NextCall): Promise<CallOutcome> => {
    try {
      await this.#admit()
      const outcome = await this.#send(record, call)
      if (outcome.is === 'moved') this.#parts.onProgress(record)
      return outcome
    } catch (error) {
      return this.#failed(record, error)
    }
  }

  async #send(record: PathRecord, call: NextCall): Promise<CallOutcome> {
    switch (call.do) {
      case 'nothing':
        return { is: 'moved' }
      case 'fetch':
        return this.#fetch(record)
      case 'upload':
        return this.#upload(record)
      case 'delete':
        return this.#delete(record)
      case 'makeDirectory':
        return this.#directories.make(record)
    }
  }

  async #upload(record: PathRecord): Promise<CallOutcome> {
    const { ledger, spool, files, contents, generations, signal } = this.#parts
    const { desired } = record
    if (desired.is !== 'file' || desired.from !== 'spool') return { is: 'moved' }
    const { copy } = desired
    const { generation } = copy
    const { version } = record
    copy.freeze()
    const unpin = generations.pin(generation)
    try {
      const { size, sha256 } = await copy.digest()
      const clash = await this.#conflicts.resolve(record, signal)
      if (clash) return clash
      if (record.desired !== desired || copy.generation !== generation) return { is: 'moved' }
      const before = certain(record.remote)
      // one whose success could not be written down may still be what is there
      const isOnlyAttempt = record.attempts.length === 0
      ledger.attempt(record, { generation, size, sha256 })
      this.#directories.markAbove(record.path, 'uncertain')
      const source =
        size <= smallBytes ? spool.read(generation, 0, size) : { file: spool.file(generation), size }
      try {
        await files.upload(record.path, source, this.#callOptions(record))
      } catch (error) {
        if (error instanceof ServiceError && !error.ambiguous && isOnlyAttempt) {
          ledger.clearAttempts(record)
          ledger.change(record, { remote: before })
          if (error.code !== 'conflict') this.#directories.takeBackAbove(record.path)
        }
        if (!(error instanceof ServiceError) || error.code !== 'conflict') throw error
        if (await this.#directories.isDirectory(record.path))
          ledger.change(record, { remote: { is: 'directory' } })
        else if (!(await foundLateFile(parentOf(record.path), this.#parts))) throw error
        return { is: 'moved' }
      }
      const own = source instanceof Uint8Array && spool.isSmall(generation) ? source : spool.file(generation)
      spool.unname(generation)
      // from here on it is no more what its heirs took
      const heirs = record.desired === desired ? [] : record.heirs
      const remote = { is: 'file', size, modifiedSeconds: undefined, generation } as const
      ledger.confirmed(record, remote, { version, heirs })
      if (copy.record === record) copy.confirmed(generation)
      contents.adopt(record.path, own, size)
      this.#directories.markAbove(record.path, 'directory')
      return { is: 'moved' }
    } finally {
      unpin()
    }
  }

  async #delete(record: PathRecord): Promise<CallOutcome> {
    const { ledger, files, contents } = this.#parts
    const { version, path } = record
    const old = await lookAtOldName(record, this.#parts)
    if (old.is === 'moved') return old
    if (old.is === 'unclear') return { is: 'failed', error: new Error(old.why) }
    if (old.is === 'needed') return this.#keepOldName(record, old.why)
    const before = certain(record.remote)
    if (before.is === 'directory') {
      const stranger = await strangerIn(record, this.#parts)
      // the look took a while: the name may be wanted again
      const call = nextCall(record)
      if (call.do !== 'delete' || mustWait(record, call, ledger.records)) return { is: 'moved' }
      if (stranger !== undefined) {
        if (record.desired.is !== 'directory') return this.#keepDirectory(record, stranger)
        // what was taken for an upload of ours is the directory that is wanted
        ledger.confirmed(record, { is: 'directory' }, { version })
        return { is: 'moved' }
      }
    }
    const isFirst = record.remote.is !== 'uncertain'
    // wanted again while it is under way or in doubt, it is not there yet
    const as = before.is === 'directory' ? 'directory' : 'file'
    if (isFirst) ledger.change(record, { remote: { is: 'uncertain', before, as } })
    try {
      await files.remove(path, this.#callOptions(record))
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      if (isFirst && !error.ambiguous && error.code !== 'not_found') ledger.change(record, { remote: before })
      if (error.code === 'conflict' && record.desired.is === 'directory') {
        // a file is never refused so: what was taken for an upload of ours is the directory that is wanted
        ledger.confirmed(record, { is: 'directory' }, { version })
        return { is: 'moved' }
      }
      if (
        error.code === 'conflict' &&
        certain(record.remote).is !== 'file' &&
        record.desired.is === 'absent'
      ) {
        // what is in it may be a late upload of ours, which is looked for and taken away
        for (const below of ledger.records.within(path)) {
          if (below !== record && below.doubtSince !== undefined) return { is: 'failed', error }
        }
        return this.#keepDirectory(record, undefined)
      }
      // nothing was ever confirmed of it, and what has a name that the service does not take is not there
      const isNoName = error.code === 'bad_request' && certain(record.remote).is === 'absent'
      if (error.code !== 'not_found' && !isNoName) throw error
    }
    contents.drop(path)
    const isWanted = record.desired.is === 'absent'
    ledger.confirmed(record, { is: 'absent' }, { version: isWanted ? version : undefined, heirs: [] })
    return { is: 'moved' }
  }

  /** Somebody has put something into a directory that was to go; `stranger` is its name where that is known. */
  #keepDirectory(record: PathRecord, stranger: string | undefined): CallOutcome {
    const { ledger, listings, logger } = this.#parts
    const { path } = record
    if (record.desired.is !== 'absent') {
      const message = `${path}: a directory is in its place on the service, and somebody has put ${stranger ?? 'something'} into it`
      return { is: 'parked', code: 'conflict', error: new Error(message) }
    }
    logger.warn(
      { path, stranger },
      'not removed: somebody has put something into this directory; it is shown again',
    )
    ledger.forget(record)
    listings.drop(path)
    listings.drop(parentOf(path))
    return { is: 'moved' }
  }

  #keepOldName(record: PathRecord, why: string): CallOutcome {
    const { ledger, logger } = this.#parts
    const message = `renamed, but the old name stays: ${why}`
    if (record.desired.is !== 'absent') {
      return { is: 'parked', code: 'conflict', error: new Error(`${record.path}: ${message}`) }
    }
    logger.warn({ path: record.path, heirs: record.heirs }, message)
    ledger.forget(record)
    return { is: 'moved' }
  }

  /** Brings the bytes of a renamed file into the spool, from where they can be uploaded under the new name. */
  async #fetch(record: PathRecord): Promise<CallOutcome> {
    const { ledger, spool, contents, listings, clock, logger, failpoint, signal, wake } = this.#parts
    const { desired } = record
    if (desired.is !== 'file' || desired.from !== 'remote') return { is: 'moved' }
    const newest = listings.newest(parentOf(desired.path))
    const seen = { begunOrder: newest?.begunOrder ?? clock.order(), seenAt: newest?.endedAt ?? clock.now() }
    failpoint('fetch.before')
    const { content } = contents.open(desired.path, desired.listed, seen)
    try {
      await this.#arrival(record, content)
      const file = await content.whole(signal)
      const generation = await spool.import(file)
      if (!this.#hasCome(record, desired, generation)) return { is: 'moved' }
      failpoint('fetch.after')
    } catch (error) {
      if (!(error instanceof ServiceError) || error.code !== 'not_found' || record.desired !== desired)
        throw error
      logger.error(
        { path: record.path, from: desired.path },
        'renamed, but somebody removed the file on the service before it was copied: it is gone',
      )
      ledger.forget(record)
    } finally {
      content.release()
    }
    const source = ledger.records.get(desired.path)
    if (source) wake(source)
    return { is: 'moved' }
  }

  /** Waits for the bytes piece by piece, so that those who wait for the path see them come. */
  async #arrival(record: PathRecord, content: Content): Promise<void> {
    const { signal, onProgress } = this.#parts
    for (let at = pieceBytes; at < content.size && !content.complete; at += pieceBytes) {
      await content.read(at, 1, signal)
      onProgress(record)
    }
  }

  /** The bytes of a renamed file are in the spool; false: it has changed meanwhile. */
  #hasCome(record: PathRecord, desired: PathRecord['desired'], generation: number): boolean {
    const { ledger, spool, owner } = this.#parts
    try {
      if (record.desired !== desired) {
        spool.unlink(generation)
        return false
      }
      const copy = new SpooledCopy(spool, owner, { generation, size: spool.size(generation), dirty: true })
      ledger.change(record, { desired: { is: 'file', from: 'spool', copy } })
      copy.attach(record)
      return true
    } catch (error) {
      spool.unlink(generation)
      throw error
    }
  }

  /** What may take effect late may bring back the directories above that are not wanted any more. */
  #doubt(record: PathRecord, doubtSince: number): void {
    const { ledger } = this.#parts
    ledger.change(record, { doubtSince })
    for (let above = parentOf(record.path); above !== ''; above = parentOf(above)) {
      const directory = ledger.records.get(above)
      if (directory?.desired.is === 'absent') ledger.change(directory, { doubtSince })
    }
  }

  #callOptions(record: PathRecord): CallOptions {
    const { signal, onProgress } = this.#parts
    const priority = record.work.urgent ? 1 : 0
    return { signal, retry: false, priority, onProgress: () => onProgress(record) }
  }

  #failed(record: PathRecord, error: unknown): CallOutcome {
    const { clock, logger } = this.#parts
    if (!(error instanceof ServiceError)) {
      const failure = localFailure(record.path, error)
      if (failure.reason === 'diskFull') this.#parts.spool.makeRoom()
      logger.error({ path: record.path, err: error }, failure.message)
      return { is: 'failed', error: failure }
    }
    if (error.ambiguous) {
      try {
        this.#doubt(record, clock.now())
      } catch (journalError) {
        logger.error({ path: record.path, err: journalError }, 'the journal cannot be written')
        this.#parts.ledger.records.apply(record, { doubtSince: clock.now() })
      }
    }
    if (error.concerns === 'caller') return { is: 'waiting' }
    if (error.concerns === 'session') return { is: 'refused', error }
    // what is not found may have been made again by the time that its call is decided anew
    if (error.concerns === 'path' && error.code !== 'not_found')
      return { is: 'parked', code: error.code, error }
    return { is: 'failed', error, retryAfterMs: error.retryAfterMs }
  }
}
