/**
 * One mounted filesystem's conversation with the kernel: read a request, call the front end, write the reply.
 * Layer: fuse.
 *
 * Invariant: every request is answered exactly once, unless the protocol wants no reply. What the front end
 * answers without a promise is answered before the next request is read; only the rest is kept in `inFlight`.
 *
 * The descriptor is non-blocking. A turn reads until nothing is left (or a bound is reached, so that timers
 * and the network get their share), then a thread of libuv's pool waits until there is more. That thread can be
 * woken: a process whose thread sat in a blocking read could not exit while it was mounted, not even after
 * an uncaught exception, and would leave a mount that hangs instead of one that fails.
 */

import { writeSync, writevSync } from 'node:fs'
import type { FrontEnd, KernelCache } from '../filesystem/front-end.ts'
import { FilesystemError } from '../filesystem/errors.ts'
import type { Logger } from '../log.ts'
import { decodeBatchForget, decodeForget, decodeInit, decodeInterrupt } from './decode.ts'
import type { Frame } from './decode.ts'
import { Reply } from './encode.ts'
import { Errno, errnoOf } from './errno.ts'
import { encodeInit, negotiate } from './handshake.ts'
import { closeQuietly, eventDescriptor, readNow, Readiness, setNonblocking } from './libc.ts'
import { Notifier } from './notify.ts'
import { opcodeName, operationsByOpcode } from './operations.ts'
import type { Implemented } from './operations.ts'
import { Opcode, requestBufferBytes } from './protocol.ts'
import { Request } from './request.ts'

const requestsPerTurn = 16
/**
 * How often to look again, after a request was answered, before a thread is set to wait: some 20 µs. A process
 * that got its answer mostly asks the next thing within that time, and the thread would cost more.
 */
const looksBeforeWaiting = 40
/** File data up to this size is copied behind its header: cheaper than a second vector. */
const copiedDataBytes = 16 * 1024

export type EndReason =
  /** The mount is gone from the mount table, or was forced off. */
  | 'unmounted'
  /** Aborted through /sys/fs/fuse/connections: the mount point stays and answers ENOTCONN. */
  | 'aborted'
  /** `stop` was called: as after a crash, the mount point stays and answers ENOTCONN. */
  | 'stopped'
  /** The kernel does not speak a usable version of the protocol. */
  | 'refused'
  /** Reading failed in a way that should not exist. */
  | 'failed'

export interface ServeOptions {
  /** Of /dev/fuse, mounted; closed at the end. */
  readonly descriptor: number
  readonly frontEnd: FrontEnd | ((kernelCache: KernelCache) => FrontEnd)
  readonly logger: Logger
}

export interface Served {
  readonly kernelCache: KernelCache
  /** The handshake is done and requests are answered; rejects when the kernel is too old. */
  readonly ready: Promise<void>
  /** Resolves once, when no request will come any more; everything in flight has been aborted. */
  readonly done: Promise<EndReason>
  /** Ends the conversation without unmounting: pending requests fail with EIO. */
  stop(): void
}

/** Serves a mounted /dev/fuse descriptor from this event loop until it is unmounted. */
export function serve(options: ServeOptions): Served {
  return new Connection(options)
}

class Connection implements Served {
  readonly kernelCache: Notifier
  readonly ready: Promise<void>
  readonly done: Promise<EndReason>
  readonly #descriptor: number
  readonly #frontEnd: FrontEnd
  readonly #logger: Logger
  readonly #wakeDescriptor = eventDescriptor()
  readonly #readiness: Readiness
  readonly #frame: Frame
  readonly #reply = new Reply()
  readonly #inFlight = new Map<number, Request>()
  readonly #readyPromise = Promise.withResolvers<undefined>()
  readonly #donePromise = Promise.withResolvers<EndReason>()
  #ended: EndReason | undefined

