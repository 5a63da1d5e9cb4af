/**
 * `mount-session rm [-r] AGENT/SESSION:PATH…`. Layer: cli.
 *
 * Invariant: nothing is deleted before all paths were looked at and the question was answered; the home of a session
 * is never deleted. On the service a directory is one request; through a mount its children go first, each by itself,
 * since what waits there is not the service's to delete.
 */
import PQueue from 'p-queue'
import { ServiceError } from '../../client/errors.ts'
import { joinPath, pathBelow } from '../../remote-path.ts'
import { showCount } from '../amounts.ts'
import { readCommand } from '../command-line.ts'
import { confirm } from '../confirm.ts'
import { printable, writeJson } from '../output.ts'
import { CommandFailure, complain, describeFailure } from '../report-error.ts'
import { openFiles, type OpenFiles } from '../session-access.ts'
import { parseTarget, type Target } from '../targets.ts'
import { UsageError } from '../usage-error.ts'
import { describeTarget, findEntry, listAll, sharedListings } from './find-entry.ts'

/* as many sockets and threads at once as a mount has use for */
const removalsAtOnce = 32

interface Outcome {
  readonly target: string
  readonly isDirectory: boolean
  readonly deleted: boolean
  readonly error?: string
}

/** What is there, and may be deleted. */
interface Doomed {
  readonly path: string
  readonly isDirectory: boolean
}

export async function run(argv: readonly string[]): Promise<number> {
  const { words, flags, values } = readCommand('rm', argv)
  const targets = words.map((word) => parseTarget(word, 'rm'))
  const home = targets.find(({ path }) => path === '')
  if (home !== undefined) {
    const { agent, session } = home
    throw new UsageError(
      `${agent}/${session}: the home of a session is never deleted itself: name what is in it, or \`mount-session session delete ${agent}/${session}\``,
      'rm',
    )
  }
  const ended: (readonly Outcome[])[] = []
  for (const ofSession of bySession(targets))
    ended.push(await openFiles(values, ofSession[0], (open) => removeAll(open, ofSession, flags)))
  const outcomes = ended.flat().toSorted((a, b) => (a.target < b.target ? -1 : 1))
  if (flags.json) writeJson(outcomes)
  else if (flags.dryRun)
    for (const { target, isDirectory, error } of outcomes)
      if (error === undefined)
        process.stdout.write(`would delete ${printable(target)}${isDirectory ? '/' : ''}\n`)
  return outcomes.some(({ error }) => error !== undefined) ? 1 : 0
}

type Several = readonly [Target, ...Target[]]

function bySession(targets: readonly Target[]): readonly Several[] {
  const groups = Object.groupBy(targets, ({ agent, session }) => `${agent}/${session}`)
  return Object.values(groups).flatMap((group) => {
    const [first, ...rest] = group ?? []
    return first === undefined ? [] : [[first, ...rest] as const]
  })
}

interface Wishes {
  readonly recursive: boolean
  readonly yes: boolean
  readonly dryRun: boolean
}

async function removeAll(open: OpenFiles, targets: Several, wishes: Wishes): Promise<readonly Outcome[]> {
  const [{ agent, session }] = targets
  const outcomes: Outcome[] = []
  const tell = ({ path, isDirectory }: Doomed, deleted: boolean, failure?: unknown): void => {
    const target = describeTarget({ agent, session, path })
    if (failure === undefined) {
      outcomes.push({ target, isDirectory, deleted })
      return
    }
    if (open.signal.aborted) throw failure as Error
    const error = describeFailure(failure)
    complain(failure instanceof CommandFailure ? error : `${target}: ${error}`)
    outcomes.push({ target, isDirectory, deleted: false, error })
  }
  const doomed = await lookUp(open, targets, wishes, tell)
  if (wishes.dryRun) {
    for (const entry of doomed) for (const each of await withAllBelow(open, entry)) tell(each, false)
    return outcomes
  }
  if (doomed.length === 0) return outcomes
  await confirm(`deleting ${describeDoomed(doomed)} of ${agent}/${session}`, wishes.yes)
  const queue = new PQueue({ concurrency: removalsAtOnce })
  await Promise.all(doomed.map((entry) => remove(open, targets[0], entry, queue, tell)))
  return outcomes
}

