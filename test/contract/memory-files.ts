/**
 * The files of a session in memory: the double that the tests of every layer above the client stand on.
 * One of the implementations that `session-files-contract.ts` holds to the same behaviour.
 *
 * Invariant: a call is counted when it begins (a listing once per page), changes the tree in one step, and
 * never before its gates have let it through.
 */
import { open } from 'node:fs/promises'
import { type Clock, systemClock } from '../../src/clock.ts'
import { ServiceError } from '../../src/client/errors.ts'
import type {
  CallOptions,
  Download,
  RemoteEntry,
  SessionFiles,
  UploadSource,
} from '../../src/client/session-files.ts'
import {
  type Fault,
  faultError,
  Faults,
  type Gate,
  type GateMatch,
  Gates,
  type Verb,
} from './memory-faults.ts'
import { type MemoryNode, MemoryTree, notFound } from './memory-tree.ts'

export type { Fault, Gate, GateMatch, Verb } from './memory-faults.ts'

export interface MemoryFilesOptions {
  /** Entries of a page; default 100. */
  readonly pageSize?: number
  /** `zero` (default) as the service mostly does, `real` from the clock. */
  readonly modified?: 'zero' | 'real'
  /** Whether `makeDirectory` is there; default true. */
  readonly mkdir?: boolean
  /** Bytes above which an upload is refused; default 52,428,800. */
  readonly maxFileBytes?: number
  /** Bytes of one piece of a download; default 65,536. */
  readonly chunkBytes?: number
  /** Order of a listing; default by name. */
  readonly order?: (names: string[]) => string[]
  readonly clock?: Clock
  /** As a service that does not refuse to delete a directory with something in it; default false. */
  readonly takesAlong?: boolean
}

export interface RecordedCall {
  readonly verb: Verb
  readonly path: string
  readonly priority: number
  /** False when it was asked not to repeat the call by itself. */
  readonly retry: boolean
}

export class MemoryFiles implements SessionFiles {
  /** Every call since the start or `resetCalls`, in the order of their beginnings. */
  calls: RecordedCall[] = []
  /** Calls under way now, and the most there ever were. */
  running = 0
  maxRunning = 0
  /** May be changed while it runs. */
  modified: 'zero' | 'real'
  mkdir: boolean
  pageSize: number
  readonly #tree = new MemoryTree()
  /** What listings show, where that is not what is there. */
  #listed: MemoryTree | undefined
  readonly #faults = new Faults()
  readonly #gates = new Gates()
  readonly #late: (() => void)[] = []
  readonly #maxFileBytes: number
  readonly #chunkBytes: number
  readonly #order: (names: string[]) => string[]
  readonly #clock: Clock
  readonly #takesAlong: boolean

  constructor(options: MemoryFilesOptions = {}) {
    this.modified = options.modified ?? 'zero'
    this.mkdir = options.mkdir ?? true
    this.pageSize = options.pageSize ?? 100
    this.#maxFileBytes = options.maxFileBytes ?? 52_428_800
    this.#chunkBytes = options.chunkBytes ?? 65_536
    this.#order = options.order ?? ((names) => names.sort())
    this.#clock = options.clock ?? systemClock
    this.#takesAlong = options.takesAlong ?? false
  }

  /* What the agent does in its sandbox: uncounted, at once, past faults and gates. */

  put(path: string, content: string | Uint8Array): void {
    const bytes = typeof content === 'string' ? Buffer.from(content) : Uint8Array.from(content)
    this.#tree.write(path, bytes, this.#nowSeconds())
  }

  putDirectory(path: string): void {
    this.#tree.makeDirectory(path)
  }

  /** Removes a file or an empty directory. */
  take(path: string): void {
    this.#tree.remove(path)
  }

  /** From now on listings show what is there now, whatever is changed, until `catchUp`. */
  fallBehind(): void {
    this.#listed = this.#tree.copy()
  }

  catchUp(): void {
    this.#listed = undefined
  }

  has(path: string): boolean {
    return this.#tree.find(path) !== undefined
  }

