/**
 * What can be mounted: one session, or all of an agent. Layer: mount; `session-filesystem.ts` and
 * `agent-filesystem.ts` are the two.
 *
 * Invariant: knows of no kernel: whoever serves the front end, at whatever place, brings that along.
 */
import type { Clock } from '../clock.ts'
import type { Leftover, Progress, StatusReport } from '../control/protocol.ts'
import type { FrontEnd, KernelCache } from '../filesystem/front-end.ts'
import type { FilesystemParts } from '../filesystem/options.ts'
import type { SessionFacts } from '../session/open-session.ts'
import type { StatePart } from './state-watch.ts'

export interface RecordedFrontEnd extends FrontEnd {
  /** What is known of the kernel is written down anew: somebody has taken it away, or there is more to say of it. */
  recordAnew(): void
}

/** Where what the kernel knows is written down, and what a process before this one wrote there. */
export type KernelMemory = Pick<FilesystemParts, 'recordSink' | 'remembered'>

export interface Mountable {
  readonly clock: Clock
  /** Of the control socket, and of what the kernel knows. */
  readonly stateDirectory: string
  /** What whoever goes on need not ask the service. */
  readonly facts: SessionFacts
  /** Files of its state that are made anew when somebody takes them away. */
  readonly stateParts: readonly StatePart[]
  /** Names beside a session's files that are the mount's own. */
  readonly specials: readonly string[]
  /** What answers the requests of whoever serves it, who is told by `kernelCache` of what changed unasked. Once. */
  frontEnd(kernelCache: KernelCache, memory: KernelMemory): RecordedFrontEnd
  /** Goes on with what a process before this one left. */
  begin(): void
  /** Nobody goes on with this mount. Any number of times. */
  endForGood(): void
  status(): StatusReport
  /** As `MountedSession.drain`. */
  drain(signal: AbortSignal, onProgress: (progress: Progress) => void): Promise<readonly Leftover[]>
  /** As `ControlHandlers.sync`. */
  sync(path: string, signal: AbortSignal, onProgress: (progress: Progress) => void): Promise<void>
  /** As `ControlHandlers.retry`. */
  retry(): number
  /** As `ControlHandlers.discard`. */
  discard(path: string): number | Promise<number>
  /** No console is followed any more. Any number of times. */
  stopLogs(): Promise<void>
  /** Any number of times. */
  close(): Promise<void>
}
