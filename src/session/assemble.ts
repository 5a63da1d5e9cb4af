/**
 * Puts the caches, the write-back and the prefetch of one session together, over whatever serves its files.
 * Layer: session; the program and the tests' rigs stand on it alike.
 *
 * Invariant: what is handed out is whole: nothing has to be wired to it later, who wants to hear of listings
 * and contents subscribes.
 */
import type { CacheRoom } from '../cache/cache-room.ts'
import { ContentCache } from '../cache/content-cache.ts'
import { MetadataCache } from '../cache/metadata-cache.ts'
import type { Silence } from '../cache/silence.ts'
import { OpenFiles } from '../cache/open-files.ts'
import type { SessionFiles } from '../client/session-files.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { AssemblyOption } from '../options/mount-options.ts'
import type { OptionValues } from '../options/table.ts'
import { Prefetch, type PrefetchOptions } from '../prefetch/prefetch.ts'
import { SameNames } from './same-names.ts'
import type { LocalEntry } from '../write-back/local-changes.ts'
import { WriteBack, type WriteBackOptions } from '../write-back/write-back.ts'

export interface Assembly {
  readonly listings: MetadataCache
  readonly contents: ContentCache
  readonly changes: WriteBack
  readonly walks: Prefetch
  /** Stops sending and fetching; what is not confirmed stays in the journal, what is shared is given back. */
  close(): Promise<void>
}

export interface AssemblyOptions
  extends
    Pick<OptionValues, AssemblyOption>,
    Pick<
      WriteBackOptions,
      'boot' | 'journal' | 'checkSession' | 'failpoint' | 'continued' | 'random' | 'onImpossible'
    >,
    Pick<PrefetchOptions, 'leaveOut'> {
  /** Whether something else on the same link is answered; default: nothing is known of that. */
  readonly widerSilence?: Silence | undefined
  readonly files: SessionFiles
  readonly clock: Clock
  readonly logger: Logger
  /** Of the journal and the spool; it exists. */
  readonly journalDirectory: string
  /** Of downloaded content, for this process alone: what is in it is removed. */
  readonly contentDirectory: string
  /** Of both together, at once; for open files of its own. */
  readonly maxOpenFiles: number
  /** The open files of both and the room of the contents, where other sessions share them; default: its own. */
  readonly openFiles?: OpenFiles | undefined
  readonly room?: CacheRoom | undefined
}

/** Names that the cached listings hold together; some 25 MB. */
const maxCachedNames = 250_000

/** Opens the journal of an earlier run, or a new one, and starts sending what it holds. */
export async function assemble(options: AssemblyOptions): Promise<Assembly> {
  const { clock, logger, ttlMs } = options
  const files = new SameNames(options.files, logger)
  const { widerSilence } = options
  const listings = new MetadataCache({
    files,
    clock,
    logger,
    ttlMs,
    maxEntries: maxCachedNames,
    widerSilence,
  })
  const { openFiles = new OpenFiles(options.maxOpenFiles) } = options
  const contents = new ContentCache({
    ...options,
    files,
    listings,
    openFiles,
    directory: options.contentDirectory,
    maxBytes: options.cacheBytes,
  })
  const opening = WriteBack.open({
    ...options,
    files,
    listings,
    contents,
    openFiles,
    directory: options.journalDirectory,
  })
  const changes = await opening.catch(async (error: unknown) => {
    await contents.close()
    throw error
  })
  const walks = new Prefetch({
    listings,
    contents,
    clock,
    ttlMs,
    isLocal: (path) => isOursAlone(changes.get(path)),
    leaveOut: options.leaveOut,
  })
  return {
    listings,
    contents,
    changes,
    walks,
    async close() {
      walks.stop()
      await changes.close()
      listings.close()
      await contents.close()
    },
  }
}

/** Whether the service has nothing to tell of a path. */
function isOursAlone(entry: LocalEntry | undefined): boolean {
  return entry !== undefined && !(entry.kind === 'directory' && entry.remote)
}