  bytes(path: string): Uint8Array | undefined {
    const node = this.#tree.find(path)
    return node?.kind === 'file' ? node.bytes : undefined
  }

  text(path: string): string | undefined {
    const bytes = this.bytes(path)
    return bytes === undefined ? undefined : Buffer.from(bytes).toString()
  }

  /** All paths, sorted; those of directories end in `/`. */
  paths(): string[] {
    return [...this.#tree.walk()].map(([path, node]) => (node.kind === 'file' ? path : `${path}/`)).sort()
  }

  /* What the test sees and does of the calls. */

  count(verb?: Verb, path?: string): number {
    return this.calls.filter((call) => (verb ?? call.verb) === call.verb && (path ?? call.path) === call.path)
      .length
  }

  /** `verb path` of each call, in order. */
  log(): string[] {
    return this.calls.map(({ verb, path }) => `${verb} ${path}`)
  }

  resetCalls(): void {
    this.calls = []
    this.maxRunning = this.running
  }

  fail(fault: Fault): void {
    this.#faults.add(fault)
  }

  clearFaults(): void {
    this.#faults.clear()
  }

  /** From now on matching calls wait; see `Gate`. */
  hold(match: GateMatch = {}): Gate {
    return this.#gates.add(match)
  }

  /** Carries out the changes of `late` faults, in their order; how many there were. */
  commitLate(): number {
    const waiting = this.#late.splice(0)
    for (const change of waiting) {
      try {
        change()
      } catch (error) {
        // what the service refuses by then has no effect
        if (!(error instanceof ServiceError)) throw error
      }
    }
    return waiting.length
  }

  /* SessionFiles */

  async *list(directory: string, options: CallOptions = {}): AsyncGenerator<readonly RemoteEntry[]> {
    let after: string | undefined
    do {
      const cursor = after
      const page = await this.#call('list', directory, options, () => this.#page(directory, cursor))
      yield page.entries
      after = page.last
    } while (after !== undefined)
  }

  async download(path: string, options: CallOptions = {}): Promise<Download> {
    let cut: Fault | undefined
    const bytes = await this.#call('download', path, options, (fault) => {
      cut = fault
      const node = this.#tree.find(path)
      if (node === undefined) throw notFound('download', path)
      if (node.kind === 'directory')
        throw new ServiceError('bad_request', `download ${path}: is a directory`, { status: 400 })
      return node.bytes
    })
    const serverDateMs = Math.floor(this.#clock.wallMs() / 1000) * 1000
    return { length: bytes.length, serverDateMs, body: this.#body(path, bytes, cut, options.signal) }
  }

  async upload(path: string, source: UploadSource, options: CallOptions = {}): Promise<void> {
    const size = source instanceof Uint8Array ? source.length : source.size
    if (size > this.#maxFileBytes) throw new ServiceError('too_large', `upload ${path}: ${size} bytes`)
    await this.#change('upload', path, options, async () => {
      const bytes = await readSource(path, source)
      return (part) => {
        const written = part === 'part' ? bytes.subarray(0, bytes.length >> 1) : bytes
        this.#tree.write(path, written, this.#nowSeconds())
      }
    })
  }

  async remove(path: string, options: CallOptions = {}): Promise<void> {
    await this.#change('remove', path, options, () => () => this.#tree.remove(path, this.#takesAlong))
  }

