/**
 * What is mounted, as the kernel tells it. Layer: cli.
 *
 * Invariant: reads only /proc, so it answers whatever a mounted filesystem does.
 */
import { readFileSync } from 'node:fs'

export interface TableEntry {
  readonly directory: string
  /** `fuse.mount-session` for ours. */
  readonly type: string
}

export const ownType = 'fuse.mount-session'

/** The topmost mount at a directory, given by its canonical path. */
export function mountAt(directory: string): TableEntry | undefined {
  return readMountTable().findLast((entry) => entry.directory === directory)
}

function readMountTable(): readonly TableEntry[] {
  return parseMountTable(readFileSync('/proc/self/mountinfo', 'utf8'))
}

/** The form of proc_pid_mountinfo(5): the fifth field is the mount point, the type follows a lone `-`. */
export function parseMountTable(text: string): readonly TableEntry[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.split(' ')
    const directory = fields[4]
    const type = fields[fields.indexOf('-') + 1]
    return directory === undefined || type === undefined ? [] : [{ directory: unescape(directory), type }]
  })
}

/* space, tab, newline and backslash are written as three octal digits, byte by byte */
function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}
