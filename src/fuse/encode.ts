/**
 * One encoder per reply: words in, bytes of `linux/fuse.h` structures out. Layer: fuse.
 *
 * Invariant: a `Reply` is filled and sent within one turn of the event loop, so one buffer serves a whole
 * connection and nothing is allocated for an answer but the views that file data needs.
 */

import type {
  Attributes,
  AttributesReply,
  DirectoryEntry,
  Entry,
  OpenReply,
  Statistics,
  Time,
} from '../filesystem/front-end.ts'
import { FileType, OpenReplyFlag, Size } from './protocol.ts'

const body = Size.outHeader
const high = 0x1_0000_0000
/** READDIR may be answered with less than was asked for; the kernel asks again. */
export const directoryReplyBytes = 1 << 17
const entrySize = Size.entryOut
/** Behind the longest directory reply, so that a name which does not fit is never cut in mid-character. */
const slackBytes = 2048

export class Reply {
  readonly bytes = Buffer.alloc(Size.outHeader + directoryReplyBytes + slackBytes)
  readonly view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length)
  /** Bytes of `bytes` in use, header included. */
  length: number = body
  /** File content that follows `bytes` without having been copied there. */
  data: Uint8Array | undefined

  begin(): void {
    this.length = body
    this.data = undefined
  }

  /** Writes the header. `error` is a positive errno, 0 for success; notifications hand in their code negated and unique 0. */
  finish(error: number, uniqueLow: number, uniqueHigh: number): void {
    this.view.setUint32(0, this.length + (this.data?.length ?? 0), true)
    this.view.setInt32(4, -error, true)
    this.view.setUint32(8, uniqueLow, true)
    this.view.setUint32(12, uniqueHigh, true)
  }
}

/** Also right for negative values: two's complement. */
export function setU64(view: DataView, at: number, value: number): void {
  const upper = Math.floor(value / high)
  view.setUint32(at, value - upper * high, true)
  view.setInt32(at + 4, upper, true)
}

function setTime(view: DataView, at: number, nanosecondsAt: number, time: Time): void {
  setU64(view, at, time.seconds)
  view.setUint32(nanosecondsAt, time.nanoseconds, true)
}

function setTtl(view: DataView, at: number, nanosecondsAt: number, ttlMs: number): void {
  const seconds = Math.floor(ttlMs / 1000)
  setU64(view, at, seconds)
  view.setUint32(nanosecondsAt, Math.floor((ttlMs - seconds * 1000) * 1_000_000), true)
}

function setAttributes(view: DataView, at: number, attributes: Attributes): void {
  const type = attributes.kind === 'directory' ? FileType.directory : FileType.regular
  setU64(view, at, attributes.inode)
  setU64(view, at + 8, attributes.size)
  setU64(view, at + 16, attributes.blocks)
  setTime(view, at + 24, at + 48, attributes.accessed)
  setTime(view, at + 32, at + 52, attributes.modified)
  setTime(view, at + 40, at + 56, attributes.changed)
  view.setUint32(at + 60, type | attributes.mode, true)
  view.setUint32(at + 64, attributes.linkCount, true)
  view.setUint32(at + 68, attributes.uid, true)
  view.setUint32(at + 72, attributes.gid, true)
  view.setUint32(at + 76, 0, true) // rdev: there are no devices
  view.setUint32(at + 80, 0, true) // blksize: 0 lets the kernel say its page size
  view.setUint32(at + 84, 0, true)
}

/** Node 0 is a name known to be missing (for its timeout), or in READDIRPLUS an entry without attributes. */
function setEntry(reply: Reply, at: number, entry: Entry | undefined): void {
  const { view, bytes } = reply
  bytes.fill(0, at, at + entrySize)
  if (entry === undefined) return
  setU64(view, at, entry.node)
  setTtl(view, at + 16, at + 32, entry.entryTtlMs)
  setTtl(view, at + 24, at + 36, entry.attributesTtlMs)
  if (entry.attributes !== undefined) setAttributes(view, at + 40, entry.attributes)
}

export function encodeNothing(): void {
  // The header alone is the answer.
}

