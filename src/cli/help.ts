/**
 * `mount-session help [COMMAND]`. Layer: cli.
 *
 * Invariant: the same text as `mount-session [COMMAND] --help`.
 */
import { commands, mount } from './commands.ts'
import { UsageError } from './usage-error.ts'

export async function run(argv: readonly string[]): Promise<number> {
  const [name] = argv
  if (name === undefined || name === 'help' || name.startsWith('-')) {
    return (await mount.load()).run(['--help'])
  }
  const entry = commands[name]
  if (entry === undefined) {
    throw new UsageError(`there is no command "${name}"`)
  }
  return (await entry.load()).run(['--help'])
}
