/**
 * What the sessions of one process have in common: the client with its connections, what is counted of its calls,
 * the descriptors and the room of the cache. Layer: session.
 *
 * Invariant: whoever makes them closes them, after the last session that stands on them. One client has one identity
 * and one endpoint, whatever the session.
 */
import type { CacheRoom } from '../cache/cache-room.ts'
import type { OpenFiles } from '../cache/open-files.ts'
import type { Credential } from '../client/credential.ts'
import type { SessionClient } from '../client/session-client.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { DataDirectories, ServiceOptions } from '../options/mount-options.ts'
import type { OptionValues } from '../options/table.ts'
import { CallStatistics } from './call-statistics.ts'
import { newClient } from './connect.ts'
import { descriptorBudget, withinBudget, type DescriptorBudget } from './descriptor-budget.ts'
import { RememberedLevels } from './remembered-levels.ts'

/** What the caches of the sessions share. */
export interface SharedCaches {
  readonly openFiles: OpenFiles
  readonly room: CacheRoom
}

export interface SharedParts {
  readonly client: SessionClient
  /** Of all calls of the client. */
  readonly statistics: CallStatistics
  readonly budget: DescriptorBudget
  /** Made, and what they need loaded, when they are first asked for: best while a first request is under way. */
  caches(): Promise<SharedCaches>
  /** Remembers how many calls at once the service bore, and ends the connections. */
  close(): Promise<void>
}

export type SharedOptions = ServiceOptions & DataDirectories & Pick<OptionValues, 'cacheBytes'>

/** Throws `ServiceError` where the options are no good: see `asSessionError`. */
export function newSharedParts(
  options: SharedOptions,
  {
    clock,
    logger,
    sessions,
    credential,
  }: {
    readonly clock: Clock
    readonly logger: Logger
    /** So many are open at once, at most; default 1. */
    readonly sessions?: number
    /** As `newClient` takes it. */
    readonly credential?: Credential | undefined
  },
): SharedParts {
  const budget = descriptorBudget(undefined, sessions)
  const statistics = new CallStatistics()
  const levels = new RememberedLevels(options.cacheRoot, options.endpoint, logger)
  const client = newClient(withinBudget(options, budget), {
    clock,
    logger,
    levels: levels.get(),
    credential,
    onCall: statistics.record,
  })
  let caches: Promise<SharedCaches> | undefined
  return {
    client,
    statistics,
    budget,
    caches: () => (caches ??= newCaches(options.cacheBytes, budget)),
    async close() {
      levels.set(client.levels)
      await client.close()
    },
  }
}

async function newCaches(cacheBytes: number, { openFiles }: DescriptorBudget): Promise<SharedCaches> {
  const [{ OpenFiles }, { CacheRoom }] = await Promise.all([
    import('../cache/open-files.ts'),
    import('../cache/cache-room.ts'),
  ])
  return { openFiles: new OpenFiles(openFiles), room: new CacheRoom(cacheBytes) }
}
