/**
 * What `stat` shows. Layer: filesystem.
 *
 * Invariant: what this machine was told of a path (mode, owner, times) goes before what the service says,
 * and that before what is merely likely; nothing here asks the service.
 */
import type { RemoteEntry } from '../client/session-files.ts'
import type { LocalAttributes } from '../write-back/local-changes.ts'
import type { Attributes, Time } from './front-end.ts'
import type { FilesystemOptions } from './options.ts'

/** What a directory is said to hold, as local filesystems do; the listing has no figure. */
const directorySize = 4096

export function describe(
  options: FilesystemOptions,
  what: {
    readonly inode: number
    readonly kind: 'file' | 'directory'
    /** Bytes; not looked at for directories. */
    readonly size: number
    readonly kept: LocalAttributes | undefined
    readonly listed: RemoteEntry | undefined
    /** False for what has lost its name. */
    readonly named: boolean
  },
): Attributes {
  const { kept, listed } = what
  const isFile = what.kind === 'file'
  const size = isFile ? what.size : directorySize
  const modifiedNs = kept?.modifiedNs ?? listedNs(listed) ?? msToNs(options.sessionCreatedAtMs)
  return {
    inode: what.inode,
    kind: what.kind,
    size,
    blocks: Math.ceil(size / 512),
    mode: kept?.mode ?? (isFile ? 0o666 : 0o777) & ~options.umask,
    uid: kept?.uid ?? options.uid,
    gid: kept?.gid ?? options.gid,
    linkCount: what.named ? 1 : 0,
    accessed: toTime(kept?.accessedNs ?? modifiedNs),
    modified: toTime(modifiedNs),
    changed: toTime(kept?.changedNs ?? modifiedNs),
  }
}

/** The service's own time of an entry; undefined where it does not say. */
export function listedNs(listed: RemoteEntry | undefined): bigint | undefined {
  if (listed === undefined || listed.modifiedSeconds === 0) return undefined
  return msToNs(listed.modifiedSeconds * 1000)
}

export function msToNs(ms: number): bigint {
  return BigInt(Math.round(ms)) * 1_000_000n
}

export function toNs(time: Time): bigint {
  return BigInt(time.seconds) * 1_000_000_000n + BigInt(time.nanoseconds)
}

function toTime(ns: bigint): Time {
  const nanoseconds = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n
  return { seconds: Number((ns - nanoseconds) / 1_000_000_000n), nanoseconds: Number(nanoseconds) }
}

/** `over` where it says something, else `under`. */
export function overlaid(under: LocalAttributes | undefined, over: LocalAttributes): LocalAttributes {
  return { ...under, ...over }
}
