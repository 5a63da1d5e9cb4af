/**
 * Waits in the event loop for requests of the kernel, and reads them. Layer: fuse.
 *
 * Invariant: libuv itself watches /dev/fuse, as it watches sockets: no thread waits for it, which would cost
 * more than answering, and nothing keeps a process that is mounted from exiting.
 *
 * Node watches sockets, pipes and terminals only. So it gets one end of a pair of sockets, and the number of
 * that end is then made another name of /dev/fuse: Node goes on to wait for that number and to read it.
 */

import { Socket } from 'node:net'
import { closeQuietly, duplicateOnto, socketPair } from './libc.ts'

export interface ArrivalsOptions {
  /** Stays open: what is watched is a duplicate. */
  readonly descriptor: number
  /** Holds what was read last, until `arrived` has returned. */
  readonly buffer: Uint8Array
  /** `length` bytes are in the buffer. */
  readonly arrived: (length: number) => void
  /** Reading failed with this (positive) errno; nothing is watched any more. */
  readonly failed: (errno: number) => void
}

export interface Arrivals {
  /** Nothing is read after this. */
  stop(): void
}

/** Reads the descriptor whenever something is there, once in each round of the event loop. */
export function watchArrivals({ descriptor, buffer, arrived, failed }: ArrivalsOptions): Arrivals {
  const [ours, theirs] = socketPair()
  const callback = (length: number): boolean => {
    arrived(length)
    return true
  }
  // It has been told to read, and begins when the event loop comes around: by then the number means another thing.
  const socket = new Socket({ fd: ours, readable: true, writable: false, onread: { buffer, callback } })
  duplicateOnto(descriptor, ours)
  closeQuietly(theirs)
  socket.once('error', ({ errno = 0 }: NodeJS.ErrnoException) => failed(-errno))
  return { stop: () => void socket.destroy() }
}
