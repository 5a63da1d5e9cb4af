/**
 * The console log on the local disk: what `.logs` shows. Layer: logs.
 *
 * It grows to `maxBytes`, then starts again from nothing, the way logrotate's `copytruncate` does, so that
 * `tail -f` follows; what it held until then stays beside it as `console.log.1`.
 *
 * Invariant: holds whole lines only, in the order in which they were appended. One process writes it. Removed
 * under the mount, it comes back with the next line, and all that it held.
 */
import {
  closeSync,
  copyFileSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { RecentLines } from './recent-lines.ts'

/* how much is read back from the disk for the first comparison after a start */
const readBackBytes = 4 * 1024 * 1024
const newline = 0x0a

export interface LogFileOptions {
  /** Made if it is missing, for this user alone. */
  readonly directory: string
  /** Default 64 MiB; a single longer line is kept whole all the same. */
  readonly maxBytes?: number | undefined
}

/** Failures are Node's own errors of the file operations. */
export class LogFile {
  readonly #directory: string
  readonly #path: string
  readonly #maxBytes: number
  #fd: number
  /** It was removed and could not be brought back. */
  #isNameless = false
  #size: number
  #recent: RecentLines | undefined

  constructor({ directory, maxBytes = 64 * 1024 * 1024 }: LogFileOptions) {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    this.#directory = directory
    this.#path = join(directory, 'console.log')
    this.#maxBytes = maxBytes
    this.#fd = openSync(this.#path, 'a+', 0o600)
    this.#size = this.#cutPartialLine()
  }

  /** In bytes. Falls to 0 when the file starts again. */
  get size(): number {
    return this.#size
  }

  /** What a new connection's lines are compared with; read back from the disk when first asked for. */
  get recent(): RecentLines {
    return (this.#recent ??= this.#readBack())
  }

  /** At most `length` bytes; fewer only at the end. */
  read(offset: number, length: number): Uint8Array {
    const wanted = Math.max(0, Math.min(length, this.#size - offset))
    const bytes = Buffer.allocUnsafe(wanted)
    return bytes.subarray(0, readFully(this.#fd, bytes, offset))
  }

  /** Each line gets a newline. When it throws, the lines that `size` does not cover were not taken. */
  append(lines: readonly string[]): void {
    let batch = ''
    let batchBytes = 0
    let first = 0
    for (const [index, line] of lines.entries()) {
      const bytes = Buffer.byteLength(line) + 1
      if (this.#size + batchBytes > 0 && this.#size + batchBytes + bytes > this.#maxBytes) {
        this.#write(batch, lines.slice(first, index))
        this.#startAgain()
        batch = ''
        batchBytes = 0
        first = index
      }
      batch += line + '\n'
      batchBytes += bytes
    }
    this.#write(batch, lines.slice(first))
  }

  close(): void {
    closeSync(this.#fd)
  }

  #write(text: string, lines: readonly string[]): void {
    const recent = this.recent /* before the lines are in the file */
    if (!this.#isNameless && this.#isGone) this.#bringBack()
    const bytes = Buffer.from(text)
    try {
      for (let written = 0; written < bytes.length;) written += writeSync(this.#fd, bytes, written)
    } catch (error) {
      ftruncateSync(this.#fd, this.#size) /* no half line stays behind */
      throw error
    }
    this.#size += bytes.length
    for (const line of lines) recent.add(line)
  }

  #startAgain(): void {
    try {
      if (!this.#isGone) renameSync(this.#path, `${this.#path}.1`)
      this.#open()
    } catch {
      ftruncateSync(this.#fd, 0)
    }
    this.#size = 0
  }

  get #isGone(): boolean {
    return fstatSync(this.#fd).nlink === 0
  }

  /** Somebody has removed the file, whose bytes are still there. Where that cannot be undone it goes on without a name. */
  #bringBack(): void {
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
      copyFileSync(`/proc/self/fd/${this.#fd}`, this.#path)
      this.#open()
    } catch {
      this.#isNameless = true
      try {
        rmSync(this.#path)
      } catch {
        /* nothing of it is there */
      }
    }
  }

  /** Goes over to what has the file's name now. */
  #open(): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    const fd = openSync(this.#path, 'a+', 0o600)
    closeSync(this.#fd)
    this.#fd = fd
    this.#isNameless = false
  }

  /** A process killed while it wrote leaves the beginning of a line. */
  #cutPartialLine(): number {
    const { size } = fstatSync(this.#fd)
    const block = Buffer.allocUnsafe(64 * 1024)
    let end = size
    while (end > 0) {
      const start = Math.max(0, end - block.length)
      const found = block
        .subarray(0, readFully(this.#fd, block.subarray(0, end - start), start))
        .lastIndexOf(newline)
      end = found === -1 ? start : start + found + 1
      if (found !== -1) break
    }
    if (end < size) ftruncateSync(this.#fd, end)
    return end
  }

  #readBack(): RecentLines {
    const recent = new RecentLines()
    let budget = readBackBytes
    const parts: Buffer[] = []
    const take = (fd: number): boolean => {
      const { size } = fstatSync(fd)
      const start = Math.max(0, size - budget)
      const bytes = Buffer.allocUnsafe(size - start)
      const read = bytes.subarray(0, readFully(fd, bytes, start))
      budget -= read.length
      parts.unshift(start === 0 ? read : read.subarray(read.indexOf(newline) + 1))
      return start === 0
    }
    const wholeFile = take(this.#fd)
    const previous = wholeFile ? openIfThere(`${this.#path}.1`) : undefined
    if (previous !== undefined) {
      take(previous)
      closeSync(previous)
    }
    /* what was kept in the previous file may itself have had a predecessor */
    if (!wholeFile || previous !== undefined) recent.forgetOlder()
    for (const part of parts) {
      for (let start = 0; start < part.length;) {
        const end = part.indexOf(newline, start)
        if (end === -1) break
        recent.add(part.toString('utf8', start, end))
        start = end + 1
      }
    }
    return recent
  }
}

function readFully(fd: number, into: Uint8Array, position: number): number {
  let done = 0
  while (done < into.length) {
    const read = readSync(fd, into, done, into.length - done, position + done)
    if (read === 0) break
    done += read
  }
  return done
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
