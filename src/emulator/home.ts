/**
 * The files of one session on the disk: its home directory. Layer: emulator.
 *
 * Invariant: a file under its name is always a whole one: content arrives beside the home and is renamed
 * in, unless a fault asked for the opposite. Names on the disk are the names of the service.
 *
 * Metadata calls are synchronous on purpose: against the local page cache they take microseconds, where
 * the thread pool costs ten times that of a processor shared with the program under test.
 */

import { randomUUID } from 'node:crypto'
import * as fs from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DirectoryOrder } from './directory-order.ts'
import { badRequest, conflict, notFound } from './envelope.ts'

export interface HomeEntry {
  readonly name: string
  readonly size: number
  readonly isDirectory: boolean
  readonly modifiedSeconds: number
  readonly mode: number
}

/** What a directory's `size` shows: the service was seen to show a block. */
const directorySize = 4096

export class Home {
  readonly directory: string
  readonly #incoming: string
  readonly #order = new DirectoryOrder()

  constructor(directory: string, incoming: string) {
    this.directory = directory
    this.#incoming = incoming
    fs.mkdirSync(directory, { recursive: true })
    // What a crash left half received is nobody's.
    fs.rmSync(incoming, { recursive: true, force: true })
    fs.mkdirSync(incoming)
  }

  /** The names in a directory, in order of what `position` says of them, or the other way round. */
  names(path: string, position: (name: string) => string, descending: boolean): readonly string[] {
    try {
      return this.#order.names(this.#locate(path), position, descending)
    } catch (error) {
      if (isErrno(error, 'ENOTDIR') && this.#exists(path)) throw badRequest(`'${path}' is not a directory.`)
      throw missing(path, error)
    }
  }

  /** Undefined when the name has gone meanwhile. Links show what they lead to, or themselves. */
  entry(directory: string, name: string): HomeEntry | undefined {
    const location = join(this.#locate(directory), name)
    const stat =
      fs.statSync(location, { throwIfNoEntry: false }) ?? fs.lstatSync(location, { throwIfNoEntry: false })
    return stat && describe(name, stat)
  }

  stat(path: string): HomeEntry {
    try {
      return describe(path.slice(path.lastIndexOf('/') + 1), fs.statSync(this.#locate(path)))
    } catch (error) {
      throw missing(path, error)
    }
  }

  /** An open file and its size now. The caller closes the descriptor. */
  open(path: string): { readonly fd: number; readonly size: number } {
    let fd
    try {
      // Without O_NONBLOCK a FIFO that the agent made would block the whole emulator.
      fd = fs.openSync(this.#locate(path), fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
    } catch (error) {
      throw missing(path, error)
    }
    const stat = fs.fstatSync(fd)
    if (stat.isFile()) return { fd, size: stat.size }
    fs.closeSync(fd)
    throw badRequest(`'${path}' is not a file.`)
  }

  /** A fresh place for content that is still arriving. */
  incomingFile(): string {
    return join(this.#incoming, randomUUID())
  }

  /** Gives arrived content its name, atomically; parents are made. */
  commit(arrived: string, path: string): void {
    const target = this.#locate(path)
    try {
      this.#withParents(path, () => fs.renameSync(arrived, target))
    } catch (error) {
      fs.rmSync(arrived, { force: true })
      throw error
    }
  }

  /** Lets the first bytes of arrived content be seen under the name, as a writer in place would. */
  exposePart(arrived: string, path: string, bytes: number): void {
    const content = fs.readFileSync(arrived).subarray(0, bytes)
    this.#withParents(path, () => fs.writeFileSync(this.#locate(path), content))
    fs.rmSync(arrived)
  }

  discard(arrived: string): void {
    fs.rmSync(arrived, { force: true })
  }

  async remove(path: string, recursive: boolean): Promise<void> {
    const target = this.#locate(path)
    try {
      if (!fs.lstatSync(target).isDirectory()) fs.unlinkSync(target)
      else if (recursive) await rm(target, { recursive: true })
      else fs.rmdirSync(target)
    } catch (error) {
      if (isErrno(error, 'ENOTEMPTY', 'EEXIST')) throw conflict(`Directory '${path}' is not empty.`)
      throw missing(path, error)
    }
  }

  /** False when the directory was there already. */
  makeDirectory(path: string): boolean {
    try {
      return fs.mkdirSync(this.#locate(path), { recursive: true }) !== undefined
    } catch (error) {
      throw blocked(path, error)
    }
  }

  /** Tries without looking first: parents are nearly always there. */
  #withParents(path: string, write: () => void): void {
    try {
      try {
        write()
      } catch (error) {
        if (!isErrno(error, 'ENOENT')) throw error
        fs.mkdirSync(join(this.#locate(path), '..'), { recursive: true })
        write()
      }
    } catch (error) {
      throw blocked(path, error)
    }
  }

  #exists(path: string): boolean {
    return fs.statSync(this.#locate(path), { throwIfNoEntry: false }) !== undefined
  }

  #locate(path: string): string {
    return path === '' ? this.directory : `${this.directory}/${path}`
  }
}

function describe(name: string, stat: fs.Stats): HomeEntry {
  const isDirectory = stat.isDirectory()
  return {
    name,
    isDirectory,
    size: isDirectory ? directorySize : stat.size,
    modifiedSeconds: Math.floor(stat.mtimeMs / 1000),
    mode: stat.mode & 0o7777,
  }
}

/** A missing path, and one that leads through a file, are the same to the service. */
function missing(path: string, error: unknown): unknown {
  return isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP') ? notFound(`'${path}' was not found.`) : error
}

/** Something of another kind stands where the path leads. */
function blocked(path: string, error: unknown): unknown {
  return isErrno(error, 'EISDIR', 'ENOTDIR', 'EEXIST', 'ENOTEMPTY', 'ELOOP')
    ? conflict(`'${path}' is a directory, or leads through a file.`)
    : error
}

function isErrno(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? '')
}
