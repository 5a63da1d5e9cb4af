/**
 * The filesystem without FUSE, over real caches and a real write-back, as a subject of the model test: this file
 * does what the kernel does between a program and the front end. Layer: tests.
 *
 * Invariant: time passes only when an operation says so, or when an answer waits for it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { ContentCache } from '../../src/cache/content-cache.ts'
import { MetadataCache } from '../../src/cache/metadata-cache.ts'
import { FilesystemError, type Reason } from '../../src/filesystem/errors.ts'
import { Filesystem } from '../../src/filesystem/filesystem.ts'
import type { Attributes, Entry, HandleId, NodeId } from '../../src/filesystem/front-end.ts'
import { defaultFilesystemOptions } from '../../src/filesystem/options.ts'
import { errnoByReason } from '../../src/fuse/errno.ts'
import { silentLogger } from '../../src/log.ts'
import { WriteBack } from '../../src/write-back/write-back.ts'
import { type Gate, MemoryFiles, type MemoryFilesOptions } from '../contract/memory-files.ts'
import { FakeClock } from '../fake-clock.ts'
import { caller, flags } from '../filesystem/rig.ts'
import { quiet } from '../write-back/rig.ts'
import { bytesOf, maxFileBytes, type Operation, type OpenMode, scratchPattern } from './operations.ts'
import { digestOf, showNames } from './entries.ts'
import type { Subject } from './run.ts'

const defaultTtlMs = 2000
/** For how long an upload of ours is trusted where the service tells no times. */
const ownTtlMs = 60_000
/** Longer than any wait of the write-back, its last look at what is in doubt included. */
const longestWaitMs = 3_600_000
/** At most this long after it seemed to fail a change is carried out after all. */
const lateCommitMs = 5000

const opened: Readonly<Record<OpenMode, Parameters<typeof flags>>> = {
  r: ['read'],
  'r+': ['read', 'write'],
  w: ['write', 'truncate'],
  'w+': ['read', 'write', 'truncate'],
  a: ['write', 'append'],
  'a+': ['read', 'write', 'append'],
  'x+': ['read', 'write', 'exclusive'],
}

interface Slot {
  readonly handle: HandleId
  readonly node: NodeId
  readonly mode: OpenMode
}

interface Stack {
  readonly fs: Filesystem
  readonly changes: WriteBack
}

/** A pass through a directory. */
interface Pass {
  readonly handle: HandleId
  readonly names: string[]
  next: number
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
  #stack: Stack | undefined
  readonly #ttlMs: number
  readonly #sync: boolean
  #slots = new Map<number, Slot>()
  #passes = new Map<number, Pass>()
  #lookups = new Map<NodeId, number>()
  #gates: Gate[] = []
  #isRefusing = false

  constructor(options: FrontEndOptions) {
    this.#ttlMs = options.ttlMs ?? defaultTtlMs
    this.#sync = options.sync ?? false
    this.#files = new MemoryFiles({ clock: this.#clock, maxFileBytes, ...options })
  }

