/**
 * What `mount-session recover` asks of the composition root. Layer: beside it.
 *
 * Invariant: works on one session that nobody has mounted, under its lock; a change leaves this machine's
 * state only when the service has confirmed it or the user has given it up.
 */
import type { Leftover, Progress } from './control/protocol.ts'
import type { Logger } from './log.ts'
import type { DataDirectories, OptionValues, SessionAddress } from './options/table.ts'
import type { Failpoint } from './write-back/disk/failpoints.ts'

/**
 * - `upload`: finishes what a dead mount left, against the service
 * - `export`: copies every unconfirmed file, those set aside included, below `directory`; changes nothing, asks nobody
 * - `discard`: gives all of it up, asks nobody
 */
export type RecoveryAction =
  | { readonly kind: 'upload' }
  | { readonly kind: 'export'; readonly directory: string }
  | { readonly kind: 'discard' }

export type ServiceOption =
  'token' | 'caFile' | 'uploads' | 'downloads' | 'timeoutMs' | 'maxFileBytes' | 'localNames' | 'conflict'

export interface RecoveryOptions extends SessionAddress, DataDirectories, Pick<OptionValues, ServiceOption> {
  readonly action: RecoveryAction
}

export interface RecoveryReport {
  /** Paths uploaded, exported or given up. */
  readonly handled: number
  /** Not confirmed by the service when it ended, for `upload`. */
  readonly left: readonly Leftover[]
  /** Kept but not to be trusted (another boot, another session of the same name): only `export` takes them out. */
  readonly setAside: readonly string[]
}

/** Rejects with `SessionError`: `held` while the session is mounted, and as for mounting. */
export type RecoverSession = (
  options: RecoveryOptions,
  dependencies: {
    readonly logger: Logger
    readonly signal: AbortSignal
    readonly onProgress: (progress: Progress) => void
    /** For tests that kill the command at a named point. */
    readonly failpoint?: Failpoint | undefined
  },
) => Promise<RecoveryReport>
