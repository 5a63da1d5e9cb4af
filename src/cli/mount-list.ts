/**
 * What is written after `-o`. Layer: cli.
 *
 * Invariant: every word is known, either from the table of options, or as one that mount(8) and fstab(5)
 * hand to every filesystem and that changes nothing here; all others are refused.
 */
import { optionRows } from '../options/table.ts'
import type { OptionName } from '../options/table.ts'
import { UsageError } from './usage-error.ts'

/* `dev` and `suid` are among them although FUSE never grants them to users: mount(8) always says them. */
const meaningless = new Set([
  ...['auto', 'noauto', 'defaults', '_netdev', 'nofail', 'user', 'nouser', 'users', 'owner', 'group'],
  ...['dev', 'nodev', 'suid', 'nosuid'],
  ...['atime', 'noatime', 'relatime', 'norelatime', 'strictatime', 'lazytime', 'diratime', 'nodiratime'],
])

/* words that take back a switch given before them */
const opposites: Readonly<Record<string, string>> = { rw: 'ro', async: 'sync', exec: 'noexec' }

const byMountName = new Map(
  optionRows.flatMap(([name, row]) => {
    const mountName = row.mountOption ?? row.flag
    return mountName === undefined ? [] : [[mountName, { name, row }] as const]
  }),
)

/** Reads the lists after each `-o`, in order; a comma inside a value is written `\,`. Later words win. */
export function parseMountLists(lists: readonly string[]): Map<OptionName, string> {
  const given = new Map<OptionName, string>()
  for (const word of lists.flatMap((list) => list.split(/(?<!\\),/)).filter((word) => word !== '')) {
    const equals = word.indexOf('=')
    const mountName = equals < 0 ? word : word.slice(0, equals)
    const value = equals < 0 ? undefined : word.slice(equals + 1).replaceAll('\\,', ',')
    const known = byMountName.get(opposites[mountName] ?? mountName)
    if (known === undefined) {
      if (meaningless.has(mountName) || mountName.startsWith('x-') || mountName === 'comment') {
        continue
      }
      throw new UsageError(`-o ${mountName}: no such mount option`)
    }
    if (known.row.argument === undefined && value !== undefined) {
      throw new UsageError(`-o ${mountName}: takes no value`)
    }
    if (known.row.argument !== undefined && value === undefined) {
      throw new UsageError(`-o ${mountName}: needs a value: -o ${mountName}=${known.row.argument}`)
    }
    if (mountName in opposites) {
      given.delete(known.name)
    } else {
      given.set(known.name, value ?? '')
    }
  }
  return given
}
