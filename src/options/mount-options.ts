/**
 * The shapes in which options are handed on: to the command line itself, to a session, to a mount. Layer: options.
 *
 * Invariant: paths are absolute, times milliseconds, sizes bytes; nobody below fills in a default.
 */
import type { OptionValues } from './table.ts'

/** What a session is addressed by, and who asks. */
export interface SessionAddress {
  /** The project's URL, without a slash at its end. */
  readonly endpoint: string
  readonly agent: string
  readonly session: string
  readonly isolationKey: string | undefined
  readonly userIdentity: string | undefined
}

/** The same of all sessions of an agent. */
export type AgentAddress = Omit<SessionAddress, 'session'>

/** Where this user's data lies: absolute, made when needed with mode 0700. */
export interface DataDirectories {
  /** `$XDG_STATE_HOME/mount-session` */
  readonly stateRoot: string
  /** `$XDG_CACHE_HOME/mount-session` */
  readonly cacheRoot: string
}

/** What it takes to talk to the service. */
export interface ServiceOptions
  extends
    Pick<SessionAddress, 'endpoint' | 'isolationKey' | 'userIdentity'>,
    Pick<OptionValues, 'token' | 'caFile' | 'httpsProxy' | 'allProxy' | 'noProxy'>,
    Pick<OptionValues, 'uploads' | 'downloads' | 'maxFileBytes'> {}

/** The same about one session. */
export interface ConnectOptions extends ServiceOptions, SessionAddress {}

/** What the caches and the write-back go by. */
export type AssemblyOption =
  | 'ttlMs'
  | 'ownTtlMs'
  | 'contentTtlMs'
  | 'immutable'
  | 'cacheBytes'
  | 'uploads'
  | 'timeoutMs'
  | 'dirtyExpireMs'
  | 'maxFileBytes'
  | 'localNames'
  | 'ignore'
  | 'conflict'

/** What a session without a mount has to know. */
export interface OpenSessionOptions
  extends ConnectOptions, DataDirectories, Pick<OptionValues, AssemblyOption> {
  /** The mount point, for whoever finds the session taken. */
  readonly directory?: string | undefined
}

/** Everything a mount has to know. */
export interface MountOptions
  extends
    SessionAddress,
    DataDirectories,
    Omit<OptionValues, keyof RunOptions | keyof SessionAddress | 'ignoreFrom' | 'sessionStatus'> {
  /** The mount point. */
  readonly directory: string
}

/** The same of a mount of all sessions of an agent. */
export interface AgentMountOptions extends Omit<MountOptions, 'session' | 'subdirectory'> {
  readonly session?: undefined
  readonly subdirectory?: undefined
  /** Only those in this status are shown; default: all. */
  readonly sessionStatus?: string | undefined
}

/** How the command line itself runs. */
export type RunOptions = Pick<OptionValues, 'foreground' | 'logLevel' | 'logFile' | 'traceFile'>
