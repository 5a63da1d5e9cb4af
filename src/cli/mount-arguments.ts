/**
 * The command line of mounting, read by the table of options. Layer: cli.
 *
 * Invariant: a flag wins over `-o`, `-o` over the environment, that over the default; a value is read by its
 * row of the table wherever it comes from.
 */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { Command, Option } from 'commander'
import { parseEndpoint } from '../client/endpoint.ts'
import { ServiceError } from '../client/errors.ts'
import { SessionError } from '../session/session-error.ts'
import { OptionValueError } from '../options/values.ts'
import { optionRows } from '../options/table.ts'
import type {
  DataDirectories,
  MountOptions,
  OptionName,
  OptionRow,
  OptionValues,
  RunOptions,
  SessionAddress,
} from '../options/table.ts'
import { helpWidth, parseCommand } from './command-line.ts'
import { commands } from './commands.ts'
import { parseMountLists } from './mount-list.ts'
import { UsageError } from './usage-error.ts'

export interface MountCommand {
  readonly options: MountOptions
  readonly run: RunOptions
}

type Environment = Readonly<Record<string, string | undefined>>

/** Throws `UsageError`. Relative paths are taken from `cwd`. */
export function parseMountCommand(argv: readonly string[], env: Environment, cwd: string): MountCommand {
  const command = mountCommand()
  const [address = '', directory = ''] = parseCommand(command, argv)
  const values = readValues(command.opts(), env)
  const { endpoint: givenEndpoint, foreground, logLevel, logFile, ...mountValues } = values
  const endpoint = requireEndpoint(givenEndpoint)
  return {
    options: {
      ...mountValues,
      caFile: values.caFile === undefined ? undefined : resolve(cwd, values.caFile),
      endpoint,
      ...parseAddress(address),
      directory: resolve(cwd, directory),
      ...dataDirectories(env),
    },
    run: { foreground, logLevel, logFile: logFile === undefined ? undefined : resolve(cwd, logFile) },
  }
}

/** The value of every option, from flags as commander collected them and from the environment. */
export function readValues(flags: Readonly<Record<string, unknown>>, env: Environment): OptionValues {
  const mountLists = (flags['o'] ?? []) as readonly string[]
  const fromLists = parseMountLists(mountLists)
  const values = Object.fromEntries(
    optionRows.map(([name, row]) => [name, readValue(name, row, flags[name], fromLists.get(name), env)]),
  )
  /* readValue keeps what OptionValues says of each row: switches are booleans, defaults are filled in */
  return values as unknown as OptionValues
}

function readValue(
  name: OptionName,
  row: OptionRow,
  flag: unknown,
  fromList: string | undefined,
  env: Environment,
): unknown {
  if (row.argument === undefined && row.env === undefined) {
    return flag === true || fromList !== undefined
  }
  const variable = row.env?.find((candidate) => (env[candidate] ?? '') !== '')
  const sources: readonly (readonly [string, unknown])[] = [
    [`--${row.flag ?? name}`, flag],
    [`-o ${row.mountOption ?? row.flag ?? name}`, fromList],
    [variable ?? name, variable === undefined ? undefined : env[variable]],
    [name, row.default],
  ]
  const [where, written] = sources.find(([, value]) => value !== undefined) ?? []
  if (typeof written !== 'string') {
    return undefined
  }
  try {
    return row.parse(written)
  } catch (error) {
    if (error instanceof OptionValueError) {
      throw new UsageError(`${where ?? name}: ${error.message}`)
    }
    throw error
  }
}

function mountCommand(): Command {
  const command = new Command('mount-session')
    .usage('[options] AGENT/SESSION DIR')
    .argument('<AGENT/SESSION>', 'the session to mount')
    .argument('<DIR>', 'an empty directory')
    .description("Mounts the sandbox of a hosted-agent session at DIR; the agent's console is DIR/.logs.")
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

/** Adds the flags of the table whose row is `wanted`, grouped for the help. */
export function addFlags(command: Command, wanted: (row: OptionRow) => boolean): void {
  for (const [name, row] of optionRows) {
    if (row.flag === undefined || !wanted(row)) {
      continue
    }
    const short = row.short === undefined ? '' : `-${row.short}, `
    const argument = row.argument === undefined ? '' : ` <${row.argument}>`
    const option = new Option(`${short}--${row.flag}${argument}`, describe(row)).helpGroup(`${row.group}:`)
    option.attributeName = () => name
    command.addOption(option)
  }
}

function describe(row: OptionRow): string {
  const notes = [
    ...(row.env === undefined ? [] : [`env: ${row.env.join(', ')}`]),
    ...(row.default === undefined ? [] : [`default: ${row.default}`]),
  ]
  return notes.length === 0 ? row.help : `${row.help} (${notes.join('; ')})`
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
    ...Object.values(commands).map(({ usage, help: what }) => line(usage, what)),
    '',
    'Times: 2s, 500ms, 5m (seconds without a unit). Sizes: 64M, 1G (bytes without a unit, units of 1024).',
  ].join('\n')
}

/** `AGENT/SESSION` as two names; throws `UsageError`. */
export function parseAddress(text: string): Pick<SessionAddress, 'agent' | 'session'> {
  const [agent = '', session = '', ...more] = text.split('/')
  if (agent === '' || session === '' || more.length > 0) {
    throw new UsageError(`"${text}" is not of the form AGENT/SESSION`)
  }
  return { agent, session }
}

/** The endpoint without a slash at its end; throws `UsageError`, or `SessionError` where a token must not go. */
export function requireEndpoint(endpoint: string | undefined): string {
  if (endpoint === undefined) {
    throw new UsageError('no endpoint: give --endpoint URL or set FOUNDRY_PROJECT_ENDPOINT')
  }
  try {
    const { origin, basePath } = parseEndpoint(endpoint)
    return `${origin}${basePath}`
  } catch (error) {
    if (error instanceof ServiceError && error.code === 'insecure_endpoint') {
      throw new SessionError('insecureEndpoint', error.message, { cause: error })
    }
    throw error instanceof ServiceError ? new UsageError(error.message) : error
  }
}

/** Where the XDG base directories put this program's data. */
export function dataDirectories(env: Environment): DataDirectories {
  const base = (variable: string, fallback: string): string => {
    const value = env[variable] ?? ''
    /* relative ones are to be ignored, says the specification */
    return value.startsWith('/') ? value : join(homedir(), fallback)
  }
  return {
    stateRoot: join(base('XDG_STATE_HOME', '.local/state'), 'mount-session'),
    cacheRoot: join(base('XDG_CACHE_HOME', '.cache'), 'mount-session'),
  }
}
