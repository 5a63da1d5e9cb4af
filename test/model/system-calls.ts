/**
 * The system calls of a program, as the kernel makes requests to the front end of them: it knows what is open, and
 * refuses itself what never gets to a filesystem. Layer: tests.
 *
 * Invariant: it asks the filesystem only what the kernel would ask it.
 */
import { FilesystemError } from '../../src/filesystem/errors.ts'
import type { Filesystem } from '../../src/filesystem/filesystem.ts'
import type { Attributes, HandleId, NodeId } from '../../src/filesystem/front-end.ts'
import { caller, flags } from '../filesystem/rig.ts'
import { digestOf, showNames } from './entries.ts'
import { KnownNodes } from './known-nodes.ts'
import { bytesOf, maxFileBytes, type OpenMode, type SystemCall } from './operations.ts'
import type { PassingTime } from './passing-time.ts'

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

/** A pass through a directory. */
interface Pass {
  readonly handle: HandleId
  readonly names: string[]
  next: number
}

export class SystemCalls {
  readonly #fs: Filesystem
  readonly #time: PassingTime
  readonly #known: KnownNodes
  readonly #letGo: () => void
  readonly #slots = new Map<number, Slot>()
  readonly #passes = new Map<number, Pass>()

  /** `letGo`: called before a barrier, which would wait for ever for calls that are held. */
  constructor(fs: Filesystem, time: PassingTime, letGo: () => void) {
    this.#fs = fs
    this.#time = time
    this.#known = new KnownNodes(fs, time)
    this.#letGo = letGo
  }