export function encodeEntry(reply: Reply, entry: Entry): void {
  setEntry(reply, body, entry)
  reply.length = body + entrySize
}

export function encodeAttributes(reply: Reply, { attributes, ttlMs }: AttributesReply): void {
  setTtl(reply.view, body, body + 8, ttlMs)
  reply.view.setUint32(body + 12, 0, true)
  setAttributes(reply.view, body + 16, attributes)
  reply.length = body + Size.attributesOut
}

function setOpen(reply: Reply, at: number, open: OpenReply): void {
  const { keepCache, directIo, noFlush } = OpenReplyFlag
  const flags =
    (open.keepCache ? keepCache : 0) | (open.directIo ? directIo : 0) | (open.noFlush === true ? noFlush : 0)
  setU64(reply.view, at, open.handle)
  reply.view.setUint32(at + 8, flags, true)
  reply.view.setUint32(at + 12, 0, true)
  reply.length = at + Size.openOut
}

export function encodeOpen(reply: Reply, open: OpenReply): void {
  setOpen(reply, body, open)
}

export function encodeOpenDirectory(reply: Reply, handle: number): void {
  setOpen(reply, body, { handle, keepCache: false, directIo: false })
}

export function encodeCreate(
  reply: Reply,
  created: { readonly entry: Entry; readonly open: OpenReply },
): void {
  setEntry(reply, body, created.entry)
  setOpen(reply, body + entrySize, created.open)
}

export function encodeData(reply: Reply, data: Uint8Array): void {
  reply.data = data
}

/** How many bytes were taken (WRITE, COPY_FILE_RANGE). */
export function encodeWritten(reply: Reply, count: number): void {
  reply.view.setUint32(body, count, true)
  reply.view.setUint32(body + 4, 0, true)
  reply.length = body + Size.writeOut
}

/** An offset (LSEEK) or a 64-bit count (COPY_FILE_RANGE_64). */
export function encodeOffset(reply: Reply, offset: number): void {
  setU64(reply.view, body, offset)
  reply.length = body + Size.lseekOut
}

export function encodeStatistics(reply: Reply, statistics: Statistics): void {
  const { view, bytes } = reply
  bytes.fill(0, body, body + Size.statfsOut)
  setU64(view, body, statistics.blocks)
  setU64(view, body + 8, statistics.freeBlocks)
  setU64(view, body + 16, statistics.availableBlocks)
  setU64(view, body + 24, statistics.files)
  setU64(view, body + 32, statistics.freeFiles)
  view.setUint32(body + 40, statistics.blockSize, true)
  view.setUint32(body + 44, statistics.nameLength, true)
  view.setUint32(body + 48, statistics.blockSize, true)
  reply.length = body + Size.statfsOut
}

/**
 * Fills the reply with as many entries as `size` bytes hold. With `entryOf` each is preceded by its node
 * (READDIRPLUS): it is asked only for entries that fit, because each answer counts as a look-up.
 */
export function encodeDirectory(
  reply: Reply,
  entries: Iterable<DirectoryEntry>,
  size: number,
  entryOf?: (name: string) => Entry | undefined,
): void {
  const { bytes, view } = reply
  const end = body + Math.min(size, directoryReplyBytes)
  const prefix = entryOf === undefined ? 0 : entrySize
  let at: number = body
  for (const { name, kind, inode, nextOffset } of entries) {
    const nameAt = at + prefix + Size.directoryEntry
    if (nameAt >= end) break
    const written = bytes.write(name, nameAt)
    const next = (nameAt + written + 7) & ~7
    if (next > end) break
    setU64(view, at + prefix, inode)
    setU64(view, at + prefix + 8, nextOffset)
    view.setUint32(at + prefix + 16, written, true)
    view.setUint32(
      at + prefix + 20,
      (kind === 'directory' ? FileType.directory : FileType.regular) >> 12,
      true,
    )
    bytes.fill(0, nameAt + written, next)
    if (entryOf !== undefined) setEntry(reply, at, entryOf(name))
    at = next
  }
  reply.length = at
}
