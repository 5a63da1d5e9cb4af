/**
 * How every command reads its arguments: commander, with our exit codes and our one-line errors. Layer: cli.
 *
 * Invariant: commander neither prints an error nor ends the process; `--help` alone goes to stdout; what a
 * command takes is its row of the table, nothing else.
 */
import { Argument, Command, CommanderError, Option } from 'commander'
import type { OptionName, OptionValues } from '../options/table.ts'
import { OptionValueError } from '../options/values.ts'
import { addFlags, readValues, type Environment } from './session-arguments.ts'
import { commandList, type CommandName } from './table/command-list.ts'
import type { ArgumentRow, CommandRow, FlagsOf, OwnOption } from './table/command-row.ts'
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

/** A command line that was understood. */
export interface ParsedCommand<Name extends CommandName> {
  /** The arguments, in order. */
  readonly words: readonly string[]
  /** The options of the row itself. */
  readonly flags: FlagsOf<(typeof commandList)[Name]>
  /** The table of options: flags where the row takes them, else environment and defaults. */
  readonly values: OptionValues
  /** What of it was written as a flag, as text. */
  readonly given: Readonly<Partial<Record<OptionName, string>>>
}

/** Reads the arguments of a command by its row; throws `UsageError`, or `HelpShown`. */
export function readCommand<Name extends CommandName>(
  name: Name,
  argv: readonly string[],
  env: Environment = process.env,
): ParsedCommand<Name> {
  const row: CommandRow = commandList[name]
  const command = commandOf(name, row)
  const words = parseCommand(command, argv)
  const given = command.opts<Record<string, unknown>>()
  const flags = Object.entries(row.options).map(([key, option]) => [key, readFlag(name, option, given[key])])
  const tabled = Object.fromEntries(
    row.takes.flatMap((option) => (given[option] === undefined ? [] : [[option, given[option]]])),
  )
  return {
    words,
    /* readFlag keeps what FlagsOf says of each option */
    flags: Object.fromEntries(flags) as FlagsOf<(typeof commandList)[Name]>,
    values: readValues(tabled, env),
    given: tabled,
  }
}

function commandOf(name: CommandName, row: CommandRow): Command {
  const command = new Command(`mount-session ${name}`).description(row.description)
  const shown = row.arguments.map(argumentOf)
  /* of those that repeat commander wants the last alone; whoever has another behind them tells them apart itself */
  const repeated = shown.findIndex(({ variadic }) => variadic)
  for (const argument of repeated < 0 ? shown : shown.slice(0, repeated + 1)) command.addArgument(argument)
  command.configureHelp({ visibleArguments: () => shown })
  command.usage(['[options]', ...shown.map(shownArgument)].join(' '))
  for (const [key, own] of Object.entries(row.options)) {
    command.addOption(ownOption(key, own))
  }
  const taken: readonly string[] = row.takes
  addFlags(command, (option) => taken.includes(option))
  if (row.examples.length > 0) command.addHelpText('after', () => examplesText(row))
  return command
}

function argumentOf({ name, help }: ArgumentRow): Argument {
  const isOptional = name.startsWith('[')
  const bare = isOptional ? name.slice(1, -1) : name
  const word = bare.endsWith('…') ? `${bare.slice(0, -1)}...` : bare
  return new Argument(isOptional ? `[${word}]` : `<${word}>`, help)
}

function shownArgument(argument: Argument): string {
  const name = argument.name() + (argument.variadic ? '...' : '')
  return argument.required ? `<${name}>` : `[${name}]`
}

function ownOption(key: string, { flag, short, argument, many, required, help }: OwnOption): Option {
  const letter = short === undefined ? '' : `-${short}, `
  const option = new Option(`${letter}--${flag}${argument === undefined ? '' : ` <${argument}>`}`, help)
  option.attributeName = () => key
  /* a flag is false without it, also one that begins with `no-` */
  option.negate = false
  if (required === true) option.makeOptionMandatory()
  if (many === true)
    option.argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value])
  return option
}

function examplesText({ examples }: CommandRow): string {
  return ['', 'Examples:', ...examples.flatMap(({ line, help }) => [`  ${line}`, `      ${help}`])].join('\n')
}

function readFlag(command: string, option: OwnOption, given: unknown): unknown {
  if (option.argument === undefined) return given === true
  const read = (text: string): unknown => readValue(command, option, text)
  if (option.many === true) return ((given ?? []) as readonly string[]).map(read)
  return given === undefined ? undefined : read(given as string)
}

function readValue(command: string, { flag, parse }: OwnOption, text: string): unknown {
  try {
    return parse === undefined ? text : parse(text)
  } catch (error) {
    if (error instanceof OptionValueError) throw new UsageError(`--${flag}: ${error.message}`, command)
    throw error
  }
}
