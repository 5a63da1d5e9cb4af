/**
 * The files of a session through its mount on this machine, or through one of all sessions of the agent: the
 * implementation of `SessionFiles` that sees what was written there and is not sent yet, and that programs in the mount
 * see at once. Layer: cli.
 *
 * Invariant: a change is answered when the service has it, as the service's own calls are: the daemon is asked,
 * which holds no thread meanwhile. What the mount does not show (beside the part of the session that is mounted, behind
 * its special files) is asked of the service. All paths start from one open directory of the mount: after an unmount
 * calls fail, and what then lies at the mount point is never taken for the session.
 */
import { randomUUID } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { ServiceError, abortedError } from '../client/errors.ts'
import type {
  CallOptions,
  Download,
  RemoteEntry,
  SessionFiles,
  UploadSource,
} from '../client/session-files.ts'
import { ask } from '../control/control-client.ts'
import type { MountRecord } from '../control/registry.ts'
import { joinPath, parentOf, pathBelow } from '../remote-path.ts'
import { closeLater, deviceName, entryOf, pieceBytes, unlessAborted, writeAll } from './mount-calls.ts'
import { fromMount } from './mount-failure.ts'

const entriesPerPage = 500

export interface MountedFilesOptions {
  /** Of a mount of all sessions of the agent: the directory of this one in it; default: the mount is of this session. */
  readonly within?: string
  /** Larger uploads are refused before anything is written. */
  readonly maxFileBytes: number
  /** Where what the mount does not show is found: the service. */
  readonly hidden: SessionFiles
}

type Settings = Pick<CallOptions, 'signal' | 'onProgress'>

export class MountedFiles implements SessionFiles {
  readonly #mount: MountRecord
  readonly #within: string
  readonly #maxFileBytes: number
  readonly #hidden: SessionFiles
  readonly #specials: ReadonlySet<string>
  #root: fs.FileHandle | undefined
  #waiting = 0

  constructor(mount: MountRecord, { within = '', maxFileBytes, hidden }: MountedFilesOptions) {
    this.#mount = mount
    this.#within = within
    this.#maxFileBytes = maxFileBytes
    this.#hidden = hidden
    this.#specials = new Set(mount.specials)
  }

