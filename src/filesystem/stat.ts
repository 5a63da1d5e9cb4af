/**
 * Attributes and entries as answers. Layer: filesystem.
 *
 * Invariant: every entry that is answered is counted as a look-up of its node, once; nothing here waits.
 */
import type { Clock } from '../clock.ts'
import type { RemoteEntry } from '../client/session-files.ts'
import type { LocalAttributes, LocalChanges } from '../write-back/local-changes.ts'
import { describe, msToNs, overlaid, toNs } from './attributes.ts'
import type { FileBytes } from './file-bytes.ts'
import type { AttributeChanges, Attributes, AttributesReply, Caller, Entry } from './front-end.ts'
import type { Ground } from './ground.ts'
import type { KernelRecord } from './kernel-record.ts'
import type { SpecialHandle, DirectoryNode, FileNode, Node, SpecialNode } from './node.ts'
import type { FilesystemOptions } from './options.ts'
import type { Tree } from './tree.ts'
import type { FileSight, Sight } from './view.ts'

const setgid = 0o2000

/** Whose what is made is. */
export type Ownership = Pick<Attributes, 'mode' | 'uid' | 'gid'>

export class Stat {
  readonly #tree: Tree
  readonly #bytes: FileBytes
  readonly #changes: LocalChanges
  readonly #clock: Clock
  readonly #options: FilesystemOptions
  readonly #record: KernelRecord | undefined

  constructor({ tree, changes, clock, options, record }: Ground, bytes: FileBytes) {
    this.#tree = tree
    this.#bytes = bytes
    this.#changes = changes
    this.#clock = clock
    this.#options = options
    this.#record = record
  }

  /** The answer that names a node, counted. `sight` undefined: it has just been made here. */
  entry(node: Node, sight: Sight | undefined): Entry {
    const { attributes, ttlMs } = this.reply(node, sight)
    node.lookups++
    this.#record?.lookedUp(node)
    return { node: node.id, attributes, entryTtlMs: ttlMs, attributesTtlMs: ttlMs }
  }

  noEntry(ttlMs: number): Entry {
    return { node: 0, attributes: undefined, entryTtlMs: ttlMs, attributesTtlMs: 0 }
  }

  reply(node: Node, sight: Sight | undefined): AttributesReply {
    const ttlMs = sight?.ttlMs ?? this.#options.ttlMs
    switch (node.kind) {
      case 'directory':
        return { attributes: this.#ofDirectory(node, sight), ttlMs }
      case 'file':
        return { attributes: this.#ofFile(node, sight), ttlMs }
      case 'special':
        return { attributes: this.ofSpecial(node, undefined), ttlMs: 0 }
    }
  }

  ofSpecial(node: SpecialNode, handle: SpecialHandle | undefined): Attributes {
    const nowNs = msToNs(this.#clock.wallMs())
    const size = handle === undefined ? node.file.size() : handle.opened.size()
    const mode = 0o444 & ~this.#options.umask
    const kept = { mode, modifiedNs: nowNs }
    return describe(this.#options, {
      inode: node.inode,
      kind: 'file',
      size,
      kept,
      listed: undefined,
      named: true,
    })
  }

  /** Keeps what was set; nothing else is touched but the time of the change. */
  set(node: FileNode | DirectoryNode, changes: AttributeChanges): void {
    const nowNs = msToNs(this.#clock.wallMs())
    const { mode, uid, gid, accessed, modified } = changes
    const set: LocalAttributes = {
      changedNs: nowNs,
      ...(mode === undefined ? {} : { mode: mode & 0o7777 }),
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
      ...(accessed === undefined ? {} : { accessedNs: accessed === 'now' ? nowNs : toNs(accessed) }),
      ...(modified === undefined ? {} : { modifiedNs: modified === 'now' ? nowNs : toNs(modified) }),
    }
    const path = this.#tree.findPath(node)
    if (node.kind === 'directory') {
      if (path !== undefined) this.#changes.setAttributes(path, set)
      return
    }
    const own = overlaid(node.own, set)
    if (path !== undefined) this.#changes.setAttributes(path, own)
    node.own = path === undefined ? own : {}
    this.#record?.changed(node)
  }

  /** Whose it is, what a caller makes in a directory: of the directory's group where that has the setgid bit. */
  ownership(directory: DirectoryNode, kind: 'file' | 'directory', mode: number, caller: Caller): Ownership {
    const { uid, gid } = caller
    const above = this.#ofDirectory(directory, undefined)
    if ((above.mode & setgid) === 0) return { mode, uid, gid }
    return { mode: kind === 'directory' ? mode | setgid : mode, uid, gid: above.gid }
  }

  /** A file or directory that a caller has just made. */
  made(path: string, made: Ownership): void {
    const nowNs = msToNs(this.#clock.wallMs())
    const { uid, gid } = made
    const times = { modifiedNs: nowNs, accessedNs: nowNs, changedNs: nowNs }
    this.#changes.noteAttributes(path, { mode: made.mode & 0o7777, uid, gid, ...times })
  }

  /** A name was made, removed or replaced in a directory. */
  directoryChanged(directory: DirectoryNode): void {
    const path = this.#tree.findPath(directory)
    const nowNs = msToNs(this.#clock.wallMs())
    if (path !== undefined) this.#changes.noteAttributes(path, { modifiedNs: nowNs, changedNs: nowNs })
  }

  #ofDirectory(node: DirectoryNode, sight: Sight | undefined): Attributes {
    const path = this.#tree.findPath(node)
    const kept = path === undefined ? undefined : this.#changes.attributes(path)
    const listed = sight?.kind === 'directory' ? sight.listed : undefined
    const named = path !== undefined
    return describe(this.#options, { inode: node.inode, kind: 'directory', size: 0, kept, listed, named })
  }

  #ofFile(node: FileNode, sight: Sight | undefined): Attributes {
    const path = this.#tree.findPath(node)
    const file = sight?.kind === 'file' ? sight : undefined
    const size = this.#bytes.sizeOf(node, file)
    const kept = overlaid(path === undefined ? undefined : this.#changes.attributes(path), node.own)
    const listed = file === undefined ? undefined : listedOf(file)
    const named = path !== undefined
    return describe(this.#options, { inode: node.inode, kind: 'file', size, kept, listed, named })
  }
}

/** The service's word on a file, also on one that was renamed and not fetched yet. */
function listedOf(file: FileSight): RemoteEntry | undefined {
  if (file.local === undefined) return file.listed
  return file.local.content.from === 'remote' ? file.local.content.listed : undefined
}
