/**
 * Everything of a session that does not need a mount: the client, the caches and the write-back, under the
 * session's lock. Layer: composition; `mount.ts` and `recover.ts` stand on it.
 *
 * Invariant: a journal is taken up only by the session it was written for: one that was made again under the
 * same name gets a new one, and the old is set aside.
 */
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { ContentCache } from '../cache/content-cache.ts'
import type { Listing } from '../cache/listings.ts'
import { MetadataCache } from '../cache/metadata-cache.ts'
import { Prefetch } from '../prefetch/prefetch.ts'
import { CallStatistics } from './call-statistics.ts'
import { ServiceError } from '../client/errors.ts'
import { SessionClient } from '../client/session-client.ts'
import type { SessionFiles } from '../client/session-files.ts'
import type { Session } from '../client/wire.ts'
import { sessionFiles } from '../client/remote-files.ts'
import { systemClock, type Clock } from '../clock.ts'
import { ControlError } from '../control/protocol.ts'
import { acquireSessionLock, type SessionLock } from './session-lock.ts'
import type { Logger } from '../log.ts'
import { SessionError, type SessionErrorCode } from './session-error.ts'
import type { DataDirectories, OptionValues, SessionAddress } from '../options/table.ts'
import type { ServiceOption } from '../session-recovery.ts'
import { makeSessionDirectories, type SessionDirectories } from './directories.ts'
import { Journal } from '../write-back/disk/journal.ts'
import type { LocalEntry } from '../write-back/local-changes.ts'
import { noFailpoint, withFailpoints, type Failpoint } from '../write-back/disk/failpoints.ts'
import { releaseReserve } from '../write-back/disk/reserve.ts'
import { WriteBack } from '../write-back/write-back.ts'

type CacheOption = 'ttlMs' | 'ownTtlMs' | 'contentTtlMs' | 'immutable' | 'cacheBytes' | 'dirtyExpireMs'

export interface OpenSessionOptions
  extends
    SessionAddress,
    DataDirectories,
    Pick<OptionValues, ServiceOption>,
    Partial<Pick<OptionValues, CacheOption>> {
  /** The mount point, for whoever finds the session taken. */
  readonly directory?: string | undefined
}

export interface OpenSession {
  readonly clock: Clock
  readonly client: SessionClient
  readonly files: SessionFiles
  readonly listings: MetadataCache
  readonly contents: ContentCache
  readonly changes: WriteBack
  readonly walks: Prefetch
  readonly statistics: CallStatistics
  readonly directories: SessionDirectories
  /** When the service made the session, Unix milliseconds. */
  readonly createdAtMs: number
  /** The version of the agent that the session runs, where the service says. */
  readonly agentVersion: string | undefined
  /** Hands listings and changed contents to a filesystem instead of the write-back alone. */
  attach(observer: { observe(listing: Listing): void; contentChanged(path: string): void }): void
  close(): Promise<void>
}

/** Names that the cached listings hold together; some 25 MB. */
const maxCachedNames = 250_000
const bootIdFile = '/proc/sys/kernel/random/boot_id'