  /** Where the session is. */
  get directory(): string {
    return join(this.#mount.directory, this.#within)
  }

  /** To be called before anything else; holds the mount until it is closed. `not_found`: the mount does not show it. */
  async open(signal?: AbortSignal): Promise<void> {
    const { mount } = this.#mount
    const { directory } = this
    const what = `open ${directory}`
    const root = await this.#open(what, directory, constants.O_RDONLY | constants.O_DIRECTORY, { signal })
    const { dev } = await this.#call(what, { signal }, () => root.stat())
    if (mount !== undefined && deviceName(dev) !== mount.device) {
      closeLater(root)
      throw new ServiceError('network', `${what}: it was unmounted this moment: try again`)
    }
    this.#root = root
  }

  close(): void {
    if (this.#root !== undefined) closeLater(this.#root)
    this.#root = undefined
  }

  /** Calls of the kernel that have not returned: a process with one of them ends by a signal only. */
  get waiting(): number {
    return this.#waiting
  }

  async *list(directory: string, options: CallOptions = {}): AsyncGenerator<readonly RemoteEntry[], void> {
    const below = this.#shown(directory)
    if (below === undefined) {
      yield* this.#hidden.list(directory, options)
      return
    }
    const what = `list ${directory === '' ? '/' : directory}`
    const at = this.#at(below)
    const found = await this.#call(what, options, () => fs.readdir(at), 'looking')
    const names = below === '' ? found.filter((name) => !this.#specials.has(name)) : found
    for (let first = 0; first === 0 || first < names.length; first += entriesPerPage) {
      const page = names.slice(first, first + entriesPerPage)
      const entries = await this.#call(what, options, () =>
        Promise.all(page.map((name) => entryOf(at, name))),
      )
      yield entries.filter((entry) => entry !== undefined)
    }
  }

  async download(path: string, options: CallOptions = {}): Promise<Download> {
    const below = this.#shown(path)
    if (below === undefined) return this.#hidden.download(path, options)
    const what = `download ${path}`
    const file = await this.#open(what, this.#at(below), 'r', options)
    try {
      const opened = await this.#call(what, options, () => file.stat())
      if (!opened.isFile())
        throw new ServiceError('bad_request', `${what}, through the mount: it must be a file`)
      return { length: opened.size, serverDateMs: undefined, body: this.#body(what, file, opened, options) }
    } catch (error) {
      closeLater(file)
      throw error
    }
  }

  async upload(path: string, source: UploadSource, options: CallOptions = {}): Promise<void> {
    const below = this.#shown(path)
    if (below === undefined) return this.#hidden.upload(path, source, options)
    const what = `upload ${path}`
    const size = source instanceof Uint8Array ? source.byteLength : source.size
    if (size > this.#maxFileBytes)
      throw new ServiceError('too_large', `${what}: ${size} bytes, it must be ${this.#maxFileBytes} at most`)
    const target = this.#at(below)
    const parent = this.#at(parentOf(below))
    await this.#call(what, options, () => fs.mkdir(parent, { recursive: true }))
    /* a name that is not uploaded by itself; what is there stays until all is written */
    const temporary = `${parent}/.mount-session-${randomUUID()}.swp`
    try {
      await this.#call(what, options, async () => {
        const before = await fs.lstat(target).catch(() => undefined)
        await writeAll(what, temporary, source, options.signal)
        if (before?.isFile() === true) await fs.chmod(temporary, before.mode & 0o7777)
        await fs.rename(temporary, target)
      })
    } catch (error) {
      void fs.rm(temporary, { force: true }).catch(() => undefined)
      throw error
    }
    await this.#confirmed(what, below, options)
  }

  async remove(path: string, options: CallOptions = {}): Promise<void> {
    const below = this.#shown(path)
    if (below === undefined) return this.#hidden.remove(path, options)
    const what = `delete ${path}`
    if (below === '') {
      const { directory } = this
      throw new ServiceError('conflict', `${what}: it is mounted at ${directory}: it must be unmounted first`)
    }
    const at = this.#at(below)
    const found = await this.#call(what, options, () => fs.lstat(at), 'looking')
    await this.#call(what, options, () => (found.isDirectory() ? fs.rmdir(at) : fs.unlink(at)), 'looking')
    await this.#confirmed(what, below, options)
  }

  async makeDirectory(path: string, options: CallOptions = {}): Promise<void> {
    const below = this.#shown(path)
    if (below === undefined) return this.#hidden.makeDirectory(path, options)
    const what = `make directory ${path}`
    await this.#call(what, options, () => fs.mkdir(this.#at(below), { recursive: true }))
    await this.#confirmed(what, below, options)
  }

  #at(below: string): string {
    if (this.#root === undefined) throw new ServiceError('closed', 'the mount must be opened first')
    const root = `/proc/self/fd/${this.#root.fd}`
    return below === '' ? root : `${root}/${below}`
  }

  /** The path from where the session is; undefined when the mount does not show it. */
  #shown(path: string): string | undefined {
    const below = pathBelow(this.#mount.subdirectory ?? '', path)
    return this.#specials.has(below?.split('/', 1)[0] ?? '') ? undefined : below
  }

  /** Returns when the service has what is at and below `below`, from where the session is. */
  async #confirmed(what: string, below: string, { signal, onProgress }: Settings): Promise<void> {
    const path = below === '' ? this.#within : joinPath(this.#within, below)
    let left: number | undefined
    const progressed = ({ bytes }: { readonly bytes: number }): void => {
      if (left !== undefined && bytes < left) onProgress?.(left - bytes)
      left = bytes
    }
    try {
      await ask(this.#mount.stateDirectory, { method: 'sync', path }, { signal, onProgress: progressed })
    } catch (error) {
      if (signal?.aborted === true) throw abortedError(what, signal.reason, true)
      throw fromMount(what, error)
    }
  }

  async *#body(
    what: string,
    file: fs.FileHandle,
    opened: Stats,
    options: Settings,
  ): AsyncGenerator<Uint8Array> {
    const { size } = opened
    try {
      for (let position = 0; position < size;) {
        const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, size - position))
        const { bytesRead } = await this.#call(what, options, () =>
          file.read(buffer, 0, buffer.length, position),
        )
        if (bytesRead === 0) throw changed(what)
        position += bytesRead
        if (position === size) {
          const now = await this.#call(what, options, () => file.stat())
          if (now.size !== size || now.mtimeMs !== opened.mtimeMs) throw changed(what)
        }
        yield buffer.subarray(0, bytesRead)
      }
    } finally {
      closeLater(file)
    }
  }

  /** What is opened after the caller has gone is closed again. */
  async #open(what: string, path: string, flags: string | number, options: Settings): Promise<fs.FileHandle> {
    let opening: Promise<fs.FileHandle> | undefined
    try {
      return await this.#call(what, options, () => (opening = fs.open(path, flags)), 'looking')
    } catch (error) {
      opening?.then(closeLater, () => undefined)
      throw error
    }
  }

  /** A system call on the mount: its errno told as a code, and given up on when the caller does. */
  async #call<T>(what: string, { signal }: Settings, use: () => Promise<T>, looking?: 'looking'): Promise<T> {
    if (hasEnded(signal)) throw abortedError(what, signal?.reason)
    this.#waiting++
    const called = use().finally(() => this.#waiting--)
    try {
      return await unlessAborted(called, signal)
    } catch (error) {
      if (hasEnded(signal)) throw abortedError(what, signal?.reason, true)
      throw fromMount(what, error, looking !== undefined)
    }
  }
}

function hasEnded(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}

function changed(what: string): ServiceError {
  return new ServiceError(
    'truncated',
    `${what}, through the mount: it was changed meanwhile: download it again`,
  )
}
