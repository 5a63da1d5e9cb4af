/**
 * Every opcode of the protocol and what becomes of it. Layer: fuse; read it as the table of contents.
 *
 * Invariant: an opcode is implemented (decoder, one call of the front end, encoder), refused with an errno
 * and a reason, left to the kernel with a reason (it is not sent to us, or ENOSYS makes the kernel do it by
 * itself from then on), or part of the connection's own bookkeeping. ENOSYS is remembered by the kernel: it
 * asks once per mount.
 */

import type {
  CopyRequest,
  Entry,
  FrontEnd,
  MaybePromise,
  OpenReply,
  RenameRequest,
} from '../filesystem/front-end.ts'
import * as decode from './decode.ts'
import type { Frame } from './decode.ts'
import * as encode from './encode.ts'
import type { Reply } from './encode.ts'
import { Errno, RefusedError } from './errno.ts'
import { FileType, Opcode, permissionMask, SeekWhence } from './protocol.ts'
import type { OpcodeName } from './protocol.ts'
import type { Request } from './request.ts'

export interface Implemented {
  readonly kind: 'implemented'
  decode(frame: Frame): unknown
  call(fs: FrontEnd, input: unknown, request: Request): MaybePromise<unknown>
  encode(reply: Reply, result: unknown, input: unknown, fs: FrontEnd): void
  /** Takes back what the result counts for, when the kernel did not take the reply. */
  undo?(fs: FrontEnd, result: unknown): void
}

export type Operation =
  | Implemented
  | { readonly kind: 'refused'; readonly errno: number; readonly reason: string }
  | { readonly kind: 'kernel'; readonly reason: string }
  | { readonly kind: 'connection'; readonly reason: string }

function implemented<I, R>(operation: {
  decode: (frame: Frame) => I
  call: (fs: FrontEnd, input: I, request: Request) => MaybePromise<R>
  encode: (reply: Reply, result: R, input: I, fs: FrontEnd) => void
  undo?: (fs: FrontEnd, result: R) => void
}): Implemented {
  return { kind: 'implemented', ...(operation as Omit<Implemented, 'kind'>) }
}

const refused = (errno: number, reason: string): Operation => ({ kind: 'refused', errno, reason })
const kernel = (reason: string): Operation => ({ kind: 'kernel', reason })
const connection = (reason: string): Operation => ({ kind: 'connection', reason })

function forgetEntry(fs: FrontEnd, entry: Entry): void {
  if (entry.node !== 0) fs.forget(entry.node, 1)
}

function releaseOpen(fs: FrontEnd, { handle }: { readonly handle: number }): void {
  void fs.release(handle)
}

function undoCreate(fs: FrontEnd, created: { readonly entry: Entry; readonly open: OpenReply }): void {
  releaseOpen(fs, created.open)
  forgetEntry(fs, created.entry)
}

function rename(fs: FrontEnd, input: RenameRequest, request: Request): MaybePromise<void> {
  request.otherNode = input.newParent
  return fs.rename(request.node, input, request)
}

const copyRange = (fs: FrontEnd, input: CopyRequest, request: Request): MaybePromise<number> =>
  fs.copyRange(input, request)

function makeFile(fs: FrontEnd, { name, mode }: decode.MakeRequest, request: Request): MaybePromise<Entry> {
  const type = mode & FileType.mask
  if (type !== 0 && type !== FileType.regular) throw new RefusedError(Errno.EPERM) // devices, FIFOs, sockets
  return fs.makeFile(request.node, name, mode & permissionMask, request)
}

function seek(fs: FrontEnd, input: decode.LseekRequest, request: Request): MaybePromise<number> {
  if (input.whence === SeekWhence.data) return fs.seek(input.handle, input.offset, 'data', request)
  if (input.whence === SeekWhence.hole) return fs.seek(input.handle, input.offset, 'hole', request)
  throw new RefusedError(Errno.EINVAL)
}

const noXattr = refused(
  Errno.ENOSYS,
  'the service keeps no extended attributes; the kernel then answers EOPNOTSUPP itself and asks no more, not even for security.capability at each write',
)
const noDax = kernel('maps of device memory exist with virtiofs alone')
const localLocks = kernel('locks are between processes of this mount: not asked for in INIT, so never sent')

