/**
 * What the holder of an emulator can see and do. Layer: emulator.
 *
 * Invariant: nothing here passes through the service's surface: it is neither counted, delayed nor met by faults.
 */

import type { ConsoleStream } from './console-log.ts'
import type { FaultMatch, FaultRule } from './faults.ts'
import type { Call, CountedVerb } from './traffic.ts'

/** A gate in the way of requests. */
export interface Hold {
  /** Resolves when the first request stands before it. */
  readonly reached: Promise<void>
  /** Lets them and all later ones through. */
  release(): void
}

export interface Emulator {
  /** The project endpoint to give to clients. */
  readonly endpoint: string
  readonly token: string
  /** The certificate that clients must trust, with `tls`. */
  readonly certificatePath: string | undefined
  readonly data: string
  /** Requests by verb since the start or the last reset; every verb has an entry. */
  counts(): Record<CountedVerb, number>
  /** Answers by HTTP status. */
  statuses(): Record<string, number>
  /** The latest calls, oldest first. */
  calls(): readonly Readonly<Call>[]
  resetCounts(): void
  /** Scripts a fault; the returned function removes it. */
  fault(rule: FaultRule): () => void
  /** Scripts a gate: at the arrival of a request, or when its answer is ready. */
  hold(match: FaultMatch & { readonly at?: 'arrival' | 'answer' }): Hold
  clearFaults(): void
  appendLog(agent: string, session: string, lines: string | readonly string[], stream?: ConsoleStream): void
  /** Ends all log streams that are open now, or resets their connections. */
  closeLogStreams(options?: { readonly reset?: boolean }): void
  /** Where the files of a session lie on this machine. */
  filesDirectory(agent: string, session: string): string
  expireSession(agent: string, session: string): void
  /** Lets the sandbox go idle, as `:stop` does. */
  sleepSession(agent: string, session: string): void
  deleteSession(agent: string, session: string): Promise<void>
  /** Accepts this token alone from now on; null: none at all. */
  setToken(token: string | null): void
  close(): Promise<void>
}
