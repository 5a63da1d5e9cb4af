/**
 * How an empty directory comes to be where the service has no call that makes one: something is put into it and
 * taken away again. Layer: client.
 *
 * Invariant: one name for all who do it, so that what one leaves behind another knows.
 */
import { nameOf } from '../remote-path.ts'

export const markerName = '.mount-session-marker'

export function isMarker(path: string): boolean {
  return nameOf(path) === markerName
}
