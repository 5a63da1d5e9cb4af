/**
 * What is mounted where, from /proc/self/mountinfo. Layer: fuse.
 *
 * Invariant: asking sends nothing to the filesystem asked about, so a hanging or dead mount can be looked up.
 */
import { readFileSync } from 'node:fs'

/** The type of our mounts. */
export const ownType = 'fuse.mount-session'

export interface MountEntry {
  /** Of this mount, whatever becomes of the names above it; given out again once it is gone. */
  readonly id: number
  readonly directory: string
  /** `ownType` for ours. */
  readonly type: string
  readonly source: string
  /** Options of the superblock, `user_id` among them. */
  readonly options: readonly string[]
  /** `major:minor`; the minor number names the connection in /sys/fs/fuse/connections. */
  readonly device: string
}

/** Spaces, tabs, newlines and backslashes are written as octal numbers. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_match, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}

export function parseMountTable(text: string): MountEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [fixed = '', filesystem = ''] = line.split(' - ', 2)
      const [id, , device = '', , directory = ''] = fixed.split(' ')
      const [type = '', source = '', options = ''] = filesystem.split(' ')
      return {
        id: Number(id),
        device,
        directory: unescape(directory),
        type,
        source: unescape(source),
        options: options.split(','),
      }
    })
}

/** The uppermost mount on exactly this absolute, resolved path. */
export function mountAt(directory: string): MountEntry | undefined {
  return mountTable().findLast((entry) => entry.directory === directory)
}

/** All that is mounted on exactly this path, the uppermost last. */
export function mountsAt(directory: string): readonly MountEntry[] {
  return mountTable().filter((entry) => entry.directory === directory)
}

/** What is mounted there or anywhere below. */
export function mountsBelow(directory: string): readonly MountEntry[] {
  return mountTable().filter((entry) => `${entry.directory}/`.startsWith(`${directory}/`))
}

/** A mount that was once seen, where it is now: a directory above it may have been renamed. */
export function mountWith({ id, device }: Pick<MountEntry, 'id' | 'device'>): MountEntry | undefined {
  return mountTable().find((entry) => entry.id === id && entry.device === device)
}

function mountTable(): MountEntry[] {
  return parseMountTable(readFileSync('/proc/self/mountinfo', 'utf8'))
}
