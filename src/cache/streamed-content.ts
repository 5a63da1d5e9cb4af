/**
 * One content of one path: served from the local disk while it arrives. Layer: cache.
 *
 *            ┌─────── failure, stall, nobody waits ───────┐
 *            ▼                                            │
 *   idle ──read──▶ arriving ──last byte, size agrees──▶ whole
 *                     └──────cut twice, changed───────▶ failed
 *
 * Invariant: one download at a time serves all readers, near and far; what was handed out stays true, or
 * every later read fails.
 */
import type { Clock } from '../clock.ts'
import { ServiceError } from '../client/errors.ts'
import type { RemoteEntry, SessionFiles } from '../client/session-files.ts'
import { sleep } from '../clock.ts'
import { ByteWaits } from './byte-waits.ts'
import { cutError, DownloadAttempt, type Received } from './content-download.ts'
import { ContentChanged, ContentFile } from './content-file.ts'
import type { Provenance } from './content-proof.ts'
import { diskError, type DiskStore } from './disk-store.ts'
import { checkSize } from './size-check.ts'

/** How often a download is begun for those who wait, and how long before the third and the fourth time. */
const maxAttempts = 4
const pausesMs = [0, 0, 500, 1_000]

/** With no more than this to come, a download that nobody holds is left to end by itself. */
const nearlyWholeBytes = 64 * 1024

/** What all contents of a cache share. */
export interface ContentSurroundings {
  readonly files: SessionFiles
  readonly clock: Clock
  readonly store: DiskStore
  readonly stallMs: number
  readonly makeRoom: (bytes: number) => Promise<void>
  /** The entry of a path in a listing begun now. */
  readonly lookAgain: (path: string, signal: AbortSignal) => Promise<RemoteEntry | undefined>
  /** The bytes are not those of the content before it. */
  readonly onChanged: (path: string) => void
  /** It became whole or failed for good; or a download ended without either and nobody waits. */
  readonly onSettled: (content: StreamedContent) => void
}

type Arrival =
  | { readonly kind: 'idle' }
  | { readonly kind: 'arriving'; readonly attempt: DownloadAttempt }
  | { readonly kind: 'whole' }
  | { readonly kind: 'failed'; readonly error: Error }

export class StreamedContent {
  readonly path: string
  readonly file: ContentFile
  readonly #around: ContentSurroundings
  readonly #waits: ByteWaits
  /** The content of the same path before this one, while it is compared with it. */
  #previous: StreamedContent | undefined
  readonly listed: RemoteEntry
  #state: Arrival = { kind: 'idle' }
  #provenance: Provenance
  #looked: Promise<RemoteEntry | undefined> | undefined
  #holds = 1
  #fetchedMs = 0

  /** Whether the layer above was given it, and how many handles it has. */
  handedOut = false
  readers = 0

