/**
 * One mounted filesystem's conversation with the kernel: read a request, call the front end, write the reply.
 * Layer: fuse.
 *
 * Invariant: every request is answered exactly once, unless the protocol wants no reply. What the front end
 * answers without a promise is answered before the next request is read; only the rest is kept in `inFlight`.
 *
 * The descriptor is non-blocking. The event loop tells when there is a request (`arrivals.ts`); a turn answers
 * it and those that follow at once (`busy-poll.ts`), up to a bound, so that timers and the network get their share.
 */

import { writeSync, writevSync } from 'node:fs'
import { type Clock, sleep, systemClock } from '../clock.ts'
import type { FrontEnd, KernelCache } from '../filesystem/front-end.ts'
import { FilesystemError } from '../filesystem/errors.ts'
import type { Logger } from '../log.ts'
import { watchArrivals, type Arrivals } from './arrivals.ts'
import { BusyPoll } from './busy-poll.ts'
import { decodeBatchForget, decodeForget, decodeInit, decodeInterrupt } from './decode.ts'
import type { Frame } from './decode.ts'
import { Reply } from './encode.ts'
import { Errno, errnoOf } from './errno.ts'
import { encodeInit, negotiate } from './handshake.ts'
import { closeQuietly, readNow, setNonblocking, yieldProcessor } from './libc.ts'
import { Interruptions } from './interruptions.ts'
import { askAgain, Notifier } from './notify.ts'
import { opcodeName, operationsByOpcode } from './operations.ts'
import type { Implemented } from './operations.ts'
import { statusFromProc } from './pending-signals.ts'
import { longestStructureBytes, Opcode, requestBufferBytes, Size } from './protocol.ts'
import { Request } from './request.ts'
import { RequestTrace } from './trace.ts'

const requestsPerTurn = 16
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
  /** Asked once whether it wants a trace: each request costs nothing else. */
  readonly logger: Logger
  /** Default: the system's. */
  readonly clock?: Clock | undefined
  /** Called with every turn that answers requests. */
  readonly onWork?: (() => void) | undefined
  /** What a process before this one agreed on with the kernel, and went on to serve; default: nobody has yet. */
  readonly agreed?: Agreement | undefined
}

/** What later requests go by. */
export interface Agreement {
  readonly expireOnly: boolean
  /** Whether another process could go on with this mount. */
  readonly resend: boolean
}

export interface Served {
  readonly kernelCache: KernelCache
  /** The handshake is done and requests are answered; rejects when the kernel is too old. */
  readonly ready: Promise<Agreement>
  /** Resolves once, when no request will come any more; everything in flight has been aborted. */
  readonly done: Promise<EndReason>
  /** Ends the conversation without unmounting: pending requests fail with EIO. */
  stop(): void
  /** Another process goes on when this one ends, however it ends: then nothing is answered with an error. */
  beKept(): void
  /**
   * Reads no more requests; resolves when those in hand are answered, or at the latest then. The rest is given up without
   * an answer, whatever becomes of it here: it can be had again.
   */
  pause(withinMs: number): Promise<void>
}

/** Serves a mounted /dev/fuse descriptor from this event loop until it is unmounted. */
export function serve(options: ServeOptions): Served {
  return new Connection(options)
}

class Connection implements Served {
  readonly kernelCache: Notifier
  readonly ready: Promise<Agreement>
  readonly done: Promise<EndReason>
  readonly #descriptor: number
  readonly #frontEnd: FrontEnd
  readonly #logger: Logger
  readonly #trace: RequestTrace | undefined
  #arrivals: Arrivals
  readonly #poll: BusyPoll
  readonly #clock: Clock
  readonly #onWork: (() => void) | undefined
  #onAnswered = (): unknown => undefined
  readonly #frame: Frame
  readonly #reply = new Reply()
  readonly #inFlight = new Map<number, Request>()
  readonly #interruptions: Interruptions
  readonly #readyPromise = Promise.withResolvers<Agreement>()
  readonly #donePromise = Promise.withResolvers<EndReason>()
  #ended: EndReason | undefined
  /** Another process answers from now on. */
  #isPaused = false

