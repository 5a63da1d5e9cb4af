/**
 * Answers the command line on a session's Unix socket. Layer: beside the composition root.
 *
 * Invariant: needs nothing but the event loop, so it answers while every read and upload hangs; a request
 * whose connection is closed is aborted, one that was answered has its answer sent before `close` resolves.
 */
import { chmodSync, existsSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { setImmediate as turnOfTheEventLoop } from 'node:timers/promises'
import * as v from 'valibot'
import { systemClock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { maxRequestBytes } from './protocol.ts'
import type { ControlEvent, ControlHandlers, ControlRequest, ControlResults, Progress } from './protocol.ts'
import { openSocketAddress, socketName } from './socket-path.ts'

const requestSchema = v.variant('method', [
  v.object({ method: v.literal('status') }),
  v.object({ method: v.literal('sync'), path: v.string() }),
  v.object({ method: v.literal('unmount'), force: v.boolean() }),
  v.object({ method: v.literal('retry') }),
  v.object({ method: v.literal('discard'), path: v.string() }),
  v.object({ method: v.literal('restart'), command: v.pipe(v.array(v.string()), v.minLength(1)) }),
])

const closeWithinMs = 2000

export interface ControlServer {
  /** False once somebody has removed the socket. */
  isThere(): boolean
  /** Listens on a socket made anew; requests in hand go on. */
  renew(): Promise<void>
  /** Takes no more requests; resolves when those in hand are answered and the socket is gone. */
  close(): Promise<void>
}

/** Listens in `stateDirectory`, whose `SessionLock` the caller holds. */
export async function startControlServer(
  stateDirectory: string,
  handlers: ControlHandlers,
  logger: Logger,
): Promise<ControlServer> {
  const connections = new Set<Socket>()
  const onConnection = (socket: Socket): void => {
    connections.add(socket)
    socket.on('close', () => connections.delete(socket))
    serve(socket, handlers, logger)
  }
  let listening = await listen(stateDirectory, onConnection)
  return {
    isThere: () => existsSync(join(stateDirectory, socketName)),
    async renew() {
      /* in this order: closing removes the socket of that name */
      void listening.stop()
      listening = await listen(stateDirectory, onConnection)
    },
    async close() {
      const stopped = listening.stop()
      /* a client that was stopped while it reads must not keep the daemon */
      const giveUp = systemClock.after(closeWithinMs, () => {
        for (const socket of connections) {
          socket.destroy()
        }
      })
      await stopped
      giveUp()
    },
  }
}

interface Listening {
  /** No more connections from now on; resolves when those that there are have ended. */
  stop(): Promise<void>
}

async function listen(stateDirectory: string, onConnection: (socket: Socket) => void): Promise<Listening> {
  /* what a killed predecessor left; no other process may have it while the caller holds the lock */
  rmSync(join(stateDirectory, socketName), { force: true })
  const address = openSocketAddress(stateDirectory)
  const server = createServer(onConnection)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(address.path, resolve)
    })
    chmodSync(address.path, 0o600)
  } catch (error) {
    address.close()
    throw error
  }
  /* the mount keeps the process alive, not the readiness to be asked about it */
  server.unref()
  return {
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      await closed
      address.close()
    },
  }
}

function serve(socket: Socket, handlers: ControlHandlers, logger: Logger): void {
  const abort = new AbortController()
  const send = (event: ControlEvent): void => {
    if (socket.writable) {
      socket.write(`${JSON.stringify(event)}\n`)
    }
  }
  let received = Buffer.alloc(0)
  const onData = (data: Buffer): void => {
    received = Buffer.concat([received, data])
    const end = received.indexOf('\n')
    if (end < 0 && received.length <= maxRequestBytes) {
      return
    }
    socket.off('data', onData)
    /* keeps reading, so that the other end's closing is noticed */
    socket.resume()
    const line = received.subarray(0, Math.max(end, 0)).toString()
    /* what was asked while we could not listen, by somebody who has gone since, is not done: its end is read next */
    void turnOfTheEventLoop()
      .then(() => turnOfTheEventLoop())
      .then(() => (socket.readableEnded ? undefined : answer(line, handlers, abort.signal, send)))
      .catch((error: unknown) => {
        const event = describeError(error)
        logger.info({ code: event.code, error: event.message }, 'control request failed')
        send(event)
      })
      .finally(() => socket.end())
  }
  socket.on('data', onData)
  socket.on('close', () => abort.abort(new Error('the caller has gone')))
  /* an end without a request, and a reset, are the other side's business */
  socket.on('error', (error) => logger.debug({ error }, 'control connection failed'))
}

async function answer(
  line: string,
  handlers: ControlHandlers,
  signal: AbortSignal,
  send: (event: ControlEvent) => void,
): Promise<void> {
  const request = parseRequest(line)
  const onProgress = (progress: Progress): void => send({ event: 'progress', progress })
  send({ event: 'result', result: await handle(request, handlers, signal, onProgress) })
}

function parseRequest(line: string): ControlRequest {
  let json: unknown
  try {
    json = JSON.parse(line)
  } catch (error) {
    throw new Error('the request is not a line of JSON', { cause: error })
  }
  const parsed = v.safeParse(requestSchema, json)
  if (!parsed.success) {
    throw new Error('the request is unknown here: is the running mount of another version?')
  }
  return parsed.output
}

async function handle(
  request: ControlRequest,
  handlers: ControlHandlers,
  signal: AbortSignal,
  onProgress: (progress: Progress) => void,
): Promise<ControlResults[keyof ControlResults]> {
  switch (request.method) {
    case 'status':
      return handlers.status()
    case 'sync':
      await handlers.sync(request.path, signal, onProgress)
      return null
    case 'unmount':
      return handlers.unmount(request.force, signal, onProgress)
    case 'retry':
      return handlers.retry()
    case 'discard':
      return handlers.discard(request.path)
    case 'restart':
      return handlers.restart(request.command)
    default:
      return request satisfies never
  }
}

/* every family of errors of the program has either a `code` or a `reason` */
function describeError(error: unknown): Extract<ControlEvent, { event: 'error' }> {
  const { code, reason } = error as { readonly code?: unknown; readonly reason?: unknown }
  const known = [code, reason].find((candidate) => typeof candidate === 'string')
  return {
    event: 'error',
    code: typeof known === 'string' ? known : 'failed',
    message: error instanceof Error ? error.message : String(error),
  }
}
