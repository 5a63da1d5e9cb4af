/**
 * All records of a mount, with what the ordering rule asks of a path's neighbourhood kept up to date as they
 * change, so that no decision needs a walk over them. Layer: write-back.
 *
 * Invariant: `apply` is the only way in which a record changes, but for its work, which is the queue's.
 */
import { certain, isDone, mayBeFile, type PathRecord } from '../record.ts'
import { nameOf, parentOf } from '../../remote-path.ts'

export type RecordChange = Partial<Omit<PathRecord, 'path' | 'scratch' | 'work'>>

interface Counts {
  unfinished: number
  uploads: number
}

/** What a record counts for in the directories above it. */
const nothing: Readonly<Counts> = { unfinished: 0, uploads: 0 }
const aCall: Readonly<Counts> = { unfinished: 1, uploads: 0 }
const anUpload: Readonly<Counts> = { unfinished: 1, uploads: 1 }

export class Records {
  readonly #byPath = new Map<string, PathRecord>()
  readonly #byDirectory = new Map<string, Map<string, PathRecord>>()
  readonly #below = new Map<string, Counts>()
  readonly #counted = new Map<PathRecord, Readonly<Counts>>()
  /** By path: how many names or open files still need its remote content. */
  readonly #wanted = new Map<string, number>()
  /** By name: the absent records that wait until it is on the service. */
  readonly #waitingForHeir = new Map<string, Set<PathRecord>>()

  get(path: string): PathRecord | undefined {
    return this.#byPath.get(path)
  }

  values(): IterableIterator<PathRecord> {
    return this.#byPath.values()
  }

  in(directory: string): Iterable<PathRecord> {
    return this.#byDirectory.get(directory)?.values() ?? []
  }

  /** Everything at and below a path. */
  *within(path: string): Iterable<PathRecord> {
    const own = this.#byPath.get(path)
    if (own) yield own
    if (path === '') {
      yield* this.#byPath.values()
      return
    }
    yield* this.#under(path)
  }

  /** What is in a directory that is below `directory`, by the name in `directory` that leads there. */
  *byChild(directory: string): Iterable<readonly [name: string, records: readonly PathRecord[]]> {
    const prefix = directory === '' ? '' : `${directory}/`
    for (const [path, names] of [...this.#byDirectory]) {
      if (path === directory || !path.startsWith(prefix)) continue
      const [name = ''] = path.slice(prefix.length).split('/', 1)
      yield [name, [...names.values()]]
    }
  }

  add(record: PathRecord): void {
    this.#byPath.set(record.path, record)
    const directory = parentOf(record.path)
    let names = this.#byDirectory.get(directory)
    if (!names) this.#byDirectory.set(directory, (names = new Map<string, PathRecord>()))
    names.set(nameOf(record.path), record)
    this.#link(record, 1)
    this.recount(record)
  }

  remove(record: PathRecord): void {
    this.#byPath.delete(record.path)
    const directory = parentOf(record.path)
    const names = this.#byDirectory.get(directory)
    names?.delete(nameOf(record.path))
    if (names?.size === 0) this.#byDirectory.delete(directory)
    this.#link(record, -1)
    this.#count(record, nothing)
    this.#counted.delete(record)
  }

  apply(record: PathRecord, change: RecordChange): void {
    const isLinkedAnew = change.desired !== undefined || change.heirs !== undefined
    if (isLinkedAnew) this.#link(record, -1)
    Object.assign(record, change)
    if (isLinkedAnew) this.#link(record, 1)
    this.recount(record)
  }

  /** After something that decides whether a record is done has changed outside `apply` (a new generation). */
  recount(record: PathRecord): void {
    if (record.scratch || isDone(record)) this.#count(record, nothing)
    else this.#count(record, record.desired.is === 'file' ? anUpload : aCall)
  }

  /** Until the returned function is called, `path` counts as wanted. */
  hold(path: string): () => void {
    this.#addWanted(path, 1)
    let isHeld = true
    return () => {
      if (isHeld) this.#addWanted(path, -1)
      isHeld = false
    }
  }

  waitingForHeir(path: string): Iterable<PathRecord> {
    return this.#waitingForHeir.get(path) ?? []
  }

  /** Whether another name, or an open file, still needs the remote content of `path`. */
  wanted(path: string): boolean {
    return this.#wanted.has(path)
  }

  /** How many records directly or indirectly below `path` have work to do. */
  unfinishedBelow(path: string): number {
    return this.#below.get(path)?.unfinished ?? 0
  }

  /** How many files are to be put below `path`. */
  uploadsBelow(path: string): number {
    return this.#below.get(path)?.uploads ?? 0
  }

  /** The nearest ancestor that is still a file on the service. */
  fileAbove(path: string): PathRecord | undefined {
    for (let above = parentOf(path); above !== ''; above = parentOf(above)) {
      const record = this.#byPath.get(above)
      if (record && record.desired.is !== 'file' && mayBeFile(record)) return record
    }
    return undefined
  }

  /** An heir of `record` that is not on the service yet. */
  missingHeir(record: PathRecord): PathRecord | undefined {
    for (const path of record.heirs) {
      const heir = this.#byPath.get(path)
      if (heir === undefined || heir.scratch || isDone(heir) || heir.desired.is !== 'file') continue
      if (heir.desired.from !== 'spool' || !this.#needsRoom(heir)) return heir
    }
    return undefined
  }

  /**
   * Whether a file can only go to the service when something else is gone there: what is below a directory of
   * its name, or a file above it. That must not wait for it in turn, although it may be its heir.
   */
  #needsRoom({ path, remote }: PathRecord): boolean {
    return certain(remote).is === 'directory' || this.fileAbove(path) !== undefined
  }

  *#under(directory: string): Iterable<PathRecord> {
    // a directory may have records below it without one of its own, at any depth: `below` knows the way
    const prefix = `${directory}/`
    for (const [path, names] of this.#byDirectory) {
      if (path === directory || path.startsWith(prefix)) yield* names.values()
    }
  }

  #link(record: PathRecord, by: 1 | -1): void {
    const { desired } = record
    if (desired.is === 'file' && desired.from === 'remote') this.#addWanted(desired.path, by)
    for (const heir of record.heirs) {
      let waiting = this.#waitingForHeir.get(heir)
      if (!waiting) this.#waitingForHeir.set(heir, (waiting = new Set()))
      if (by > 0) waiting.add(record)
      else waiting.delete(record)
      if (waiting.size === 0) this.#waitingForHeir.delete(heir)
    }
  }

  #addWanted(path: string, by: number): void {
    const count = (this.#wanted.get(path) ?? 0) + by
    if (count > 0) this.#wanted.set(path, count)
    else this.#wanted.delete(path)
  }

  #count(record: PathRecord, now: Readonly<Counts>): void {
    const before = this.#counted.get(record) ?? nothing
    if (before === now) return
    this.#counted.set(record, now)
    const unfinished = now.unfinished - before.unfinished
    const uploads = now.uploads - before.uploads
    for (let above = record.path; above !== '';) {
      above = parentOf(above)
      const counts = this.#below.get(above) ?? { unfinished: 0, uploads: 0 }
      counts.unfinished += unfinished
      counts.uploads += uploads
      if (counts.unfinished === 0) this.#below.delete(above)
      else this.#below.set(above, counts)
    }
  }
}
