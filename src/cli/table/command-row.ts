/**
 * What the command line knows of a command: its words, options and examples, as data. Layer: cli.
 *
 * Invariant: `--help`, the parser, the man page and the completions all read these rows, so that none of them
 * can say what another does not; a row loads nothing but the parsers of values.
 */
import type { OptionName } from '../../options/table.ts'

/** What a shell can offer for a word: names that it asks `mount-session complete` for, paths, or fixed words. */
export type Completion =
  'agent' | 'session' | 'remote' | 'mount' | 'file' | 'directory' | 'command' | readonly string[]

export interface ArgumentRow {
  /** As in the usage: `DIR`, `[PATH]`, `LOCAL…`. */
  readonly name: string
  readonly help: string
  readonly completes?: Completion
}

/** An option of one command alone; those of the table of options are named in `takes`. */
export interface OwnOption {
  /** `--flag` */
  readonly flag: string
  readonly short?: string
  /** What stands for the value in the help; undefined: a switch. */
  readonly argument?: string
  readonly help: string
  /** Throws `OptionValueError`. Default: the text as it is. */
  readonly parse?: (text: string) => unknown
  /** May be given several times: the values in order. */
  readonly many?: true
  readonly required?: true
  readonly completes?: Completion
}

/** A command line that works as it stands, and what it is for. */
export interface Example {
  readonly line: string
  readonly help: string
}

export interface CommandRow {
  /** Without the program's name: `sync DIR [PATH]`. */
  readonly usage: string
  /** One line for the list of commands. */
  readonly help: string
  /** Sentences for `--help` and the man page. */
  readonly description: string
  readonly arguments: readonly ArgumentRow[]
  readonly options: Readonly<Record<string, OwnOption>>
  /** Options of the table of options that have a flag here; those that only the environment gives are read always. */
  readonly takes: readonly OptionName[]
  readonly examples: readonly Example[]
}

/** What it takes to ask the service something. */
export const serviceOptions = [
  'endpoint',
  'isolationKey',
  'userIdentity',
  'caFile',
] as const satisfies readonly OptionName[]

/** The options of every command that prints. */
export const jsonOption = {
  flag: 'json',
  help: 'as JSON, sizes in bytes, times in seconds of Unix',
} as const satisfies OwnOption

type ValueOf<Option extends OwnOption> = Option extends { readonly argument: string }
  ? Option extends { readonly parse: (text: string) => infer Value }
    ? Value
    : string
  : true

/** The values of a row's own options: switches are booleans, those given several times lists, others perhaps undefined. */
export type FlagsOf<Row extends Pick<CommandRow, 'options'>> = {
  readonly [Name in keyof Row['options']]: Row['options'][Name] extends { readonly many: true }
    ? readonly ValueOf<Row['options'][Name]>[]
    : Row['options'][Name] extends { readonly argument: string }
      ? Row['options'][Name] extends { readonly required: true }
        ? ValueOf<Row['options'][Name]>
        : ValueOf<Row['options'][Name]> | undefined
      : boolean
}