  async close(): Promise<void> {
    await this.#stack?.changes.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  /** The daemon ends as it is, and the next one goes on from the journal. */
  async restart(): Promise<void> {
    await this.#stack?.changes.close()
    this.#slots.clear()
    this.#passes.clear()
    this.#lookups.clear()
    const [files, clock, directory, logger] = [this.#files, this.#clock, this.#directory, silentLogger]
    const [ttlMs, sync] = [this.#ttlMs, this.#sync]
    const listings = new MetadataCache({
      ...{ files, clock, ttlMs, maxEntries: 100_000, logger },
      onListing: (listing) => fs.observe(listing),
    })
    const contents = new ContentCache({
      ...{ files, listings, clock, logger, directory: join(directory, 'cache'), ttlMs },
      onChanged: (path) => fs.contentChanged(path),
    })
    const changes = await WriteBack.open({
      ...{ directory, boot: 'boot-1', files, listings, contents, clock, logger, maxFileBytes },
      random: () => 0,
      localNames: [scratchPattern],
    })
    const options = { ...defaultFilesystemOptions, ttlMs, sync, uid: 1000, gid: 1000 }
    const fs: Filesystem = new Filesystem({ listings, contents, changes, clock, logger }, options)
    this.#stack = { fs, changes }
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
      for (const [name, inode] of await this.#names(directory)) {
        const path = directory === '' ? name : `${directory}/${name}`
        const attributes = await this.#attributes(path)
        const bytes = attributes.kind === 'file' ? ` ${digestOf(await this.#read(path))}` : ''
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
    await this.#soon(this.#changes.drain(caller.signal))
    return this.#files
      .paths()
      .map((path) => (path.endsWith('/') ? path : `${path} ${digestOf(this.#files.bytes(path) ?? empty)}`))
      .sort()
  }

  get #fs(): Filesystem {
    if (this.#stack === undefined) throw new Error('not started')
    return this.#stack.fs
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
    const fs = this.#fs
    switch (operation.do) {
      case 'write':
      case 'append': {
        const mode = operation.do === 'write' ? 'w' : 'a'
        const { handle } = await this.#open(operation.path, mode)
        return this.#closing(handle, async () => {
          const bytes = bytesOf(operation.bytes)
          if (bytes.length > 0) await this.#soon(fs.write(handle, 0, bytes, caller, mode === 'a'))
        })
      }
      case 'read':
        return `bytes ${digestOf(await this.#read(operation.path))}`
      case 'stat':
        return describe(await this.#attributes(operation.path))
      case 'list': {
        const names: string[] = []
        for (const [name, , kind] of await this.#names(operation.path))
          names.push(kind === 'file' ? name : `${name}/`)
        return showNames(names)
      }
      case 'truncate': {
        const [node, { kind }] = await this.#find(operation.path)
        if (kind === 'directory') throw new FilesystemError('isDirectory')
        await this.#soon(fs.setAttributes(node, undefined, { size: operation.size }, caller))
        return 'ok'
      }
      case 'chmod': {
        const [node] = await this.#find(operation.path)
        await this.#soon(fs.setAttributes(node, undefined, { mode: operation.mode }, caller))
        return 'ok'
      }
      case 'utimes': {
        const [node] = await this.#find(operation.path)
        const modified = { seconds: operation.seconds, nanoseconds: 0 }
        await this.#soon(fs.setAttributes(node, undefined, { modified }, caller))
        return 'ok'
      }
      case 'unlink':
        await this.#soon(fs.unlink(...(await this.#place(operation.path)), caller))
        return 'ok'
      case 'mkdir': {
        const made = await this.#soon(fs.makeDirectory(...(await this.#place(operation.path)), 0o755, caller))
        this.#count(made)
        return 'ok'
      }
      case 'mknod':
        this.#count(await this.#soon(fs.makeFile(...(await this.#place(operation.path)), 0o100644, caller)))
        return 'ok'
      case 'rmdir':
        await this.#soon(fs.removeDirectory(...(await this.#place(operation.path)), caller))
        return 'ok'
      case 'rename':
        return this.#rename(operation.from, operation.to, operation.noReplace)
      case 'open': {
        if (this.#slots.has(operation.slot)) return 'EBUSY'
        this.#slots.set(operation.slot, await this.#open(operation.path, operation.mode))
        return 'ok'
      }
      case 'close': {
        const { handle } = this.#slot(operation.slot)
        this.#slots.delete(operation.slot)
        return this.#closing(handle, () => undefined)
      }
      case 'pread': {
        const { handle, mode } = this.#slot(operation.slot)
        if (mode === 'w' || mode === 'a') throw new FilesystemError('badHandle')
        return `bytes ${digestOf(await this.#bytes(handle, operation.offset, operation.length))}`
      }
      case 'pwrite': {
        const { handle, mode } = this.#slot(operation.slot)
        const bytes = bytesOf(operation.bytes)
        if (mode === 'r') throw new FilesystemError('badHandle')
        if (bytes.length === 0) return 'ok'
        await this.#soon(fs.write(handle, operation.offset, bytes, caller, mode.startsWith('a')))
        return 'ok'
      }
      case 'ftruncate': {
        const { handle, node, mode } = this.#slot(operation.slot)
        if (mode === 'r') throw new FilesystemError('invalid')
        await this.#soon(fs.setAttributes(node, handle, { size: operation.size }, caller))
        return 'ok'
      }
      case 'punch': {
        const { handle } = this.#slot(operation.slot)
        await this.#soon(fs.allocate(handle, 'punchHole', operation.offset, operation.length, caller))
        return 'ok'
      }
      case 'copy': {
        const { length, fromOffset = 0, toOffset = 0 } = operation
        const [from, to] = [this.#slot(operation.from), this.#slot(operation.to)]
        if (from.mode === 'w' || from.mode === 'a' || to.mode.startsWith('a'))
          throw new FilesystemError('badHandle')
        await this.#soon(fs.copyRange(from.handle, fromOffset, to.handle, toOffset, length, caller))
        return 'ok'
      }
      case 'map': {
        const { handle, node, mode } = this.#slot(operation.slot)
        if (!['r+', 'w+', 'a+', 'x+'].includes(mode)) throw new FilesystemError('accessDenied')
        const { size } = (await this.#soon(fs.getAttributes(node, handle, caller))).attributes
        const stored = bytesOf(operation.bytes).subarray(0, Math.max(0, size - operation.offset))
        if (stored.length > 0) await this.#soon(fs.write(handle, operation.offset, stored, caller, false))
        return 'ok'
      }
      case 'allocate': {
        const { offset, length } = operation
        const how = operation.keepSize ? 'keepSize' : 'extend'
        await this.#soon(fs.allocate(this.#slot(operation.slot).handle, how, offset, length, caller))
        return 'ok'
      }
      case 'seek': {
        const { handle } = this.#slot(operation.slot)
        return `at ${await this.#soon(fs.seek(handle, operation.offset, operation.whence, caller))}`
      }
      case 'fchmod': {
        const { handle, node } = this.#slot(operation.slot)
        await this.#soon(fs.setAttributes(node, handle, { mode: operation.mode }, caller))
        return 'ok'
      }
      case 'futimes': {
        const { handle, node } = this.#slot(operation.slot)
        const modified = { seconds: operation.seconds, nanoseconds: 0 }
        await this.#soon(fs.setAttributes(node, handle, { modified }, caller))
        return 'ok'
      }
      case 'openUnnamed': {
        if (this.#slots.has(operation.slot)) return 'EBUSY'
        const [directory, { kind }] = await this.#find(operation.path)
        if (kind === 'file') throw new FilesystemError('notDirectory')
        const how = flags('read', 'write')
        const { entry, open } = await this.#soon(fs.createUnnamed(directory, how, 0o644, caller))
        this.#count(entry)
        this.#slots.set(operation.slot, { handle: open.handle, node: entry.node, mode: 'w+' })
        return 'ok'
      }
      case 'fstat': {
        const { handle, node } = this.#slot(operation.slot)
        const { attributes } = await this.#soon(fs.getAttributes(node, handle, caller))
        return `${describe(attributes)} ${attributes.linkCount}`
      }
      case 'openDirectory': {
        if (this.#passes.has(operation.slot)) return 'EBUSY'
        const [node, { kind }] = await this.#find(operation.path)
        if (kind === 'file') throw new FilesystemError('notDirectory')
        const pass = { handle: await this.#soon(fs.openDirectory(node)), names: [], next: 0 }
        try {
          if (operation.first > 0) await this.#readOn(pass, operation.first)
          this.#passes.set(operation.slot, pass)
        } finally {
          if (!this.#passes.has(operation.slot)) fs.releaseDirectory(pass.handle)
        }
        return 'ok'
      }
      case 'readRest':
      case 'rewind': {
        const pass = this.#passes.get(operation.slot)
        if (pass === undefined) throw new FilesystemError('badHandle')
        if (operation.do === 'rewind') Object.assign(pass, { names: [], next: 0 })
        await this.#readOn(pass, Infinity)
        return showNames(pass.names)
      }
      case 'closeDirectory': {
        const pass = this.#passes.get(operation.slot)
        if (pass === undefined) throw new FilesystemError('badHandle')
        this.#passes.delete(operation.slot)
        fs.releaseDirectory(pass.handle)
        return 'ok'
      }
      case 'syncDirectory': {
        const [node, { kind }] = await this.#find(operation.path)
        if (kind === 'file') throw new FilesystemError('notDirectory')
        this.#letGo()
        const handle = await this.#soon(fs.openDirectory(node))
        try {
          await this.#soon(fs.synchronizeDirectory(handle, caller))
        } finally {
          fs.releaseDirectory(handle)
        }
        return 'ok'
      }
      case 'fsync': {
        const { handle } = this.#slot(operation.slot)
        this.#letGo()
        await this.#soon(fs.synchronize(handle, caller))
        return 'ok'
      }
      case 'pass':
        await this.#pass(operation.ms)
        return 'ok'
      case 'forget':
        this.#forget()
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
    }
  }

  /** What the agent does, and the time after which everybody sees it. */
  async #foreign(operation: Extract<Operation, { path: string }>): Promise<string> {
    const { path } = operation
    this.#stopRefusing()
    this.#files.clearFaults()
    const length = operation.do === 'foreignWrite' ? operation.bytes.length : undefined
    const isSameSize = this.#files.bytes(path)?.length === length
    await this.#pass(1000)
    if (operation.do === 'foreignWrite') {
      this.#takeAll(path, 'directory')
      this.#files.put(path, bytesOf(operation.bytes))
    } else {
      this.#takeAll(path, undefined)
      if (operation.do === 'foreignMkdir') this.#files.putDirectory(path)
    }
    /* the same size is seen once our own upload is no longer trusted */
    await this.#pass(Math.max(this.#ttlMs, isSameSize ? ownTtlMs : 0) + 1)
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

  async #rename(from: string, to: string, noReplace: boolean): Promise<string> {
    const [fromNode, fromName] = await this.#place(from)
    const [toNode, toName] = await this.#place(to)
    const source = await this.#lookup(fromNode, fromName)
    const target = await this.#lookup(toNode, toName)
    if (source === undefined) throw new FilesystemError('missing')
    if (noReplace && target !== undefined) throw new FilesystemError('exists')
    if (to.startsWith(`${from}/`)) throw new FilesystemError('invalid')
    if (from.startsWith(`${to}/`)) throw new FilesystemError('notEmpty')
    await this.#soon(this.#fs.rename(fromNode, fromName, toNode, toName, { noReplace }, caller))
    return 'ok'
  }

  async #open(path: string, mode: OpenMode): Promise<Slot> {
    const [directory, name] = await this.#place(path)
    const there = await this.#lookup(directory, name)
    const how = flags(...opened[mode])
    if (there === undefined || mode === 'x+') {
      if (mode === 'r' || mode === 'r+') throw new FilesystemError('missing')
      if (there !== undefined) throw new FilesystemError('exists')
      const { entry, open } = await this.#soon(this.#fs.create(directory, name, how, 0o644, caller))
      this.#count(entry)
      return { handle: open.handle, node: entry.node, mode }
    }
    const [node, { kind }] = there
    if (kind === 'directory') throw new FilesystemError('isDirectory')
    const { handle } = await this.#soon(this.#fs.open(node, how, caller))
    return { handle, node, mode }
  }

  async #closing(handle: HandleId, work: () => Promise<void> | undefined): Promise<string> {
    try {
      await work()
      await this.#soon(this.#fs.flush(handle, caller))
      return 'ok'
    } finally {
      await this.#soon(this.#fs.release(handle))
    }
  }

  async #read(path: string): Promise<Uint8Array> {
    const { handle } = await this.#open(path, 'r')
    try {
      return await this.#bytes(handle, 0, 2 * maxFileBytes)
    } finally {
      await this.#closing(handle, () => undefined)
    }
  }

  /** As the kernel asks: never beyond the size that it was told. */
  async #bytes(handle: HandleId, offset: number, length: number): Promise<Uint8Array> {
    return Uint8Array.from(await this.#soon(this.#fs.read(handle, offset, length, caller)))
  }

  async #names(path: string): Promise<[name: string, inode: number, kind: string][]> {
    const [node, { kind }] = await this.#find(path)
    if (kind === 'file') throw new FilesystemError('notDirectory')
    const handle = await this.#soon(this.#fs.openDirectory(node))
    try {
      const entries = await this.#soon(this.#fs.readDirectory(handle, 0, caller))
      return [...entries]
        .filter(({ name }) => name !== '.' && name !== '..')
        .map((entry) => [entry.name, entry.inode, entry.kind])
    } finally {
      this.#fs.releaseDirectory(handle)
    }
  }

  async #readOn(pass: Pass, count: number): Promise<void> {
    const entries = await this.#soon(this.#fs.readDirectory(pass.handle, pass.next, caller))
    let left = count
    for (const { name, nextOffset } of entries) {
      if (left-- <= 0) return
      pass.next = nextOffset
      if (name !== '.' && name !== '..') pass.names.push(name)
    }
  }

  async #attributes(path: string): Promise<Attributes> {
    const [node] = await this.#find(path)
    return (await this.#soon(this.#fs.getAttributes(node, undefined, caller))).attributes
  }

  async #find(path: string): Promise<[NodeId, { kind: 'file' | 'directory' }]> {
    let found: [NodeId, { kind: 'file' | 'directory' }] = [1, { kind: 'directory' }]
    for (const name of path === '' ? [] : path.split('/')) {
      if (found[1].kind === 'file') throw new FilesystemError('notDirectory')
      const next = await this.#lookup(found[0], name)
      if (next === undefined) throw new FilesystemError('missing')
      found = next
    }
    return found
  }

  async #place(path: string): Promise<[NodeId, string]> {
    const cut = path.lastIndexOf('/')
    const [node, { kind }] = await this.#find(path.slice(0, Math.max(0, cut)))
    if (kind === 'file') throw new FilesystemError('notDirectory')
    return [node, path.slice(cut + 1)]
  }

  async #lookup(directory: NodeId, name: string): Promise<[NodeId, Attributes] | undefined> {
    const entry = await this.#soon(this.#fs.lookup(directory, name, caller))
    this.#count(entry)
    return entry.attributes === undefined ? undefined : [entry.node, entry.attributes]
  }

  #count({ node }: Entry): void {
    if (node !== 0) this.#lookups.set(node, (this.#lookups.get(node) ?? 0) + 1)
  }

  #forget(): void {
    const open = new Set([...this.#slots.values()].map(({ node }) => node))
    for (const [node, count] of [...this.#lookups].reverse()) {
      if (open.has(node)) continue
      this.#fs.forget(node, count)
      this.#lookups.delete(node)
    }
  }

  #slot(slot: number): Slot {
    const found = this.#slots.get(slot)
    if (found === undefined) throw new FilesystemError('badHandle')
    return found
  }

  #letGo(): void {
    for (const gate of this.#gates.splice(0)) gate.release()
  }

  #stopRefusing(): void {
    if (this.#isRefusing) this.#files.clearFaults()
    this.#isRefusing = false
  }

  /** From timer to timer, so that what one begins takes no time before the next. */
  async #pass(ms: number): Promise<void> {
    const end = this.#clock.now() + ms
    do {
      const left = end - this.#clock.now()
      this.#clock.advance(Math.min(left, this.#clock.nextIn ?? left, lateCommitMs))
      await quiet()
      this.#files.commitLate()
    } while (this.#clock.now() < end)
  }

  /** The answer; lets time pass as long as there is none. */
  async #soon<T>(answer: T | Promise<T>): Promise<T> {
    if (!(answer instanceof Promise)) return answer
    const state = { isPending: true }
    const ended = answer.finally(() => (state.isPending = false))
    ended.catch(() => undefined)
    const limit = this.#clock.now() + longestWaitMs
    for (;;) {
      await quiet()
      if (!state.isPending) return ended
      const next = this.#clock.nextIn
      if (next === undefined || this.#clock.now() > limit) throw new Error('it never answers')
      await this.#pass(next)
    }
  }
}

const empty = new Uint8Array()

function depth(path: string): number {
  return path.replace(/\/$/, '').split('/').length
}

function describe({ kind, size, mode, modified }: Attributes): string {
  return kind === 'file'
    ? `file ${size} ${mode.toString(8)} ${modified.seconds}`
    : `directory ${mode.toString(8)} ${modified.seconds}`
}

const names = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]))

function errnoName(reason: Reason): string {
  return names.get(errnoByReason[reason]) ?? reason
}
