/**
 * A descriptor offered to other processes of this machine over a Unix socket, and taken from there. Layer: fuse.
 *
 * Invariant: whoever connects is sent the descriptor first, and lines of JSON after it; while the connection stands each
 * side knows that the other one lives.
 */
import { chmod, rm } from 'node:fs/promises'
import { createServer, Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { sleep, systemClock } from '../clock.ts'
import { closeQuietly, connectTo, receiveDescriptorNow, sendDescriptor } from './libc.ts'

/* a process that is there answers at once, but on a machine that is short of everything */
const answerWithinMs = 60_000
const lookAgainMs = 10

export interface Offer {
  /** Nobody can take it any more; connections stay. Any number of times. */
  close(): void
}

/** `accepted` is called for each who has taken it. `path` may have 107 bytes; what was there is replaced. */
export async function offerDescriptor(
  path: string,
  descriptor: number,
  accepted: (socket: Socket) => void,
): Promise<Offer> {
  await rm(path, { force: true })
  const server = createServer((socket) => {
    /* whoever has gone is heard of by `close` */
    socket.on('error', () => undefined)
    const { fd } = (socket as unknown as { readonly _handle: { readonly fd: number } })._handle
    try {
      sendDescriptor(fd, descriptor)
    } catch {
      socket.destroy()
      return
    }
    accepted(socket)
  })
  const listening = Promise.withResolvers<undefined>()
  server.once('error', listening.reject)
  server.listen(path, () => listening.resolve(undefined))
  await listening.promise
  await chmod(path, 0o600)
  server.unref()
  return { close: () => void server.close() }
}

export interface Taken {
  /** To be closed by whoever took it. */
  readonly descriptor: number
  readonly socket: Socket
}

/** Why there was nothing to take. */
export type NothingTaken =
  /** Nobody listens there. */
  | 'nobody'
  /** Whoever listened there ended before it sent one. */
  | 'ended'
  /** Somebody listens, and does not answer. */
  | 'silent'
  /** This process has as many files open as it may. */
  | 'noRoom'

export interface TakeOptions {
  /** Gives up: `silent`. */
  readonly signal?: AbortSignal | undefined
  readonly withinMs?: number
}

/**
 * Takes what is offered at `path`. It is looked for again and again instead of waited for: a receive that waits is
 * interrupted by signals, and has one of the few threads that files are read with.
 */
export async function takeDescriptor(
  path: string,
  { signal, withinMs = answerWithinMs }: TakeOptions = {},
): Promise<Taken | NothingTaken> {
  const lateMs = systemClock.now() + withinMs
  let fd: number | undefined
  while (signal?.aborted !== true && systemClock.now() < lateMs) {
    if (fd === undefined) {
      const connected = connectTo(path)
      if (connected === 'nobody') return 'nobody'
      if (connected !== 'busy') fd = connected
    } else {
      const received = receiveDescriptorNow(fd)
      if (typeof received === 'number') return { descriptor: received, socket: socketOn(fd) }
      if (received !== 'notYet') {
        closeQuietly(fd)
        return received
      }
    }
    await sleep(systemClock, lookAgainMs)
  }
  if (fd !== undefined) closeQuietly(fd)
  return 'silent'
}

function socketOn(fd: number): Socket {
  const socket = new Socket({ fd })
  socket.on('error', () => undefined)
  return socket
}

/** Calls for each line of JSON that comes; what is none is left out. */
export function onMessages(socket: Socket, received: (message: unknown) => void): void {
  createInterface({ input: socket })
    .on('line', (line) => {
      try {
        received(JSON.parse(line))
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error
      }
    })
    /* it hands on those of the socket, whose end is heard of by `close` */
    .on('error', () => undefined)
}

export function sendMessage(socket: Socket, message: object): void {
  socket.write(`${JSON.stringify(message)}\n`)
}
