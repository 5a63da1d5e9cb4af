/**
 * `mount-session ls [-l] [-R] AGENT/SESSION[:PATH]`. Layer: cli.
 *
 * Invariant: a listing is one request a page, the directories of a tree are listed side by side, and what is shown is
 * in the order of its names.
 */
import type { RemoteEntry, SessionFiles } from '../../client/session-files.ts'
import { joinPath, nameOf } from '../../remote-path.ts'
import { showBytes, showTime } from '../amounts.ts'
import { readCommand } from '../command-line.ts'
import { columns, printable, styled, table, writeJson } from '../output.ts'
import { openFiles } from '../session-access.ts'
import { parseTarget, type Target } from '../targets.ts'
import { findEntry, isNoDirectory, listAll, sharedListings } from './find-entry.ts'

interface Listing {
  /** From the home; '' for the home. */
  readonly directory: string
  readonly entries: readonly RemoteEntry[]
}

export async function run(argv: readonly string[]): Promise<number> {
  const { words, flags, values } = readCommand('ls', argv)
  const target = parseTarget(words[0] ?? '', 'ls')
  const listings = await openFiles(values, target, ({ files, signal }) =>
    flags.recursive ? tree(files, target, signal) : one(files, target, signal).then((only) => [only]),
  )
  if (flags.json) writeJson(listings.flatMap(asJson))
  else process.stdout.write(shown(listings, flags.long))
  return 0
}

/** A directory, or a file as a listing of its own. */
async function one(files: SessionFiles, target: Target, signal: AbortSignal): Promise<Listing> {
  const { path } = target
  try {
    return { directory: path, entries: sorted(await listAll(files, path, signal)) }
  } catch (error) {
    if (path === '' || !isNoDirectory(error)) throw error
    const entry = await findEntry(target, sharedListings(files, signal))
    /* it has become one this moment */
    if (entry.isDirectory) return { directory: path, entries: sorted(await listAll(files, path, signal)) }
    return { directory: path.slice(0, Math.max(0, path.length - nameOf(path).length - 1)), entries: [entry] }
  }
}

/** Depth first, as `ls -R`. */
async function tree(files: SessionFiles, target: Target, signal: AbortSignal): Promise<readonly Listing[]> {
  const below = async (listing: Listing): Promise<readonly Listing[]> => {
    const directories = listing.entries.filter(({ isDirectory }) => isDirectory)
    const found = await Promise.all(
      directories.map(async ({ name }) => {
        const directory = joinPath(listing.directory, name)
        const entries = await listAll(files, directory, signal).catch((error: unknown) => {
          /* removed, or replaced by a file, since it was listed */
          if (isNoDirectory(error)) return undefined
          throw error
        })
        return entries === undefined ? [] : below({ directory, entries: sorted(entries) })
      }),
    )
    return [listing, ...found.flat()]
  }
  const top = await one(files, target, signal)
  /* a file as a listing of its own has nothing below it */
  return below(top)
}

function sorted(entries: readonly RemoteEntry[]): readonly RemoteEntry[] {
  return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

function asJson({ directory, entries }: Listing): object[] {
  return entries.map(({ name, isDirectory, size, modifiedSeconds }) => ({
    path: joinPath(directory, name),
    name,
    isDirectory,
    size: isDirectory ? 0 : size,
    modified: modifiedSeconds === 0 ? null : modifiedSeconds,
  }))
}

function shown(listings: readonly Listing[], isLong: boolean): string {
  const parts = listings.map(({ directory, entries }) => {
    const heading = listings.length === 1 ? '' : `${printable(directory === '' ? '.' : directory)}:\n`
    return heading + (isLong ? longListing(entries) : columns(entries.map(nameShown)))
  })
  return parts.join('\n')
}

function longListing(entries: readonly RemoteEntry[]): string {
  if (entries.length === 0) return ''
  const rows = entries.map((entry) => [
    entry.isDirectory ? 'directory' : 'file',
    entry.isDirectory ? '-' : showBytes(entry.size),
    entry.modifiedSeconds === 0 ? '-' : showTime(entry.modifiedSeconds * 1000),
    nameShown(entry),
  ])
  return table(['KIND', 'SIZE', 'MODIFIED', 'NAME'], rows)
}

function nameShown({ name, isDirectory }: RemoteEntry): string {
  return isDirectory ? `${styled(['bold', 'blue'], printable(name))}/` : printable(name)
}
