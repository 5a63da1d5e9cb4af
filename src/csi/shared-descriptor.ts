/**
 * The kernel's descriptor of a mount as the driver holds it, and the connection to the daemon that has it as well.
 * Layer: csi.
 *
 * Invariant: one daemon is listened to, the last that took the descriptor; its end is told once.
 */
import { chownSync, existsSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { type Offer, offerDescriptor, onMessages, sendMessage } from '../fuse/descriptor-passing.ts'
import { closeQuietly } from '../fuse/libc.ts'
import type { DaemonSays, DriverSays } from './daemon-link.ts'
import { type DaemonUser, driverSocket } from './volume-files.ts'

export interface DaemonListener {
  /** What a daemon is told that has just taken the descriptor. */
  greeting(): DriverSays
  said(message: DaemonSays): void
  ended(): void
}

export class SharedDescriptor {
  readonly #descriptor: number
  readonly #listener: DaemonListener
  #offer: Offer | undefined
  #link: Socket | undefined
  #isClosed = false

  constructor(descriptor: number, listener: DaemonListener) {
    this.#descriptor = descriptor
    this.#listener = listener
  }

  /** To daemons that run as `user` and see the directory `run`. */
  async offer(run: string, { uid, gid }: DaemonUser): Promise<void> {
    const path = join(run, driverSocket)
    this.#offer = await offerDescriptor(path, this.#descriptor, (socket) => {
      sendMessage(socket, this.#listener.greeting())
      this.follow(socket)
    })
    chownSync(path, uid, gid)
  }

  /** Where somebody has removed the socket. */
  async offerAgain(run: string, user: DaemonUser): Promise<void> {
    if (this.#isClosed || existsSync(join(run, driverSocket))) return
    this.#offer?.close()
    await this.offer(run, user)
  }

  /** Listens to the daemon that has it. */
  follow(socket: Socket): void {
    this.#link = socket
    socket.unref()
    onMessages(socket, (said) => this.#listener.said(said as DaemonSays))
    socket.once('close', () => {
      if (this.#link !== socket) return
      this.#link = undefined
      this.#listener.ended()
    })
  }

  /** Whether a daemon has it. */
  get isTaken(): boolean {
    return this.#link !== undefined
  }

  /** Once no daemon has it either, whoever waits for an answer of the mount gets an error. Any number of times. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#offer?.close()
    const link = this.#link
    this.#link = undefined
    link?.destroy()
    closeQuietly(this.#descriptor)
  }
}
