/**
 * What the command line and a running mount say to each other. Layer: beside the composition root, which
 * answers; the command line asks.
 *
 * One request a connection, one line of JSON each way and as many lines of progress as there are:
 *   → {"method":"unmount","force":false}
 *   ← {"event":"progress","progress":{…}}   …   ← {"event":"result","result":…} or {"event":"error",…}
 * Closing the connection takes the request back.
 */

/** How far a sync or an unmount has come. */
export interface Progress {
  /** Paths that the service has not confirmed. */
  readonly paths: number
  /** Bytes of upload among them. */
  readonly bytes: number
  /** Why nothing moves, when nothing does: the session does not accept calls, the link is down. */
  readonly waitingFor?: string | undefined
}

/** A change that the service has not confirmed. */
export interface Leftover {
  /** Relative to the mount point. */
  readonly path: string
  /** - `waiting` for its turn, `uploading`, `suspect` sent with an unknown end and being verified,
   *  - `parked` refused by the service until somebody acts */
  readonly state: 'waiting' | 'uploading' | 'suspect' | 'parked'
  /** What the service is to have there. */
  readonly wanted: 'file' | 'directory' | 'nothing'
  readonly bytes: number
  /** Milliseconds since it changed. */
  readonly ageMs: number
  readonly error?: string | undefined
}

/** One session of a mount of all sessions of an agent. */
export interface SessionReport {
  readonly session: string
  /**
   * - `open`: its changes travel, its files are cached; `resting`: it is opened again when a program goes in
   * - `refused`: it cannot be opened, for `reason`
   */
  readonly state: 'opening' | 'open' | 'resting' | 'refused'
  readonly reason?: string | undefined
  /** Whether it accepts calls, where it is open. */
  readonly service?: StatusReport['service'] | undefined
  /** How many paths the service has not confirmed. */
  readonly paths: number
}

export interface StatusReport {
  readonly version: string
  readonly pid: number
  readonly endpoint: string
  /** The proxy on the way to it, without credentials. */
  readonly proxy?: string | undefined
  readonly agent: string
  /** undefined: all sessions of the agent are mounted, and what follows is about those that are open, together. */
  readonly session?: string | undefined
  /** The part of the session that is mounted; undefined: all of it. */
  readonly subdirectory?: string | undefined
  /** Of a mount of all sessions: those that programs have gone into. */
  readonly sessions?: readonly SessionReport[] | undefined
  readonly directory: string
  readonly readOnly: boolean
  /** When the mount began, ISO 8601. */
  readonly mountedAt: string
  /** Each time that the daemon was started again under the mount, and why; ISO 8601. The newest are last. */
  readonly restarts: readonly { readonly at: string; readonly why: string }[]
  /** Whether the session accepts calls; if not why, and for how long it has not. */
  readonly service:
    | { readonly state: 'ready' }
    | { readonly state: 'paused'; readonly reason: string; readonly sinceMs: number }
  /** The service does not answer, and has not for so long: names are shown as they were listed before. */
  readonly silent?: { readonly sinceMs: number } | undefined
  /** Everything that the service has not confirmed; paths from the mount point. */
  readonly paths: readonly Leftover[]
  /** What is neither uploaded nor shown, and stays here until `mount-session recover` exports or discards it. */
  readonly setAside: readonly { readonly path: string; readonly reason: string }[]
  /** Number of calls by verb, then by HTTP status or error code. */
  readonly calls: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** Milliseconds of the calls of a verb. */
  readonly latencies: Readonly<
    Record<string, { readonly median: number; readonly p95: number; readonly max: number }>
  >
  readonly bytes: { readonly uploaded: number; readonly downloaded: number }
  /** Of `.logs`: whether its stream is connected, for how many who have it open, and what it has brought. */
  readonly console: {
    readonly mode: 'open' | 'always' | 'off'
    readonly state: 'idle' | 'connecting' | 'open' | 'backingOff' | 'stopped'
    readonly openHandles: number
    readonly connections: number
    /** Recorded by this process. */
    readonly lines: number
    /** Why the last connection ended. */
    readonly lastEnd?: string | undefined
  }
  readonly cache: {
    readonly listingHits: number
    readonly listingMisses: number
    readonly contentHits: number
    readonly contentMisses: number
    readonly bytes: number
  }
}

/** What can be asked of a running mount, and what each answers. */
export interface ControlHandlers {
  /** Answers at once, whatever reads and uploads do. */
  status(): StatusReport
  /** As `sync(1)` of a path relative to the mount point, '' for all: rejects while anything below is unconfirmed. */
  sync(path: string, signal: AbortSignal, onProgress: (progress: Progress) => void): Promise<void>
  /**
   * Uploads what is waiting, then unmounts and ends. Resolves with what is left: nothing, or, when it could
   * not be uploaded, what keeps it mounted. `force`: does not wait, detaches even a busy mount; what is left
   * stays on this machine for the next mount.
   */
  unmount(
    force: boolean,
    signal: AbortSignal,
    onProgress: (progress: Progress) => void,
  ): Promise<readonly Leftover[]>
  /** Tries everything that waits or is parked again now. Answers how many paths. */
  retry(): number | Promise<number>
  /** Gives up the unconfirmed changes at and below a path: the service's content shows again. Answers how many. */
  discard(path: string): number | Promise<number>
  /**
   * Answers what is in hand, then lets the daemon of another program go on with the mount. Resolves with its process
   * number once it has said that it can; the old one ends right after. Rejects, and stays, when it cannot.
   */
  restart(command: readonly string[]): Promise<number>
}

export type ControlRequest =
  | { readonly method: 'status' }
  | { readonly method: 'sync'; readonly path: string }
  | { readonly method: 'unmount'; readonly force: boolean }
  | { readonly method: 'retry' }
  | { readonly method: 'discard'; readonly path: string }
  /* what runs this program, up to its arguments */
  | { readonly method: 'restart'; readonly command: readonly string[] }

export interface ControlResults {
  readonly status: StatusReport
  readonly sync: null
  readonly unmount: readonly Leftover[]
  readonly retry: number
  readonly discard: number
  readonly restart: number
}

export type ControlEvent =
  | { readonly event: 'progress'; readonly progress: Progress }
  | { readonly event: 'result'; readonly result: ControlResults[keyof ControlResults] }
  | { readonly event: 'error'; readonly code: string; readonly message: string }

/** Longest line of a request, in bytes: a path of 4096 bytes written as JSON fits. */
export const maxRequestBytes = 64 * 1024

/**
 * - `held` another process has this session: see `holder`
 * - `notRunning` nothing answers: the daemon ended, `silent` it is there and does not answer
 * - `refused` the request failed: `reason` is the code of what failed (`busy`, `timedOut`, …)
 */
export type ControlErrorCode = 'held' | 'notRunning' | 'silent' | 'refused'

/** Who has a session. `directory` is undefined for a process that has it without mounting it. */
export interface SessionHolder {
  readonly pid: number
  readonly directory: string | undefined
}

export class ControlError extends Error {
  override readonly name = 'ControlError'
  readonly code: ControlErrorCode
  readonly reason: string | undefined
  readonly holder: SessionHolder | undefined

  constructor(
    code: ControlErrorCode,
    message: string,
    details: {
      readonly reason?: string
      readonly holder?: SessionHolder | undefined
      readonly cause?: unknown
    } = {},
  ) {
    super(message, { cause: details.cause })
    this.code = code
    this.reason = details.reason
    this.holder = details.holder
  }
}
