/**
 * What a front end (the FUSE protocol here) asks of the filesystem: POSIX words, no opcodes, no wire
 * buffers, no negative numbers. Layer: filesystem.
 *
 * Failures are thrown as `FilesystemError`. An operation that can answer at once answers without a promise,
 * so that the hot paths cost no turn of the event loop.
 */

export type MaybePromise<T> = T | Promise<T>

/** What the front end addresses a file by: small, 1 is the root, valid from an `Entry` until forgotten. */
export type NodeId = number

/** An open file or directory. */
export type HandleId = number

export interface Time {
  readonly seconds: number
  readonly nanoseconds: number
}

export interface Attributes {
  /** The inode number programs see: stable for the life of the mount. Not the `NodeId`. */
  readonly inode: number
  readonly kind: 'file' | 'directory'
  readonly size: number
  /** Units of 512 bytes. */
  readonly blocks: number
  /** Permission bits only (07777). */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly linkCount: number
  readonly accessed: Time
  readonly modified: Time
  readonly changed: Time
}

export interface Entry {
  /** 0: the name does not exist, and may be remembered so for `entryTtlMs`. */
  readonly node: NodeId
  readonly attributes: Attributes | undefined
  readonly entryTtlMs: number
  readonly attributesTtlMs: number
}

export interface AttributesReply {
  readonly attributes: Attributes
  readonly ttlMs: number
}

export interface Caller {
  readonly uid: number
  readonly gid: number
  readonly pid: number
  /** Aborted when the caller is to stop waiting (a signal ends it, or is meant to stop it); whatever waits for it ends with `interrupted`. */
  readonly signal: AbortSignal
  /** What the kernel calls this request by, for as long as the mount lasts. */
  readonly request: number
  /** It was read by a process that ended before it answered: what it asks for may have been done. */
  readonly resent: boolean
}

export interface OpenFlags {
  readonly read: boolean
  readonly write: boolean
  readonly append: boolean
  readonly truncate: boolean
  readonly exclusive: boolean
}

export interface OpenReply {
  readonly handle: HandleId
  /** The kernel may keep the pages it has: the content is proven the same. */
  readonly keepCache: boolean
  /** Reads and writes bypass the page cache (`.logs`, `.status`). */
  readonly directIo: boolean
  /** The kernel need not `flush` it when somebody closes it. Default false. */
  readonly noFlush?: boolean | undefined
}

export interface CreateRequest {
  readonly name: string
  readonly flags: OpenFlags
  /** Permission bits; the umask is applied. */
  readonly mode: number
}

export interface RenameRequest {
  readonly name: string
  readonly newParent: NodeId
  readonly newName: string
  /** Fails with `exists` where there is something at the new name. */
  readonly noReplace: boolean
}

export interface WriteRequest {
  readonly handle: HandleId
  readonly offset: number
  /** Valid only during the call: copied before waiting. */
  readonly data: Uint8Array
  /**
   * At the end of the file whatever `offset` says. It is told per write and not by the handle's flags: fcntl(2) may
   * have changed them, and a store through a mapping goes to its offset even when the file was opened with O_APPEND.
   */
  readonly append: boolean
}

export interface AllocateRequest {
  readonly handle: HandleId
  readonly mode: 'extend' | 'keepSize' | 'punchHole'
  readonly offset: number
  readonly length: number
}

export interface CopyRequest {
  readonly from: HandleId
  readonly fromOffset: number
  readonly to: HandleId
  readonly toOffset: number
  readonly length: number
}

/** Only what is set changes. `'now'` is the current time. */
export interface AttributeChanges {
  readonly size?: number
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly accessed?: Time | 'now'
  readonly modified?: Time | 'now'
}

export interface DirectoryEntry {
  readonly name: string
  readonly kind: 'file' | 'directory'
  readonly inode: number
  /** Where the next entry begins: what a later call hands in as `offset`. */
  readonly nextOffset: number
}

export interface Statistics {
  readonly blockSize: number
  readonly blocks: number
  readonly freeBlocks: number
  readonly availableBlocks: number
  readonly files: number
  readonly freeFiles: number
  readonly nameLength: number
}