type Tell = (entry: Doomed, deleted: boolean, failure?: unknown) => void

/** Those that are there; the others are told of. */
async function lookUp(
  { files, signal }: OpenFiles,
  targets: Several,
  { recursive }: Wishes,
  tell: Tell,
): Promise<readonly Doomed[]> {
  const listings = sharedListings(files, signal)
  const unique = new Map(targets.map((target) => [target.path, target]))
  const found = await Promise.all(
    [...unique.values()].map(async (target) => {
      try {
        const { isDirectory } = await findEntry(target, listings)
        if (isDirectory && !recursive)
          throw new CommandFailure(`${describeTarget(target)} is a directory: give -r to delete it`)
        return [{ path: target.path, isDirectory }]
      } catch (error) {
        if (!(error instanceof CommandFailure)) throw error
        tell({ path: target.path, isDirectory: target.isDirectory }, false, error)
        return []
      }
    }),
  )
  const all = found.flat()
  /* what is below another goes with it */
  return all.filter(
    ({ path }) => !all.some((other) => other.path !== path && pathBelow(other.path, path) !== undefined),
  )
}

function describeDoomed(doomed: readonly Doomed[]): string {
  const directories = doomed.filter(({ isDirectory }) => isDirectory).length
  const files = doomed.length - directories
  return [
    ...(files === 0 ? [] : [showCount(files, 'file')]),
    ...(directories === 0
      ? []
      : [
          `${showCount(directories, 'directory', 'directories')} with all that is in ${directories === 1 ? 'it' : 'them'}`,
        ]),
  ].join(' and ')
}

async function withAllBelow(open: OpenFiles, entry: Doomed): Promise<readonly Doomed[]> {
  if (!entry.isDirectory) return [entry]
  const entries = await listAll(open.files, entry.path, open.signal)
  const below = await Promise.all(
    entries.map(({ name, isDirectory }) =>
      withAllBelow(open, { path: joinPath(entry.path, name), isDirectory }),
    ),
  )
  return [...below.flat(), entry]
}

async function remove(open: OpenFiles, of: Target, entry: Doomed, queue: PQueue, tell: Tell): Promise<void> {
  const { files, client, signal, mountedAt } = open
  const { path } = entry
  if (entry.isDirectory && mountedAt !== undefined) {
    await removeTree(open, entry, queue, tell)
    return
  }
  try {
    await (entry.isDirectory
      ? client.deleteSessionFile(of.agent, of.session, path, { recursive: true, signal })
      : queue.add(() => files.remove(path, { signal })))
    tell(entry, true)
  } catch (error) {
    if (isGone(error)) tell(entry, true)
    else tell(entry, false, error)
  }
}

/** False when something stays. Of a directory that was asked for only itself and what fails is told. */
async function removeTree(
  open: OpenFiles,
  entry: Doomed,
  queue: PQueue,
  tell: Tell,
  isTop = true,
): Promise<boolean> {
  const { files, signal } = open
  const { path, isDirectory } = entry
  try {
    if (isDirectory) {
      const entries = await queue.add(() => listAll(files, path, signal))
      const below = await Promise.all(
        entries.map(({ name, isDirectory: isOne }) =>
          removeTree(open, { path: joinPath(path, name), isDirectory: isOne }, queue, tell, false),
        ),
      )
      if (below.includes(false)) return false
    }
    await queue.add(() => files.remove(path, { signal }))
  } catch (error) {
    if (!isGone(error)) {
      tell(entry, false, error)
      return false
    }
  }
  if (isTop) tell(entry, true)
  return true
}

function isGone(error: unknown): boolean {
  return error instanceof ServiceError && error.code === 'not_found'
}
