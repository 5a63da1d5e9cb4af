/**
 * A filesystem over the real write-back and caches, over files in memory, on a clock that the test moves; and
 * what programs do with it, by path. Layer: tests.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Listings } from '../../src/cache/listings.ts'
import { FilesystemError, type Reason } from '../../src/filesystem/errors.ts'
import { Filesystem } from '../../src/filesystem/filesystem.ts'
import type {
  Attributes,
  Caller,
  DirectoryEntry,
  HandleId,
  NodeId,
  OpenFlags,
} from '../../src/filesystem/front-end.ts'
import type { FilesystemOptions } from '../../src/filesystem/options.ts'
import type { SpecialFile } from '../../src/filesystem/special-file.ts'
import { silentLogger } from '../../src/log.ts'
import type { Failpoint } from '../../src/write-back/disk/failpoints.ts'
import type { WriteBack } from '../../src/write-back/write-back.ts'
import { filesystemOptions } from '../../src/mount/session-filesystem.ts'
import { defaultValues } from '../../src/options/table.ts'
import { assembleOver, assemblePlain } from '../assembly.ts'
import { MemoryFiles, type MemoryFilesOptions } from '../contract/memory-files.ts'
import { FakeClock } from '../fake-clock.ts'
import { quiet } from '../write-back/rig.ts'

export interface RigOptions {
  readonly options?: Partial<FilesystemOptions>
  readonly files?: MemoryFilesOptions
  /** Of listings, contents and what is ours alike; default 2000. */
  readonly ttlMs?: number
  readonly maxFileBytes?: number
  readonly specialFiles?: readonly SpecialFile[]
  readonly localNames?: readonly string[]
  readonly failpoint?: Failpoint
  /** Listings and contents that remember nothing. Default false. */
  readonly plain?: boolean
}

export const sessionCreatedAtMs = Date.UTC(2025, 11, 1)

export async function startRig(t: Test, given: RigOptions = {}): Promise<Rig> {
  const directory = mkdtempSync(join(tmpdir(), 'filesystem-'))
  const clock = new FakeClock()
  const files = new MemoryFiles({ clock, ...given.files })
  const ttlMs = given.ttlMs ?? 2000
  const { listings, contents, changes } = await (given.plain === true ? assemblePlain : assembleOver)({
    directory,
    files,
    clock,
    ttlMs,
    ...(given.maxFileBytes === undefined ? {} : { maxFileBytes: given.maxFileBytes }),
    ...(given.localNames === undefined ? {} : { localNames: given.localNames }),
    failpoint: given.failpoint,
  })
  const news: string[] = []
  const warnings: object[] = []
  const kernelCache = {
    invalidateNode: (node: NodeId, offset: number) => void news.push(`node ${node} ${offset}`),
    invalidateEntry: (parent: NodeId, name: string) => void news.push(`entry ${parent} ${name}`),
  }
  const filesystem = new Filesystem(
    {
      ...{
        listings,
        contents,
        changes,
        clock,
        kernelCache,
        logger: { ...silentLogger, warn: (fields: object) => void warnings.push(fields) },
      },
      specialFiles: given.specialFiles,
    },
    {
      ...filesystemOptions({ ...defaultValues(), ttlMs, uid: 1000, gid: 1000 }, sessionCreatedAtMs),
      ...given.options,
    },
  )
  t.teardown(async () => {
    await changes.close()
    rmSync(directory, { recursive: true, force: true })
  })
  return new Rig(directory, filesystem, files, clock, changes, listings, news, warnings)
}

/**
 * A test of what holds with caches and without: it runs over both. Where the caches themselves are meant (what is
 * asked, how often, and what may be remembered for how long) a test says `t.test`.
 */
export function contract(
  name: string,
  test: (t: Test, start: (t: Test, given?: RigOptions) => Promise<Rig>) => Promise<void>,
): void {
  void t.test(name, (t) => test(t, startRig))
  void t.test(`${name}, without caches`, (t) =>
    test(t, (t, given = {}) => startRig(t, { ...given, plain: true })),
  )
}

export const caller: Caller = {
  uid: 1000,
  gid: 1000,
  pid: 1,
  signal: new AbortController().signal,
  request: 2,
  resent: false,
}

export function flags(...on: (keyof OpenFlags)[]): OpenFlags {
  const none = { read: false, write: false, append: false, truncate: false, exclusive: false }
  return { ...none, ...Object.fromEntries(on.map((flag) => [flag, true])) }
}

export const readOnly = flags('read')
export const writable = flags('read', 'write')

export class Rig {
  /** Of the journal, the spool and the cache. */
  readonly directory: string
  readonly fs: Filesystem
  readonly files: MemoryFiles
  readonly clock: FakeClock
  readonly changes: WriteBack
  readonly listings: Listings
  /** What the kernel was told. */
  readonly news: string[]
  /** What the log was warned of. */
  readonly warnings: object[]

