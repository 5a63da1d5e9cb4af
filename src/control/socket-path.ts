/**
 * The control socket of a session, whatever the length of its path. Layer: beside the composition root.
 *
 * Invariant: the address handed to bind(2) and connect(2) goes through an open descriptor of the directory,
 * `/proc/self/fd/N/control`, so that the 107 bytes that a socket's address may have are always enough.
 */
import { closeSync, constants, openSync } from 'node:fs'

export const socketName = 'control'

export interface SocketAddress {
  readonly path: string
  /** Only after the last use of `path`, closing the server included. */
  close(): void
}

/** Throws the error of open(2) when the directory is not there. */
export function openSocketAddress(directory: string): SocketAddress {
  const descriptor = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  return { path: `/proc/self/fd/${descriptor}/${socketName}`, close: () => closeSync(descriptor) }
}