  constructor({ descriptor, frontEnd, logger, clock = systemClock, onWork, agreed }: ServeOptions) {
    this.#descriptor = descriptor
    this.#logger = logger
    this.#clock = clock
    this.#onWork = onWork
    const bytes = Buffer.alloc(requestBufferBytes)
    this.#frame = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), length: 0 }
    this.ready = this.#readyPromise.promise
    this.ready.catch(() => undefined) // `done` tells it as well
    this.done = this.#donePromise.promise
    this.kernelCache = new Notifier({ descriptor, logger, inFlight: () => this.#inFlight.values() })
    this.#interruptions = new Interruptions(clock, statusFromProc())
    this.#frontEnd = typeof frontEnd === 'function' ? frontEnd(this.kernelCache) : frontEnd
    if (logger.isLevelEnabled('trace'))
      this.#trace = new RequestTrace({ logger, clock, frontEnd: this.#frontEnd })
    setNonblocking(descriptor)
    const read = (): number => readNow(descriptor, this.#frame.bytes)
    this.#poll = new BusyPoll({ read, yieldProcessor, clock })
    process.on('exit', this.#stopAtExit)
    this.#arrivals = this.#watch()
    if (agreed === undefined) return
    this.#agree(agreed)
    askAgain(descriptor)
  }

  stop(): void {
    if (this.#ended !== undefined) return
    for (const request of this.#inFlight.values()) this.#sendError(request, Errno.EIO)
    this.#end('stopped')
  }

  beKept(): void {
    process.off('exit', this.#stopAtExit)
  }

  async pause(withinMs: number): Promise<void> {
    this.#arrivals.stop()
    const answered = new AbortController()
    this.#onAnswered = () => this.#inFlight.size === 0 && answered.abort()
    this.#onAnswered()
    await sleep(this.#clock, withinMs, answered.signal).catch(() => undefined)
    this.#isPaused = true
    for (const request of this.#inFlight.values()) request.interrupt()
    this.#frontEnd.replying(0, 0)
  }

  readonly #stopAtExit = (): void => this.stop()

  #watch(): Arrivals {
    return watchArrivals({
      descriptor: this.#descriptor,
      buffer: this.#frame.bytes,
      arrived: (length) => this.#turn(length),
      failed: (errno) => this.#readFailed(errno),
    })
  }

  /** One request is there; those that come while it is answered need no round of the event loop. */
  #turn(arrivedLength: number): void {
    this.#onWork?.()
    let length = arrivedLength
    for (let count = 1; ; count++) {
      const waiting = this.#inFlight.size
      this.#frame.length = length
      this.#handle()
      if (count === requestsPerTurn || this.#ended !== undefined) break
      length = this.#poll.next(this.#inFlight.size <= waiting)
      if (length <= 0) break // also for errors: the event loop meets them as well
    }
    /* what was forgotten had no reply */
    this.#frontEnd.replying(0, 0)
  }

  #readFailed(errno: number): void {
    if (this.#ended !== undefined) return
    // The request was withdrawn while it was read; the next may be a good one.
    if (errno === Errno.ENOENT) this.#arrivals = this.#watch()
    else if (errno === Errno.ENODEV) this.#end('unmounted')
    else if (errno === Errno.ECONNABORTED) this.#end('aborted')
    else {
      this.#logger.error({ errno }, 'reading requests of the kernel failed')
      this.#end('failed')
    }
  }

  #handle(): void {
    const { bytes, view, length } = this.#frame
    if (length < Size.inHeader || view.getUint32(0, true) !== length) {
      this.#logger.error({ length }, 'what was read is no request of the kernel')
      return
    }
    /* a structure that is shorter than it should be ends in zeros, not in what an earlier request left here */
    if (length < longestStructureBytes) bytes.fill(0, length, longestStructureBytes)
    const request = new Request(view)
    const operation = operationsByOpcode.get(request.opcode)
    if (operation?.kind === 'implemented') this.#call(operation, request)
    else if (operation?.kind === 'connection') this.#keepBooks(request)
    else this.#sendError(request, operation?.kind === 'refused' ? operation.errno : Errno.ENOSYS)
  }

  #call(operation: Implemented, request: Request): void {
    if (request.opcode === Opcode.flush) this.#abandonReads(request)
    if (request.resent) this.#frontEnd.comesAgain(request.request, request.node)
    try {
      const input = operation.decode(this.#frame)
      this.#trace?.arrived(request, input)
      const result = operation.call(this.#frontEnd, input, request)
      if (result instanceof Promise) this.#wait(operation, request, input, result)
      else this.#answer(operation, request, input, result)
    } catch (error) {
      this.#fail(request, error)
    }
  }

  #wait(operation: Implemented, request: Request, input: unknown, result: Promise<unknown>): void {
    this.#inFlight.set(request.request, request)
    result
      .then((value) => this.#answer(operation, request, input, value))
      .catch((error: unknown) => this.#fail(request, error))
      .finally(() => {
        this.#inFlight.delete(request.request)
        this.#interruptions.answered(request)
        this.kernelCache.requestAnswered()
        this.#onAnswered()
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
    const forget = (node: number, count: number): void => {
      this.#trace?.forgotten(node, count)
      this.#frontEnd.forget(node, count)
    }
    if (request.opcode === Opcode.forget) forget(request.node, decodeForget(this.#frame))
    else if (request.opcode === Opcode.batchForget) decodeBatchForget(this.#frame, forget)
    else if (request.opcode === Opcode.interrupt) this.#interrupt(request, decodeInterrupt(this.#frame))
    else if (request.opcode === Opcode.init) this.#shakeHands(request)
    else if (request.opcode === Opcode.destroy) this.#sendError(request, 0)
  }

  /** EAGAIN makes the kernel interrupt again, if the request is one that we have yet to see; else it is answered already. */
  #interrupt(request: Request, target: number): void {
    this.#trace?.interrupted(target)
    const found = this.#inFlight.get(target)
    if (found === undefined) this.#sendError(request, Errno.EAGAIN)
    else this.#interruptions.asked(found)
  }

  /**
   * A thread that closes a file waits for no read of it any more. What it had asked for to be read ahead would
   * hold the file open until it is there, since the kernel interrupts no request of that kind: a program that was
   * ended in the middle of a big file would have all of it downloaded. Whoever else waits for the same pages asks
   * again.
   */
  #abandonReads({ node, pid }: Request): void {
    if (this.#inFlight.size === 0 || pid === 0) return
    for (const request of this.#inFlight.values())
      if (request.opcode === Opcode.read && request.node === node && request.pid === pid) request.interrupt()
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
    this.#logger.debug({ minor: agreed.minor, flags: agreed.flags }, 'connected to the kernel')
    this.#agree(agreed)
  }

  #agree({ expireOnly, resend }: Agreement): void {
    this.kernelCache.canExpire = expireOnly
    this.#readyPromise.resolve({ expireOnly, resend })
  }

  #sendError(request: Request, errno: number): void {
    this.#reply.begin()
    this.#send(request, errno)
  }

  /** False when nobody takes the reply any more. Never blocks: the kernel has the room for it already. */
  #send(request: Request, errno: number): boolean {
    if (this.#ended !== undefined) return false
    /* whoever goes on knows nothing of it, and nothing of it is to be taken back */
    if (this.#isPaused) return true
    this.#trace?.answered(request, errno)
    const reply = this.#reply
    const { data, bytes } = reply
    if (data !== undefined && data.length <= copiedDataBytes) {
      bytes.set(data, reply.length)
      reply.length += data.length
      reply.data = undefined
    }
    this.#frontEnd.replying(request.request, request.node)
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
    this.#arrivals.stop()
    this.#interruptions.close()
    for (const request of this.#inFlight.values()) request.interrupt()
    this.#readyPromise.reject(
      new FilesystemError('unsupported', `the mount ended (${reason}) before it began`),
    )
    void this.kernelCache.close().then(() => {
      closeQuietly(this.#descriptor)
      this.#donePromise.resolve(reason)
    })
  }
}