  constructor(
    directory: string,
    fs: Filesystem,
    files: MemoryFiles,
    clock: FakeClock,
    changes: WriteBack,
    listings: Listings,
    news: string[],
    warnings: object[],
  ) {
    this.directory = directory
    this.fs = fs
    this.files = files
    this.clock = clock
    this.changes = changes
    this.listings = listings
    this.news = news
    this.warnings = warnings
  }

  /** Lets `ms` pass and everything that then runs by itself come to an end. */
  async pass(ms: number): Promise<void> {
    this.clock.advance(ms)
    await quiet()
  }

  /** Everything of ours is on the service. */
  async drained(): Promise<void> {
    // in small steps: a listing that is begun within one would seem to have taken the rest of it
    for (let turn = 0; turn < 1200 && this.changes.status().paths.length > 0; turn++) await this.pass(50)
    await this.pass(1000)
  }

  /** The node of a path, looked up name by name as the kernel does; the look-ups are never taken back. */
  async node(path: string): Promise<NodeId> {
    let node: NodeId = 1
    for (const name of path === '' ? [] : path.split('/')) {
      const entry = await this.fs.lookup(node, name, caller)
      if (entry.node === 0) throw new FilesystemError('missing', path)
      node = entry.node
    }
    return node
  }

  async place(path: string): Promise<readonly [NodeId, string]> {
    const cut = path.lastIndexOf('/')
    return [await this.node(path.slice(0, Math.max(0, cut))), path.slice(cut + 1)]
  }

  async open(path: string, how: OpenFlags = readOnly): Promise<HandleId> {
    return (await this.fs.open(await this.node(path), how, caller)).handle
  }

  async create(path: string, how: OpenFlags = writable, mode = 0o644): Promise<HandleId> {
    const [directory, name] = await this.place(path)
    return (await this.fs.create(directory, { name, flags: how, mode }, caller)).open.handle
  }

  async readHandle(handle: HandleId, offset = 0, length = 1 << 20): Promise<string> {
    return Buffer.from(await this.fs.read(handle, offset, length, caller)).toString()
  }

  async writeHandle(handle: HandleId, offset: number, text: string, append = false): Promise<number> {
    return this.fs.write({ handle, offset, data: Buffer.from(text), append }, caller)
  }

  async close(handle: HandleId): Promise<void> {
    await this.fs.flush(handle, caller)
    await this.fs.release(handle)
  }

  async read(path: string): Promise<string> {
    const handle = await this.open(path)
    try {
      return await this.readHandle(handle)
    } finally {
      await this.close(handle)
    }
  }

  /** As `echo text > path`. */
  async write(path: string, text: string): Promise<void> {
    const handle = await this.create(path, flags('write', 'truncate'))
    await this.writeHandle(handle, 0, text)
    await this.close(handle)
  }

  async append(path: string, text: string): Promise<void> {
    const handle = await this.open(path, flags('write', 'append'))
    await this.writeHandle(handle, 0, text, true)
    await this.close(handle)
  }

  async stat(path: string): Promise<Attributes> {
    return (await this.fs.getAttributes(await this.node(path), undefined, caller)).attributes
  }

  async exists(path: string): Promise<boolean> {
    return (await this.fs.lookup(...(await this.place(path)), caller)).node !== 0
  }

  async list(path: string): Promise<string[]> {
    const handle = await this.fs.openDirectory(await this.node(path))
    const names = [...(await this.fs.readDirectory(handle, 0, caller))].map(
      (entry: DirectoryEntry) => entry.name,
    )
    this.fs.releaseDirectory(handle)
    return names.filter((name) => name !== '.' && name !== '..').sort()
  }

  async mkdir(path: string): Promise<void> {
    await this.fs.makeDirectory(...(await this.place(path)), 0o755, caller)
  }

  async rmdir(path: string): Promise<void> {
    await this.fs.removeDirectory(...(await this.place(path)), caller)
  }

  async unlink(path: string): Promise<void> {
    await this.fs.unlink(...(await this.place(path)), caller)
  }

  async rename(from: string, to: string, noReplace = false): Promise<void> {
    const [directory, name] = await this.place(from)
    const [newParent, newName] = await this.place(to)
    await this.fs.rename(directory, { name, newParent, newName, noReplace }, caller)
  }

  async truncate(path: string, size: number): Promise<void> {
    await this.fs.setAttributes(await this.node(path), undefined, { size }, caller)
  }
}

/** What an action fails with; `none` if it does not. */
export async function reasonOf(action: Promise<unknown> | (() => unknown)): Promise<Reason | 'none'> {
  try {
    await (typeof action === 'function' ? action() : action)
    return 'none'
  } catch (error) {
    if (error instanceof FilesystemError) return error.reason
    throw error
  }
}
