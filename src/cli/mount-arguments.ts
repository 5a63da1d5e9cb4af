/**
 * The command line of mounting, and its help. Layer: cli.
 *
 * Invariant: `--help` names every option of the table and every command.
 */
import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import type { AgentMountOptions, MountOptions, RunOptions } from '../options/mount-options.ts'
import { optionRows, type OptionValues } from '../options/table.ts'
import { helpWidth, parseCommand } from './command-line.ts'
import {
  addFlags,
  dataDirectories,
  describe,
  ignoredPaths,
  readValues,
  requireEndpoint,
  type Environment,
} from './session-arguments.ts'
import { commandRows } from './table/command-list.ts'
import { parseAllOf, parseTarget } from './targets.ts'
import { UsageError } from './usage-error.ts'

export interface MountCommand {
  readonly options: MountOptions | AgentMountOptions
  readonly run: RunOptions
}

/** Throws `UsageError`. Relative paths are taken from `cwd`. */
export function parseMountCommand(argv: readonly string[], env: Environment, cwd: string): MountCommand {
  const command = mountCommand()
  const [address = '', directory = ''] = parseCommand(command, argv)
  const values = readValues(command.opts(), env)
  const {
    endpoint: givenEndpoint,
    foreground,
    logLevel,
    logFile,
    traceFile,
    ignoreFrom,
    subdirectory,
    sessionStatus,
    ...mountValues
  } = values
  const absolute = (file: string | undefined): string | undefined =>
    file === undefined ? undefined : resolve(cwd, file)
  const endpoint = requireEndpoint(givenEndpoint)
  return {
    options: {
      ...mountValues,
      caFile: absolute(values.caFile),
      ignore: ignoredPaths({ ignore: mountValues.ignore, ignoreFrom }, cwd),
      endpoint,
      ...addressed(address, { subdirectory, sessionStatus }),
      directory: resolve(cwd, directory),
      ...dataDirectories(env),
    },
    run: { foreground, logLevel, logFile: absolute(logFile), traceFile: absolute(traceFile) },
  }
}

type Addressed =
  | Pick<MountOptions, 'agent' | 'session' | 'subdirectory'>
  | Pick<AgentMountOptions, 'agent' | 'session' | 'sessionStatus'>

/**
 * `AGENT/SESSION`, or `AGENT/SESSION:PATH`, which says what `-o subdir` does; or `AGENT/`, all sessions, of which
 * `-o status` chooses.
 */
function addressed(
  text: string,
  { subdirectory, sessionStatus }: Pick<OptionValues, 'subdirectory' | 'sessionStatus'>,
): Addressed {
  const all = parseAllOf(text)
  if (all !== undefined) {
    if (subdirectory !== undefined)
      throw new UsageError(
        `${text} is all sessions, -o subdir=${subdirectory} a directory of one: give ${text}SESSION, or leave out -o subdir`,
      )
    return { agent: all, session: undefined, sessionStatus }
  }
  const { agent, session, path } = parseTarget(text)
  if (sessionStatus !== undefined)
    throw new UsageError(
      `-o status=${sessionStatus} chooses among all sessions of an agent: give ${agent}/, or leave it out`,
    )
  if (path !== '' && subdirectory !== undefined && path !== subdirectory)
    throw new UsageError(`${text} and -o subdir=${subdirectory} are two directories: give one of them`)
  return { agent, session, subdirectory: path === '' ? subdirectory : path }
}

function mountCommand(): Command {
  const command = new Command('mount-session')
    .usage('[options] AGENT/SESSION[:PATH] DIR\n       mount-session [options] AGENT/ DIR')
    .argument(
      '<AGENT/SESSION[:PATH]>',
      'the session to mount, or one directory of it; AGENT/: all sessions of the agent',
    )
    .argument('<DIR>', 'an empty directory')
    .description(
      "Mounts the sandbox of a hosted-agent session at DIR; the agent's console is DIR/.logs. With AGENT/ each session " +
        'of the agent is a directory in DIR, its console DIR/SESSION/.logs.',
    )
  addFlags(command, () => true)
  command
    .addOption(
      new Option('-o <LIST>', 'mount options, comma-separated: those below, and any option above without --')
        .argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value])
        .helpGroup('Mount options:'),
    )
    .addHelpText('after', () => mountHelp(command))
  return command
}

function mountHelp(command: Command): string {
  const help = command.createHelp()
  help.prepareContext({ helpWidth: helpWidth() })
  const line = (term: string, description: string): string => help.formatItem(term, 26, description, help)
  const only = optionRows.filter(([, row]) => row.flag === undefined && row.mountOption !== undefined)
  const variables = optionRows.filter(([, row]) => row.flag === undefined && row.env !== undefined)
  return [
    ...only.map(([, row]) =>
      line([row.mountOption, row.argument].filter((part) => part !== undefined).join('='), describe(row)),
    ),
    '',
    'Environment:',
    ...variables.map(([, row]) => line((row.env ?? []).join(', '), row.help)),
    '',
    'Commands:',
    ...commandRows.map(([, { usage, help: what }]) => line(usage, what)),
    '',
    'Times: 2s, 500ms, 5m (seconds without a unit). Sizes: 64M, 1G (bytes without a unit, units of 1024).',
  ].join('\n')
}