/** Checks that the session is there, takes its lock and opens its journal. Rejects with `SessionError`. */
export async function openSession(
  options: OpenSessionOptions,
  {
    logger,
    signal,
    failpoint,
  }: { logger: Logger; signal?: AbortSignal | undefined; failpoint?: Failpoint | undefined },
): Promise<OpenSession> {
  const clock = systemClock
  const statistics = new CallStatistics()
  const directories = makeSessionDirectories(options, options)
  const lock = takeLock(directories.state, options.directory)
  const closers: (() => Promise<void> | void)[] = [() => lock.release()]
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    const client = newClient(options, { clock, logger, statistics })
    closers.push(() => client.close())
    const { createdAtMs, agentVersion } = await checkSession(client, options, signal)
    const journalDirectory = join(directories.state, 'journal')
    releaseReserve(journalDirectory)
    const remote = sessionFiles(client, options.agent, options.session)
    const files = failpoint ? withFailpoints(remote, failpoint) : remote
    let observer: Parameters<OpenSession['attach']>[0] = {
      observe: (listing) => changes.observe(listing),
      contentChanged: () => undefined,
    }
    const ttlMs = options.ttlMs ?? 2000
    const listings = new MetadataCache({
      files,
      clock,
      ttlMs,
      maxEntries: maxCachedNames,
      onListing: (listing) => observer.observe(listing),
      logger,
    })
    const contents = new ContentCache({
      files,
      listings,
      clock,
      logger,
      directory: join(directories.cache, 'contents'),
      ttlMs,
      ...defined({
        ownTtlMs: options.ownTtlMs,
        contentTtlMs: options.contentTtlMs,
        immutable: options.immutable,
        maxBytes: options.cacheBytes,
      }),
      onChanged: (path) => observer.contentChanged(path),
    })
    const letGo = guardAgainstNamesake(journalDirectory, createdAtMs, { clock, logger, failpoint })
    const changes = await WriteBack.open({
      directory: journalDirectory,
      boot: readFileSync(bootIdFile, 'utf8').trim(),
      files,
      listings,
      contents,
      clock,
      logger,
      uploads: options.uploads,
      timeoutMs: options.timeoutMs,
      maxFileBytes: options.maxFileBytes,
      localNames: options.localNames,
      conflict: options.conflict,
      checkSession: (given) => checkSameSession(client, options, createdAtMs, given),
      ...defined({ dirtyExpireMs: options.dirtyExpireMs, failpoint }),
    }).finally(letGo)
    closers.push(() => changes.close())
    const walks = new Prefetch({
      listings,
      contents,
      clock,
      ttlMs,
      isLocal: (path) => isOursAlone(changes.get(path)),
    })
    closers.push(() => walks.stop())
    return {
      clock,
      client,
      files,
      listings,
      contents,
      changes,
      walks,
      statistics,
      directories,
      createdAtMs,
      agentVersion,
      attach: (given) => {
        observer = given
      },
      close,
    }
  } catch (error) {
    await close()
    throw asSessionError(error, options)
  }
}

/** Whether the service has nothing to tell of a path. */
function isOursAlone(entry: LocalEntry | undefined): boolean {
  return entry !== undefined && !(entry.kind === 'directory' && entry.remote)
}

/** Takes the lock of a session's state. Throws `SessionError` `held`. */
export function takeLock(stateDirectory: string, directory: string | undefined): SessionLock {
  try {
    return acquireSessionLock(stateDirectory, { pid: process.pid, directory })
  } catch (error) {
    if (!(error instanceof ControlError)) throw error
    throw new SessionError('held', error.message, { cause: error })
  }
}

function newClient(
  options: OpenSessionOptions,
  { clock, logger, statistics }: { clock: Clock; logger: Logger; statistics: CallStatistics },
): SessionClient {
  const { endpoint, token, isolationKey, userIdentity, downloads, uploads, maxFileBytes, caFile } = options
  return new SessionClient({
    endpoint,
    credential: token === undefined ? undefined : { token },
    isolationKey,
    userIdentity,
    limits: { reads: downloads, writes: uploads },
    maxFileBytes,
    ca: caFile === undefined ? undefined : readFileSync(caFile, 'utf8'),
    onCall: statistics.record,
    clock,
    logger,
  })
}

/** When the session was made, Unix milliseconds, and with which version of the agent. */
async function checkSession(
  client: SessionClient,
  { agent, session }: SessionAddress,
  signal: AbortSignal | undefined,
): Promise<{ readonly createdAtMs: number; readonly agentVersion: string | undefined }> {
  const {
    status,
    created_at: createdAt,
    version_indicator: version,
  } = await firstAnswer(client, agent, session, signal)
  if (status === 'expired' || status === 'deleted' || status === 'deleting' || status === 'failed') {
    throw new SessionError(
      'expired',
      `${agent}/${session}: the service says this session is ${status}: make a new one, what was not uploaded is kept (\`mount-session recover --export DIR ${agent}/${session}\`)`,
    )
  }
  return { createdAtMs: (createdAt ?? 0) * 1000, agentVersion: version?.agent_version }
}

