/**
 * The bytes of small generations, many in one file: to make a file and to remove it costs more than all else that
 * is done for a small one. Layer: write-back.
 *
 *     slot:  checksum 4 · mark 4 · generation 6 · bytes of the path 2 · size 4 · path · … 512 · the bytes
 *
 * Invariant: a header is written in one piece, after the bytes that it speaks of, and what it says is covered by
 * its checksum. Whatever ends this process, a slot holds a generation as it was last answered for, or is free.
 */
import {
  close,
  closeSync,
  existsSync,
  fdatasync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'

/** A generation that grows beyond this gets a file of its own. */
export const slotBytes = 16 * 1024
const headerBytes = 512
/** Of whole pages: neighbours are written by themselves. */
const strideBytes = slotBytes + 4096
const mark = 0x31_46_4d_53
const at = { checksum: 0, mark: 4, generation: 8, pathBytes: 14, size: 16, path: 20 } as const
/** With so many slots it is given back to the disk as soon as nothing is in it. */
const manySlots = 256

const fileName = 'spool.small'
const free = Buffer.alloc(at.path)
const zeroes = Buffer.alloc(slotBytes)

type Waiting = (error: Error | null) => void

interface Slot {
  readonly index: number
  size: number
  /** Whose bytes only this machine has; undefined: nobody's. */
  path: string | undefined
}

/** In the directory of a journal: what its small generations are called, and their bytes. For who does not write there. */
export function smallFilesIn(
  journalDirectory: string,
): Map<number, { readonly path: string | undefined; readonly bytes: Buffer }> {
  const file = join(journalDirectory, fileName)
  if (!existsSync(file)) return new Map()
  const fd = openSync(file, 'r')
  try {
    const slots = [...readSlots(fd)]
    return new Map(
      slots.map(([generation, slot]) => [
        generation,
        { path: slot.path, bytes: readFully(fd, bytesAt(slot), slot.size) },
      ]),
    )
  } finally {
    closeSync(fd)
  }
}

export class SmallFiles {
  readonly #file: string
  #fd: number
  readonly #slots: Map<number, Slot>
  readonly #free: number[] = []
  /** Who waits for what is under way to the disk, and for what goes after it. */
  #syncing: Waiting[] = []
  #waiting: Waiting[] = []
  /** The first that was never used. */
  #end = 0
  readonly #header = Buffer.alloc(headerBytes)
  /** A header and bytes that follow it. */
  readonly #piece = Buffer.alloc(headerBytes + slotBytes)

  /** Makes the file if it is not there. */
  constructor(journalDirectory: string) {
    this.#file = join(journalDirectory, fileName)
    this.#fd = openSync(this.#file, existsSync(this.#file) ? 'r+' : 'wx+', 0o600)
    this.#slots = readSlots(this.#fd)
    const used = new Set([...this.#slots.values()].map(({ index }) => index))
    for (const index of used) this.#end = Math.max(this.#end, index + 1)
    for (let index = this.#end - 1; index >= 0; index--) if (!used.has(index)) this.#free.push(index)
    ftruncateSync(this.#fd, this.#end * strideBytes)
  }

  /** False when somebody has removed the file: what is written would be nowhere. */
  get isThere(): boolean {
    return fstatSync(this.#fd).nlink > 0
  }

  generations(): IterableIterator<number> {
    return this.#slots.keys()
  }

  has(generation: number): boolean {
    return this.#slots.has(generation)
  }

  size(generation: number): number {
    return this.#slot(generation).size
  }

  nameOf(generation: number): string | undefined {
    return this.#slots.get(generation)?.path
  }

  /** An empty one. */
  add(generation: number): void {
    const index = this.#free.pop() ?? this.#end
    const slot: Slot = { index, size: 0, path: undefined }
    try {
      this.#writeHeader(generation, slot)
    } catch (error) {
      if (index < this.#end) this.#free.push(index)
      throw error
    }
    this.#end = Math.max(this.#end, index + 1)
    this.#slots.set(generation, slot)
  }

  /** False when the name is too long for a slot. */
  name(generation: number, path: string | undefined): boolean {
    const slot = this.#slot(generation)
    if (slot.path === path) return true
    if (path !== undefined && Buffer.byteLength(path) > headerBytes - at.path) return false
    this.#writeHeader(generation, { ...slot, path })
    slot.path = path
    return true
  }

  read(generation: number, offset: number, length: number): Buffer {
    const slot = this.#slot(generation)
    const wanted = Math.max(0, Math.min(length, slot.size - offset))
    return readFully(this.#fd, bytesAt(slot) + offset, wanted)
  }

  /** Answers how much was taken: less than all of it, and then nothing has changed, only when the disk is full. */
  write(generation: number, offset: number, data: Uint8Array): number {
    const slot = this.#slot(generation)
    if (offset > slot.size) this.truncate(generation, offset)
    const size = Math.max(slot.size, offset + data.length)
    if (slot.size === 0) {
      // in one piece: of a file that is written once this is all there is
      const piece = this.#piece.subarray(0, headerBytes + data.length)
      this.#fillHeader(piece, generation, { ...slot, size })
      piece.set(data, headerBytes)
      const written = writeSync(this.#fd, piece, 0, piece.length, slot.index * strideBytes)
      if (written < piece.length) {
        this.#writeHeader(generation, slot)
        return 0
      }
    } else {
      const written = writeSync(this.#fd, data, 0, data.length, bytesAt(slot) + offset)
      if (written < data.length) return written
      if (size !== slot.size) this.#writeHeader(generation, { ...slot, size })
    }
    slot.size = size
    return data.length
  }

  truncate(generation: number, size: number): void {
    const slot = this.#slot(generation)
    if (size === slot.size) return
    // what was cut off once, or an earlier generation had there
    if (size > slot.size) this.#writeAll(zeroes.subarray(0, size - slot.size), bytesAt(slot) + slot.size)
    this.#writeHeader(generation, { ...slot, size })
    slot.size = size
  }

  zero(generation: number, offset: number, length: number): void {
    this.#writeAll(zeroes.subarray(0, length), bytesAt(this.#slot(generation)) + offset)
  }

  remove(generation: number): void {
    const slot = this.#slots.get(generation)
    if (slot === undefined) return
    this.#writeAll(free, slot.index * strideBytes)
    this.#slots.delete(generation)
    this.#free.push(slot.index)
    if (this.#slots.size === 0 && this.#end >= manySlots && this.#syncing.length === 0) this.#beginAnew()
  }

  /** Calls back once all that was written until now survives a power cut, or cannot be made to. */
  whenDurable(callback: Waiting): void {
    this.#waiting.push(callback)
    if (this.#syncing.length === 0) this.#sync()
  }

  close(): void {
    closeSync(this.#fd)
  }

  /** Many may ask while the disk is at it: what they wait for goes there in one go. */
  #sync(): void {
    const asked = this.#waiting
    this.#waiting = []
    this.#syncing = asked
    fdatasync(this.#fd, (error) => {
      this.#syncing = []
      if (this.#waiting.length > 0) this.#sync()
      for (const callback of asked) callback(error)
    })
  }

  /** Gives a long file back to the disk beside the event loop: to cut it can take seconds. */
  #beginAnew(): void {
    const fresh = `${this.#file}.new`
    try {
      const fd = openSync(fresh, 'w+', 0o600)
      renameSync(fresh, this.#file)
      close(this.#fd)
      this.#fd = fd
    } catch {
      return // it goes on with the long one
    }
    this.#free.length = 0
    this.#end = 0
  }

  #slot(generation: number): Slot {
    const slot = this.#slots.get(generation)
    if (slot === undefined) throw new Error(`generation ${generation} is not among the small ones`)
    return slot
  }

  #writeHeader(generation: number, slot: Slot): void {
    this.#fillHeader(this.#header, generation, slot)
    this.#writeAll(this.#header, slot.index * strideBytes)
  }

  #fillHeader(header: Buffer, generation: number, { path = '', size }: Slot): void {
    header.writeUInt32LE(mark, at.mark)
    header.writeUIntLE(generation, at.generation, 6)
    header.writeUInt16LE(header.write(path, at.path), at.pathBytes)
    header.writeUInt32LE(size, at.size)
    header.writeUInt32LE(checksum(header), at.checksum)
  }

  #writeAll(bytes: Uint8Array, position: number): void {
    if (writeSync(this.#fd, bytes, 0, bytes.length, position) === bytes.length) return
    throw Object.assign(new Error('short write'), { code: 'ENOSPC' })
  }
}

function bytesAt({ index }: Slot): number {
  return index * strideBytes + headerBytes
}

function checksum(header: Buffer): number {
  return crc32(header.subarray(at.mark, at.path + header.readUInt16LE(at.pathBytes)))
}

function readSlots(fd: number): Map<number, Slot> {
  const slots = new Map<number, Slot>()
  const count = Math.ceil(fstatSync(fd).size / strideBytes)
  for (let index = 0; index < count; index++) {
    const header = readFully(fd, index * strideBytes, headerBytes)
    if (header.length < at.path || header.readUInt32LE(at.mark) !== mark) continue
    const end = at.path + header.readUInt16LE(at.pathBytes)
    const size = header.readUInt32LE(at.size)
    if (end > header.length || size > slotBytes || checksum(header) !== header.readUInt32LE(at.checksum))
      continue
    const path = end > at.path ? header.toString('utf8', at.path, end) : undefined
    slots.set(header.readUIntLE(at.generation, 6), { index, size, path })
  }
  return slots
}

function readFully(fd: number, position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  let done = 0
  while (done < length) {
    const count = readSync(fd, bytes, done, length - done, position + done)
    if (count === 0) break
    done += count
  }
  return done === length ? bytes : bytes.subarray(0, done)
}
