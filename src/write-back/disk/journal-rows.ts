/**
 * Rows of the journal as they are read: whatever is in them, what leaves here is whole. Layer: write-back.
 *
 * Invariant: a path leads nowhere but into the session, a number is one that this program writes. The file may
 * have been damaged, or edited: a row that is neither is named as damaged, and nothing of it is acted upon.
 */
import type { SQLOutputValue } from 'node:sqlite'
import type { RemoteEntry } from '../../client/session-files.ts'
import type { LocalAttributes } from '../local-changes.ts'
import type { Remote, Seal, UploadAttempt } from '../record.ts'

export interface JournalRow {
  readonly path: string
  readonly desired: 'absent' | 'directory' | 'file'
  readonly generation: number | undefined
  readonly source: { readonly path: string; readonly listed: RemoteEntry } | undefined
  readonly seal: Seal | undefined
  readonly boot: string
  readonly remote: Remote
  readonly heirs: readonly string[]
  readonly since: number
  /** Unix milliseconds. */
  readonly doubtSince: number | undefined
  /** Never travels under this name. */
  readonly staysHere: boolean
  readonly attempts: readonly UploadAttempt[]
}

export interface SetAside {
  readonly generation: number
  readonly path: string
  readonly reason: string
  /** Unix milliseconds. */
  readonly at: number
}

/** As SQLite gives it, read with big integers: an integer beyond 2^53 would be thrown over otherwise. */
export type Columns = Readonly<Record<string, SQLOutputValue>>

/** None is ever near it, and all that follow it are still exact numbers. */
const maxGeneration = 2 ** 48
/** The service's state is uncertain once; a row that says more often so is none. */
const maxUncertain = 8

type Checked<T> = (value: unknown) => T | undefined

/** The row, or undefined where any of it is not as it was written. */
export function readRow(columns: Columns, attempts: readonly UploadAttempt[]): JournalRow | undefined {
  const path = asPath(columns['path'])
  const desired = columns['desired']
  const generation = optional(columns['generation'], asGeneration)
  const source = optional(columns['source'], asSource)
  const size = optional(columns['size'], asCount)
  const crc32 = optional(columns['crc32'], asCount)
  const boot = columns['boot']
  const remote = asRemote(fromJson(columns['remote']))
  const heirs = asPaths(fromJson(columns['heirs']))
  const since = asNumber(columns['since'])
  const doubtSince = optional(columns['doubt_since'], asNumber)
  if (path === undefined || typeof boot !== 'string' || remote === undefined || heirs === undefined)
    return undefined
  if (desired !== 'absent' && desired !== 'directory' && desired !== 'file') return undefined
  if (!generation || !source || !size || !crc32 || since === undefined || !doubtSince) return undefined
  const seal: Seal | undefined =
    size.value === undefined || crc32.value === undefined
      ? undefined
      : { size: size.value, crc32: crc32.value }
  return {
    path,
    desired,
    generation: generation.value,
    source: source.value,
    seal,
    boot,
    remote,
    heirs,
    since,
    doubtSince: doubtSince.value,
    staysHere: asCount(columns['stays_here']) === 1,
    attempts,
  }
}

/** The path and the attempt, or undefined for what is none. */
export function readAttempt(columns: Columns): { path: string; attempt: UploadAttempt } | undefined {
  const path = asPath(columns['path'])
  const generation = asGeneration(columns['generation'])
  const size = asCount(columns['size'])
  const sha256 = columns['sha256']
  if (path === undefined || generation === undefined || size === undefined) return undefined
  return typeof sha256 === 'string' ? { path, attempt: { generation, size, sha256 } } : undefined
}

/** What was set aside: undefined without bytes to name; a path that is none gives way to one that says so. */
export function readSetAside(columns: Columns): SetAside | undefined {
  const generation = asGeneration(columns['generation'])
  if (generation === undefined) return undefined
  const reason = columns['reason']
  return {
    generation,
    path: asPath(columns['path']) ?? nameOfDamaged(generation),
    reason: typeof reason === 'string' ? reason : damaged,
    at: asCount(columns['at']) ?? 0,
  }
}

