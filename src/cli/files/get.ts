/**
 * `mount-session get [-r] AGENT/SESSION:PATH… [LOCAL|-]`. Layer: cli.
 *
 * Invariant: what goes where is what `scp -r` would do, as `transfer/copying.md` has it; needs neither FUSE nor a mount.
 */
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { ServiceError } from '../../client/errors.ts'
import type { RemoteEntry } from '../../client/session-files.ts'
import { nameOf } from '../../remote-path.ts'
import { getFile, getTree } from '../../transfer/get-tree.ts'
import { whyNotLocal } from '../../transfer/local-file.ts'
import { readCommand } from '../command-line.ts'
import { CommandFailure } from '../report-error.ts'
import { openFiles, type OpenFiles } from '../session-access.ts'
import { isRemote, parseTarget, type Target } from '../targets.ts'
import { UsageError } from '../usage-error.ts'
import { Copying } from './copying.ts'
import { describeTarget, findEntry, type Listings, sharedListings } from './find-entry.ts'

interface Source extends Target {
  /** Written with `.` at its end, or the home: what is in it is meant, not it. */
  readonly isContents: boolean
}

interface Destination {
  readonly path: string
  readonly kind: 'directory' | 'file' | 'missing'
  readonly isWrittenAsDirectory: boolean
}

export async function run(argv: readonly string[]): Promise<number> {
  const { words, flags, values } = readCommand('get', argv)
  const last = words.at(-1) ?? ''
  const hasLocal = words.length > 1 && !isRemote(last)
  const sources = (hasLocal ? words.slice(0, -1) : words).map(parseSource)
  const local = hasLocal ? last : '.'
  if (local === '-') return await toOutput(sources, values)
  const destination = await lookAt(local)
  if (sources.length > 1 && destination.kind !== 'directory')
    throw new CommandFailure(`${local}: it must be a directory for several sources: make it first`)
  using copying = new Copying('getting', flags)
  for (const ofSession of Object.values(
    Object.groupBy(sources, ({ agent, session }) => `${agent}/${session}`),
  )) {
    const [first] = ofSession ?? []
    if (first === undefined) continue
    await openFiles(values, first, async (open) => {
      const listings = sharedListings(open.files, open.signal)
      await Promise.all(
        (ofSession ?? []).map(async (source) => {
          try {
            await copy(source, destination, { ...open, listings, recursive: flags.recursive, copying })
          } catch (error) {
            if (!isOfOne(error)) throw error
            copying.failed(describeTarget(source), error)
          }
        }),
      )
    })
  }
  return copying.finish()
}

function parseSource(text: string): Source {
  if (!isRemote(text))
    throw new UsageError(`"${text}" is not of the form AGENT/SESSION:PATH (a colon alone is its home)`, 'get')
  const target = parseTarget(text, 'get')
  return { ...target, isContents: target.path === '' || /[:/]\.\/?$/.test(text) }
}

async function lookAt(path: string): Promise<Destination> {
  const found = await stat(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  })
  const kind = found === undefined ? 'missing' : found.isDirectory() ? 'directory' : 'file'
  return { path, kind, isWrittenAsDirectory: path.endsWith('/') || path.endsWith(sep) }
}

interface Around extends OpenFiles {
  readonly listings: Listings
  readonly recursive: boolean
  readonly copying: Copying
}

async function copy(source: Source, destination: Destination, around: Around): Promise<void> {
  const { files, signal, copying } = around
  const { path } = source
  const isHome = path === ''
  const entry: RemoteEntry | undefined = isHome ? undefined : await findEntry(source, around.listings)
  const options = copying.options(
    signal,
    ({ remotePath, localPath }) => `${describeTarget({ ...source, path: remotePath })} to ${localPath}`,
  )
  if (entry === undefined || entry.isDirectory) {
    if (!around.recursive)
      throw new CommandFailure(`${describeTarget(source)} is a directory: give -r to get it`)
    if (destination.kind === 'file')
      throw new CommandFailure(`${destination.path}: it must be a directory to get one into it`)
    const isInto = destination.kind === 'directory' && !source.isContents
    copying.add(await getTree(files, path, isInto ? within(destination, path) : destination.path, options))
    return
  }
  if (destination.kind === 'missing' && destination.isWrittenAsDirectory)
    throw new CommandFailure(`${destination.path}: no such directory: make it first`)
  const at = destination.kind === 'directory' ? within(destination, path) : destination.path
  copying.add(await getFile(files, path, at, entry.size, options))
}

function within({ path }: Destination, remotePath: string): string {
  const name = nameOf(remotePath)
  const why = whyNotLocal(name)
  if (why !== undefined) throw new CommandFailure(`${remotePath}: ${why}`)
  return join(path, name)
}

/** Whether the other sources may still be copied. */
function isOfOne(error: unknown): boolean {
  if (error instanceof ServiceError) return error.concerns === 'path'
  return error instanceof CommandFailure || (error instanceof Error && 'syscall' in error)
}

/** One file, streamed to the standard output: what was printed before a failure cannot be taken back. */
async function toOutput(
  sources: readonly Source[],
  values: Parameters<typeof openFiles>[0],
): Promise<number> {
  const [source, ...more] = sources
  if (source === undefined || more.length > 0)
    throw new UsageError('- takes one file: get the others into a directory', 'get')
  await openFiles(values, source, async ({ files, signal }) => {
    const entry = await findEntry(source, sharedListings(files, signal))
    if (entry.isDirectory)
      throw new CommandFailure(`${describeTarget(source)} is a directory: it must be a file for -`)
    const { body } = await files.download(source.path, { signal, expectedBytes: entry.size })
    for await (const piece of body)
      if (!process.stdout.write(piece)) await once(process.stdout, 'drain', { signal })
  })
  return 0
}
