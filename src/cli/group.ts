/**
 * The first word of a command of two words, by itself: `mount-session session --help`. Layer: cli.
 *
 * Invariant: does nothing but say which commands there are.
 */
import { commandList, commandsOf } from './table/command-list.ts'
import { UsageError } from './usage-error.ts'

/** Prints the commands of the group for `--help`; throws `UsageError` for anything else. */
export function run(group: string, word: string): number {
  const rows = commandsOf(group).map((name) => commandList[name])
  if (word !== '--help' && word !== '-h') {
    const names = commandsOf(group).join(', ')
    throw new UsageError(
      word === '' ? `${group}: which of ${names}?` : `there is no command "${group} ${word}", only ${names}`,
      group,
    )
  }
  const width = rows.reduce((most, { usage }) => Math.max(most, usage.length), 0)
  const lines = rows.map(({ usage, help }) => `  ${usage.padEnd(width)}  ${help}`)
  process.stdout.write(`Commands of mount-session ${group}:\n${lines.join('\n')}\n`)
  return 0
}
