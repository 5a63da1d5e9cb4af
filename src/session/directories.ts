/**
 * Where a session's data lies on this machine. Layer: below the composition root; the command line asks
 * only for the default place of the log.
 *
 * Invariant: two addresses share a directory only when they are the same session seen by the same identity.
 */
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import type { DataDirectories, SessionAddress } from '../options/mount-options.ts'
import { makeOwnDirectory } from './own-directory.ts'

const addressFile = 'session.json'

const addressSchema = v.object({
  endpoint: v.pipe(v.string(), v.url()),
  agent: v.string(),
  session: v.string(),
  isolationKey: v.optional(v.string()),
  userIdentity: v.optional(v.string()),
})

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

/**
 * The same, made where they are missing, for their owner alone; the state says whose it is. Throws `SessionError`
 * `unusableDirectory`.
 */
export function makeSessionDirectories(address: SessionAddress, roots: DataDirectories): SessionDirectories {
  const directories = sessionDirectories(address, roots)
  for (const directory of [roots.stateRoot, directories.state]) makeOwnDirectory(directory, 'XDG_STATE_HOME')
  for (const directory of [roots.cacheRoot, directories.cache]) makeOwnDirectory(directory, 'XDG_CACHE_HOME')
  const { endpoint, agent, session, isolationKey, userIdentity } = address
  const file = join(directories.state, addressFile)
  const text = JSON.stringify({ endpoint, agent, session, isolationKey, userIdentity })
  // on a full disk nothing could be written, and what is there is right already
  if (readText(file) === text) return directories
  writeFileSync(`${file}.new`, text, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return directories
}

/** Every session that this machine has state of, mounted or not. */
export function knownSessions(stateRoot: string): readonly SessionAddress[] {
  const sessions = join(stateRoot, 'sessions')
  return namesIn(sessions).flatMap((key) => {
    const address = readAddress(join(sessions, key, addressFile))
    return address === undefined ? [] : [address]
  })
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    /* nothing was ever mounted */
    return []
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    /* it is new, or damaged */
    return undefined
  }
}

function readAddress(file: string): SessionAddress | undefined {
  try {
    const { endpoint, agent, session, isolationKey, userIdentity } = v.parse(
      addressSchema,
      JSON.parse(readFileSync(file, 'utf8')),
    )
    return { endpoint, agent, session, isolationKey, userIdentity }
  } catch {
    /* a log was opened there and the mount then refused */
    return undefined
  }
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
