/**
 * One decoder per request: bytes of `linux/fuse.h` structures in, words out. Layer: fuse.
 *
 * Invariant: no BigInt; 64-bit fields are read as two halves and are exact up to 2^53, which covers every
 * node, handle and file size that this program hands out. Offsets beyond lose low bits, and are too large anyway.
 */

import { isUtf8 } from 'node:buffer'
import { constants } from 'node:fs'
import type {
  AllocateRequest,
  AttributeChanges,
  CopyRequest,
  CreateRequest,
  OpenFlags,
  RenameRequest,
  Time,
  WriteRequest,
} from '../filesystem/front-end.ts'
import { Errno, RefusedError } from './errno.ts'
import {
  FallocateMode,
  getattrHasHandle,
  permissionMask,
  RenameFlag,
  SetattrFlag,
  Size,
  writeFromPageCache,
} from './protocol.ts'
import { uniqueOf } from './request.ts'

/** The buffer a request was read into; `length` is its valid part. Reused for the next request. */
export interface Frame {
  readonly bytes: Buffer
  readonly view: DataView
  length: number
}

const body = Size.inHeader
const high = 0x1_0000_0000

export function u64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * high
}

function signed64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getInt32(at + 4, true) * high
}

/**
 * The NUL-terminated name at `at`, and where the next begins. Names that are not UTF-8 cannot travel in the
 * service's JSON: EILSEQ, which is what other filesystems that insist on UTF-8 answer.
 */
function nameAt(frame: Frame, at: number): { readonly name: string; readonly next: number } {
  const found = frame.bytes.indexOf(0, at)
  const end = found < 0 || found > frame.length ? frame.length : found
  const name = frame.bytes.toString('utf8', at, end)
  if (name.includes('\ufffd') && !isUtf8(frame.bytes.subarray(at, end))) throw new RefusedError(Errno.EILSEQ)
  return { name, next: end + 1 }
}

export const decodeNothing = (): undefined => undefined

export function decodeName(frame: Frame): string {
  return nameAt(frame, body).name
}

/** The handle that many requests begin with. */
export function decodeHandle({ view }: Frame): number {
  return u64(view, body)
}

export function decodeGetattr({ view }: Frame): number | undefined {
  return (view.getUint32(body, true) & getattrHasHandle) === 0 ? undefined : u64(view, body + 8)
}

function timeAt(view: DataView, at: number, nanosecondsAt: number): Time {
  return { seconds: signed64(view, at), nanoseconds: view.getUint32(nanosecondsAt, true) }
}

export interface SetattrRequest {
  readonly handle: number | undefined
  readonly changes: AttributeChanges
}

/** The change time is the filesystem's own business, and the lock owner means nothing with local locks: both are skipped. */
export function decodeSetattr({ view }: Frame): SetattrRequest {
  const valid = view.getUint32(body, true)
  const has = (flag: number): boolean => (valid & flag) !== 0
  return {
    handle: has(SetattrFlag.handle) ? u64(view, body + 8) : undefined,
    changes: {
      ...(has(SetattrFlag.size) && { size: u64(view, body + 16) }),
      ...(has(SetattrFlag.mode) && { mode: view.getUint32(body + 68, true) & permissionMask }),
      ...(has(SetattrFlag.uid) && { uid: view.getUint32(body + 76, true) }),
      ...(has(SetattrFlag.gid) && { gid: view.getUint32(body + 80, true) }),
      ...(has(SetattrFlag.accessed) && {
        accessed: has(SetattrFlag.accessedNow) ? ('now' as const) : timeAt(view, body + 32, body + 56),
      }),
      ...(has(SetattrFlag.modified) && {
        modified: has(SetattrFlag.modifiedNow) ? ('now' as const) : timeAt(view, body + 40, body + 60),
      }),
    },
  }
}

export function openFlags(flags: number): OpenFlags {
  const access = flags & (constants.O_WRONLY | constants.O_RDWR)
  return {
    read: access !== constants.O_WRONLY,
    write: access !== constants.O_RDONLY,
    append: (flags & constants.O_APPEND) !== 0,
    truncate: (flags & constants.O_TRUNC) !== 0,
    exclusive: (flags & constants.O_EXCL) !== 0,
  }
}

export function decodeOpen({ view }: Frame): OpenFlags {
  return openFlags(view.getUint32(body, true))
}

/** The kernel has applied the umask to `mode` already: DONT_MASK is not asked for. */
export function decodeCreate(frame: Frame): CreateRequest {
  return {
    flags: openFlags(frame.view.getUint32(body, true)),
    mode: frame.view.getUint32(body + 4, true) & permissionMask,
    name: nameAt(frame, body + 16).name,
  }
}

export interface MakeRequest {
  readonly name: string
  /** With the file type; umask applied. */
  readonly mode: number
}

