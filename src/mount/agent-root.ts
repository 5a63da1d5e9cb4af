/**
 * The top of a mount of all sessions of an agent: a filesystem of directories, one for each session, and of `.status`.
 * Layer: mount.
 *
 * Invariant: everything in it comes from the list of the sessions and from what was made or refused here since; nothing
 * asks for a session.
 */
import type { Clock } from '../clock.ts'
import { Filesystem } from '../filesystem/filesystem.ts'
import { FilesystemError } from '../filesystem/errors.ts'
import type { KernelCache } from '../filesystem/front-end.ts'
import type { FilesystemOptions, FilesystemParts } from '../filesystem/options.ts'
import type { SpecialFile } from '../filesystem/special-file.ts'
import type { Logger } from '../log.ts'
import type { LocalAttributes, LocalChanges, LocalEntry } from '../write-back/local-changes.ts'
import { refusedMs } from './agent-slot.ts'
import type { KernelMemory } from './mountable.ts'

type Listings = FilesystemParts['listings']
type ListingObserver = Parameters<Listings['subscribe']>[0]
type Listing = Parameters<ListingObserver['observe']>[0]

/** A list of sessions may be behind by so much. */
const behindMs = 60_000

/** What those that are open know of themselves. */
export interface KnownOfSessions {
  /** There is something of ours in it, while it is not known what sessions there are. */
  readonly hasWaiting: (session: string) => boolean
  /** What this machine was told of its directory. */
  readonly attributes: (session: string) => LocalAttributes | undefined
}

/** What is known of the sessions here and not from their list. */
export class KnownHere implements ListingObserver {
  readonly #clock: Clock
  /** By name: `Clock.now()` at which it was made. */
  readonly #made = new Map<string, number>()
  readonly #hasWaiting: KnownOfSessions['hasWaiting']
  readonly #attributes: KnownOfSessions['attributes']
  /** Of the top itself: when a session last came or went. */
  #own: LocalAttributes | undefined
  /** By name: `Clock.now()` at which it last was. */
  readonly #refused = new Map<string, number>()

  constructor(clock: Clock, { hasWaiting, attributes }: KnownOfSessions) {
    this.#clock = clock
    this.#hasWaiting = hasWaiting
    this.#attributes = attributes
  }

  made(session: string): void {
    this.#made.set(session, this.#clock.now())
  }

  /**
   * It cannot be opened, so nobody may go into it, for as long as that is not tried again: the kernel goes by the mode,
   * and would never ask.
   */
  refused(session: string, isRefused: boolean): void {
    if (isRefused) this.#refused.set(session, this.#clock.now())
    else this.#refused.delete(session)
  }

  /** What the list shows again, or should show by now, is the list's. */
  observe({ entries, endedAt, durationMs }: Listing): void {
    for (const [session, madeAt] of this.#made)
      if (entries.has(session) || endedAt - durationMs > madeAt + behindMs) this.#made.delete(session)
  }

  #isRefused(session: string): boolean {
    const at = this.#refused.get(session)
    return at !== undefined && this.#clock.now() - at < refusedMs
  }

  /** As the filesystem asks for it: nothing at the top is written to. */
  get asChanges(): LocalChanges {
    const made: LocalEntry = { kind: 'directory', remote: true, confirmed: true }
    const noMode: LocalAttributes = { mode: 0 }
    return {
      get: (path) => (this.#made.has(path) ? made : undefined),
      children: (directory) =>
        directory === '' ? [...this.#made.keys()].map((session) => [session, made] as const) : [],
      hasUploadsBelow: (path) => this.#hasWaiting(path),
      attributes: (path) => {
        if (path === '') return this.#own
        return this.#isRefused(path) ? noMode : this.#attributes(path)
      },
      setAttributes: never,
      noteAttributes: (path, changes) => {
        if (path === '') this.#own = { ...this.#own, ...changes }
      },
      together: (work) => work(),
      wasCarriedOut: () => false,
      create: never,
      stage: never,
      removeFile: never,
      makeDirectory: never,
      removeDirectory: never,
      renameFile: never,
      renameDirectory: never,
      createUnnamed: never,
      importUnnamed: never,
      adoptUnnamed: () => undefined,
      hold: () => () => undefined,
      barrier: () => Promise.resolve(),
      checkSize: never,
    }
  }
}

const noContents: FilesystemParts['contents'] = {
  subscribe: () => () => undefined,
  open: never,
  sizeOf: (_path, listed) => listed.size,
  isCurrent: () => true,
  peek: () => undefined,
  fetch: never,
  adopt: never,
  drop: () => undefined,
  restMs: () => 0,
}

export function agentRoot(
  {
    listings,
    known,
    clock,
    logger,
    kernelCache,
    specialFiles,
    memory,
  }: {
    readonly listings: Listings
    readonly known: KnownHere
    readonly clock: Clock
    readonly logger: Logger
    readonly kernelCache: KernelCache
    readonly specialFiles: readonly SpecialFile[]
    readonly memory: KernelMemory
  },
  options: FilesystemOptions,
): Filesystem {
  listings.subscribe(known)
  const changes = known.asChanges
  const parts = {
    listings,
    contents: noContents,
    changes,
    clock,
    logger,
    kernelCache,
    specialFiles,
    ...memory,
  }
  return new Filesystem(parts, options)
}

function never(): never {
  throw new FilesystemError('notPermitted', 'nothing but sessions can be at the top')
}
