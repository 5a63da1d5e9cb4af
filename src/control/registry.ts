/**
 * Which mount point belongs to which session: one small file per mount in `STATE/mounts`. Layer: beside the
 * composition root, which announces; the command line looks up.
 *
 * Invariant: a look-up compares paths and asks the mounted filesystem for nothing, so it works while that
 * hangs. A file left by a killed daemon stays: it tells `unmount` what the dead mount was.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { realpath } from 'node:fs/promises'
import * as v from 'valibot'

const recordSchema = v.object({
  /** The mount point, absolute, without symbolic links, as it was when it was mounted. */
  directory: v.string(),
  /** Of the kernel's mount table: tells it whatever became of the names above it. */
  mount: v.optional(v.object({ id: v.number(), device: v.string() })),
  /** Where the session's socket is. */
  stateDirectory: v.string(),
  pid: v.number(),
  agent: v.string(),
  /** undefined: all sessions of the agent are. */
  session: v.optional(v.string()),
  /** The part of the session that is mounted; undefined: all of it. */
  subdirectory: v.optional(v.string()),
  /** Names at the top of a session that are the mount's own: `.logs`. */
  specials: v.optional(v.array(v.string())),
})

export type MountRecord = Readonly<v.InferOutput<typeof recordSchema>>

/** Announces a mount in place of what was there before; the returned function takes it back, if it is still ours. */
export function announceMount(stateRoot: string, record: MountRecord): () => void {
  const file = recordFile(stateRoot, record.directory)
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const temporary = `${file}.${record.pid}`
  writeFileSync(temporary, JSON.stringify(record), { mode: 0o600 })
  renameSync(temporary, file)
  return () => {
    if (readRecord(file)?.pid === record.pid) {
      rmSync(file, { force: true })
    }
  }
}

/** Forgets the mount that a dead daemon left behind. */
export function forgetMount(stateRoot: string, { stateDirectory, pid }: MountRecord): void {
  for (const file of recordFiles(stateRoot)) {
    const found = readRecord(file)
    if (found?.stateDirectory === stateDirectory && found.pid === pid) rmSync(file, { force: true })
  }
}

export interface FoundMount {
  /** With the `directory` where it is now. */
  readonly record: MountRecord
  /** What was asked for, relative to the mount point; '' for the mount point itself. */
  readonly path: string
}

/**
 * The mount that a path is in, or undefined. Relative paths are taken from the working directory. `placeOf` knows
 * where a mount is now; default: where it was mounted.
 */
export async function findMount(
  stateRoot: string,
  path: string,
  placeOf = (record: MountRecord): string => record.directory,
): Promise<FoundMount | undefined> {
  const records = listMounts(stateRoot).map((record) => ({ ...record, directory: placeOf(record) }))
  const written = resolve(path)
  const found = match(records, written)
  if (found !== undefined || records.length === 0) {
    return found
  }
  /* perhaps there are symbolic links on the way; the path itself may be gone or dead, its parent is enough */
  const parent = await realpath(dirname(written)).catch(() => undefined)
  const throughParent =
    parent === undefined ? undefined : match(records, join(parent, written.slice(dirname(written).length)))
  if (throughParent !== undefined) {
    return throughParent
  }
  const whole = await realpath(written).catch(() => undefined)
  return whole === undefined ? undefined : match(records, whole)
}

/** Every mount of this user that was announced and not taken back. */
export function listMounts(stateRoot: string): readonly MountRecord[] {
  return recordFiles(stateRoot)
    .map(readRecord)
    .filter((record) => record !== undefined)
}

function recordFiles(stateRoot: string): readonly string[] {
  const directory = join(stateRoot, 'mounts')
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith('.json'))
      .map((name) => join(directory, name))
  } catch {
    /* nothing was ever mounted */
    return []
  }
}

function match(records: readonly MountRecord[], path: string): FoundMount | undefined {
  const [innermost] = records
    .filter(
      ({ directory }) => path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`),
    )
    .sort((a, b) => b.directory.length - a.directory.length)
  return innermost === undefined
    ? undefined
    : { record: innermost, path: relative(innermost.directory, path) }
}

function recordFile(stateRoot: string, directory: string): string {
  const name = createHash('sha256').update(directory).digest('hex').slice(0, 24)
  return join(stateRoot, 'mounts', `${name}.json`)
}

function readRecord(file: string): MountRecord | undefined {
  try {
    const parsed = v.safeParse(recordSchema, JSON.parse(readFileSync(file, 'utf8')))
    return parsed.success ? parsed.output : undefined
  } catch {
    /* taken back this moment */
    return undefined
  }
}
