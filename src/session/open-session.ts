/**
 * Everything of a session that does not need a mount: the client, the caches and the write-back, under the
 * session's lock. Layer: session; the mount and `recover` stand on it.
 *
 * Invariant: whoever has it open has the session's lock, and no part of its own outlives `close`.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sessionFiles } from '../client/remote-files.ts'
import type { Credential } from '../client/credential.ts'
import type { SessionClient } from '../client/session-client.ts'
import type { Silence } from '../cache/silence.ts'
import { systemClock, type Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { OpenSessionOptions } from '../options/mount-options.ts'
import type { PrefetchPart } from '../prefetch/parts.ts'
import { withFailpoints, type Failpoint } from '../write-back/disk/failpoints.ts'
import { releaseReserve } from '../write-back/disk/reserve.ts'
import type { Assembly } from './assemble.ts'
import type { CallStatistics } from './call-statistics.ts'
import { asSessionError, checkSameSession, checkSession } from './connect.ts'
import { withinBudget } from './descriptor-budget.ts'
import { makeSessionDirectories, type SessionDirectories } from './directories.ts'
import { openJournal } from './namesake.ts'
import { takeLock, type SessionLock } from './session-lock.ts'
import { newSharedParts, type SharedParts } from './shared-parts.ts'

/** What the service said of the session. */
export interface SessionFacts {
  /** When the service made it, Unix milliseconds. */
  readonly createdAtMs: number
  /** The version of the agent that it runs, where the service says. */
  readonly agentVersion?: string | undefined
}

export interface OpenSession extends Assembly {
  readonly clock: Clock
  readonly client: SessionClient
  readonly statistics: CallStatistics
  readonly lock: SessionLock
  readonly directories: SessionDirectories
  /** When the service made the session, Unix milliseconds. */
  readonly createdAtMs: number
  /** The version of the agent that the session runs, where the service says. */
  readonly agentVersion: string | undefined
}

const bootIdFile = '/proc/sys/kernel/random/boot_id'

/** Checks that the session is there, takes its lock and opens its journal. Rejects with `SessionError`. */
export async function openSession(
  given: OpenSessionOptions,
  {
    logger,
    signal,
    failpoint,
    leaveOut,
    continued,
    shared,
    widerSilence,
    credential,
    clock = systemClock,
  }: {
    logger: Logger
    signal?: AbortSignal | undefined
    failpoint?: Failpoint | undefined
    leaveOut?: ReadonlySet<PrefetchPart> | undefined
    /** A process before this one had it open for a mount that goes on: nothing is asked, nothing sent before `begin`. */
    continued?: SessionFacts | undefined
    /** What it has in common with other sessions, made by these options; default: its own, closed with it. */
    shared?: SharedParts | undefined
    /** Of a listing on the same link that tells whether the service answers at all; default: none. */
    widerSilence?: Silence | undefined
    /** As `newClient` takes it; with `shared` that has it. */
    credential?: Credential | undefined
    clock?: Clock
  },
): Promise<OpenSession> {
  const directories = makeSessionDirectories(given, given)
  const lock = takeLock(directories.state, given.directory)
  const closers: (() => Promise<void> | void)[] = [() => lock.release()]
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    const parts = shared ?? newSharedParts(given, { clock, logger, credential })
    if (shared === undefined) closers.push(() => parts.close())
    const { client, statistics, budget } = parts
    const options = withinBudget(given, budget)
    /* loaded while the first request is under way */
    const [{ createdAtMs, agentVersion }, { assemble }, caches] = await Promise.all([
      continued ?? checkSession(client, options, signal),
      import('./assemble.ts'),
      shared?.caches(),
    ])
    const journalDirectory = join(directories.state, 'journal')
    releaseReserve(journalDirectory)
    const files = sessionFiles(client, options.agent, options.session)
    const boot = readFileSync(bootIdFile, 'utf8').trim()
    const journal = openJournal(journalDirectory, createdAtMs, { boot, clock, logger, failpoint })
    const assembly = await assemble({
      ...options,
      ...caches,
      widerSilence,
      files: failpoint ? withFailpoints(files, failpoint) : files,
      clock,
      logger,
      journalDirectory,
      contentDirectory: join(directories.cache, 'contents'),
      maxOpenFiles: budget.openFiles,
      boot,
      journal,
      checkSession: (whileWanted) => checkSameSession(client, options, createdAtMs, whileWanted),
      failpoint,
      leaveOut,
      continued: continued !== undefined,
    }).catch((error: unknown) => {
      journal.close()
      throw error
    })
    closers.push(() => assembly.close())
    return { ...assembly, clock, client, statistics, lock, directories, createdAtMs, agentVersion, close }
  } catch (error) {
    await close()
    throw asSessionError(error, given)
  }
}