export const operations: Readonly<Record<OpcodeName, Operation>> = {
  lookup: implemented({
    decode: decode.decodeName,
    call: (fs, name, request) => fs.lookup(request.node, name, request),
    encode: encode.encodeEntry,
    undo: forgetEntry,
  }),
  forget: connection('takes look-ups back; has no reply'),
  batchForget: connection('takes look-ups of many nodes back; has no reply'),
  getattr: implemented({
    decode: decode.decodeGetattr,
    call: (fs, handle, request) => fs.getAttributes(request.node, handle, request),
    encode: encode.encodeAttributes,
  }),
  setattr: implemented({
    decode: decode.decodeSetattr,
    call: (fs, { handle, changes }, request) => fs.setAttributes(request.node, handle, changes, request),
    encode: encode.encodeAttributes,
  }),
  readlink: refused(Errno.EINVAL, 'there are no symbolic links'),
  symlink: refused(Errno.EPERM, 'the service has no links'),
  link: refused(Errno.EPERM, 'the service has no links'),
  mknod: implemented({
    decode: decode.decodeMknod,
    call: makeFile,
    encode: encode.encodeEntry,
    undo: forgetEntry,
  }),
  mkdir: implemented({
    decode: decode.decodeMkdir,
    call: (fs, { name, mode }, request) =>
      fs.makeDirectory(request.node, name, mode & permissionMask, request),
    encode: encode.encodeEntry,
    undo: forgetEntry,
  }),
  unlink: implemented({
    decode: decode.decodeName,
    call: (fs, name, request) => fs.unlink(request.node, name, request),
    encode: encode.encodeNothing,
  }),
  rmdir: implemented({
    decode: decode.decodeName,
    call: (fs, name, request) => fs.removeDirectory(request.node, name, request),
    encode: encode.encodeNothing,
  }),
  rename: implemented({ decode: decode.decodeRename, call: rename, encode: encode.encodeNothing }),
  rename2: implemented({ decode: decode.decodeRename2, call: rename, encode: encode.encodeNothing }),
  open: implemented({
    decode: decode.decodeOpen,
    call: (fs, flags, request) => fs.open(request.node, flags, request),
    encode: encode.encodeOpen,
    undo: releaseOpen,
  }),
  create: implemented({
    decode: decode.decodeCreate,
    call: (fs, input, request) => fs.create(request.node, input, request),
    encode: encode.encodeCreate,
    undo: undoCreate,
  }),
  tmpfile: implemented({
    decode: decode.decodeCreate,
    call: (fs, { flags, mode }, request) => fs.createUnnamed(request.node, flags, mode, request),
    encode: encode.encodeCreate,
    undo: undoCreate,
  }),
  read: implemented({
    decode: decode.decodeRead,
    call: (fs, { handle, offset, size }, request) => fs.read(handle, offset, size, request),
    encode: encode.encodeData,
  }),
  write: implemented({
    decode: decode.decodeWrite,
    call: (fs, input, request) => fs.write(input, request),
    encode: encode.encodeWritten,
  }),
  fallocate: implemented({
    decode: decode.decodeFallocate,
    call: (fs, input, request) => fs.allocate(input, request),
    encode: encode.encodeNothing,
  }),
  lseek: implemented({ decode: decode.decodeLseek, call: seek, encode: encode.encodeOffset }),
  copyFileRange: implemented({
    decode: decode.decodeCopyFileRange,
    call: copyRange,
    encode: encode.encodeWritten,
  }),
  copyFileRange64: implemented({
    decode: decode.decodeCopyFileRange,
    call: copyRange,
    encode: encode.encodeOffset,
  }),
  flush: implemented({
    decode: decode.decodeHandle,
    call: (fs, handle, request) => fs.flush(handle, request),
    encode: encode.encodeNothing,
  }),
  fsync: implemented({
    decode: decode.decodeHandle,
    call: (fs, handle, request) => fs.synchronize(handle, request),
    encode: encode.encodeNothing,
  }),
  release: implemented({
    decode: decode.decodeHandle,
    call: (fs, handle) => fs.release(handle),
    encode: encode.encodeNothing,
  }),
  opendir: implemented({
    decode: decode.decodeNothing,
    call: (fs, _input, request) => fs.openDirectory(request.node, request),
    encode: encode.encodeOpenDirectory,
    undo: (fs, handle) => fs.releaseDirectory(handle),
  }),
  readdir: implemented({
    decode: decode.decodeRead,
    call: (fs, { handle, offset }, request) => fs.readDirectory(handle, offset, request),
    encode: (reply, entries, { size }) => encode.encodeDirectory(reply, entries, size),
  }),
  readdirplus: implemented({
    decode: decode.decodeRead,
    call: (fs, { handle, offset }, request) => fs.readDirectory(handle, offset, request),
    encode: (reply, entries, { handle, size }, fs) =>
      encode.encodeDirectory(reply, entries, size, (name) => fs.entryOf(handle, name)),
  }),
  fsyncdir: implemented({
    decode: decode.decodeHandle,
    call: (fs, handle, request) => fs.synchronizeDirectory(handle, request),
    encode: encode.encodeNothing,
  }),
  releasedir: implemented({
    decode: decode.decodeHandle,
    call: (fs, handle) => fs.releaseDirectory(handle),
    encode: encode.encodeNothing,
  }),
  statfs: implemented({
    decode: decode.decodeNothing,
    call: (fs) => fs.statistics(),
    encode: encode.encodeStatistics,
  }),
  setxattr: noXattr,
  getxattr: noXattr,
  listxattr: noXattr,
  removexattr: noXattr,
  getlk: localLocks,
  setlk: localLocks,
  setlkw: localLocks,
  access: kernel(
    'with default_permissions the kernel decides by mode and owner; without, everything is allowed',
  ),
  bmap: kernel('block numbers exist on block devices alone'),
  poll: kernel('regular files are always ready'),
  ioctl: refused(Errno.ENOTTY, 'no ioctl means anything here, and this is how programs learn it'),
  statx: kernel('no creation time is known; the kernel then asks with GETATTR'),
  syncfs: kernel('sent to virtiofs and block devices alone; sync(1) of a file or directory is the barrier'),
  setupmapping: noDax,
  removemapping: noDax,
  init: connection('the handshake'),
  interrupt: connection('may abort the signal of a request; has no reply of its own'),
  notifyReply: connection('answers NOTIFY_RETRIEVE, which is never sent; wants no reply'),
  destroy: connection('the end of a mount of a block device; others end with ENODEV'),
  cuseInit: refused(Errno.ENOSYS, 'this is no character device'),
}

/** By number, for the read loop. */
export const operationsByOpcode: ReadonlyMap<number, Operation> = new Map(
  (Object.keys(Opcode) as OpcodeName[]).map((name) => [Opcode[name], operations[name]]),
)

const names = new Map<number, string>(Object.entries(Opcode).map(([name, opcode]) => [opcode, name]))

/** For log lines. */
export function opcodeName(opcode: number): string {
  return names.get(opcode) ?? String(opcode)
}
