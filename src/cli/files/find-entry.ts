/**
 * What a path of a session is: found in the listing of the directory that it is in. Layer: cli.
 *
 * Invariant: one listing for all paths of a directory; a path that leads nowhere is a `CommandFailure` of one line.
 */
import { ServiceError } from '../../client/errors.ts'
import type { RemoteEntry, SessionFiles } from '../../client/session-files.ts'
import { nameOf, parentOf } from '../../remote-path.ts'
import { CommandFailure } from '../report-error.ts'
import type { Target } from '../targets.ts'

/** As it was written, without what is of no account: `AGENT/SESSION:PATH`. */
export function describeTarget({ agent, session, path }: Omit<Target, 'isDirectory'>): string {
  return `${agent}/${session}:${path}`
}

/** The whole listing of a directory. */
export async function listAll(
  files: SessionFiles,
  directory: string,
  signal: AbortSignal,
): Promise<readonly RemoteEntry[]> {
  const pages: (readonly RemoteEntry[])[] = []
  for await (const page of files.list(directory, { signal })) pages.push(page)
  return pages.flat()
}

/** A listing that several look-ups share. */
export type Listings = (directory: string) => Promise<readonly RemoteEntry[]>

export function sharedListings(files: SessionFiles, signal: AbortSignal): Listings {
  const known = new Map<string, Promise<readonly RemoteEntry[]>>()
  return (directory) => {
    const listing = known.get(directory) ?? listAll(files, directory, signal)
    known.set(directory, listing)
    return listing
  }
}

/** Throws `CommandFailure` when nothing is there, or a file where a directory was meant. */
export async function findEntry(target: Target, listings: Listings): Promise<RemoteEntry> {
  const { path } = target
  let entries
  try {
    entries = await listings(parentOf(path))
  } catch (error) {
    if (!isNoDirectory(error)) throw error
    throw nothingThere(target, '')
  }
  const found = entries.find(({ name }) => name === nameOf(path))
  if (found === undefined) throw nothingThere(target)
  if (target.isDirectory && !found.isDirectory)
    throw new CommandFailure(`${describeTarget(target)} is a file: leave out the slash at its end`)
  return found
}

/** Of a listing: there is no such directory, or it is a file. */
export function isNoDirectory(error: unknown): boolean {
  return error instanceof ServiceError && ['not_found', 'bad_request', 'conflict'].includes(error.code)
}

function nothingThere(target: Target, parent = parentOf(target.path)): CommandFailure {
  const { agent, session } = target
  const above = parent === '' ? `${agent}/${session}` : describeTarget({ agent, session, path: parent })
  return new CommandFailure(
    `${describeTarget(target)}: no such file or directory: \`mount-session ls ${above}\` lists what there is`,
  )
}