/** What the filesystem tells the kernel unasked; handed down, never called from inside the request it concerns. */
export interface KernelCache {
  /** Drops cached attributes, and pages from `offset` on (`length` 0: to the end; negative `offset`: attributes only). Resolves when that is done. */
  invalidateNode(node: NodeId, offset: number, length: number): MaybePromise<unknown>
  invalidateEntry(parent: NodeId, name: string): void
}

export interface FrontEnd {
  lookup(parent: NodeId, name: string, caller: Caller): MaybePromise<Entry>
  /** Takes back `count` of the look-ups that entries were counted by. */
  forget(node: NodeId, count: number): void
  getAttributes(node: NodeId, handle: HandleId | undefined, caller: Caller): MaybePromise<AttributesReply>
  setAttributes(
    node: NodeId,
    handle: HandleId | undefined,
    changes: AttributeChanges,
    caller: Caller,
  ): MaybePromise<AttributesReply>

  makeDirectory(parent: NodeId, name: string, mode: number, caller: Caller): MaybePromise<Entry>
  /** A regular file without opening it (mknod). */
  makeFile(parent: NodeId, name: string, mode: number, caller: Caller): MaybePromise<Entry>
  unlink(parent: NodeId, name: string, caller: Caller): MaybePromise<void>
  removeDirectory(parent: NodeId, name: string, caller: Caller): MaybePromise<void>
  rename(parent: NodeId, request: RenameRequest, caller: Caller): MaybePromise<void>

  create(
    parent: NodeId,
    request: CreateRequest,
    caller: Caller,
  ): MaybePromise<{ readonly entry: Entry; readonly open: OpenReply }>
  /** An unnamed file (O_TMPFILE). */
  createUnnamed(
    parent: NodeId,
    flags: OpenFlags,
    mode: number,
    caller: Caller,
  ): MaybePromise<{ readonly entry: Entry; readonly open: OpenReply }>
  open(node: NodeId, flags: OpenFlags, caller: Caller): MaybePromise<OpenReply>
  /** At most `length` bytes; fewer only at the end of the file. The bytes are valid until the reply is sent. */
  read(handle: HandleId, offset: number, length: number, caller: Caller): MaybePromise<Uint8Array>
  /** Takes all of the data. */
  write(request: WriteRequest, caller: Caller): MaybePromise<number>
  allocate(request: AllocateRequest, caller: Caller): MaybePromise<void>
  seek(handle: HandleId, offset: number, whence: 'data' | 'hole', caller: Caller): MaybePromise<number>
  copyRange(request: CopyRequest, caller: Caller): MaybePromise<number>
  /** One descriptor was closed; reports a background error once per handle. */
  flush(handle: HandleId, caller: Caller): MaybePromise<void>
  release(handle: HandleId): MaybePromise<void>
  synchronize(handle: HandleId, caller: Caller): MaybePromise<void>

  openDirectory(node: NodeId, caller: Caller): MaybePromise<HandleId>
  /** From `offset` (0 or an entry's `nextOffset`) on; `.` and `..` included. */
  readDirectory(handle: HandleId, offset: number, caller: Caller): MaybePromise<Iterable<DirectoryEntry>>
  /** The entry of a name that `readDirectory` of this handle gave, counted as a look-up; undefined if it is gone since, or `.` or `..`. */
  entryOf(handle: HandleId, name: string): Entry | undefined
  releaseDirectory(handle: HandleId): void
  synchronizeDirectory(handle: HandleId, caller: Caller): MaybePromise<void>

  statistics(): Statistics

  /** A request about a node that a process before this one has read comes again, before it is called. */
  comesAgain(request: number, node: NodeId): void
  /** The reply to a request about a node is about to leave; 0: none is, but what was taken back is to be written down. */
  replying(request: number, node: NodeId): void

  /** Where a node is now, '' for the root; undefined when it has no name (any more). For log lines: sends nothing. */
  pathOf(node: NodeId): string | undefined
}
