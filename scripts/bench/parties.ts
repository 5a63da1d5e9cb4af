/**
 * All that take part in the comparison, in the order of the tables. Layer: benchmark.
 *
 * Invariant: all of them go over the same kind of link, and over TLS unless it is told otherwise (sshfs
 * encrypts by itself).
 */
import { existsSync } from 'node:fs'
import { mountSession } from './mount-session.ts'
import type { Party } from './party.ts'
import { findNewestRclone, rclone } from './rclone.ts'
import { sshfs } from './sshfs.ts'

export interface PartyOptions {
  readonly tls: boolean
  /** Path of a newer rclone than the system's. */
  readonly rclone: string | undefined
}

const systemRclone = '/usr/bin/rclone'

export const oursName = 'mount-session'
export const newestRcloneName = 'rclone-newest'

export function allParties({ tls, rclone: given }: PartyOptions): Party[] {
  /* the system's, whatever else comes before it in the PATH */
  const program = existsSync(systemRclone) ? systemRclone : 'rclone'
  const asItComes = 'mount as it comes, over its serve webdav'
  const many = ['--transfers', '16', '--checkers', '16']
  const newest = findNewestRclone(given)
  return [
    mountSession({ modifiedTime: 'zero', tls }),
    mountSession({ modifiedTime: 'real', tls }),
    rclone({ name: 'rclone', what: asItComes, program, tls }),
    rclone({ name: 'rclone-tuned', what: `the same with ${many.join(' ')}`, program, tls, flags: many }),
    rclone({ name: newestRcloneName, what: asItComes, program: newest, tls }),
    sshfs,
  ]
}
