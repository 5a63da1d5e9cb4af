/**
 * One request of the kernel while it is being answered; what the filesystem sees of it is the `Caller`.
 * Layer: fuse.
 *
 * Invariant: the signal is aborted exactly when something has come that may end this wait (`interruptions.ts`), or
 * nobody can wait for it any more (its reader has closed the file, or the connection ended), no matter whether
 * anybody had looked at it before. The controller is made on first use: most requests never need one, and making
 * one costs more than answering them.
 */

import { FilesystemError } from '../filesystem/errors.ts'
import type { Caller } from '../filesystem/front-end.ts'
import { resentHigh } from './protocol.ts'

export class Request implements Caller {
  readonly opcode: number
  readonly uniqueLow: number
  readonly uniqueHigh: number
  /** The node the request is about; for most naming calls the directory. */
  readonly node: number
  /** The second directory of a rename. */
  otherNode: number | undefined
  readonly uid: number
  readonly gid: number
  /** The thread that asks; 0 where it is in a container that we cannot see into. */
  readonly pid: number
  #controller: AbortController | undefined
  #interrupted = false

  /** Reads a `fuse_in_header` at the start of the buffer. */
  constructor(view: DataView) {
    this.opcode = view.getUint32(4, true)
    this.uniqueLow = view.getUint32(8, true)
    this.uniqueHigh = view.getUint32(12, true)
    this.node = view.getUint32(16, true) + view.getUint32(20, true) * 0x1_0000_0000
    this.uid = view.getUint32(24, true)
    this.gid = view.getUint32(28, true)
    this.pid = view.getUint32(32, true)
  }

  /** What INTERRUPT names the request by. */
  get request(): number {
    return uniqueOf(this.uniqueLow, this.uniqueHigh)
  }

  get resent(): boolean {
    return this.uniqueHigh >= resentHigh
  }

  get interrupted(): boolean {
    return this.#interrupted
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#interrupted) this.#controller.abort(interruption())
    }
    return this.#controller.signal
  }

  interrupt(): void {
    if (this.#interrupted) return
    this.#interrupted = true
    this.#controller?.abort(interruption())
  }
}

/** The number of a request, however often it comes. Exact up to 2^53, which a kernel does not reach by counting. */
export function uniqueOf(low: number, high: number): number {
  return low + (high >= resentHigh ? high - resentHigh : high) * 0x1_0000_0000
}

function interruption(): FilesystemError {
  return new FilesystemError('interrupted', 'the caller was interrupted')
}