  async do(operation: SystemCall): Promise<string> {
    const fs = this.#fs
    switch (operation.do) {
      case 'write':
      case 'append': {
        const mode = operation.do === 'write' ? 'w' : 'a'
        const { handle } = await this.#open(operation.path, mode)
        return this.#closing(handle, async () => {
          const bytes = bytesOf(operation.bytes)
          const request = { handle, offset: 0, data: bytes, append: mode === 'a' }
          if (bytes.length > 0) await this.#time.soon(fs.write(request, caller))
        })
      }
      case 'read':
        return `bytes ${digestOf(await this.read(operation.path))}`
      case 'stat':
        return describe(await this.attributes(operation.path))
      case 'list': {
        const names: string[] = []
        for (const [name, , kind] of await this.names(operation.path))
          names.push(kind === 'file' ? name : `${name}/`)
        return showNames(names)
      }
      case 'truncate': {
        const [node, { kind }] = await this.#known.find(operation.path)
        if (kind === 'directory') throw new FilesystemError('isDirectory')
        await this.#time.soon(fs.setAttributes(node, undefined, { size: operation.size }, caller))
        return 'ok'
      }
      case 'chmod': {
        const [node] = await this.#known.find(operation.path)
        await this.#time.soon(fs.setAttributes(node, undefined, { mode: operation.mode }, caller))
        return 'ok'
      }
      case 'chown': {
        const [node] = await this.#known.find(operation.path)
        const { owner } = operation
        await this.#time.soon(fs.setAttributes(node, undefined, { uid: owner, gid: owner }, caller))
        return 'ok'
      }
      case 'utimes': {
        const [node] = await this.#known.find(operation.path)
        const modified = { seconds: operation.seconds, nanoseconds: 0 }
        await this.#time.soon(fs.setAttributes(node, undefined, { modified }, caller))
        return 'ok'
      }
      case 'unlink':
        await this.#time.soon(fs.unlink(...(await this.#known.place(operation.path)), caller))
        return 'ok'
      case 'mkdir': {
        const made = await this.#time.soon(
          fs.makeDirectory(...(await this.#known.place(operation.path)), 0o755, caller),
        )
        this.#known.count(made)
        return 'ok'
      }
      case 'mknod':
        this.#known.count(
          await this.#time.soon(fs.makeFile(...(await this.#known.place(operation.path)), 0o100644, caller)),
        )
        return 'ok'
      case 'rmdir':
        await this.#time.soon(fs.removeDirectory(...(await this.#known.place(operation.path)), caller))
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
        const data = bytesOf(operation.bytes)
        if (mode === 'r') throw new FilesystemError('badHandle')
        if (data.length === 0) return 'ok'
        const append = mode.startsWith('a')
        await this.#time.soon(fs.write({ handle, offset: operation.offset, data, append }, caller))
        return 'ok'
      }
      case 'ftruncate': {
        const { handle, node, mode } = this.#slot(operation.slot)
        if (mode === 'r') throw new FilesystemError('invalid')
        await this.#time.soon(fs.setAttributes(node, handle, { size: operation.size }, caller))
        return 'ok'
      }
      case 'punch': {
        const { handle } = this.#slot(operation.slot)
        const { offset, length } = operation
        await this.#time.soon(fs.allocate({ handle, mode: 'punchHole', offset, length }, caller))
        return 'ok'
      }
      case 'copy': {
        const { length, fromOffset = 0, toOffset = 0 } = operation
        const [from, to] = [this.#slot(operation.from), this.#slot(operation.to)]
        if (from.mode === 'w' || from.mode === 'a' || to.mode.startsWith('a'))
          throw new FilesystemError('badHandle')
        const request = { from: from.handle, fromOffset, to: to.handle, toOffset, length }
        await this.#time.soon(fs.copyRange(request, caller))
        return 'ok'
      }
      case 'map': {
        const { handle, node, mode } = this.#slot(operation.slot)
        if (!['r+', 'w+', 'a+', 'x+'].includes(mode)) throw new FilesystemError('accessDenied')
        const { size } = (await this.#time.soon(fs.getAttributes(node, handle, caller))).attributes
        const { offset } = operation
        const data = bytesOf(operation.bytes).subarray(0, Math.max(0, size - offset))
        if (data.length > 0) await this.#time.soon(fs.write({ handle, offset, data, append: false }, caller))
        return 'ok'
      }
      case 'allocate': {
        const { offset, length } = operation
        const { handle } = this.#slot(operation.slot)
        const mode = operation.keepSize ? 'keepSize' : 'extend'
        await this.#time.soon(fs.allocate({ handle, mode, offset, length }, caller))
        return 'ok'
      }
      case 'seek': {
        const { handle } = this.#slot(operation.slot)
        return `at ${await this.#time.soon(fs.seek(handle, operation.offset, operation.whence, caller))}`
      }
      case 'fchmod': {
        const { handle, node } = this.#slot(operation.slot)
        await this.#time.soon(fs.setAttributes(node, handle, { mode: operation.mode }, caller))
        return 'ok'
      }
      case 'fchown': {
        const { handle, node } = this.#slot(operation.slot)
        const { owner } = operation
        await this.#time.soon(fs.setAttributes(node, handle, { uid: owner, gid: owner }, caller))
        return 'ok'
      }
      case 'futimes': {
        const { handle, node } = this.#slot(operation.slot)
        const modified = { seconds: operation.seconds, nanoseconds: 0 }
        await this.#time.soon(fs.setAttributes(node, handle, { modified }, caller))
        return 'ok'
      }
      case 'openUnnamed': {
        if (this.#slots.has(operation.slot)) return 'EBUSY'
        const [directory, { kind }] = await this.#known.find(operation.path)
        if (kind === 'file') throw new FilesystemError('notDirectory')
        const how = flags('read', 'write')
        const { entry, open } = await this.#time.soon(fs.createUnnamed(directory, how, 0o644, caller))
        this.#known.count(entry)
        this.#slots.set(operation.slot, { handle: open.handle, node: entry.node, mode: 'w+' })
        return 'ok'
      }
      case 'fstat': {
        const { handle, node } = this.#slot(operation.slot)
        const { attributes } = await this.#time.soon(fs.getAttributes(node, handle, caller))
        return `${describe(attributes)} ${attributes.linkCount}`
      }
      case 'openDirectory': {
        if (this.#passes.has(operation.slot)) return 'EBUSY'
        const [node, { kind }] = await this.#known.find(operation.path)
        if (kind === 'file') throw new FilesystemError('notDirectory')
        const pass = { handle: await this.#time.soon(fs.openDirectory(node)), names: [], next: 0 }
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
        const [node, { kind }] = await this.#known.find(operation.path)
        if (kind === 'file') throw new FilesystemError('notDirectory')
        this.#letGo()
        const handle = await this.#time.soon(fs.openDirectory(node))
        try {
          await this.#time.soon(fs.synchronizeDirectory(handle, caller))
        } finally {
          fs.releaseDirectory(handle)
        }
        return 'ok'
      }
      case 'fsync': {
        const { handle } = this.#slot(operation.slot)
        this.#letGo()
        await this.#time.soon(fs.synchronize(handle, caller))
        return 'ok'
      }
    }
  }

  /** The kernel needs the memory. */
  forget(): void {
    this.#known.forget(new Set([...this.#slots.values()].map(({ node }) => node)))
  }

  async read(path: string): Promise<Uint8Array> {
    const { handle } = await this.#open(path, 'r')
    try {
      return await this.#bytes(handle, 0, 2 * maxFileBytes)
    } finally {
      await this.#closing(handle, () => undefined)
    }
  }

  async names(path: string): Promise<[name: string, inode: number, kind: string][]> {
    const [node, { kind }] = await this.#known.find(path)
    if (kind === 'file') throw new FilesystemError('notDirectory')
    const handle = await this.#time.soon(this.#fs.openDirectory(node))
    try {
      const entries = await this.#time.soon(this.#fs.readDirectory(handle, 0, caller))
      return [...entries]
        .filter(({ name }) => name !== '.' && name !== '..')
        .map((entry) => [entry.name, entry.inode, entry.kind])
    } finally {
      this.#fs.releaseDirectory(handle)
    }
  }

  async attributes(path: string): Promise<Attributes> {
    const [node] = await this.#known.find(path)
    return (await this.#time.soon(this.#fs.getAttributes(node, undefined, caller))).attributes
  }

  async #rename(from: string, to: string, noReplace: boolean): Promise<string> {
    const [fromNode, fromName] = await this.#known.place(from)
    const [toNode, toName] = await this.#known.place(to)
    const source = await this.#known.lookup(fromNode, fromName)
    const target = await this.#known.lookup(toNode, toName)
    if (source === undefined) throw new FilesystemError('missing')
    if (noReplace && target !== undefined) throw new FilesystemError('exists')
    if (to.startsWith(`${from}/`)) throw new FilesystemError('invalid')
    if (from.startsWith(`${to}/`)) throw new FilesystemError('notEmpty')
    const request = { name: fromName, newParent: toNode, newName: toName, noReplace }
    await this.#time.soon(this.#fs.rename(fromNode, request, caller))
    return 'ok'
  }

  async #open(path: string, mode: OpenMode): Promise<Slot> {
    const [directory, name] = await this.#known.place(path)
    const there = await this.#known.lookup(directory, name)
    const how = flags(...opened[mode])
    if (there === undefined || mode === 'x+') {
      if (mode === 'r' || mode === 'r+') throw new FilesystemError('missing')
      if (there !== undefined) throw new FilesystemError('exists')
      const request = { name, flags: how, mode: 0o644 }
      const { entry, open } = await this.#time.soon(this.#fs.create(directory, request, caller))
      this.#known.count(entry)
      return { handle: open.handle, node: entry.node, mode }
    }
    const [node, { kind }] = there
    if (kind === 'directory') throw new FilesystemError('isDirectory')
    const { handle } = await this.#time.soon(this.#fs.open(node, how, caller))
    return { handle, node, mode }
  }

  async #closing(handle: HandleId, work: () => Promise<void> | undefined): Promise<string> {
    try {
      await work()
      await this.#time.soon(this.#fs.flush(handle, caller))
      return 'ok'
    } finally {
      await this.#time.soon(this.#fs.release(handle))
    }
  }

  /** As the kernel asks: never beyond the size that it was told. */
  async #bytes(handle: HandleId, offset: number, length: number): Promise<Uint8Array> {
    return Uint8Array.from(await this.#time.soon(this.#fs.read(handle, offset, length, caller)))
  }

  async #readOn(pass: Pass, count: number): Promise<void> {
    const entries = await this.#time.soon(this.#fs.readDirectory(pass.handle, pass.next, caller))
    let left = count
    for (const { name, nextOffset } of entries) {
      if (left-- <= 0) return
      pass.next = nextOffset
      if (name !== '.' && name !== '..') pass.names.push(name)
    }
  }

  #slot(slot: number): Slot {
    const found = this.#slots.get(slot)
    if (found === undefined) throw new FilesystemError('badHandle')
    return found
  }
}

export function describe({ kind, size, mode, uid, gid, modified }: Attributes): string {
  const isOwn = uid === caller.uid && gid === caller.gid
  const owner = isOwn ? 'own' : `${uid}:${gid}`
  const shown = `${mode.toString(8)} ${owner} ${modified.seconds}`
  return kind === 'file' ? `file ${size} ${shown}` : `directory ${shown}`
}
