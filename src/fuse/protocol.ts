/**
 * The numbers of the FUSE protocol, as the kernel's `linux/fuse.h` defines them (7.31 to 7.45).
 * Layer: fuse.
 *
 * Invariant: every opcode and notification of the protocol is named here; what becomes of each is said in
 * `operations.ts` and `notify.ts`, and a test compares the lists.
 */

export const protocolMajor = 7
/** The newest minor version whose structures this code knows; both sides use the smaller one. */
export const protocolMinor = 45
/** Linux 5.4. Older kernels lack sizes of structures that the codec assumes. */
export const protocolMinorLeast = 31

export const Opcode = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  readlink: 5,
  symlink: 6,
  mknod: 8,
  mkdir: 9,
  unlink: 10,
  rmdir: 11,
  rename: 12,
  link: 13,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  setxattr: 21,
  getxattr: 22,
  listxattr: 23,
  removexattr: 24,
  flush: 25,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  fsyncdir: 30,
  getlk: 31,
  setlk: 32,
  setlkw: 33,
  access: 34,
  create: 35,
  interrupt: 36,
  bmap: 37,
  destroy: 38,
  ioctl: 39,
  poll: 40,
  notifyReply: 41,
  batchForget: 42,
  fallocate: 43,
  readdirplus: 44,
  rename2: 45,
  lseek: 46,
  copyFileRange: 47,
  setupmapping: 48,
  removemapping: 49,
  syncfs: 50,
  tmpfile: 51,
  statx: 52,
  copyFileRange64: 53,
  cuseInit: 4096,
} as const
export type OpcodeName = keyof typeof Opcode

export const NotifyCode = {
  poll: 1,
  invalidateInode: 2,
  invalidateEntry: 3,
  store: 4,
  retrieve: 5,
  delete: 6,
  resend: 7,
  incrementEpoch: 8,
  prune: 9,
} as const

/** Bits of the first 32 flags of INIT. */
export const InitFlag = {
  asyncRead: 1 << 0,
  posixLocks: 1 << 1,
  atomicOpenTruncate: 1 << 3,
  bigWrites: 1 << 5,
  flockLocks: 1 << 10,
  autoInvalidateData: 1 << 12,
  doReaddirplus: 1 << 13,
  readdirplusAuto: 1 << 14,
  writebackCache: 1 << 16,
  parallelDirectoryOperations: 1 << 18,
  handleKillPrivileges: 1 << 19,
  abortError: 1 << 21,
  maxPages: 1 << 22,
  explicitInvalidateData: 1 << 25,
  initExtended: 1 << 30,
} as const

/** Bits of the second 32 flags, valid only with `InitFlag.initExtended`. */
export const InitFlag2 = {
  hasExpireOnly: 1 << 3,
  hasResend: 1 << 7,
} as const

/** In the upper half of `unique`: the request was read before, and not answered (6.9). */
export const resentHigh = 0x8000_0000

/** `noFlush`: nothing is sent when a descriptor is closed, but for the last one of the open file, `release` (5.16). */
export const OpenReplyFlag = { directIo: 1 << 0, keepCache: 1 << 1, noFlush: 1 << 5 } as const

export const SetattrFlag = {
  mode: 1 << 0,
  uid: 1 << 1,
  gid: 1 << 2,
  size: 1 << 3,
  accessed: 1 << 4,
  modified: 1 << 5,
  handle: 1 << 6,
  accessedNow: 1 << 7,
  modifiedNow: 1 << 8,
} as const

export const getattrHasHandle = 1 << 0
/** A store of a mapping, written back by the kernel: goes to its offset whatever the descriptor's flags are. */
export const writeFromPageCache = 1 << 0
/** INVAL_ENTRY: ask again at the next use instead of unhashing the name (7.38). */
export const expireOnly = 1 << 0

export const FallocateMode = { keepSize: 1, punchHole: 2 } as const
export const RenameFlag = { noReplace: 1, exchange: 2, whiteout: 4 } as const
export const SeekWhence = { data: 3, hole: 4 } as const

/** File types in a `mode` and, shifted right by 12, in a directory entry. */
export const FileType = { mask: 0o170000, regular: 0o100000, directory: 0o040000 } as const
export const permissionMask = 0o7777

/** Bytes of the fixed structures. */
export const Size = {
  inHeader: 40,
  outHeader: 16,
  attributes: 88,
  entryOut: 128,
  attributesOut: 104,
  openOut: 16,
  initOut: 64,
  statfsOut: 80,
  writeOut: 8,
  lseekOut: 8,
  writeIn: 40,
  directoryEntry: 24,
  forgetOne: 16,
} as const

/** The largest WRITE and READ: 256 pages of 4 KiB, the kernel's own upper limit unless an administrator raises it. */
export const maxWriteBytes = 1 << 20
export const maxPages = 256
/** A request is at most a full WRITE; the kernel refuses to fill a smaller buffer. */
export const requestBufferBytes = maxWriteBytes + 4096

/** The longest request but for names and data, header included, and some more. */
export const longestStructureBytes = 256
