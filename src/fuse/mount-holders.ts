/**
 * Where a filesystem is mounted still, in this mount namespace and in others. Layer: fuse.
 *
 * Invariant: reads /proc only, and sends nothing to the filesystem asked about; of other users' processes it sees
 * what the caller may.
 */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { parseMountTable } from './mount-table.ts'

export interface MountHolder {
  readonly directory: string
  /** A process that sees it there; undefined: this one does. */
  readonly process: { readonly pid: number; readonly command: string } | undefined
}

/** Every place of the filesystem with this `major:minor`; each namespace once, by the first of its processes. */
export function holdersOf(device: string): readonly MountHolder[] {
  const seen = new Set<string>()
  return ['self', ...processes()].flatMap((name) => {
    const namespace = tryTo(() => readlinkSync(`/proc/${name}/ns/mnt`)) ?? name
    if (seen.has(namespace)) return []
    seen.add(namespace)
    const table = tryTo(() => readFileSync(`/proc/${name}/mountinfo`, 'utf8')) ?? ''
    const command = tryTo(() => readFileSync(`/proc/${name}/comm`, 'utf8').trim()) ?? ''
    const process = name === 'self' ? undefined : { pid: Number(name), command }
    return parseMountTable(table)
      .filter((entry) => entry.device === device)
      .map(({ directory }) => ({ directory, process }))
  })
}

/** `/mnt/b, /mnt/c (bash, pid 12)`; '' for nobody. */
export function describeHolders(holders: readonly MountHolder[]): string {
  return holders
    .map(({ directory, process }) =>
      process === undefined ? directory : `${directory} (${process.command}, pid ${process.pid})`,
    )
    .join(', ')
}

function processes(): readonly string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name))
}

/* it may end while it is looked at, or be none of ours */
function tryTo<Value>(read: () => Value): Value | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
