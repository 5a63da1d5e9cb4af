/**
 * What a mount of all sessions of an agent has in common: the client, the list of the sessions, the lock. Layer:
 * session; each session is opened over it by `open-session.ts`.
 *
 * Invariant: whoever has it open has the agent's lock: one process mounts an agent as seen by one identity.
 */
import type { Credential } from '../client/credential.ts'
import { MetadataCache } from '../cache/metadata-cache.ts'
import { systemClock, type Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { AgentMountOptions } from '../options/mount-options.ts'
import { agentSessions } from './agent-sessions.ts'
import { asSessionError, firstAnswer } from './connect.ts'
import { sessionsWithin } from './descriptor-budget.ts'
import { makeAgentDirectories, type SessionDirectories } from './directories.ts'
import { takeLock, type SessionLock } from './session-lock.ts'
import { newSharedParts, type SharedParts } from './shared-parts.ts'

export interface OpenAgent {
  readonly clock: Clock
  readonly directories: SessionDirectories
  readonly lock: SessionLock
  readonly shared: SharedParts
  /** So many sessions may be open together, where somebody does not hold more. */
  readonly mostOpen: number
  /** Its one directory, '', has the sessions. */
  readonly listings: MetadataCache
  /** Any number of times, after the sessions. */
  close(): Promise<void>
}

/** Far more than any agent has. */
const maxSessions = 250_000

/** Checks that the agent is there, unless a mount of it `isContinued`. Rejects with `SessionError`. */
export async function openAgent(
  options: AgentMountOptions,
  {
    logger,
    signal,
    isContinued,
    credential,
    clock = systemClock,
  }: {
    readonly logger: Logger
    readonly signal?: AbortSignal | undefined
    readonly isContinued: boolean
    /** As `newClient` takes it. */
    readonly credential?: Credential | undefined
    readonly clock?: Clock
  },
): Promise<OpenAgent> {
  const { agent, ttlMs, sessionStatus } = options
  const directories = makeAgentDirectories(options, options)
  const lock = takeLock(directories.state, options.directory)
  const mostOpen = sessionsWithin()
  const shared = newSharedParts(options, { clock, logger, sessions: mostOpen, credential })
  const close = async (): Promise<void> => {
    await shared.close()
    lock.release()
  }
  try {
    const files = agentSessions(shared.client, agent, sessionStatus)
    const listings = new MetadataCache({ files, clock, logger, ttlMs, maxEntries: maxSessions })
    if (!isContinued) await firstAnswer(({ retry }) => listings.list('', { signal, retry }))
    return { clock, directories, lock, shared, mostOpen, listings, close }
  } catch (error) {
    await close()
    throw asSessionError(error, options)
  }
}
