/**
 * `mount-session put [-r] LOCAL…|- AGENT/SESSION:PATH`. Layer: cli.
 *
 * Invariant: what goes where is what `scp -r` would do, as `transfer/copying.md` has it; all that is to be sent is
 * looked at before anything is.
 */
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { joinPath, nameOf, parentOf } from '../../remote-path.ts'
import { putTrees } from '../../transfer/put-tree.ts'
import { readCommand } from '../command-line.ts'
import { CommandFailure } from '../report-error.ts'
import { openFiles, type OpenFiles } from '../session-access.ts'
import { isRemote, parseTarget, type Target } from '../targets.ts'
import { UsageError } from '../usage-error.ts'
import { Copying } from './copying.ts'
import { describeTarget, isNoDirectory, listAll } from './find-entry.ts'

interface Destination extends Target {
  readonly kind: 'directory' | 'file' | 'missing'
}

export async function run(argv: readonly string[]): Promise<number> {
  const { words, flags, values } = readCommand('put', argv)
  const sources = words.slice(0, -1)
  const last = words.at(-1) ?? ''
  if (sources.length === 0 || !isRemote(last))
    throw new UsageError(`"${last}" is not of the form AGENT/SESSION:PATH (a colon alone is its home)`, 'put')
  const target = parseTarget(last, 'put')
  if (sources.includes('-')) return await fromInput(sources, target, values)
  using copying = new Copying('putting', flags)
  await openFiles(values, target, async (open) => {
    const destination = await lookAt(target, open)
    const isSeveral = sources.length > 1
    if (isSeveral && destination.kind === 'file')
      throw new CommandFailure(
        `${describeTarget(target)} is a file: it must be a directory for several sources`,
      )
    const plans = await Promise.all(
      sources.map(async (source) => {
        try {
          return [await plan(source, destination, isSeveral, flags.recursive)]
        } catch (error) {
          copying.failed(source, error)
          return []
        }
      }),
    )
    const options = copying.options(
      open.signal,
      ({ remotePath, localPath }) => `${localPath} to ${describeTarget({ ...target, path: remotePath })}`,
    )
    copying.add(await putTrees(open.files, plans.flat(), { ...options, maxFileBytes: values.maxFileBytes }))
  })
  return copying.finish()
}

async function lookAt(target: Target, { files, signal }: OpenFiles): Promise<Destination> {
  if (target.path === '') return { ...target, kind: 'directory' }
  try {
    const found = (await listAll(files, parentOf(target.path), signal)).find(
      ({ name }) => name === nameOf(target.path),
    )
    const kind = found === undefined ? 'missing' : found.isDirectory ? 'directory' : 'file'
    if (kind === 'file' && target.isDirectory)
      throw new CommandFailure(`${describeTarget(target)} is a file: leave out the slash at its end`)
    return { ...target, kind }
  } catch (error) {
    if (!isNoDirectory(error)) throw error
    /* the directories above it come to be with what is put below them */
    return { ...target, kind: 'missing' }
  }
}

/** What becomes of one source. */
async function plan(
  source: string,
  destination: Destination,
  isSeveral: boolean,
  recursive: boolean,
): Promise<{ readonly localPath: string; readonly remotePath: string }> {
  const { path, kind } = destination
  const isDirectory = (await stat(source)).isDirectory()
  if (isDirectory && !recursive) throw new CommandFailure(`${source} is a directory: give -r to put it`)
  if (isDirectory && kind === 'file')
    throw new CommandFailure(
      `${describeTarget(destination)} is a file: it must be a directory to put one into it`,
    )
  /* `.`, `..` and what ends in them mean what is in the directory */
  const isContents = isDirectory && /(^|\/)\.{1,2}\/?$/.test(source)
  const isInto = kind === 'directory' || isSeveral || (!isDirectory && destination.isDirectory)
  return { localPath: source, remotePath: isInto && !isContents ? joinPath(path, basename(source)) : path }
}

/** The standard input as one file: all of it is read before any of it is sent. */
async function fromInput(
  sources: readonly string[],
  target: Target,
  values: Parameters<typeof openFiles>[0],
): Promise<number> {
  if (sources.length > 1) throw new UsageError('- is put by itself: put the others by another command', 'put')
  if (target.path === '' || target.isDirectory)
    throw new UsageError(`${describeTarget(target)}: give the name of the file that - becomes`, 'put')
  await openFiles(values, target, async (open) => {
    const { kind } = await lookAt(target, open)
    if (kind === 'directory')
      throw new CommandFailure(
        `${describeTarget(target)} is a directory: it must be the name of a file for -`,
      )
    const pieces: Uint8Array[] = []
    let size = 0
    for await (const piece of process.stdin as AsyncIterable<Uint8Array>) {
      size += piece.length
      if (size > values.maxFileBytes)
        throw new CommandFailure(
          `-: over the ${values.maxFileBytes} bytes that the service takes, nothing was sent: it must be shorter`,
        )
      pieces.push(piece)
      open.signal.throwIfAborted()
    }
    await open.files.upload(target.path, Buffer.concat(pieces), { signal: open.signal })
  })
  return 0
}
