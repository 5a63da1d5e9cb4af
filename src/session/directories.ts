/**
 * Where a session's data lies on this machine, and that of a mount of all sessions of an agent. Layer: session.
 *
 * Invariant: two addresses share a directory only when they are the same session, or agent, seen by the same identity.
 */
import { createHash } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AgentAddress, DataDirectories, SessionAddress } from '../options/mount-options.ts'
import { makeOwnDirectory } from './own-directory.ts'

/** In the state directory of a session: whose it is. */
export const addressFile = 'session.json'
/** The same of a mount of all sessions of an agent. */
export const agentFile = 'agent.json'

export interface SessionDirectories {
  /** Journal, spool, lock, control socket, log: must survive. */
  readonly state: string
  /** Downloaded content and the console: may be deleted whenever the session is not mounted. */
  readonly cache: string
}

/** The directories of a session; neither need exist yet. */
export function sessionDirectories(address: SessionAddress, roots: DataDirectories): SessionDirectories {
  return directoriesIn('sessions', sessionKey(address), roots)
}

/**
 * The same, made where they are missing, for their owner alone; the state says whose it is. Throws `SessionError`
 * `unusableDirectory`.
 */
export function makeSessionDirectories(address: SessionAddress, roots: DataDirectories): SessionDirectories {
  const { endpoint, agent, session, isolationKey, userIdentity } = address
  const whose = { endpoint, agent, session, isolationKey, userIdentity }
  return make(sessionDirectories(address, roots), roots, addressFile, whose)
}

/**
 * The directories of a mount of all sessions of an agent: what is its own (lock, control socket, log). Each session
 * has its changes where they are when it is mounted by itself. Neither need exist yet.
 */
export function agentDirectories(address: AgentAddress, roots: DataDirectories): SessionDirectories {
  return directoriesIn('agents', agentKey(address), roots)
}

/** The same, as `makeSessionDirectories`. */
export function makeAgentDirectories(address: AgentAddress, roots: DataDirectories): SessionDirectories {
  const { endpoint, agent, isolationKey, userIdentity } = address
  const whose = { endpoint, agent, isolationKey, userIdentity }
  return make(agentDirectories(address, roots), roots, agentFile, whose)
}

function directoriesIn(kind: string, key: string, roots: DataDirectories): SessionDirectories {
  return { state: join(roots.stateRoot, kind, key), cache: join(roots.cacheRoot, kind, key) }
}

function make(
  directories: SessionDirectories,
  roots: DataDirectories,
  name: string,
  whose: object,
): SessionDirectories {
  for (const directory of [roots.stateRoot, directories.state]) makeOwnDirectory(directory, 'XDG_STATE_HOME')
  for (const directory of [roots.cacheRoot, directories.cache]) makeOwnDirectory(directory, 'XDG_CACHE_HOME')
  const file = join(directories.state, name)
  const text = JSON.stringify(whose)
  // on a full disk nothing could be written, and what is there is right already
  if (readText(file) === text) return directories
  writeFileSync(`${file}.new`, text, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return directories
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    /* it is new, or damaged */
    return undefined
  }
}

/** A name for (endpoint, agent, session, identity), safe as the name of a file. */
export function sessionKey(address: SessionAddress): string {
  const { endpoint, agent, session, isolationKey = null, userIdentity = null } = address
  return keyOf([plainUrl(endpoint), agent, session, isolationKey, userIdentity])
}

/** The same of (endpoint, agent, identity). */
export function agentKey(address: AgentAddress): string {
  const { endpoint, agent, isolationKey = null, userIdentity = null } = address
  return keyOf([plainUrl(endpoint), agent, isolationKey, userIdentity])
}

function plainUrl(endpoint: string): string {
  return new URL(endpoint).href.replace(/\/+$/, '')
}

function keyOf(identity: readonly (string | null)[]): string {
  return createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 24)
}
