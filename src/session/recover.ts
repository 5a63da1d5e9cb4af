/**
 * Finishes, exports or gives up what a dead mount left, without mounting. Layer: session.
 *
 * Invariant: works on one session that nobody has mounted, under its lock; a change leaves this machine's state
 * only when the service has confirmed it or the user has given it up. Exporting and discarding ask the service
 * for nothing.
 */
import { copyFile, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { leftoversOf, progressOf } from './leftovers.ts'
import { openSession } from './open-session.ts'
import { takeLock } from './session-lock.ts'
import { makeSessionDirectories, sessionDirectories } from './directories.ts'
import { waitingPaths } from './waiting-paths.ts'
import type { Leftover, Progress } from '../control/protocol.ts'
import type { Logger } from '../log.ts'
import type { DataDirectories, OpenSessionOptions, SessionAddress } from '../options/mount-options.ts'
import type { Failpoint } from '../write-back/disk/failpoints.ts'
import { Journal, JournalDamaged } from '../write-back/disk/journal.ts'
import { bytesIn, namesIn } from '../write-back/disk/spool.ts'
import { WriteBackError } from '../write-back/local-changes.ts'

/**
 * - `upload`: finishes what a dead mount left, against the service
 * - `export`: copies every unconfirmed file, those set aside included, below `directory`; changes nothing, asks nobody
 * - `discard`: gives all of it up, asks nobody
 */
export type RecoveryAction =
  | { readonly kind: 'upload' }
  | { readonly kind: 'export'; readonly directory: string }
  | { readonly kind: 'discard' }

export interface RecoveryOptions extends OpenSessionOptions {
  readonly action: RecoveryAction
}

export interface RecoveryReport {
  /** Paths uploaded, exported or given up. */
  readonly handled: number
  /** Not confirmed by the service when it ended, for `upload`. */
  readonly left: readonly Leftover[]
  /** Kept but not to be trusted (another boot, another session of the same name): only `export` takes them out. */
  readonly setAside: readonly string[]
}

export interface RecoveryDependencies {
  readonly logger: Logger
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
  /** For tests that kill the command at a named point. */
  readonly failpoint?: Failpoint | undefined
}

const progressIntervalMs = 200

/** Rejects with `SessionError`: `held` while the session is mounted, and as for mounting. */
export async function recoverSession(
  options: RecoveryOptions,
  dependencies: RecoveryDependencies,
): Promise<RecoveryReport> {
  if (options.action.kind === 'upload') return upload(options, dependencies)
  const directories = makeSessionDirectories(options, options)
  const lock = takeLock(directories.state, undefined)
  try {
    return options.action.kind === 'export'
      ? await exportAll(directories.state, options.action.directory)
      : await discardAll(directories.state)
  } finally {
    lock.release()
  }
}

async function upload(
  options: RecoveryOptions,
  { logger, signal, onProgress, failpoint }: RecoveryDependencies,
): Promise<RecoveryReport> {
  const session = await openSession(options, { logger, signal, failpoint })
  const { changes, directories } = session
  const before = leftoversOf(changes.status()).length
  const timer = setInterval(() => onProgress(progressOf(changes.status())), progressIntervalMs)
  try {
    await changes.drain(signal)
  } catch (error) {
    if (!(error instanceof WriteBackError) || error.reason === 'interrupted') throw error
  } finally {
    clearInterval(timer)
  }
  const left = leftoversOf(changes.status())
  await session.close()
  return { handled: before - left.length, left, setAside: await setAsideOf(directories.state) }
}

/** How many paths a dead mount left, as `keptPaths`. */
export async function countKept(address: SessionAddress, roots: DataDirectories): Promise<number> {
  return (await keptPaths(address, roots)).length
}

/**
 * The paths that a dead mount left and the service has not confirmed, those set aside included. Asks nobody; rejects with
 * `SessionError` `held` while a process has the session.
 */
export async function keptPaths(address: SessionAddress, roots: DataDirectories): Promise<readonly string[]> {
  const { state } = sessionDirectories(address, roots)
  if (!existsSync(join(state, 'journal'))) return []
  const waiting = waitingPaths(state)
  const lock = takeLock(state, undefined)
  try {
    return [...waiting, ...(await setAsideOf(state))]
  } finally {
    lock.release()
  }
}

/** A journal of this session: the one in use, or one that was set aside as a whole. */
async function journalsOf(state: string): Promise<string[]> {
  const names = await readdir(state)
  return names
    .filter((name) => name === 'journal' || name.startsWith('journal.set-aside-'))
    .map((name) => join(state, name))
}

/** Undefined where there is none, or it is damaged. */
function withJournal<T>(directory: string, use: (journal: Journal) => T): T | undefined {
  const file = join(directory, 'journal.db')
  if (!existsSync(file)) return undefined
  let journal: Journal
  try {
    journal = new Journal({ file, boot: '' })
  } catch (error) {
    if (error instanceof JournalDamaged) return undefined
    throw error
  }
  try {
    return use(journal)
  } finally {
    journal.close()
  }
}

interface Kept {
  readonly path: string
  readonly generation: number | undefined
}

/** Every file that the spool has and the service has not, by path; what the journal has lost, too. */
function keptFiles(directory: string): { path: string; generation: number }[] {
  const known = withJournal<readonly Kept[]>(directory, (journal) => [
    ...journal.rows().filter((row) => row.remote.is !== 'file' || row.remote.generation !== row.generation),
    ...journal.listSetAside(),
  ])
  return [...(known ?? []), ...lostBy(directory, known ?? [])].flatMap(({ path, generation }) =>
    generation === undefined ? [] : [{ path, generation }],
  )
}

/** What only the spool knows of. */
function lostBy(directory: string, known: readonly Kept[]): Kept[] {
  const generations = new Set(known.map(({ generation }) => generation))
  return [...namesIn(directory)]
    .filter(([generation]) => !generations.has(generation))
    .map(([generation, path]) => ({ path, generation }))
}

function setAsideIn(directory: string): Kept[] {
  const found = withJournal<{ rows: readonly Kept[]; aside: readonly Kept[] }>(directory, (journal) => ({
    rows: journal.rows(),
    aside: journal.listSetAside(),
  }))
  const { rows = [], aside = [] } = found ?? {}
  return [...aside, ...lostBy(directory, [...rows, ...aside])]
}

async function setAsideOf(state: string): Promise<string[]> {
  const paths = (await journalsOf(state)).map((directory) =>
    (basename(directory) === 'journal' ? setAsideIn(directory) : keptFiles(directory)).map(
      ({ path }) => path,
    ),
  )
  return paths.flat()
}

async function exportAll(state: string, directory: string): Promise<RecoveryReport> {
  let handled = 0
  for (const journal of await journalsOf(state)) {
    const bytesOf = bytesIn(journal)
    for (const { path, generation } of keptFiles(journal)) {
      const bytes = bytesOf(generation)
      if (bytes === undefined) continue
      const target = await freeName(directory, path)
      await mkdir(dirname(target), { recursive: true })
      await (typeof bytes === 'string' ? copyFile(bytes, target) : writeFile(target, bytes))
      handled++
    }
  }
  return { handled, left: [], setAside: await setAsideOf(state) }
}

async function discardAll(state: string): Promise<RecoveryReport> {
  let handled = 0
  for (const journal of await journalsOf(state)) {
    const known =
      withJournal<readonly Kept[]>(journal, (open) => [...open.rows(), ...open.listSetAside()]) ?? []
    handled += known.length + lostBy(journal, known).length
    await rm(journal, { recursive: true })
  }
  return { handled, left: [], setAside: [] }
}

/** The export never overwrites: what meets with another version of its name, or of its directory's, gets a number. */
async function freeName(root: string, path: string): Promise<string> {
  const parts = path.split('/')
  let at = root
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1
    at = await numbered(join(at, part), (kind) => kind === 'nothing' || (!isLast && kind === 'directory'))
  }
  return at
}

async function numbered(
  path: string,
  isGood: (kind: 'nothing' | 'directory' | 'file') => boolean,
): Promise<string> {
  for (let number = 0; ; number++) {
    const candidate = number === 0 ? path : `${path}.${number}`
    const kind = await stat(candidate).then(
      (found) => (found.isDirectory() ? 'directory' : 'file'),
      () => 'nothing' as const,
    )
    if (isGood(kind)) return candidate
  }
}
