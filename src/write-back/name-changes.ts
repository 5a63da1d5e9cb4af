/**
 * Creating, removing and renaming as changes of desired states. Layer: write-back.
 *
 * Invariant: each operation is one transaction of the journal; the service hears of it later, from the queue.
 */
import type { RemoteEntry } from '../client/session-files.ts'
import { WriteBackError, type LocalAttributes, type WorkingCopy } from './local-changes.ts'
import type { Parts } from './parts.ts'
import {
  certain,
  isDone,
  remoteOf,
  fulfilled,
  type Desired,
  type DesiredCopy,
  type PathRecord,
} from './record.ts'
import { joinPath, nameOf } from '../remote-path.ts'
import { SpooledCopy } from './disk/spooled-copy.ts'
import { settleMs } from './queue/upload-queue.ts'

export class NameChanges {
  readonly #parts: Parts
  /** What has to happen when the transaction is through. */
  #afterwards: (() => void)[] = []
  /** What has to be taken back when it is not. */
  #takeBack: (() => void)[] = []
  #isTogether = false

  constructor(parts: Parts) {
    this.#parts = parts
  }

  together<T>(work: () => T, request?: number): T {
    const { failpoint } = this.#parts
    const results: T[] = []
    failpoint('naming.before')
    this.#transactFreeing(() => {
      this.#isTogether = true
      try {
        results[0] = work()
        if (request !== undefined) this.#parts.journal.carriedOut(request)
      } finally {
        this.#isTogether = false
      }
    })
    failpoint('naming.after')
    return results[0] as T
  }

  create(path: string, over: RemoteEntry | undefined): WorkingCopy {
    const { ledger, spool, queue, owner, dirtyExpireMs } = this.#parts
    const known = ledger.records.get(path)
    if (known?.desired.is === 'file' && known.desired.from === 'spool') {
      known.desired.copy.truncate(0)
      return known.desired.copy
    }
    const copy = new SpooledCopy(spool, owner, { generation: spool.createEmpty(), size: 0, dirty: true })
    this.#transact(() => {
      this.#takeBack.push(() => spool.unlink(copy.generation))
      const record = ledger.of(path, remoteOf(over))
      this.#desire(record, { is: 'file', from: 'spool', copy })
      this.#afterwards.push(() => {
        copy.attach(record)
        queue.settle(record, dirtyExpireMs)
      })
    })
    return copy
  }

  /** As `LocalChanges.stage`. */
  async stage(
    path: string,
    base: { readonly file: string; readonly listed: RemoteEntry },
  ): Promise<WorkingCopy> {
    const { ledger, spool } = this.#parts
    const desiredNow = (): Desired | undefined => ledger.records.get(path)?.desired
    const before = desiredNow()
    if (before?.is === 'file' && before.from === 'spool') return before.copy
    const generation = await spool.import(base.file)
    try {
      // what came to the name meanwhile has other bytes than `base`
      if (desiredNow() === before) return this.#takeUp(path, base.listed, generation)
      throw new WriteBackError('interrupted', path, `${path}: removed or replaced while it was opened`)
    } catch (error) {
      spool.unlink(generation)
      throw error
    }
  }

  /** Takes up a copy of what the service has; nothing is written down until it is written to. */
  #takeUp(path: string, listed: RemoteEntry, generation: number): WorkingCopy {
    const { ledger, spool, owner, clock } = this.#parts
    const copy = new SpooledCopy(spool, owner, { generation, size: spool.size(generation), dirty: false })
    const record = ledger.of(path, remoteOf(listed))
    if (record.desired.is === 'file' && record.desired.from === 'remote') {
      this.#arrive(record, copy)
      return copy
    }
    const known = certain(record.remote)
    const modifiedSeconds = known.is === 'file' ? known.modifiedSeconds : listed.modifiedSeconds
    ledger.records.apply(record, {
      desired: { is: 'file', from: 'spool', copy },
      remote: { is: 'file', size: copy.size, modifiedSeconds, generation },
      confirmedOrder: clock.order(),
    })
    copy.attach(record)
    return copy
  }

  /** A renamed file is written to before its bytes were fetched for the new name: this fetched them. */
  #arrive(record: PathRecord, copy: DesiredCopy): void {
    copy.differs()
    this.#transact(() => {
      this.#desire(record, { is: 'file', from: 'spool', copy })
      this.#afterwards.push(() => copy.attach(record))
      this.#settle(record, settleMs.renamed)
    })
  }

  removeFile(path: string, over: RemoteEntry | undefined): void {
    const { ledger } = this.#parts
    if (!over && !ledger.records.get(path)) return
    this.#transactFreeing(() => {
      const record = ledger.of(path, remoteOf(over))
      this.#desire(record, { is: 'absent' })
      this.#disinherit(path, undefined)
      ledger.setAttributes(path, undefined)
      this.#settle(record, settleMs.closed)
    })
  }

  makeDirectory(path: string, over: RemoteEntry | undefined): void {
    const { ledger } = this.#parts
    this.#transact(() => {
      const record = ledger.of(path, remoteOf(over))
      this.#desire(record, { is: 'directory' })
      this.#beginEmpty(record)
      this.#settle(record, settleMs.closed)
    })
  }

  removeDirectory(path: string, remote: boolean): void {
    const { ledger } = this.#parts
    if (!remote && !ledger.records.get(path)) return
    this.#transactFreeing(() => {
      const record = ledger.of(path, { is: remote ? 'directory' : 'absent' })
      this.#desire(record, { is: 'absent' })
      this.#shareDoubt(record)
      ledger.setAttributes(path, undefined)
      this.#settle(record, settleMs.closed)
    })
  }

  renameFile(from: string, to: string, source: RemoteEntry | undefined, over: RemoteEntry | undefined): void {
    if (from === to) return
    this.#transact(() => {
      this.#moveFile(from, to, source, over)
    })
  }

  renameDirectory(
    from: string,
    to: string,
    remote: ReadonlyMap<string, RemoteEntry>,
    remoteDirectory: boolean,
    over: RemoteEntry | undefined,
  ): void {
    const { ledger } = this.#parts
    const target = (path: string): string => to + path.slice(from.length)
    this.#transact(() => {
      const local = [...ledger.records.within(from)].filter((record) => record.path !== from)
      this.#moveDirectory(from, to, remoteDirectory, over)
      for (const [relative, entry] of remote) {
        const path = joinPath(from, relative)
        if (entry.isDirectory) this.#moveDirectory(path, target(path), true, undefined)
        else this.#moveFile(path, target(path), entry, undefined)
      }
      for (const record of local) {
        const { desired, path } = record
        if (desired.is === 'directory') {
          this.#moveDirectory(path, target(path), record.remote.is !== 'absent', undefined)
        } else if (desired.is === 'file') this.#moveFile(path, target(path), undefined, undefined)
      }
    })
  }

  #moveFile(from: string, to: string, source: RemoteEntry | undefined, over: RemoteEntry | undefined): void {
    const { ledger } = this.#parts
    const old = ledger.of(from, remoteOf(source))
    const heir = ledger.of(to, remoteOf(over))
    const moved = movedContent(old, source)
    const returned = moved.from === 'remote' && moved.path === to
    this.#desire(heir, returned ? fulfilled(heir.remote) : moved)
    if (moved.from === 'spool') {
      const { copy } = moved
      this.#afterwards.push(() => {
        copy.attach(heir)
        // under this name nothing is confirmed
        copy.differs()
      })
    }
    this.#inherit(from, to)
    const heirs =
      old.remote.is === 'absent' ? [] : [...new Set([...old.heirs, to])].filter((path) => path !== from)
    ledger.change(old, { desired: { is: 'absent' }, heirs })
    this.#moveAttributes(from, to)
    this.#settle(old, settleMs.renamed)
    this.#settle(heir, moved.from === 'remote' ? settleMs.renamed : settleMs.closed)
  }

  #moveDirectory(from: string, to: string, remote: boolean, over: RemoteEntry | undefined): void {
    const { ledger } = this.#parts
    const old = ledger.of(from, { is: remote ? 'directory' : 'absent' })
    const heir = ledger.of(to, remoteOf(over))
    this.#desire(heir, { is: 'directory' })
    this.#beginEmpty(heir)
    ledger.change(old, { desired: { is: 'absent' } })
    this.#shareDoubt(old)
    this.#moveAttributes(from, to)
    this.#settle(old, settleMs.renamed)
    this.#settle(heir, settleMs.renamed)
  }

  /** An upload below a directory that is gone may still come to be, and the directory with it. */
  #shareDoubt(directory: PathRecord): void {
    const { ledger } = this.#parts
    let newest = directory.doubtSince
    for (const { doubtSince } of ledger.records.within(directory.path))
      if (doubtSince !== undefined) newest = Math.max(newest ?? doubtSince, doubtSince)
    if (newest !== undefined) ledger.change(directory, { doubtSince: newest })
  }

  /** Gives a path a new desired state; whatever bytes were its own until now it leaves. */
  #desire(record: PathRecord, desired: Desired): void {
    const { ledger, queue } = this.#parts
    const before = record.desired
    ledger.change(record, { desired })
    if (before.is !== 'file') return
    const stays = desired.is === 'file' && desired.from === 'spool' ? desired.copy : undefined
    if (before.from === 'spool' && before.copy !== stays) this.#unname(before.copy.generation)
    if (before.from === 'spool' && before.copy.record === record) {
      this.#afterwards.push(() => {
        if (
          record.desired.is === 'file' &&
          record.desired.from === 'spool' &&
          record.desired.copy === before.copy
        )
          return
        if (before.copy.record === record) before.copy.detach()
      })
    }
    if (before.from === 'remote') {
      this.#afterwards.push(() => {
        const source = ledger.records.get(before.path)
        if (source) queue.wake(source)
      })
    }
  }

  /** At once: what has a name and no row would be taken for what a lost journal had known. */
  #unname(generation: number): void {
    const { spool } = this.#parts
    const path = spool.nameOf(generation)
    if (path === undefined) return
    spool.unname(generation)
    this.#takeBack.push(() => spool.name(generation, path))
  }

  /** What was listed of its name was in another directory, which is gone. */
  #beginEmpty(directory: PathRecord): void {
    if (directory.remote.is === 'absent') this.#parts.listings.drop(directory.path)
  }

  /** What waited for `from` to be on the service waits for `to` now. */
  #inherit(from: string, to: string): void {
    const { ledger, queue } = this.#parts
    for (const record of [...ledger.records.waitingForHeir(from)]) {
      const heirs = [...new Set(record.heirs.map((path) => (path === from ? to : path)))]
      ledger.change(record, { heirs: heirs.filter((path) => path !== record.path) })
      this.#afterwards.push(() => queue.wake(record))
    }
  }

  #disinherit(path: string, except: PathRecord | undefined): void {
    const { ledger, queue } = this.#parts
    for (const record of [...ledger.records.waitingForHeir(path)]) {
      if (record === except) continue
      ledger.change(record, { heirs: record.heirs.filter((heir) => heir !== path) })
      this.#afterwards.push(() => queue.wake(record))
    }
  }

  #moveAttributes(from: string, to: string): void {
    const { ledger } = this.#parts
    const attributes: LocalAttributes | undefined = ledger.attributes(from)
    ledger.setAttributes(to, attributes)
    ledger.setAttributes(from, undefined)
  }

  #settle(record: PathRecord, ms: number): void {
    const { ledger, queue } = this.#parts
    this.#afterwards.push(() => {
      if (ledger.records.get(record.path) !== record) return
      const untouched =
        record.remote.is === 'absent' &&
        record.work.phase.is !== 'calling' &&
        record.confirmedOrder === 0 &&
        record.doubtSince === undefined
      if (record.desired.is === 'absent' && isDone(record) && untouched) {
        queue.forget(record)
        ledger.forget(record)
        queue.wakeAbove(record)
      } else queue.settle(record, ms)
    })
  }

  /** What frees room in the end is written down on a full disk as well, with what was kept for that. */
  #transactFreeing(change: () => void): void {
    if (this.#isTogether) {
      change()
      return
    }
    try {
      this.#transact(change)
    } catch (error) {
      if (!(error instanceof WriteBackError) || error.reason !== 'diskFull') throw error
      this.#parts.spool.makeRoom()
      this.#transact(change)
    }
  }

  #transact(change: () => void): void {
    if (this.#isTogether) {
      change()
      return
    }
    this.#afterwards = []
    this.#takeBack = []
    try {
      this.#parts.ledger.transaction(change)
    } catch (error) {
      for (const takeBack of this.#takeBack) takeBack()
      throw error
    }
    const afterwards = this.#afterwards
    this.#afterwards = []
    for (const act of afterwards) act()
  }
}

/** Where the bytes of a file that is renamed are. */
function movedContent(
  old: PathRecord,
  source: RemoteEntry | undefined,
): Extract<Desired, { is: 'file'; from: 'spool' | 'remote' }> {
  const { desired, path } = old
  if (desired.is === 'file' && desired.from !== 'service') return desired
  const known = certain(old.remote)
  const listed = source ?? {
    name: nameOf(path),
    isDirectory: false,
    size: known.is === 'file' ? known.size : 0,
    modifiedSeconds: known.is === 'file' ? (known.modifiedSeconds ?? 0) : 0,
  }
  return { is: 'file', from: 'remote', path, listed }
}