  /** Begins with one hold, the maker's. `previous`, when given, is whole. */
  constructor(around: ContentSurroundings, path: string, listed: RemoteEntry, previous?: StreamedContent) {
    this.#around = around
    this.path = path
    this.listed = listed
    this.#waits = new ByteWaits(around.clock)
    this.file = new ContentFile(around.store.newPath(), around.store.openFiles, listed.size, path)
    this.#previous = previous
    previous?.retain()
    this.#provenance = {
      origin: 'download',
      size: listed.size,
      modifiedSeconds: listed.modifiedSeconds,
      begunOrder: undefined,
      endedOrder: undefined,
      knownAt: undefined,
      serverDateMs: undefined,
      kept: false,
    }
  }

  get provenance(): Provenance {
    return this.#provenance
  }

  get complete(): boolean {
    return this.#state.kind === 'whole'
  }

  get failed(): boolean {
    return this.#state.kind === 'failed'
  }

  get size(): number {
    return this.complete ? this.file.received : this.listed.size
  }

  /** Whether a download that nobody holds is worth its last bytes. */
  get nearlyWhole(): boolean {
    if (this.#state.kind !== 'arriving' || this.#state.attempt.position === 0) return false
    const { length = this.listed.size } = this.#state.attempt
    return Math.max(length, this.listed.size) - this.file.received <= nearlyWholeBytes
  }

  /** How long open handles should stay with it, from now, so that following a file takes a tenth of the time. */
  get restMs(): number {
    if (this.#state.kind === 'arriving') return Infinity
    const since = this.#around.clock.now() - (this.#provenance.knownAt ?? -Infinity)
    return Math.max(0, 10 * this.#fetchedMs - since)
  }

  /** Its bytes are these, or those of a file, as the service has confirmed now. */
  becomeOwn(bytes: Uint8Array | string, size: number): void {
    const order = this.#around.clock.order()
    this.file.replace(bytes, size)
    this.#provenance = {
      ...this.#provenance,
      origin: 'own',
      size,
      modifiedSeconds: undefined,
      begunOrder: order,
      endedOrder: order,
      knownAt: this.#around.clock.now(),
    }
    this.#state = { kind: 'whole' }
  }

  /** An empty file needs no download: the listing that shows it is its proof. */
  becomeEmpty(begunOrder: number, seenAt: number): void {
    this.#provenance = { ...this.#provenance, begunOrder, endedOrder: begunOrder, knownAt: seenAt }
    this.#state = { kind: 'whole' }
    this.#dropPrevious()
  }

  /** The first listing after our own upload tells the time that goes with it. */
  noteListed(listed: RemoteEntry): void {
    const { origin, modifiedSeconds, size } = this.#provenance
    if (origin !== 'own' || modifiedSeconds !== undefined || listed.size !== size) return
    this.#provenance = { ...this.#provenance, modifiedSeconds: listed.modifiedSeconds }
  }

  read(
    offset: number,
    length: number,
    priority: number,
    signal?: AbortSignal,
  ): Uint8Array | Promise<Uint8Array> {
    /* what reaches the end is answered when it is known where that is: the listed size may be wrong */
    const end = offset + length < this.listed.size ? offset + length : Infinity
    if (this.complete || end <= this.file.received) return this.file.read(offset, length)
    return this.#wait(end, priority, signal).then(() => this.file.read(offset, length))
  }

  /** Resolves when all of it is here. */
  async arrival(priority: number, signal?: AbortSignal): Promise<void> {
    if (!this.complete) await this.#wait(Infinity, priority, signal)
  }

  async whole(priority: number, signal?: AbortSignal): Promise<string> {
    await this.arrival(priority, signal)
    try {
      this.file.handOutWhole()
    } catch (error) {
      throw diskError(error)
    }
    return this.file.path
  }

  /** Ends the download; a later read begins it again. */
  stop(): void {
    if (this.#state.kind !== 'arriving') return
    this.#state.attempt.end()
    this.#state = { kind: 'idle' }
    this.#waits.fail(new ServiceError('aborted', `download ${this.path}: stopped`))
  }

  retain(): void {
    this.#holds += 1
  }

  /** With the last hold its bytes are removed. */
  release(): void {
    this.#holds -= 1
    if (this.#holds > 0) return
    this.stop()
    this.#dropPrevious()
    this.file.abandon()
    if (this.file.isOnDisk) this.#around.store.remove(this.file.path)
  }

  #wait(end: number, priority: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#state.kind === 'failed') return Promise.reject(this.#state.error)
    const wait = this.#waits.add(end, signal, `read ${this.path}`)
    if (this.#state.kind === 'idle' && this.#waits.size > 0) this.#start(priority)
    return wait
  }

  #start(priority: number): void {
    const { files, clock, stallMs, makeRoom } = this.#around
    const attempt: DownloadAttempt = new DownloadAttempt({
      path: this.path,
      files,
      clock,
      file: this.file,
      listedBytes: this.listed.size,
      priority,
      stallMs,
      makeRoom,
      onMore: async () => (await this.#lookAgain(attempt))?.size ?? 0,
      onPiece: (piece, here) => this.#compare(piece, here),
      onProgress: () => this.#waits.progress(this.file.received),
      onStall: () => this.#stalled(attempt, priority),
    })
    this.#state = { kind: 'arriving', attempt }
    this.#provenance = { ...this.#provenance, begunOrder: clock.order() }
    void this.#fetch(attempt)
  }

  /** Attempts until it is whole, or there is a failure that another attempt would not mend. */
  async #fetch(attempt: DownloadAttempt): Promise<void> {
    const { clock } = this.#around
    let cutAt: number | undefined
    for (let tries = 1; ; tries += 1) {
      const pauseMs = pausesMs[tries - 1] ?? 0
      let failure: Error
      try {
        if (pauseMs > 0) await sleep(clock, pauseMs, attempt.signal)
        this.#looked = undefined
        const startedAt = clock.now()
        const received = await attempt.transfer()
        this.#fetchedMs = clock.now() - startedAt
        attempt.watch()
        const verdict = await checkSize(this.listed, received.size, () => this.#lookAgain(attempt))
        if (attempt.ended) return
        if (verdict.kind === 'take') {
          this.#becomeWhole(attempt, received, verdict.agreed)
          return
        }
        failure = cutError(this.path, received.size, this.listed.size)
      } catch (error) {
        failure = error as Error
      }
      if (attempt.ended) return
      const again = mayMend(failure, attempt.position, cutAt)
      if (!again || tries === maxAttempts) {
        const isPlainCut = isCut(failure) && !(failure instanceof ContentChanged)
        this.#fail(attempt, isPlainCut ? cutError(this.path, attempt.position, this.listed.size) : failure)
        return
      }
      cutAt = isCut(failure) ? attempt.position : undefined
    }
  }

  /** Once for each time that the download is begun. */
  #lookAgain(attempt: DownloadAttempt): Promise<RemoteEntry | undefined> {
    this.#looked ??= this.#around.lookAgain(this.path, attempt.signal)
    return this.#looked
  }

  #becomeWhole(attempt: DownloadAttempt, received: Received, agreed: RemoteEntry | undefined): void {
    attempt.finish()
    this.#provenance = {
      ...this.#provenance,
      ...received,
      size: agreed?.size ?? received.size,
      modifiedSeconds: agreed?.modifiedSeconds,
      endedOrder: this.#around.clock.order(),
    }
    this.#state = { kind: 'whole' }
    if (this.#previous !== undefined && this.#previous.size !== received.size) this.#foundChange()
    this.#dropPrevious()
    this.#waits.end()
    this.#around.onSettled(this)
  }

  #fail(attempt: DownloadAttempt, error: Error): void {
    attempt.finish()
    if (this.#fallBack(error)) return
    this.#state = isCut(error) ? { kind: 'failed', error } : { kind: 'idle' }
    this.#waits.fail(error)
    this.#around.onSettled(this)
  }

  /**
   * A file that we uploaded and the service does not give back: our own bytes are served while the listed
   * size agrees, unless those that did come say otherwise.
   */
  #fallBack(error: Error): boolean {
    const own = this.#previous
    if (own?.provenance.origin !== 'own' || own.size !== this.listed.size) return false
    if (error instanceof ContentChanged) return false
    if (!isCut(error) && !(error instanceof ServiceError && error.code === 'server_error')) return false
    const partial = this.file.isOnDisk ? this.file.path : undefined
    try {
      own.file.handOutWhole()
      this.becomeOwn(this.#around.store.take(own.file.path), own.size)
    } catch {
      return false
    }
    if (partial !== undefined) this.#around.store.remove(partial)
    this.#provenance = { ...this.#provenance, kept: true, modifiedSeconds: this.listed.modifiedSeconds }
    this.#dropPrevious()
    this.#waits.end()
    this.#around.onSettled(this)
    return true
  }

  /** No byte for the limit: whoever has waited that long fails, for the others it begins again. */
  #stalled(attempt: DownloadAttempt, priority: number): void {
    const { stallMs } = this.#around
    attempt.end()
    this.#state = { kind: 'idle' }
    const seconds = Math.round(stallMs / 1000)
    this.#waits.fail(new ServiceError('timeout', `read ${this.path}: no byte for ${seconds} s`), stallMs)
    if (this.#waits.size > 0) this.#start(priority)
    else this.#around.onSettled(this)
  }

  #compare(piece: Uint8Array, position: number): void {
    if (this.#previous === undefined) return
    const before = this.#previous.file.peek(position, piece.length)
    if (Buffer.compare(before, piece) !== 0) this.#foundChange()
  }

  #foundChange(): void {
    this.#dropPrevious()
    this.#around.onChanged(this.path)
  }

  #dropPrevious(): void {
    this.#previous?.release()
    this.#previous = undefined
  }
}

/** The service gave less than there is, or gave other bytes the second time. */
function isCut(error: Error): boolean {
  return error instanceof ServiceError && error.code === 'truncated'
}

/**
 * Whether beginning again may help: after a cut at another place than the last one (`cutAt`), or where the
 * connection broke after some bytes. A request that never began has had the client's own attempts.
 */
function mayMend(error: Error, position: number, cutAt: number | undefined): boolean {
  if (error instanceof ContentChanged) return false
  if (isCut(error)) return position !== cutAt
  return error instanceof ServiceError && error.retryable && position > 0
}