export function decodeMknod(frame: Frame): MakeRequest {
  return { mode: frame.view.getUint32(body, true), name: nameAt(frame, body + 16).name }
}

export function decodeMkdir(frame: Frame): MakeRequest {
  return { mode: frame.view.getUint32(body, true), name: nameAt(frame, body + 8).name }
}

/** EXCHANGE and WHITEOUT cannot be made of whole-file verbs: EINVAL. */
function renameAt(frame: Frame, flags: number, at: number): RenameRequest {
  if ((flags & ~RenameFlag.noReplace) !== 0) throw new RefusedError(Errno.EINVAL)
  const noReplace = (flags & RenameFlag.noReplace) !== 0
  const { name, next } = nameAt(frame, at)
  return { newParent: u64(frame.view, body), noReplace, name, newName: nameAt(frame, next).name }
}

export function decodeRename(frame: Frame): RenameRequest {
  return renameAt(frame, 0, body + 8)
}

export function decodeRename2(frame: Frame): RenameRequest {
  return renameAt(frame, frame.view.getUint32(body + 8, true), body + 16)
}

export interface ReadRequest {
  readonly handle: number
  readonly offset: number
  readonly size: number
}

/** READ, READDIR and READDIRPLUS share a structure. */
export function decodeRead({ view }: Frame): ReadRequest {
  return { handle: u64(view, body), offset: u64(view, body + 8), size: view.getUint32(body + 16, true) }
}

/** Its data is a view of the request's buffer: valid only until the next request is read. */
export function decodeWrite({ bytes, view, length }: Frame): WriteRequest {
  const start = body + Size.writeIn
  const end = start + view.getUint32(body + 16, true)
  if (end > length) throw new RefusedError(Errno.EINVAL)
  const mapped = (view.getUint32(body + 20, true) & writeFromPageCache) !== 0
  return {
    handle: u64(view, body),
    offset: u64(view, body + 8),
    data: bytes.subarray(start, end),
    append: !mapped && (view.getUint32(body + 32, true) & constants.O_APPEND) !== 0,
  }
}

const allocateModes: ReadonlyMap<number, AllocateRequest['mode']> = new Map([
  [0, 'extend'],
  [FallocateMode.keepSize, 'keepSize'],
  [FallocateMode.keepSize | FallocateMode.punchHole, 'punchHole'],
])

/** What else can be done to a range (ZERO_RANGE, COLLAPSE_RANGE and the like): EOPNOTSUPP. */
export function decodeFallocate({ view }: Frame): AllocateRequest {
  const mode = allocateModes.get(view.getUint32(body + 24, true))
  if (mode === undefined) throw new RefusedError(Errno.EOPNOTSUPP)
  return { handle: u64(view, body), offset: u64(view, body + 8), length: u64(view, body + 16), mode }
}

export interface LseekRequest {
  readonly handle: number
  readonly offset: number
  readonly whence: number
}

export function decodeLseek({ view }: Frame): LseekRequest {
  return { handle: u64(view, body), offset: u64(view, body + 8), whence: view.getUint32(body + 16, true) }
}

/** No flag has a meaning yet: EINVAL. */
export function decodeCopyFileRange({ view }: Frame): CopyRequest {
  if (u64(view, body + 48) !== 0) throw new RefusedError(Errno.EINVAL)
  return {
    from: u64(view, body),
    fromOffset: u64(view, body + 8),
    to: u64(view, body + 24),
    toOffset: u64(view, body + 32),
    length: u64(view, body + 40),
  }
}

export interface InitRequest {
  readonly major: number
  readonly minor: number
  readonly maxReadahead: number
  readonly flags: number
  readonly flags2: number
}

export function decodeInit({ view, length }: Frame): InitRequest {
  return {
    major: view.getUint32(body, true),
    minor: view.getUint32(body + 4, true),
    maxReadahead: length > body + 8 ? view.getUint32(body + 8, true) : 0,
    flags: length > body + 12 ? view.getUint32(body + 12, true) : 0,
    flags2: length > body + 16 ? view.getUint32(body + 16, true) : 0,
  }
}

/** The unique number of the request to interrupt. */
export function decodeInterrupt({ view }: Frame): number {
  return uniqueOf(view.getUint32(body, true), view.getUint32(body + 4, true))
}

export function decodeForget({ view }: Frame): number {
  return u64(view, body)
}

/** As many as the request has room for, whatever it says. */
export function decodeBatchForget(
  { view, length }: Frame,
  each: (node: number, count: number) => void,
): void {
  const first = body + 8
  const count = Math.min(view.getUint32(body, true), Math.floor((length - first) / Size.forgetOne))
  for (let i = 0, at = first; i < count; i++, at += Size.forgetOne) each(u64(view, at), u64(view, at + 8))
}
