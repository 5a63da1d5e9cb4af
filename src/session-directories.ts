/**
 * Where a session's data lies on this machine. Layer: below the composition root; the command line asks
 * only for the default place of the log.
 *
 * Invariant: two addresses share a directory only when they are the same session seen by the same identity.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { DataDirectories, SessionAddress } from './options.ts'

export interface SessionDirectories {
  /** Journal, spool, lock, control socket, log: must survive. */
  readonly state: string
  /** Downloaded content and the console: may be deleted whenever the session is not mounted. */
  readonly cache: string
}

/** The directories of a session; neither need exist yet. */
export function sessionDirectories(address: SessionAddress, roots: DataDirectories): SessionDirectories {
  const key = sessionKey(address)
  return { state: join(roots.stateRoot, 'sessions', key), cache: join(roots.cacheRoot, 'sessions', key) }
}

/** A name for (endpoint, agent, session, identity), safe as the name of a file. */
export function sessionKey(address: SessionAddress): string {
  const identity = [
    new URL(address.endpoint).href.replace(/\/+$/, ''),
    address.agent,
    address.session,
    address.isolationKey ?? null,
    address.userIdentity ?? null,
  ]
  return createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 24)
}
