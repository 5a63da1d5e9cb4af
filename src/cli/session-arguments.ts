/**
 * Which session a command is about, and its options, read by the table. Layer: cli.
 *
 * Invariant: a flag wins over `-o`, `-o` over the environment, that over the default; a value is read by its
 * row of the table wherever it comes from.
 */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { parseEndpoint } from '../client/endpoint.ts'
import { ServiceError } from '../client/errors.ts'
import type { DataDirectories, SessionAddress } from '../options/mount-options.ts'
import { optionRows } from '../options/table.ts'
import type { OptionName, OptionRow, OptionValues } from '../options/table.ts'
import { OptionValueError } from '../options/values.ts'
import { SessionError } from '../session/session-error.ts'
import { parseMountLists } from './mount-list.ts'
import { UsageError } from './usage-error.ts'

export type Environment = Readonly<Record<string, string | undefined>>

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

/** Adds the flags of the table that are `wanted`, grouped for the help. */
export function addFlags(command: Command, wanted: (name: OptionName) => boolean): void {
  for (const [name, row] of optionRows) {
    if (row.flag === undefined || !wanted(name)) {
      continue
    }
    const short = row.short === undefined ? '' : `-${row.short}, `
    const argument = row.argument === undefined ? '' : ` <${row.argument}>`
    const option = new Option(`${short}--${row.flag}${argument}`, describe(row)).helpGroup(`${row.group}:`)
    option.attributeName = () => name
    command.addOption(option)
  }
}

/** The help of an option, with where else it is read from and its default. */
export function describe(row: OptionRow): string {
  const notes = [
    ...(row.env === undefined ? [] : [`env: ${row.env.join(', ')}`]),
    ...((row.default ?? '') === '' ? [] : [`default: ${row.default}`]),
  ]
  return notes.length === 0 ? row.help : `${row.help} (${notes.join('; ')})`
}

/** `AGENT/SESSION` as two names; throws `UsageError` of `command`. */
export function parseAddress(text: string, command?: string): Pick<SessionAddress, 'agent' | 'session'> {
  const [agent = '', session = '', ...more] = text.split('/')
  if (agent === '' || session === '' || more.length > 0) {
    throw new UsageError(`"${text}" is not of the form AGENT/SESSION`, command)
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

/** The patterns of `--ignore` and of the file of `--ignore-from`; throws the error of reading that. */
export function ignoredPaths(
  { ignore, ignoreFrom }: Pick<OptionValues, 'ignore' | 'ignoreFrom'>,
  cwd: string,
): readonly string[] {
  if (ignoreFrom === undefined) return ignore
  return [...ignore, ...readFileSync(resolve(cwd, ignoreFrom), 'utf8').split(/\r?\n/)]
}

/** Where the XDG base directories put this program's data; throws `SessionError` where that is nowhere. */
export function dataDirectories(env: Environment): DataDirectories {
  const base = (variable: string, fallback: string): string => {
    const value = env[variable] ?? ''
    /* relative ones are to be ignored, says the specification */
    if (value.startsWith('/')) return value
    const home = env['HOME'] ?? homedir()
    if (home.startsWith('/')) return join(home, fallback)
    throw new SessionError(
      'unusableDirectory',
      `HOME is "${home}", which is not an absolute path: set it, or ${variable}`,
    )
  }
  return {
    stateRoot: join(base('XDG_STATE_HOME', '.local/state'), 'mount-session'),
    cacheRoot: join(base('XDG_CACHE_HOME', '.cache'), 'mount-session'),
  }
}
