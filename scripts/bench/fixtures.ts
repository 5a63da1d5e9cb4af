/**
 * The files that workloads are made of, on the local disk. Layer: benchmark.
 *
 * Invariant: the same contents in every run, made once and never changed.
 */
import { execFileSync } from 'node:child_process'
import { type Dirent, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'

/** A word that occurs once in every file of a tree. */
export const needle = 'needle-in-every-file'

export interface TreeShape {
  readonly files: number
  readonly directories: number
  readonly bytes: number
}

/* what has just been written can not be told from what is being written */
const writtenAt = new Date('2026-01-01T00:00:00Z')

/** Text files in directories below `root`, which is made. */
export function makeTree(root: string, { files, directories, bytes }: TreeShape): void {
  for (let index = 0; index < directories; index++)
    mkdirSync(join(root, directoryName(index)), { recursive: true })
  for (let index = 0; index < files; index++) {
    const head = `${needle} ${index}\n`
    const filler = `line of file ${index}, nothing to be seen here\n`
    const text = (head + filler.repeat(Math.ceil(bytes / filler.length))).slice(0, bytes)
    const file = join(root, directoryName(index % directories), `file-${index}.txt`)
    writeFileSync(file, text)
    utimesSync(file, writtenAt, writtenAt)
  }
}

const directoryName = (index: number): string => `directory-${index}`

/** Every file below a directory, by its path relative to it, with its size; what goes meanwhile is not there. */
export function filesBelow(root: string): Map<string, number> {
  const found = new Map<string, number>()
  const collect = (directory: string): void => {
    for (const entry of entriesOf(directory)) {
      const path = join(directory, entry.name)
      if (entry.isDirectory()) collect(path)
      const size = entry.isDirectory() ? undefined : statSync(path, { throwIfNoEntry: false })?.size
      if (size !== undefined) found.set(relative(root, path), size)
    }
  }
  collect(root)
  return found
}

function entriesOf(directory: string): readonly Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Bytes that do not compress and are the same each time. */
export function noise(bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  let state = 0x2545f491
  for (let offset = 0; offset + 4 <= bytes; offset += 4) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    buffer.writeInt32LE(state, offset)
  }
  return buffer
}

/** `git` with settings of nobody's but ours. */
export const git =
  'git -c safe.directory=* -c user.name=bench -c user.email=bench@localhost -c init.defaultBranch=main -c gc.auto=0'

/** A repository of one commit, packed, as a server would hand it out. */
export function makeRepository(root: string, shape: TreeShape): void {
  makeTree(root, shape)
  const script = `cd "$1" && ${git} init -q && ${git} add -A && ${git} commit -q -m 'All of it' && ${git} gc -q`
  execFileSync('sh', ['-c', script, 'sh', root], { env: gitEnvironment })
}

export const gitEnvironment = {
  ...process.env,
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
}
