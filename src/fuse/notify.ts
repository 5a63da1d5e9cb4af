/**
 * What the kernel is told unasked: the `KernelCache`. Layer: fuse.
 *
 * Invariant: the event loop never waits for the kernel here. To invalidate, the kernel takes locks that a
 * process may hold while it waits for our answer: the directory's lock during a LOOKUP in it, a page's lock
 * during its READ. A write from the event loop would then wait for an answer that only the event loop can
 * give. So a notification (1) leaves in a later turn than the request that caused it, (2) is held back while
 * a request on the same node is unanswered, and (3) is written in libuv's pool, two at a time at most, since
 * requests that the kernel has not shown us yet may hold the locks as well.
 *
 * Of the protocol's notifications these two are used, and RESEND, once, by who goes on with a mount. POLL, STORE,
 * RETRIEVE, INC_EPOCH and PRUNE are not: nothing is polled, content comes by READ, and everything else is said per name. DELETE is not, because
 * it makes a directory that somebody is working in disappear under them.
 */

import { write, writeSync } from 'node:fs'
import type { KernelCache, NodeId } from '../filesystem/front-end.ts'
import type { Logger } from '../log.ts'
import { setU64 } from './encode.ts'
import { Errno } from './errno.ts'
import { expireOnly, NotifyCode, Opcode, Size } from './protocol.ts'

const writesAtOnce = 2

/** During these requests the kernel holds locks of pages. */
const pageRequests: ReadonlySet<number> = new Set([Opcode.read, Opcode.write])
/** During these it holds the lock of the directory. */
const nameRequests: ReadonlySet<number> = new Set([
  Opcode.lookup,
  Opcode.create,
  Opcode.tmpfile,
  Opcode.mknod,
  Opcode.mkdir,
  Opcode.unlink,
  Opcode.rmdir,
  Opcode.rename,
  Opcode.rename2,
  Opcode.readdir,
  Opcode.readdirplus,
])
const nothing: ReadonlySet<number> = new Set()

interface Notification {
  readonly node: NodeId
  /** Which requests on the node hold it back while they are unanswered. */
  readonly heldBackBy: ReadonlySet<number>
  readonly bytes: Buffer
  /** Resolves when it is written, or never will be. */
  readonly told: PromiseWithResolvers<undefined>
}

interface Unanswered {
  readonly opcode: number
  readonly node: NodeId
  /** The second directory of a rename. */
  readonly otherNode: NodeId | undefined
}

export interface NotifierOptions {
  readonly descriptor: number
  readonly logger: Logger
  /** The requests that are not answered yet. */
  readonly inFlight: () => Iterable<Unanswered>
}

export class Notifier implements KernelCache {
  /** By content, so that what is said twice before it left is said once. */
  readonly #queue = new Map<string, Notification>()
  readonly #options: NotifierOptions
  readonly #idle = Promise.withResolvers<undefined>()
  #writing = 0
  #scheduled = false
  #closed = false
  /** Set once the kernel has said that it can expire names (7.38). Else names are dropped, which also works. */
  canExpire = false

  constructor(options: NotifierOptions) {
    this.#options = options
  }

  /** Resolves when the kernel was told; a request may wait for that where it takes no lock of a page. */
  invalidateNode(node: NodeId, offset: number, length: number): Promise<undefined> {
    const bytes = message(NotifyCode.invalidateInode, 24)
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    setU64(view, 16, node)
    setU64(view, 24, offset)
    setU64(view, 32, length)
    // Attributes alone (negative offset) take no lock of a page.
    return this.#enqueue(`${node}:${offset}:${length}`, {
      node,
      heldBackBy: offset < 0 ? nothing : pageRequests,
      bytes,
    })
  }

  /** The name is expired, not unhashed: a shell whose working directory it is keeps its path when the node is still the same. */
  invalidateEntry(parent: NodeId, name: string): void {
    const nameBytes = Buffer.byteLength(name)
    const bytes = message(NotifyCode.invalidateEntry, 16 + nameBytes + 1)
    setU64(new DataView(bytes.buffer, bytes.byteOffset), 16, parent)
    bytes.writeUInt32LE(nameBytes, 24)
    bytes.writeUInt32LE(this.canExpire ? expireOnly : 0, 28)
    bytes.write(name, 32)
    void this.#enqueue(`${parent}/${name}`, { node: parent, heldBackBy: nameRequests, bytes })
  }

  /** To be called when a request was answered that may have held something back. */
  requestAnswered(): void {
    if (this.#queue.size > 0) this.#schedule()
  }

  /** Drops what is queued; resolves when nothing is being written any more. */
  close(): Promise<undefined> {
    this.#closed = true
    for (const { told } of this.#queue.values()) told.resolve(undefined)
    this.#queue.clear()
    if (this.#writing === 0) this.#idle.resolve(undefined)
    return this.#idle.promise
  }

  #enqueue(key: string, notification: Omit<Notification, 'told'>): Promise<undefined> {
    if (this.#closed) return Promise.resolve(undefined)
    const told = this.#queue.get(key)?.told ?? Promise.withResolvers<undefined>()
    this.#queue.set(key, { ...notification, told })
    this.#schedule()
    return told.promise
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#send()
    })
  }

  #send(): void {
    for (const [key, notification] of this.#queue) {
      /* what takes no lock never waits in the kernel, and a READ may wait for it */
      if (this.#writing >= writesAtOnce && notification.heldBackBy !== nothing) continue
      if (this.#isHeldBack(notification)) continue
      const { bytes, told } = notification
      this.#queue.delete(key)
      this.#writing++
      write(this.#options.descriptor, bytes, (error) => {
        this.#writing--
        told.resolve(undefined)
        // ENOENT: the kernel does not know the node or name, so there was nothing to drop.
        if (error !== null && error.errno !== -Errno.ENOENT && !this.#closed) {
          this.#options.logger.debug({ error }, 'the kernel refused an invalidation')
        }
        if (this.#closed && this.#writing === 0) this.#idle.resolve(undefined)
        else this.#send()
      })
    }
  }

  #isHeldBack({ node, heldBackBy }: Notification): boolean {
    for (const request of this.#options.inFlight()) {
      if (!heldBackBy.has(request.opcode)) continue
      if (request.node === node || request.otherNode === node) return true
    }
    return false
  }
}

/** Asks for all that was read and not answered by a process before this one; takes no lock. */
export function askAgain(descriptor: number): void {
  writeSync(descriptor, message(NotifyCode.resend, 0))
}

function message(code: number, bodyBytes: number): Buffer {
  const bytes = Buffer.alloc(Size.outHeader + bodyBytes)
  bytes.writeUInt32LE(bytes.length, 0)
  bytes.writeInt32LE(code, 4)
  return bytes
}
