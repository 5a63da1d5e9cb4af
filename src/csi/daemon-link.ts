/**
 * What the driver and the daemon of a volume say to each other, over the connection on which one of them got the
 * descriptor. Layer: csi.
 *
 * Invariant: while it stands both live; its end is the end of one of them.
 */
import type { SessionErrorCode } from '../session/session-error.ts'

/** Once, with the descriptor. */
export interface DriverSays {
  /** Why the daemon before this one ended; undefined: this is the first of the mount. */
  readonly why?: string | undefined
}

export type DaemonSays =
  /** It answers the kernel. */
  | { readonly event: 'ready' }
  /** It cannot, and ends. */
  | { readonly event: 'failed'; readonly code?: SessionErrorCode | undefined; readonly message: string }
