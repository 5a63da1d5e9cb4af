/**
 * A read-only file that the program itself makes, found by name at the root. Layer: filesystem; `.logs` and
 * `.status` implement it.
 *
 * Invariant: nothing the service lists under such a name is ever shown, and nothing of it is cached: its
 * timeouts are 0 and reads bypass the kernel's pages.
 */
import type { MaybePromise } from './front-end.ts'

export interface SpecialFile {
  readonly name: string
  /** Bytes that an open would offer now; must not cause a request. */
  size(): number
  /** Rejects with `signal.reason` when it is aborted. */
  open(signal: AbortSignal): MaybePromise<OpenSpecialFile>
  /** Goes on with what a process before this one had open, by what it `remembered` of it. */
  reopen(remembered: string): OpenSpecialFile
}

export interface OpenSpecialFile {
  /** At most `length` bytes, fewer only at what is the end now. */
  read(offset: number, length: number, signal: AbortSignal): MaybePromise<Uint8Array>
  size(): number
  close(): void
  /** What `reopen` needs to go on with it. */
  readonly remembered: string
}
