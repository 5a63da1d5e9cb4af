/**
 * What an emulator can be asked to be. Layer: emulator (stands beside the client, used by the command line
 * and by tests).
 *
 * Invariant: with no option given it behaves as the service was recorded to behave; everything awkward is asked for.
 */

import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'

export interface EmulatedLogStream {
  /** The server ends a stream after this long. Default 30 minutes. */
  readonly maxConnectionMs?: number | undefined
  /** ... or after this long without a console line. Default 2 minutes. */
  readonly idleMs?: number | undefined
  /** Silence after which a status frame says that there was none. Default 60 seconds. */
  readonly keepaliveMs?: number | undefined
  /** Recent lines sent again to every new connection that names no `tail`. Default 50. */
  readonly replayLines?: number | undefined
  /** Writes frames in small pieces that break anywhere, inside characters too. Default false. */
  readonly splitFrames?: boolean | undefined
}

export interface SeedSession {
  readonly agent: string
  readonly session: string
}

export interface EmulatorOptions {
  /** Address to listen on. Default 127.0.0.1. */
  readonly host?: string | undefined
  /** 0, the default, takes a free port. */
  readonly port?: number | undefined
  /** Directory that holds agents, sessions, files and the certificate; made when missing. */
  readonly data: string
  /** The bearer token to accept. Default: a random one. */
  readonly token?: string | undefined
  /** Sessions, and their agents, to create where they do not exist. */
  readonly seed?: readonly SeedSession[] | undefined
  /** Fills each newly seeded session with a small agent workspace. Default false: an empty home. */
  readonly seedFiles?: boolean | undefined
  /** Added before every request is looked at. Default 0. */
  readonly latencyMs?: number | undefined
  /** No page is longer than this, whatever the `limit`. Default 100, the service's maximum. */
  readonly pageSize?: number | undefined
  /** Serves https with a generated certificate. Default false. */
  readonly tls?: boolean | undefined
  /** Uploads above are refused with 413. Default that of `--max-file-size`. */
  readonly maxFileBytes?: number | undefined
  /** `modified_time` in listings: always 0 (default) or real Unix seconds. */
  readonly modifiedTime?: 'zero' | 'real' | undefined
  /** Whether the undocumented `files/mkdir` and `files/stat` exist. Default false. */
  readonly extras?: boolean | undefined
  /** Order of listings. Default by name; shuffled is stable but follows no rule a client could know. */
  readonly listOrder?: 'name' | 'shuffled' | undefined
  /** What `last_id` of a listing holds: the entry's name (default) or something opaque. */
  readonly cursor?: 'name' | 'opaque' | undefined
  /** Downloads above fail. Default: no cap. */
  readonly downloadCapBytes?: number | undefined
  /** How they fail: 500 (default), or a complete-looking answer of only the first bytes. */
  readonly downloadCapMode?: 'error' | 'truncate' | undefined
  /** More requests than this in a second get 429 with `Retry-After`. Default: no limit. */
  readonly requestsPerSecond?: number | undefined
  /** A session without a file call for this long goes idle. Default: never. */
  readonly idleAfterMs?: number | undefined
  /** How long an idle or stopped session answers file calls with 424 after the first of them. Default 0. */
  readonly wakeMs?: number | undefined
  readonly logStream?: EmulatedLogStream | undefined
  /** Appends a console line to every seeded session this often. Default: never. */
  readonly heartbeatMs?: number | undefined
  readonly logger?: Logger | undefined
  readonly clock?: Clock | undefined
}