/** A mount outlives its session: one that was made again under its name must not get what was meant for it. */
async function checkSameSession(
  client: SessionClient,
  { agent, session }: SessionAddress,
  createdAtMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { created_at: createdAt } = await client.getSession(agent, session, { signal, retry: false })
  if ((createdAt ?? 0) * 1000 === createdAtMs) return
  throw new ServiceError(
    'session_not_found',
    `${agent}/${session} was deleted and made again under its name: what was not uploaded is kept, \`mount-session unmount --force\` and mount it again, then \`mount-session recover --export DIR\` takes it out`,
  )
}

/** A service that cannot be reached is told at once: mostly the endpoint is misspelt. One that is busy or waking is waited for. */
async function firstAnswer(
  client: SessionClient,
  agent: string,
  session: string,
  signal: AbortSignal | undefined,
): Promise<Session> {
  try {
    return await client.getSession(agent, session, { signal, retry: false })
  } catch (error) {
    const isWorthWaiting = error instanceof ServiceError && error.retryable && error.status !== undefined
    if (!isWorthWaiting) throw error
    return client.getSession(agent, session, { signal })
  }
}

/**
 * A session that was deleted and made again under its name must not get what was meant for the old one. Call
 * the answer when the journal is open: SQLite writes the whole database to the disk when its last user closes it.
 */
function guardAgainstNamesake(
  directory: string,
  createdAtMs: number,
  {
    clock,
    logger,
    failpoint = noFailpoint,
  }: { clock: Clock; logger: Logger; failpoint: Failpoint | undefined },
): () => void {
  const created = String(createdAtMs)
  const file = join(directory, 'journal.db')
  if (existsSync(file)) {
    const journal = new Journal({ file, boot: '', failpoint })
    const known = journal.meta('sessionCreatedAt')
    if (known === created) return () => journal.close()
    journal.close()
    if (known !== undefined) {
      const aside = `${directory}.set-aside-${new Date(clock.wallMs()).toISOString().replace(/[-:]|\..*/g, '')}`
      renameSync(directory, aside)
      logger.error(
        { directory: aside },
        'the session was made again under the same name: its old changes are set aside',
      )
    }
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const journal = new Journal({ file, boot: '', failpoint })
  journal.setMeta('sessionCreatedAt', created)
  return () => journal.close()
}

function asSessionError(error: unknown, { endpoint, agent, session }: OpenSessionOptions): unknown {
  if (!(error instanceof ServiceError)) return error
  const what = `${agent}/${session}`
  const raise = (code: SessionErrorCode, message: string): SessionError =>
    new SessionError(code, message, { cause: error })
  switch (error.code) {
    case 'unauthorized':
    case 'credential':
      return raise(
        'unauthorized',
        `${what}: not signed in for this project: \`az login\`, or a valid MOUNT_SESSION_TOKEN (${error.message})`,
      )
    case 'forbidden':
      return raise(
        'forbidden',
        `${what}: belongs to another identity, or your role may not use it: see --isolation-key and --user-identity (${error.message})`,
      )
    case 'session_not_found':
    case 'not_found':
      return raise(
        'unknownSession',
        `${what}: no such agent or session at ${endpoint} (it may have been deleted)`,
      )
    case 'insecure_endpoint':
      return raise('insecureEndpoint', error.message)
    case 'bad_request':
      return raise('badOptions', error.message)
    default:
      return raise('unreachable', `${endpoint}: ${error.message}`)
  }
}

/** Only what has a value: for options whose absence means their default. */
function defined<T extends object>(values: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>
  }
}
