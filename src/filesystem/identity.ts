/**
 * Whether two entries of listings are of the same content. Layer: filesystem.
 *
 * Invariant: says no more than the service does: where it lists no times, it goes by the size alone.
 */
import type { RemoteEntry } from '../client/session-files.ts'

/** Whether a newer listing shows what an older one did, as far as the service tells. */
export function isSameIdentity(a: RemoteEntry, b: RemoteEntry): boolean {
  return a.size === b.size && a.modifiedSeconds === b.modifiedSeconds && a.isDirectory === b.isDirectory
}