export function readAttributes(columns: Columns): LocalAttributes {
  return {
    mode: asCount(columns['mode']),
    uid: asCount(columns['uid']),
    gid: asCount(columns['gid']),
    modifiedNs: asNanoseconds(columns['modified_ns']),
    accessedNs: asNanoseconds(columns['accessed_ns']),
    changedNs: asNanoseconds(columns['changed_ns']),
  }
}

/** Why a row that could not be read is set aside. */
export const damaged = 'its row in the journal is damaged'

/** For bytes whose name is lost. */
export function nameOfDamaged(generation: number): string {
  return `damaged-${generation}`
}

/** Of a damaged row: the number of its bytes, where it has one. */
export function asGeneration(value: unknown): number | undefined {
  const count = asCount(value)
  return count === undefined || count === 0 || count > maxGeneration ? undefined : count
}

/** A path below the session's home in its normal form. */
export function asPath(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.includes('\0') || !value.isWellFormed()) return undefined
  return value.split('/').some((part) => part === '' || part === '.' || part === '..') ? undefined : value
}

function asNumber(value: unknown): number | undefined {
  const number = typeof value === 'bigint' ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined
}

function asCount(value: unknown): number | undefined {
  const number = asNumber(value)
  return number !== undefined && Number.isSafeInteger(number) && number >= 0 ? number : undefined
}

/** Within what 64 bits hold, as the kernel is told it. */
function asNanoseconds(value: unknown): bigint | undefined {
  return typeof value === 'string' && /^-?\d{1,19}$/.test(value) ? BigInt(value) : undefined
}

function asPaths(value: unknown): string[] | undefined {
  if (!Array.isArray(value)) return undefined
  const paths = value.map(asPath).filter((path) => path !== undefined)
  return paths.length === value.length ? paths : undefined
}

function asRemote(value: unknown, depth = 0): Remote | undefined {
  if (!isObject(value) || depth > maxUncertain) return undefined
  switch (value['is']) {
    case 'absent':
    case 'directory':
      return { is: value['is'] }
    case 'file': {
      const size = asCount(value['size'])
      const modifiedSeconds = optional(value['modifiedSeconds'], asNumber)
      const generation = optional(value['generation'], asGeneration)
      if (size === undefined || !modifiedSeconds || !generation) return undefined
      return { is: 'file', size, modifiedSeconds: modifiedSeconds.value, generation: generation.value }
    }
    case 'uncertain': {
      const before = asRemote(value['before'], depth + 1)
      const as = value['as']
      if (before === undefined || (as !== 'file' && as !== 'directory')) return undefined
      return { is: 'uncertain', before, as }
    }
    default:
      return undefined
  }
}

function asSource(value: unknown): JournalRow['source'] {
  const source = fromJson(value)
  if (!isObject(source) || !isObject(source['listed'])) return undefined
  const path = asPath(source['path'])
  const { isDirectory } = source['listed']
  const name = asPath(source['listed']['name'])
  const size = asCount(source['listed']['size'])
  const modifiedSeconds = asNumber(source['listed']['modifiedSeconds'])
  if (path === undefined || name === undefined || size === undefined || modifiedSeconds === undefined)
    return undefined
  return typeof isDirectory === 'boolean'
    ? { path, listed: { name, isDirectory, size, modifiedSeconds } }
    : undefined
}

/** Undefined where there is something that is not what it must be. */
function optional<T>(value: unknown, check: Checked<T>): { readonly value: T | undefined } | undefined {
  if (value === null || value === undefined) return { value: undefined }
  const checked = check(value)
  return checked === undefined ? undefined : { value: checked }
}

function fromJson(value: unknown): unknown {
  if (typeof value !== 'string') return undefined
  try {
    return JSON.parse(value)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
