/**
 * The list of what the service has not confirmed. Layer: cli.
 *
 * Invariant: every path is named, one a line, with why it is still here.
 */
import type { Leftover } from '../control/protocol.ts'
import { showBytes, showDuration } from './amounts.ts'

/** One line for a path: `  notes.txt  12 KiB  parked for 3 min: 409 …`. */
export function describeLeftover(left: Leftover): string {
  const what =
    left.wanted === 'file'
      ? showBytes(left.bytes)
      : left.wanted === 'directory'
        ? 'directory'
        : 'to be deleted'
  const why = left.error === undefined ? '' : `: ${left.error.replaceAll('\n', ' ')}`
  return `  ${printable(left.path)}  ${what}  ${left.state} for ${showDuration(left.ageMs)}${why}`
}

/* names may hold newlines and escape sequences */
function printable(path: string): string {
  return /[\p{Cc}]/u.test(path) ? JSON.stringify(path) : path
}