  constructor({ descriptor, frontEnd, logger }: ServeOptions) {
    this.#descriptor = descriptor
    this.#logger = logger
    const bytes = Buffer.alloc(requestBufferBytes)
    this.#frame = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), length: 0 }
    this.ready = this.#readyPromise.promise
    this.ready.catch(() => undefined) // `done` tells it as well
    this.done = this.#donePromise.promise
    this.kernelCache = new Notifier({ descriptor, logger, inFlight: () => this.#inFlight.values() })
    this.#frontEnd = typeof frontEnd === 'function' ? frontEnd(this.kernelCache) : frontEnd
    setNonblocking(descriptor)
    this.#readiness = new Readiness(descriptor, this.#wakeDescriptor)
    process.on('exit', this.#stopAtExit)
    this.#turn()
  }

  stop(): void {
    if (this.#ended !== undefined) return
    for (const request of this.#inFlight.values()) this.#sendError(request, Errno.EIO)
    this.#end('stopped')
  }

  readonly #stopAtExit = (): void => this.stop()

  readonly #turn = (): void => {
    let looks = 0
    for (let count = 0; count < requestsPerTurn;) {
      if (this.#ended !== undefined) return
      const length = readNow(this.#descriptor, this.#frame.bytes)
      if (length > 0) {
        this.#frame.length = length
        this.#handle()
        count++
        looks = 0
      } else if (length === -Errno.EAGAIN) {
        if (looks++ < looksBeforeWaiting) continue
        this.#readiness.wait(this.#turn)
        return
      } else if (length !== -Errno.EINTR && length !== -Errno.ENOENT) {
        this.#readFailed(-length)
        return
      }
    }
    setImmediate(this.#turn)
  }

  #readFailed(errno: number): void {
    if (errno === Errno.ENODEV) this.#end('unmounted')
    else if (errno === Errno.ECONNABORTED) this.#end('aborted')
    else {
      this.#logger.error({ errno }, 'reading requests of the kernel failed')
      this.#end('failed')
    }
  }

  #handle(): void {
    const request = new Request(this.#frame.view)
    const operation = operationsByOpcode.get(request.opcode)
    if (operation?.kind === 'implemented') this.#call(operation, request)
    else if (operation?.kind === 'connection') this.#keepBooks(request)
    else this.#sendError(request, operation?.kind === 'refused' ? operation.errno : Errno.ENOSYS)
  }

  #call(operation: Implemented, request: Request): void {
    try {
      const input = operation.decode(this.#frame)
      const result = operation.call(this.#frontEnd, input, request)
      if (result instanceof Promise) this.#wait(operation, request, input, result)
      else this.#answer(operation, request, input, result)
    } catch (error) {
      this.#fail(request, error)
    }
  }

  #wait(operation: Implemented, request: Request, input: unknown, result: Promise<unknown>): void {
    this.#inFlight.set(request.unique, request)
    result
      .then((value) => this.#answer(operation, request, input, value))
      .catch((error: unknown) => this.#fail(request, error))
      .finally(() => {
        this.#inFlight.delete(request.unique)
        this.kernelCache.requestAnswered()
      })
  }

  #answer(operation: Implemented, request: Request, input: unknown, result: unknown): void {
    this.#reply.begin()
    operation.encode(this.#reply, result, input, this.#frontEnd)
    if (!this.#send(request, 0)) operation.undo?.(this.#frontEnd, result)
  }

  #fail(request: Request, error: unknown): void {
    const errno = errnoOf(error)
    const fields = { operation: opcodeName(request.opcode), node: request.node, error }
    if (errno === undefined) this.#logger.error(fields, 'a request failed in a way that should not exist')
    else this.#logger.debug(fields, 'a request failed')
    this.#sendError(request, errno ?? Errno.EIO)
  }

  /** What the protocol needs besides answers. */
  #keepBooks(request: Request): void {
    const forget = (node: number, count: number): void => this.#frontEnd.forget(node, count)
    if (request.opcode === Opcode.forget) forget(request.node, decodeForget(this.#frame))
    else if (request.opcode === Opcode.batchForget) decodeBatchForget(this.#frame, forget)
    else if (request.opcode === Opcode.interrupt) this.#interrupt(request, decodeInterrupt(this.#frame))
    else if (request.opcode === Opcode.init) this.#shakeHands(request)
    else if (request.opcode === Opcode.destroy) this.#sendError(request, 0)
  }

  /** EAGAIN makes the kernel interrupt again, if the request is one that we have yet to see; else it is answered already. */
  #interrupt(request: Request, target: number): void {
    const found = this.#inFlight.get(target)
    if (found === undefined) this.#sendError(request, Errno.EAGAIN)
    else found.interrupt()
  }

  #shakeHands(request: Request): void {
    const agreed = negotiate(decodeInit(this.#frame))
    if (agreed.kind === 'refused') {
      this.#sendError(request, Errno.EPROTO)
      this.#readyPromise.reject(new FilesystemError('unsupported', agreed.explanation))
      this.#end('refused')
      return
    }
    this.#reply.begin()
    encodeInit(this.#reply, agreed)
    this.#send(request, 0)
    if (agreed.kind === 'olderMajor') return
    this.kernelCache.canExpire = agreed.expireOnly
    this.#logger.debug({ minor: agreed.minor, flags: agreed.flags }, 'connected to the kernel')
    this.#readyPromise.resolve(undefined)
  }

  #sendError(request: Request, errno: number): void {
    this.#reply.begin()
    this.#send(request, errno)
  }

  /** False when nobody takes the reply any more. Never blocks: the kernel has the room for it already. */
  #send(request: Request, errno: number): boolean {
    if (this.#ended !== undefined) return false
    const reply = this.#reply
    const { data, bytes } = reply
    if (data !== undefined && data.length <= copiedDataBytes) {
      bytes.set(data, reply.length)
      reply.length += data.length
      reply.data = undefined
    }
    reply.finish(errno, request.uniqueLow, request.uniqueHigh)
    try {
      if (reply.data === undefined) writeSync(this.#descriptor, bytes, 0, reply.length)
      else writevSync(this.#descriptor, [bytes.subarray(0, reply.length), reply.data])
      return true
    } catch (error) {
      this.#replyFailed(request, errno, error)
      return false
    }
  }

  /** ENOENT: the request was aborted meanwhile. Anything else means that the kernel finds the reply malformed. */
  #replyFailed(request: Request, errno: number, error: unknown): void {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    this.#logger.error({ operation: opcodeName(request.opcode), errno, error }, 'the kernel refused a reply')
    if (errno === 0) this.#sendError(request, Errno.EIO)
  }

  #end(reason: EndReason): void {
    this.#ended = reason
    process.off('exit', this.#stopAtExit)
    writeSync(this.#wakeDescriptor, new BigUint64Array([1n]))
    for (const request of this.#inFlight.values()) request.interrupt()
    this.#readyPromise.reject(
      new FilesystemError('unsupported', `the mount ended (${reason}) before it began`),
    )
    void this.kernelCache.close().then(() => {
      closeQuietly(this.#descriptor)
      closeQuietly(this.#wakeDescriptor)
      this.#donePromise.resolve(reason)
    })
  }
}
