/**
 * What the filesystem remembers of a file or directory that the kernel knows or has open. Layer: filesystem.
 *
 * The bytes of a file come from one place at a time, for all its handles:
 *
 *     clean ──first write (the whole base is fetched)──▶ working ──confirmed, no writer, listed──▶ clean
 *       └──────────O_TRUNC, size 0, created───────────────▶│
 *
 * `clean` reads what the service has, through `content`; `working` is the write-back's copy. `staging` is the
 * one fetch on the way from the first to the second. Without a name (unlinked) a file stays what it is, and keeps
 * the bytes that are here until nobody has it open and the kernel has forgotten it.
 */
import type { RemoteEntry } from '../client/session-files.ts'
import type { LocalAttributes, WorkingCopy } from '../write-back/local-changes.ts'
import type { DirectorySnapshot } from './directory-snapshot.ts'
import type { HandleId, NodeId, OpenFlags } from './front-end.ts'
import type { HeldContent } from './held-content.ts'
import type { OpenSpecialFile, SpecialFile } from './special-file.ts'

interface NodeBase {
  readonly id: NodeId
  /** What programs see. */
  readonly inode: number
  /** undefined for the root, and for what has lost its name. */
  parent: DirectoryNode | undefined
  name: string
  /** Answers that named it and were not taken back. */
  lookups: number
  readonly handles: Set<Handle>
  /** Something of it is still to be written down for whoever goes on (`kernel-record.ts`). */
  isNoted: boolean
}

export interface DirectoryNode extends NodeBase {
  readonly kind: 'directory'
  readonly children: Map<string, Node>
}

/** The fetch of a whole base, and the handles that wait to write. */
export interface Staging {
  readonly done: Promise<void>
  readonly waiting: Set<FileHandle>
}

export type FileState =
  | {
      readonly kind: 'clean'
      /** Held while the file is open and was read or opened for reading, or while it has no name. */
      content: HeldContent | undefined
      staging: Staging | undefined
    }
  | { readonly kind: 'working'; readonly copy: WorkingCopy }

export interface FileNode extends NodeBase {
  readonly kind: 'file'
  readonly handles: Set<FileHandle>
  state: FileState
  /** The newest listing's word that an answer was given by, where the local changes said nothing. */
  shown: RemoteEntry | undefined
  /** What lies over the kept attributes: times not yet kept, or, without a name, all there are. */
  own: LocalAttributes
  /** Somebody else put another file in its place while it was read. */
  replaced: boolean
  /** Without a name: the working copy that it keeps. */
  retained: WorkingCopy | undefined
  /** Without a name: where the service has its bytes, while they are on their way to the spool. */
  awaited: { readonly path: string; readonly listed: RemoteEntry } | undefined
  /** Whose pages the kernel may have: a working copy's, or those of a content from this path. */
  pagesOf: WorkingCopy | string | undefined
}

export interface SpecialNode extends NodeBase {
  readonly kind: 'special'
  readonly file: SpecialFile
}

export type Node = DirectoryNode | FileNode | SpecialNode

export interface FileHandle {
  readonly kind: 'file'
  readonly id: HandleId
  readonly node: FileNode
  readonly flags: OpenFlags
  /** Opened for a request and closed with it: the kernel knows nothing of it. */
  readonly isOurs: boolean
  /** The background error that this handle's user was told of. */
  readonly told: { error: unknown }
  /** The working copy that it keeps from being put away. */
  retained: WorkingCopy | undefined
  /** Whether it may have been given bytes of the service's content that the file has now. */
  begun: boolean
  /** The content that it goes on with, where the file has a newer one since somebody began to read. */
  older: HeldContent | undefined
  /** What it began to read is not to be had any more: a process before this one had it. */
  lost: boolean
}

export interface DirectoryHandle {
  readonly kind: 'directory'
  readonly id: HandleId
  readonly node: DirectoryNode
  /** What a pass through the directory goes by; undefined before the first one. */
  snapshot: DirectorySnapshot | undefined
}

export interface SpecialHandle {
  readonly kind: 'special'
  readonly id: HandleId
  readonly node: SpecialNode
  readonly opened: OpenSpecialFile
}

export type Handle = FileHandle | DirectoryHandle | SpecialHandle
