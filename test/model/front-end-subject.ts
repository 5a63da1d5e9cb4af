/**
 * The filesystem without FUSE, over real caches and a real write-back, as a subject of the model test: this file
 * puts them together, and brings about what befalls them. Layer: tests.
 *
 * Invariant: time passes only when an operation says so, or when an answer waits for it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { FilesystemError, type Reason } from '../../src/filesystem/errors.ts'
import { Filesystem } from '../../src/filesystem/filesystem.ts'
import { errnoByReason } from '../../src/fuse/errno.ts'
import { silentLogger } from '../../src/log.ts'
import type { WriteBack } from '../../src/write-back/write-back.ts'
import { filesystemOptions } from '../../src/mount/session-filesystem.ts'
import { defaultValues } from '../../src/options/table.ts'
import { assembleOver } from '../assembly.ts'
import { type Gate, MemoryFiles, type MemoryFilesOptions } from '../contract/memory-files.ts'
import { FakeClock } from '../fake-clock.ts'
import { caller } from '../filesystem/rig.ts'
import { bytesOf, type ForeignChange, maxFileBytes, type Operation, scratchPattern } from './operations.ts'
import { digestOf } from './entries.ts'
import { PassingTime } from './passing-time.ts'
import type { Subject } from './run.ts'
import { describe, SystemCalls } from './system-calls.ts'

const defaultTtlMs = 2000
/** For how long an upload of ours is trusted where the service tells no times. */
const ownTtlMs = 60_000

interface Stack {
  readonly calls: SystemCalls
  readonly changes: WriteBack
}

export interface FrontEndOptions extends MemoryFilesOptions {
  readonly sync?: boolean
  readonly ttlMs?: number
}

export async function startFrontEnd(options: FrontEndOptions = {}): Promise<FrontEndSubject> {
  const subject = new FrontEndSubject(options)
  await subject.restart()
  return subject
}

export class FrontEndSubject implements Subject {
  readonly maxFileBytes = maxFileBytes
  readonly seesSameSize = true
  readonly #directory = mkdtempSync(join(tmpdir(), 'model-'))
  readonly #clock = new FakeClock()
  readonly #files: MemoryFiles
  readonly #time: PassingTime
  #stack: Stack | undefined
  readonly #ttlMs: number
  readonly #sync: boolean
  #gates: Gate[] = []
  #isRefusing = false

  constructor(options: FrontEndOptions) {
    this.#ttlMs = options.ttlMs ?? defaultTtlMs
    this.#sync = options.sync ?? false
    this.#files = new MemoryFiles({ clock: this.#clock, maxFileBytes, ...options })
    this.#time = new PassingTime(this.#clock, this.#files)
  }

