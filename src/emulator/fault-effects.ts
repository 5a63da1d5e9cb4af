/**
 * How a fault is carried out on a request: at its arrival, around its change, on its answer. Layer: emulator.
 *
 * Invariant: a handler that makes a change makes it through `commit`, and nowhere else, so that every fault
 * knows whether the change has been made.
 */

import { constants, type Http2ServerRequest, type ServerHttp2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Clock, sleep } from '../clock.ts'
import { ServiceFailure } from './envelope.ts'
import type { LiveFault } from './faults.ts'

/** Thrown when the connection was cut on purpose: there is nobody to answer. */
export class ConnectionCut extends Error {
  override readonly name = 'ConnectionCut'
}

export interface Change<Result> {
  make(): Result | Promise<Result>
  /** For an upload: lets the first bytes be seen instead. */
  exposePart?(bytes: number): void
  /** Whether the change can still be made later: its session may be gone. */
  isStillPossible(): boolean
}

export class FaultEffects {
  readonly #clock: Clock
  readonly #late = new Set<() => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Before the request is looked at. */
  async onArrival(request: FastifyRequest, { rule, removed }: LiveFault): Promise<void> {
    switch (rule.kind) {
      case 'status':
        throw new ServiceFailure(
          rule.status,
          rule.code ?? defaultCode(rule.status),
          'This failure was asked for.',
          rule.retryAfter,
        )
      case 'delay':
        return sleep(this.#clock, rule.ms)
      case 'hold':
        return rule.at === 'answer' ? undefined : removed
      case 'stall':
        if (rule.where === 'body') return
        await new Promise((resolve) => request.raw.socket.once('close', resolve))
        throw new ConnectionCut()
      case 'reset':
      case 'cut':
      case 'late-commit':
      case 'partial':
    }
  }

  /** Makes the change, or what the request's fault makes of it. */
  async commit<Result>(request: FastifyRequest, change: Change<Result>): Promise<Result> {
    const rule = request.fault?.rule
    switch (rule?.kind) {
      case 'reset':
        if (rule.when === 'after-commit') await change.make()
        throw cutConnection(request)
      case 'late-commit':
        this.#later(rule.afterMs, change)
        throw cutConnection(request)
      case 'partial':
        change.exposePart?.(rule.bytes)
        throw cutConnection(request)
      case 'status':
      case 'delay':
      case 'hold':
      case 'stall':
      case 'cut':
      case undefined:
        return await change.make()
    }
  }

  /** On the finished answer: returns what to send instead. */
  async onAnswer(
    request: FastifyRequest,
    reply: FastifyReply,
    { rule, removed }: LiveFault,
    payload: unknown,
  ): Promise<unknown> {
    switch (rule.kind) {
      case 'reset':
      case 'late-commit':
      case 'partial':
        // Only what changes nothing gets here: there the moment makes no difference.
        throw cutConnection(request)
      case 'hold':
        if (rule.at === 'answer') await removed
        return payload
      case 'cut':
        return limited(request, reply, payload, rule.afterBytes, 'cut')
      case 'stall':
        return limited(request, reply, payload, rule.afterBytes, 'stall')
      case 'status':
      case 'delay':
        return payload
    }
  }

  /** Changes that have not been made by now never are. */
  close(): void {
    for (const cancel of this.#late) cancel()
  }

  #later(afterMs: number, change: Change<unknown>): void {
    const cancel = this.#clock.after(afterMs, () => {
      this.#late.delete(cancel)
      if (change.isStillPossible()) void Promise.resolve(change.make()).catch(() => undefined)
    })
    this.#late.add(cancel)
  }
}

function cutConnection(request: FastifyRequest): ConnectionCut {
  resetConnection(request)
  return new ConnectionCut()
}

/** A reset as the far side sees it, where the transport can make one: over HTTP/2 of the stream alone. */
export function resetConnection({ raw }: Pick<FastifyRequest, 'raw'>): void {
  const stream = streamOf(raw)
  if (stream !== undefined) resetStream(stream)
  else if ('encrypted' in raw.socket) raw.socket.destroy()
  else raw.socket.resetAndDestroy()
}

/** Ends the answer early, behind the bytes that have been written. */
async function endEarly(request: FastifyRequest): Promise<void> {
  const stream = streamOf(request.raw)
  if (stream === undefined) {
    request.raw.socket.destroySoon()
    return
  }
  /* a reset overtakes what waits for the window of the far side */
  await new Promise((resolve) => stream.write(Buffer.alloc(0), resolve))
  resetStream(stream)
}

function resetStream(stream: ServerHttp2Stream): void {
  /* `close` ends it first, which may go out as the end of a whole answer */
  stream.end = () => stream
  stream.close(constants.NGHTTP2_INTERNAL_ERROR)
}

/** undefined over HTTP/1.1, where a request has its connection to itself. */
function streamOf(raw: FastifyRequest['raw'] | Http2ServerRequest): ServerHttp2Stream | undefined {
  return raw.httpVersionMajor >= 2 && 'stream' in raw ? raw.stream : undefined
}

/** The answer with its full length announced, of which only the first bytes come. */
function limited(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
  afterBytes: number | undefined,
  then: 'cut' | 'stall',
): unknown {
  const length =
    payload instanceof Readable ? Number(reply.getHeader('content-length') ?? 0) : byteLength(payload)
  if (!(payload instanceof Readable)) reply.header('content-length', length)
  const limit = afterBytes ?? Math.floor(length / 2)
  const whole = payload instanceof Readable ? payload : Readable.from([toBuffer(payload)])
  const { socket } = request.raw
  const closed = new Promise((resolve) => socket.once('close', resolve))
  async function* part(): AsyncGenerator<Buffer> {
    let left = limit
    for await (const chunk of whole as AsyncIterable<Buffer>) {
      yield chunk.subarray(0, left)
      left -= chunk.length
      if (left <= 0) break
    }
    // The bytes are with the socket one turn later; then it is closed behind them.
    await setImmediate()
    if (then === 'cut') await endEarly(request)
    await closed
  }
  return Readable.from(part(), { objectMode: false })
}

function byteLength(payload: unknown): number {
  return toBuffer(payload).length
}

function toBuffer(payload: unknown): Buffer {
  return Buffer.isBuffer(payload) ? payload : Buffer.from(typeof payload === 'string' ? payload : '')
}

function defaultCode(status: number): string | null {
  const codes: Record<number, string> = {
    401: 'unauthorized',
    403: 'session_not_accessible',
    404: 'not_found',
    409: 'conflict',
    424: 'session_not_ready',
    429: 'rate_limit_exceeded',
  }
  return codes[status] ?? (status >= 500 ? 'server_error' : null)
}