  async makeDirectory(path: string, options: CallOptions = {}): Promise<void> {
    await this.#change('makeDirectory', path, options, () => () => {
      if (!this.mkdir)
        throw new ServiceError('unsupported', `make directory ${path}: no such call`, { status: 404 })
      this.#tree.makeDirectory(path)
    })
  }

  #nowSeconds(): number {
    return Math.floor(this.#clock.wallMs() / 1000)
  }

  #page(directory: string, after: string | undefined): { entries: RemoteEntry[]; last: string | undefined } {
    const node = (this.#listed ?? this.#tree).find(directory)
    if (node?.kind !== 'directory') throw notFound('list', directory)
    const names = this.#order([...node.children.keys()])
    const start = after === undefined ? 0 : this.#startAfter(names, after)
    const shown = names.slice(start, start + this.pageSize)
    const entries = shown.map((name) => this.#entry(name, node.children.get(name)))
    return { entries, last: start + shown.length < names.length ? shown.at(-1) : undefined }
  }

  /** A cursor whose entry was deleted meanwhile still has a place in the order. */
  #startAfter(names: string[], after: string): number {
    const all = names.includes(after) ? names : this.#order([...names, after])
    return all.indexOf(after) + (all === names ? 1 : 0)
  }

  #entry(name: string, node: MemoryNode | undefined): RemoteEntry {
    if (node?.kind !== 'file') return { name, isDirectory: true, size: 0, modifiedSeconds: 0 }
    const modifiedSeconds = this.modified === 'real' ? node.modifiedSeconds : 0
    return { name, isDirectory: false, size: node.bytes.length, modifiedSeconds }
  }

  async *#body(
    path: string,
    bytes: Uint8Array,
    cut: Fault | undefined,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array> {
    const end = Math.min(cut?.afterBytes ?? bytes.length, bytes.length)
    let offset = 0
    for (;;) {
      await this.#gates.pass('download', path, signal, offset).catch(toAborted('download', path, false))
      if (signal?.aborted) toAborted('download', path, false)(signal.reason)
      if (offset >= end) break
      const stop = this.#gates.stops(path).find((at) => at > offset) ?? end
      const next = Math.min(offset + this.#chunkBytes, end, stop)
      yield bytes.subarray(offset, next)
      offset = next
    }
    if (cut !== undefined) throw faultError(cut, 'download', path)
  }

  async #change(
    verb: Verb,
    path: string,
    options: CallOptions,
    prepare: () => Change | Promise<Change>,
  ): Promise<void> {
    await this.#call(verb, path, options, async (fault) => {
      const apply = await prepare()
      if (fault?.applied === 'late') this.#late.push(apply)
      else if (fault === undefined || fault.applied === 'first') apply()
      else if (fault.applied === 'part' && verb === 'upload') apply('part')
      if (fault !== undefined) throw faultError(fault, verb, path)
    })
  }

  /** One request: recorded, gated, then `serve`, which is given the fault that it has to act out itself. */
  async #call<T>(
    verb: Verb,
    path: string,
    options: CallOptions,
    serve: (fault: Fault | undefined) => T | Promise<T>,
  ): Promise<T> {
    const isChange = verb !== 'list' && verb !== 'download'
    if (options.signal?.aborted) toAborted(verb, path, false)(options.signal.reason)
    this.calls.push({ verb, path, priority: options.priority ?? 0, retry: options.retry !== false })
    this.running += 1
    this.maxRunning = Math.max(this.maxRunning, this.running)
    try {
      await this.#gates.pass(verb, path, options.signal).catch(toAborted(verb, path, isChange))
      const fault = this.#faults.take(verb, path)
      if (fault !== undefined && !isChange && fault.afterBytes === undefined)
        throw faultError(fault, verb, path)
      return await serve(fault)
    } finally {
      this.running -= 1
    }
  }
}

/** Carries out a change, or a part of it. */
type Change = (part?: 'part') => void

function toAborted(verb: Verb, path: string, ambiguous: boolean): (cause: unknown) => never {
  return (cause) => {
    throw new ServiceError('aborted', `${verb} ${path}: the caller gave up`, { ambiguous, cause })
  }
}

/** The bytes to upload, read when the call goes through and not before, as a streamed request would. */
async function readSource(path: string, source: UploadSource): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return Uint8Array.from(source)
  await using file = await open(source.file)
  const bytes = new Uint8Array(source.size)
  let filled = 0
  while (filled < source.size) {
    const { bytesRead } = await file.read(bytes, filled, source.size - filled, filled)
    if (bytesRead === 0)
      throw new ServiceError(
        'bad_request',
        `upload ${path}: ${source.file} is shorter than ${source.size} bytes`,
      )
    filled += bytesRead
  }
  return bytes
}