  async close(): Promise<void> {
    await this.#stack?.changes.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  /** The daemon ends as it is, and the next one goes on from the journal. */
  async restart(): Promise<void> {
    await this.#stack?.changes.close()
    const [ttlMs, sync, clock] = [this.#ttlMs, this.#sync, this.#clock]
    const { listings, contents, changes } = await assembleOver({
      ...{ directory: this.#directory, files: this.#files, clock, ttlMs, maxFileBytes },
      localNames: [scratchPattern],
    })
    const options = filesystemOptions({ ...defaultValues(), ttlMs, sync, uid: 1000, gid: 1000 }, 0)
    const fs = new Filesystem({ listings, contents, changes, clock, logger: silentLogger }, options)
    const calls = new SystemCalls(fs, this.#time, () => this.#letGo())
    this.#stack = { calls, changes }
  }

  async apply(operation: Operation): Promise<string> {
    /* nothing is answered before the service has it */
    if (this.#sync) this.#letGo()
    /* these fetch in the background what is open, and cannot be asked again */
    if (operation.do === 'unlink' || operation.do === 'rename') this.#stopRefusing()
    const outcome = await this.#outcome(operation)
    if (outcome !== 'EIO' || !this.#isRefusing) return outcome
    this.#isRefusing = false
    this.#files.clearFaults()
    return this.#outcome(operation)
  }

  async tree(): Promise<Map<string, { shown: string; inode: number }>> {
    const found = new Map<string, { shown: string; inode: number }>()
    const into = async (directory: string): Promise<void> => {
      for (const [name, inode] of await this.#calls.names(directory)) {
        const path = directory === '' ? name : `${directory}/${name}`
        const attributes = await this.#calls.attributes(path)
        const bytes = attributes.kind === 'file' ? ` ${digestOf(await this.#calls.read(path))}` : ''
        found.set(path, { shown: describe(attributes) + bytes, inode: attributes.inode })
        if (attributes.inode !== inode)
          throw new Error(`${path}: inode ${attributes.inode}, listed as ${inode}`)
        if (attributes.kind === 'directory') await into(path)
      }
    }
    this.#stopRefusing()
    await into('')
    return found
  }

  async remoteTree(): Promise<string[]> {
    this.#letGo()
    await this.#time.soon(this.#changes.drain(caller.signal))
    return this.#files
      .paths()
      .map((path) => (path.endsWith('/') ? path : `${path} ${digestOf(this.#files.bytes(path) ?? empty)}`))
      .sort()
  }

  get #calls(): SystemCalls {
    if (this.#stack === undefined) throw new Error('not started')
    return this.#stack.calls
  }

  get #changes(): WriteBack {
    if (this.#stack === undefined) throw new Error('not started')
    return this.#stack.changes
  }

  async #outcome(operation: Operation): Promise<string> {
    try {
      return await this.#do(operation)
    } catch (error) {
      const reason = error instanceof FilesystemError ? error.reason : undefined
      if (reason === undefined || reason === 'internal') throw error
      return errnoName(reason)
    }
  }

  async #do(operation: Operation): Promise<string> {
    switch (operation.do) {
      case 'pass':
        await this.#time.pass(operation.ms)
        return 'ok'
      case 'forget':
        this.#calls.forget()
        return 'ok'
      case 'kill':
        return 'ok'
      case 'crash':
        await this.restart()
        return 'ok'
      case 'remount':
        await this.remoteTree()
        await this.restart()
        return 'ok'
      case 'fault': {
        const { verb, applied, times } = operation
        this.#files.fail({ verb, applied, times, error: 'network' })
        return 'ok'
      }
      case 'refuse':
        this.#files.fail({ verb: operation.verb, error: 'server_error' })
        this.#isRefusing = true
        return 'ok'
      case 'hold':
        this.#letGo()
        this.#gates.push(this.#files.hold({ verb: operation.verb }))
        return 'ok'
      case 'letGo':
        this.#letGo()
        return 'ok'
      case 'foreignWrite':
      case 'foreignRemove':
      case 'foreignMkdir':
        return this.#foreign(operation)
      case 'check':
      case 'barrier':
        return 'ok'
      default:
        return this.#calls.do(operation)
    }
  }

  /** What the agent does, and the time after which everybody sees it. */
  async #foreign(operation: ForeignChange): Promise<string> {
    const { path } = operation
    this.#stopRefusing()
    this.#files.clearFaults()
    const length = operation.do === 'foreignWrite' ? operation.bytes.length : undefined
    const isSameSize = this.#files.bytes(path)?.length === length
    /* until a listing has shown what is ours, one that does not may be behind: theirs is seen after 10 s only */
    await this.#time.pass(Math.max(1000, this.#ttlMs + 1))
    await this.tree()
    if (operation.do === 'foreignWrite') {
      this.#takeAll(path, 'directory')
      this.#files.put(path, bytesOf(operation.bytes))
    } else {
      this.#takeAll(path, undefined)
      if (operation.do === 'foreignMkdir') this.#files.putDirectory(path)
    }
    /* the same size is seen once our own upload is no longer trusted */
    await this.#time.pass(Math.max(this.#ttlMs, isSameSize ? ownTtlMs : 0) + 1)
    await this.tree()
    return 'ok'
  }

  /** Removes what is at a path, all below it first; with `kind` only what is of that kind. */
  #takeAll(path: string, kind: 'directory' | undefined): void {
    if (!this.#files.has(path) || (kind === 'directory' && this.#files.bytes(path) !== undefined)) return
    const below = this.#files.paths().filter((other) => other.startsWith(`${path}/`) && other !== `${path}/`)
    for (const other of below.sort((a, b) => depth(b) - depth(a))) this.#files.take(other.replace(/\/$/, ''))
    this.#files.take(path)
  }

  #letGo(): void {
    for (const gate of this.#gates.splice(0)) gate.release()
  }

  #stopRefusing(): void {
    if (this.#isRefusing) this.#files.clearFaults()
    this.#isRefusing = false
  }
}

const empty = new Uint8Array()

function depth(path: string): number {
  return path.replace(/\/$/, '').split('/').length
}

const names = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]))

function errnoName(reason: Reason): string {
  return names.get(errnoByReason[reason]) ?? reason
}
