/**
 * How every command reads its arguments: commander, with our exit codes and our one-line errors. Layer: cli.
 *
 * Invariant: commander neither prints an error nor ends the process; `--help` alone goes to stdout.
 */
import { CommanderError, Option } from 'commander'
import type { Command } from 'commander'
import { OptionValueError } from '../options/values.ts'
import { UsageError } from './usage-error.ts'

/** The help was asked for and has been printed: the command is done. */
export class HelpShown extends Error {
  override readonly name = 'HelpShown'
}

/** Columns of a help text: those of the terminal, within reason. */
export function helpWidth(): number {
  return Math.max(60, Math.min(process.stdout.isTTY ? process.stdout.columns : 100, 120))
}

/** Parses into `command` and returns its arguments; throws `UsageError`, or `HelpShown`. */
export function parseCommand(command: Command, argv: readonly string[]): readonly string[] {
  command
    .exitOverride()
    .addHelpOption(new Option('-h, --help', 'show this').helpGroup('Running:'))
    .configureOutput({ writeErr: () => undefined, getOutHelpWidth: helpWidth })
  try {
    command.parse(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      throw error
    }
    if (error.code === 'commander.helpDisplayed') {
      throw new HelpShown()
    }
    const name = command.name().replace(/^mount-session ?/, '')
    /* the message may hold a second line with a suggestion */
    const message = error.message.replace(/^error: /, '').replaceAll('\n', ' ')
    throw new UsageError(message, name === '' ? undefined : name)
  }
  return command.args
}

/** The value of a command's own option by a parser of the table of options; throws `UsageError`. */
export function parseValue<Value>(
  command: string,
  name: string,
  text: string | undefined,
  parse: (text: string) => Value,
): Value | undefined {
  if (text === undefined) {
    return undefined
  }
  try {
    return parse(text)
  } catch (error) {
    if (error instanceof OptionValueError) {
      throw new UsageError(`${name}: ${error.message}`, command)
    }
    throw error
  }
}
